//! A master that was restarted without its data, while replicas still hold them: it takes writes as if nothing had been,
//! and every replica that synchronises with it throws its data away. The reference follows it, unless it was away for
//! longer than down-after.
//!
//! It is always told (`-empty-master`). With `empty-master-failover yes` it is subjectively down at once, and the
//! failover that follows promotes no replica that has been emptied. Off unless asked for: some restart a cache to have it
//! empty. That it came back empty does end one convenience of ours, though: a failover that has begun is not called off
//! for its sake, which the reference would not do for any master.
//!
//! Only proof counts. A run id that was another one before, and a data set of which nothing can have been loaded from
//! anywhere: no keys, or, without an append-only file, no more keys than changes since the start. And a replica that has
//! told since then that it holds keys of a history that the master has left. That the master still knows that history
//! proves nothing: a file of before the first key says as much.

use std::fmt;

use crate::{
    events::Event,
    notice::Topic,
    time::Instant,
    types::{HostPort, RunId},
    view::Role,
    watch::Watch,
};

/// What one INFO says about the data set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Holdings {
    /// In all databases. None: the text has no section about it.
    keys: Option<u64>,
    /// `loading`, `async_loading`
    loading: bool,
    /// `rdb_changes_since_last_save`
    changes: Option<u64>,
    /// `rdb_last_load_keys_loaded` and `_expired`, of Redis 7.0 and later
    loaded: Option<u64>,
    /// `aof_enabled`
    append_only: Option<bool>,
    /// An earlier INFO of the same process proved that it began with nothing.
    seen_empty: bool,
}

impl Holdings {
    /// Reads one line of INFO that has a colon.
    pub(crate) fn read(&mut self, field: &str, value: &str) {
        match field {
            "loading" | "async_loading" => self.loading |= value == "1",
            "rdb_changes_since_last_save" => self.changes = value.parse().ok(),
            "rdb_last_load_keys_loaded" | "rdb_last_load_keys_expired" => {
                let keys: Option<u64> = value.parse().ok();
                self.loaded = keys.map(|keys| self.loaded.unwrap_or(0).saturating_add(keys));
            }
            "aof_enabled" => self.append_only = Some(value == "1"),
            _ if field.strip_prefix("db").is_some_and(|number| number.parse::<u32>().is_ok()) => {
                let keys = value.split(',').find_map(|part| part.strip_prefix("keys="));
                let keys: u64 = keys.and_then(|keys| keys.parse().ok()).unwrap_or(0);
                self.keys = Some(self.keys.unwrap_or(0).saturating_add(keys));
            }
            _ => {}
        }
    }

    /// Reads one line of INFO that has none: with this one the section begins that lists the databases with keys.
    pub(crate) fn read_heading(&mut self, line: &str) {
        if line.trim_end() == "# Keyspace" {
            self.keys = Some(self.keys.unwrap_or(0));
        }
    }

    /// Whether it is certain that nothing was there when the process began. None: it may still be loading.
    pub(crate) fn began_empty(&self) -> Option<bool> {
        if self.seen_empty {
            return Some(true);
        }
        if self.loading {
            return None;
        }
        let Some(keys) = self.keys else { return Some(false) };
        let all_are_new = self.append_only == Some(false)
            && self.loaded == Some(0)
            && self.changes.is_some_and(|changes| keys <= changes);
        Some(self.loaded.unwrap_or(0) == 0 && (keys == 0 || all_are_new))
    }

    /// That it began with nothing is known from an earlier INFO of the same process.
    pub(crate) const fn was_seen_empty(&mut self) {
        self.seen_empty = true;
    }

    /// Whether it is reading its data, from a file or from a master.
    pub(crate) const fn is_loading(&self) -> bool {
        self.loading
    }

    /// The keys it holds. None: it does not tell.
    pub(crate) const fn keys_told(&self) -> Option<u64> {
        self.keys
    }

