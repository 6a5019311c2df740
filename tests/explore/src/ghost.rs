//! What has been promised so far, by anybody: who leads which epoch, who voted for whom, which configuration an epoch has.

use crate::{
    effect::Hello,
    place::{Place, SENTINELS},
    symmetry::Renaming,
};

/// Epochs beyond this one are not looked at.
pub(crate) const EPOCHS: usize = 8;
const NAMES: usize = 2;

/// The promises of a history. Each number is one more than that of a place, zero means that nothing is promised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ghost {
    leaders: [[u8; EPOCHS]; NAMES],
    configurations: [[u8; EPOCHS]; NAMES],
    votes: [[u8; EPOCHS]; SENTINELS],
    /// Epochs in which an operator asked for a failover, as bits: cut off from each other, two may make the same one, and what must
    /// hold then is that all agree in the end.
    forced: u8,
}

/// What follows from a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It contradicts nothing.
    Fine,
    /// Its epoch lies beyond those that are looked at.
    Beyond,
    /// It contradicts an earlier one.
    Broken(String),
}

fn note(place: &mut u8, value: Place, broken: impl FnOnce(Place) -> String) -> Judgement {
    let value = value.0 + 1;
    let before = std::mem::replace(place, value);
    if before == 0 || before == value { Judgement::Fine } else { Judgement::Broken(broken(Place(before - 1))) }
}

impl Ghost {
    /// Somebody leads.
    pub(crate) fn leads(&mut self, who: Place, name: u8, epoch: u64, forced: bool) -> Judgement {
        if forced {
            let bit = u32::try_from(epoch).ok().and_then(|epoch| 1_u8.checked_shl(epoch));
            let Some(bit) = bit else { return Judgement::Beyond };
            self.forced |= bit;
            return Judgement::Fine;
        }
        let Some(slot) = slot(&mut self.leaders[usize::from(name)], epoch) else { return Judgement::Beyond };
        note(slot, who, |first| format!("{first} and {who} both lead the failover in epoch {epoch}"))
    }

    /// Somebody shows its vote.
    pub(crate) fn votes(&mut self, who: Place, epoch: u64, leader: Place) -> Judgement {
        let Some(slot) = slot(&mut self.votes[who.index()], epoch) else { return Judgement::Beyond };
        note(slot, leader, |first| format!("{who} votes for {first} and for {leader} in epoch {epoch}"))
    }

    /// Somebody tells a configuration.
    pub(crate) fn tells(&mut self, who: Place, hello: &Hello) -> Judgement {
        let Hello { master, config_epoch, .. } = hello;
        if *config_epoch < EPOCHS as u64 && self.forced >> config_epoch & 1 == 1 {
            return Judgement::Fine;
        }
        let all = &mut self.configurations[usize::from(hello.name)];
        let Some(slot) = slot(all, *config_epoch) else { return Judgement::Beyond };
        note(slot, *master, |first| {
            format!("the master of config epoch {config_epoch} was {first}, {who} tells that it is {master}")
        })
    }

    /// The same under other names of the Sentinels.
    pub(crate) fn renamed(&self, to: Renaming) -> Self {
        let leader = |place: u8| place.checked_sub(1).map_or(0, |of| to.place(Place(of)).0 + 1);
        let mut votes = [[0; EPOCHS]; SENTINELS];
        for of in Place::sentinels() {
            votes[to.place(of).index()] = self.votes[of.index()].map(leader);
        }
        Ghost { leaders: self.leaders.map(|row| row.map(leader)), votes, ..*self }
    }

    /// As bytes.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        for row in self.leaders.iter().chain(&self.configurations).chain(&self.votes) {
            // Most are zero: two epochs share a byte.
            to.extend(row.chunks(2).map(|pair| pair[0] | pair[1] << 4));
        }
        to.push(self.forced);
    }

    /// From them.
    pub(crate) fn read(from: &mut &[u8]) -> Self {
        let mut ghost = Ghost::default();
        let rows = ghost.leaders.iter_mut().chain(&mut ghost.configurations).chain(&mut ghost.votes);
        for row in rows {
            let (bytes, rest) = from.split_at(EPOCHS / 2);
            for (pair, byte) in row.chunks_mut(2).zip(bytes) {
                pair.copy_from_slice(&[byte & 15, byte >> 4]);
            }
            *from = rest;
        }
        if let Some((forced, rest)) = from.split_first() {
            (ghost.forced, *from) = (*forced, rest);
        }
        ghost
    }
}

fn slot(row: &mut [u8; EPOCHS], epoch: u64) -> Option<&mut u8> {
    row.get_mut(usize::try_from(epoch).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_promised_is_not_promised_to_another() {
        let (a, b) = (Place(0), Place(1));
        let mut ghost = Ghost::default();
        assert_eq!(ghost.leads(a, 0, 2, false), Judgement::Fine);
        assert_eq!(ghost.leads(a, 0, 2, false), Judgement::Fine);
        assert_eq!(ghost.leads(b, 1, 2, false), Judgement::Fine, "another master");
        assert_eq!(ghost.leads(b, 0, 3, true), Judgement::Fine);
        assert_eq!(ghost.votes(a, 99, b), Judgement::Beyond);
        assert_eq!(ghost.votes(a, 7, b), Judgement::Fine);
        let mut bytes = Vec::new();
        ghost.write(&mut bytes);
        assert_eq!(Ghost::read(&mut bytes.as_slice()), ghost);
        assert!(matches!(ghost.leads(b, 0, 2, false), Judgement::Broken(_)));
        assert!(matches!(ghost.votes(a, 7, a), Judgement::Broken(_)));
    }
}
