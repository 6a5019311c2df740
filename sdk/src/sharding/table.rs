//! Which shard has which slots. Pure.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::slot::{SLOTS, slot_of};
use crate::config_error::ConfigError;

const SETTING: &str = "slot table";
const LAST: u16 = SLOTS - 1;

/// Which shard has which of the 16,384 slots: all of them, each one once.
///
/// It is written and read as text, one range a line, in order:
///
/// ```
/// # use sentinel_sdk::sharding::SlotTable;
/// let table: SlotTable = "version 3\n0-8191 first\n8192-16383 second\n".parse()?;
/// assert_eq!(table.shard_of(b"foo"), "second");
/// assert_eq!(table.to_string(), "version 3\n0-8191 first\n8192-16383 second\n");
/// // A slot that nobody has, or two, is refused.
/// let error = "0-100 first\n102-16383 second\n".parse::<SlotTable>().unwrap_err();
/// assert_eq!(error.to_string(), "slot table: slot 101 has no shard");
/// # Ok::<(), sentinel_sdk::ConfigError>(())
/// ```
///
/// While slots are moved ([`Mover`](super::Mover)) a further line, `moving 0-99 first second`, says which, from where and where to. The
/// ranges name the shard that is read from; nothing is written to these slots meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotTable {
    version: u64,
    /// The first slot of each range with its shard.
    ranges: BTreeMap<u16, Arc<str>>,
    moving: Option<Moving>,
}

/// Slots that are on their way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moving {
    /// The slots.
    pub slots: RangeInclusive<u16>,
    /// The shard that had them before.
    pub from: Arc<str>,
    /// The shard that gets them.
    pub to: Arc<str>,
}

impl SlotTable {
    /// Gives each shard as many slots as the next one, in this order.
    ///
    /// ```
    /// # use sentinel_sdk::sharding::SlotTable;
    /// let table = SlotTable::even(["a", "b", "c"])?;
    /// assert_eq!(table.to_string(), "version 1\n0-5460 a\n5461-10921 b\n10922-16383 c\n");
    /// # Ok::<(), sentinel_sdk::ConfigError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError::Setting`] without a shard, with more than 16,384, or where a name is empty, has spaces or stands twice.
    pub fn even<S: AsRef<str>>(shards: impl IntoIterator<Item = S>) -> Result<Self, ConfigError> {
        let shards: Vec<_> = shards.into_iter().collect();
        let count = shards.len();
        if count == 0 || count > usize::from(SLOTS) {
            return Err(refuse(format!("{count} shards cannot share 16384 slots")));
        }
        let bound = |index: usize| u16::try_from(index * usize::from(SLOTS) / count).unwrap_or(SLOTS);
        let ranges = shards.iter().enumerate().map(|(at, shard)| (bound(at)..=bound(at + 1) - 1, shard.as_ref()));
        let table = Self::new(1, ranges)?;
        if table.shards().len() < count {
            return Err(refuse("a shard stands twice".to_owned()));
        }
        Ok(table)
    }

    /// A table from its ranges, in any order.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Setting`] where a slot has no shard or more than one, or a name is empty or has spaces.
    pub fn new<S: AsRef<str>>(
        version: u64,
        ranges: impl IntoIterator<Item = (RangeInclusive<u16>, S)>,
    ) -> Result<Self, ConfigError> {
        let mut ranges: Vec<_> = ranges.into_iter().collect();
        ranges.sort_by_key(|(range, _)| *range.start());
        let mut next = 0;
        let mut table = Self { version, ranges: BTreeMap::new(), moving: None };
        for (range, shard) in ranges {
            let (first, last, shard) = (*range.start(), *range.end(), shard.as_ref());
            if first > last || last > LAST {
                return Err(refuse(format!("{first}-{last} is no range of slots, which go from 0 to {LAST}")));
            }
            if shard.is_empty() || shard.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(refuse(format!("`{shard}` is no name of a shard")));
            }
            if first > next {
                return Err(refuse(format!("slot {next} has no shard")));
            }
            if first < next {
                return Err(refuse(format!("slot {first} has more than one shard")));
            }
            table.ranges.insert(first, shard.into());
            next = last + 1;
        }
        if next <= LAST {
            return Err(refuse(format!("slot {next} has no shard")));
        }
        table.merge();
        Ok(table)
    }

    /// The shard that a key belongs to.
    pub fn shard_of(&self, key: &[u8]) -> &str {
        self.shard_of_slot(slot_of(key))
    }

    /// The shard that has a slot; of 16,384 and above that of the last one.
    pub fn shard_of_slot(&self, slot: u16) -> &str {
        // The range that begins at 0 is always there.
        self.ranges.range(..=slot).next_back().map_or("", |(_, shard)| shard)
    }

    /// Grows by one with each change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Which slots each shard has, in order.
    pub fn ranges(&self) -> impl Iterator<Item = (RangeInclusive<u16>, &str)> {
        let ends = self.ranges.keys().skip(1).map(|next| next - 1).chain([LAST]);
        self.ranges.iter().zip(ends).map(|((first, shard), last)| (*first..=last, &**shard))
    }

    /// The names of all shards, sorted.
    pub fn shards(&self) -> Vec<&str> {
        let mut shards: Vec<&str> = self.ranges.values().map(|shard| &**shard).collect();
        if let Some(moving) = &self.moving {
            shards.extend([&*moving.from, &*moving.to]);
        }
        shards.sort_unstable();
        shards.dedup();
        shards
    }

    /// The slots that are on their way, if any are.
    pub fn moving(&self) -> Option<&Moving> {
        self.moving.as_ref()
    }

    /// The same table with these slots at that shard, and the next version.
    ///
    /// ```
    /// # use sentinel_sdk::sharding::SlotTable;
    /// let table = SlotTable::even(["a", "b"])?.assign(0..=99, "b")?;
    /// assert_eq!(table.to_string(), "version 2\n0-99 b\n100-8191 a\n8192-16383 b\n");
    /// # Ok::<(), sentinel_sdk::ConfigError>(())
    /// ```
    ///
    /// It moves no data: that is what [`Mover`](super::Mover) does.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Setting`] where this is no range of slots, or no name.
    pub fn assign(&self, slots: RangeInclusive<u16>, shard: &str) -> Result<Self, ConfigError> {
        let (first, last) = (*slots.start(), *slots.end());
        if first > last || last > LAST {
            return Err(refuse(format!("{first}-{last} is no range of slots, which go from 0 to {LAST}")));
        }
        let mut parts = vec![(slots, shard)];
        for (range, other) in self.ranges() {
            let (start, end) = (*range.start(), *range.end());
            if start < first {
                parts.push((start..=end.min(first - 1), other));
            }
            if end > last {
                parts.push((start.max(last + 1)..=end, other));
            }
        }
        let mut table = Self::new(self.version + 1, parts)?;
        table.moving.clone_from(&self.moving);
        Ok(table)
    }

    /// The same with these slots on their way, or none, and the next version.
    pub(super) fn with_moving(&self, moving: Option<Moving>) -> Self {
        Self { version: self.version + 1, moving, ranges: self.ranges.clone() }
    }

    pub(super) fn with_version(mut self, version: u64) -> Self {
        self.version = version;
        self
    }

    /// Neighbours of the same shard are one range.
    fn merge(&mut self) {
        let mut before: Option<Arc<str>> = None;
        self.ranges.retain(|_, shard| {
            let is_new = before.as_ref() != Some(shard);
            before = Some(shard.clone());
            is_new
        });
    }
}