    /// The keys it is certain to hold.
    pub(crate) fn keys(&self) -> u64 {
        self.keys.unwrap_or(0)
    }
}

/// What became of the master's data when it was started anew.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Restart {
    /// It may be loading them.
    Unclear,
    /// They are there, as far as can be told.
    WithData,
    /// They are not.
    Empty {
        noticed_at: Instant,
        /// The histories that it has begun since, as one that is a master again after it was a replica for a while: data of these,
        /// and of one that goes on from them, are not those of before. The first one, and the latest ones.
        begun: Vec<RunId>,
    },
}

/// How many histories are remembered that an empty master has begun.
const HISTORIES: usize = 16;

/// Adds the history that a master shows to those that it has begun.
fn note_history(begun: &mut Vec<RunId>, id: Option<&RunId>) {
    let Some(id) = id.filter(|id| !begun.contains(id)) else { return };
    if begun.len() == HISTORIES {
        begun.remove(1);
    }
    begun.push(id.clone());
}

/// Why a master is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Emptied {
    /// The keys it has, all of them new.
    pub keys: u64,
    /// The replica that holds the most keys of its former history.
    pub holder: HostPort,
    /// How many.
    pub held: u64,
}

impl fmt::Display for Emptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#restarted without its data: {} keys, {} holds {}", self.keys, self.holder, self.held)
    }
}