fn refuse(reason: String) -> ConfigError {
    ConfigError::Setting { setting: SETTING, reason }
}

impl fmt::Display for SlotTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version {}", self.version)?;
        for (range, shard) in self.ranges() {
            writeln!(f, "{}-{} {shard}", range.start(), range.end())?;
        }
        if let Some(Moving { slots, from, to }) = &self.moving {
            writeln!(f, "moving {}-{} {from} {to}", slots.start(), slots.end())?;
        }
        Ok(())
    }
}

impl FromStr for SlotTable {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let (mut version, mut ranges, mut moving) = (1, Vec::new(), None);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            let wrong = || refuse(format!("`{line}` is neither `version N`, nor `FIRST-LAST SHARD`, nor `moving ...`"));
            match *line.split_whitespace().collect::<Vec<_>>() {
                ["version", number] => version = number.parse().map_err(|_| wrong())?,
                ["moving", slots, from, to] => {
                    let slots = range(slots).ok_or_else(wrong)?;
                    moving = Some(Moving { slots, from: from.into(), to: to.into() });
                }
                [slots, shard] => ranges.push((range(slots).ok_or_else(wrong)?, shard)),
                _ => return Err(wrong()),
            }
        }
        let mut table = Self::new(version, ranges)?;
        if let Some(Moving { slots, from, to }) = &moving {
            let has = |shard: &str| slots.clone().all(|slot| table.shard_of_slot(slot) == shard);
            if from == to || !(has(from) || has(to)) {
                let (first, last) = (slots.start(), slots.end());
                return Err(refuse(format!("{first}-{last} move from {from} to {to}, and belong to neither")));
            }
        }
        table.moving = moving;
        Ok(table)
    }
}

/// `FIRST-LAST`, or one slot.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    (range.start() <= range.end() && *range.end() <= LAST).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<SlotTable>().unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let table = SlotTable::even(["a", "b", "c"]).unwrap();
        let moving = Moving { slots: 0..=9, from: "a".into(), to: "b".into() };
        for table in [table.clone(), table.assign(7..=7, "c").unwrap(), table.with_moving(Some(moving))] {
            assert_eq!(table.to_string().parse::<SlotTable>().unwrap(), table);
        }
    }

    #[test]
    fn each_slot_has_one_shard() {
        for (text, part) in [
            ("", "slot 0 has no shard"),
            ("1-16383 a", "slot 0 has no shard"),
            ("0-16382 a", "slot 16383 has no shard"),
            ("0-9 a\n9-16383 b", "slot 9 has more than one shard"),
            ("0-16384 a", "is neither"),
            ("9-3 a", "is neither"),
            ("0-16383 a b", "is neither"),
            ("version x\n0-16383 a", "is neither"),
            ("0-16383 a\nmoving 0-9 b c", "belong to neither"),
            ("0-16383 a\nmoving 0-9 a a", "belong to neither"),
        ] {
            assert!(error(text).contains(part), "{text}: {}", error(text));
        }
        assert!(SlotTable::even(["a", "a"]).is_err() && SlotTable::even(["a b"]).is_err());
        assert!(SlotTable::even(Vec::<&str>::new()).is_err());
    }

    #[test]
    fn an_even_table_differs_by_one_slot_at_most() {
        for count in [1, 2, 3, 7, 1000, 16_384] {
            let names: Vec<_> = (0..count).map(|number| format!("{number:05}")).collect();
            let table = SlotTable::even(&names).unwrap();
            let sizes: Vec<_> = table.ranges().map(|(range, _)| range.len()).collect();
            assert_eq!(sizes.len(), count);
            assert_eq!(sizes.iter().sum::<usize>(), 16_384);
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        }
    }
}