impl Watch<'_> {
    /// INFO of the master has come: see whether it has lost its data, and who still holds them.
    pub(crate) fn judge_emptiness(&mut self, rebooted: bool) {
        let now = self.ctx.mono();
        let node = self.master.node_mut();
        if rebooted {
            node.restart = Some(Restart::Unclear);
        }
        if node.restart == Some(Restart::Unclear) && node.role == Role::Master {
            node.restart = match node.info.holdings.began_empty() {
                None => Some(Restart::Unclear),
                Some(true) => Some(Restart::Empty { noticed_at: now, begun: Vec::new() }),
                Some(false) => Some(Restart::WithData),
            };
            if matches!(node.restart, Some(Restart::Empty { .. })) {
                // They may lose their data at any moment: what they said before does not count.
                for id in self.master.replica_ids() {
                    self.ask_info(id);
                }
            }
        }
        let node = self.master.node_mut();
        if let Some(Restart::Empty { begun, .. }) = &mut node.restart
            && node.role == Role::Master
        {
            note_history(begun, node.info.history.id.as_ref());
        }
        self.look_for_holders();
    }

    /// The history that an empty master has begun, while replicas hold data of the former one.
    pub(crate) fn empty_history(&self) -> Option<&RunId> {
        self.master.node().info.history.id.as_ref().filter(|_| self.master.emptied)
    }

    /// Whether the master may turn out to be empty: then a failover that has begun is not called off.
    pub(crate) fn is_perhaps_empty(&self) -> bool {
        let node = self.master.node();
        let unread = matches!(node.link.state, crate::state::LinkState::Up { since, .. }
            if node.info_at.is_none_or(|at| at < since));
        let unheard = |noticed_at| {
            self.master.replicas().any(|it| it.is_reachable() && it.info_at.is_none_or(|at| at < noticed_at))
        };
        match &node.restart {
            _ if self.master.emptied || unread => true,
            Some(Restart::Unclear) => true,
            Some(Restart::Empty { noticed_at, .. }) => unheard(*noticed_at),
            Some(Restart::WithData) | None => false,
        }
    }

    /// Whether replicas hold data that the master has lost, as far as they have told since.
    pub(crate) fn look_for_holders(&mut self) {
        let (noticed_at, begun) = match &self.master.node().restart {
            Some(Restart::Empty { noticed_at, begun }) => (*noticed_at, begun),
            Some(Restart::WithData) if self.master.emptied => return self.master_holds_data_again(),
            _ => return,
        };
        let history = &self.master.node().info.history.id;
        let holds = |node: &&crate::state::Node| {
            let since = node.info_at.is_some_and(|at| at >= noticed_at);
            let (id, before) = (&node.info.history.id, &node.info.history.former_id);
            let goes_on = [id, before].into_iter().flatten().any(|id| begun.contains(id));
            let former = id.is_some() && id != history && !goes_on;
            // One that was restarted as a master from some old file can take nobody's place.
            let role = node.info.role == Some(Role::Replica) || node.former_master || node.was_replica_before();
            let ours = !node.stranger && self.has_data_of_before(node);
            since && former && role && ours && node.sdown_since.is_none() && node.info.holdings.keys() > 0
        };
        let most = self.master.replicas().filter(holds).max_by_key(|node| node.info.holdings.keys());
        let why = most.map(|node| Emptied {
            keys: self.master.node().info.holdings.keys(),
            holder: node.addr.clone(),
            held: node.info.holdings.keys(),
        });
        let was = std::mem::replace(&mut self.master.emptied, why.is_some());
        match why {
            Some(why) if !was => {
                self.master_event(|subject| Event::EmptyMaster { subject, why });
                self.evaluate_node(self.master.current);
            }
            None if was => {
                let name = self.master.name.clone();
                let text = format!("No replica of {name} holds the data of before its restart any more: they are lost");
                self.ctx.notice(Topic::DataLost, Some(&name), text);
                self.evaluate_node(self.master.current);
            }
            _ => {}
        }
    }

    /// It was started once more, and has loaded something: what its replicas copy from now on is what there is. Held for
    /// empty still, it would leave nobody to promote when it dies.
    fn master_holds_data_again(&mut self) {
        self.master.emptied = false;
        let (name, keys) = (self.master.name.clone(), self.master.node().info.holdings.keys());
        let text = format!("The master {name} was started once more, with data: {keys} keys");
        self.ctx.notice(Topic::DataBack, Some(&name), text);
        self.evaluate_node(self.master.current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Holdings {
        let mut holdings = Holdings::default();
        for line in lines.split(' ') {
            match line.split_once(':') {
                Some((field, value)) => holdings.read(field, value),
                None => holdings.read_heading(&line.replace('_', " ")),
            }
        }
        holdings
    }

    #[test]
    fn without_the_section_nothing_is_certain_and_while_loading_it_cannot_be_told() {
        assert_eq!(read("loading:0").began_empty(), Some(false));
        assert_eq!(read("#_Keyspace loading:1").began_empty(), None);
        assert_eq!(read("#_Keyspace async_loading:1").began_empty(), None);
        assert_eq!(read("#_Keyspace loading:0").began_empty(), Some(true));
        assert_eq!(read("#_Keyspace db0:keys=3,expires=0 db11:keys=4").keys(), 7);
    }

    #[test]
    fn keys_that_were_written_since_the_start_are_no_data_of_before() {
        let with = |facts: &str| read(&format!("{facts} #_Keyspace db0:keys=5,expires=0")).began_empty();
        let fresh = "aof_enabled:0 rdb_last_load_keys_loaded:0 rdb_changes_since_last_save:5";
        assert_eq!(with(fresh), Some(true));
        assert_eq!(
            with(&fresh.replace("save:5", "save:4")),
            Some(false),
            "one was there before, or it was saved since"
        );
        // What an append-only file brings back counts as changes.
        assert_eq!(with(&fresh.replace("aof_enabled:0", "aof_enabled:1")), Some(false));
        assert_eq!(with(&fresh.replace("loaded:0", "loaded:5")), Some(false));
        let flushed = "#_Keyspace rdb_last_load_keys_loaded:0 rdb_last_load_keys_expired:5";
        assert_eq!(read(flushed).began_empty(), Some(false), "they were there, and too old");
        assert_eq!(with("rdb_changes_since_last_save:5"), Some(false), "an old server does not tell what it loaded");
    }
}
