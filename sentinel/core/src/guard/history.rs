//! A node whose data went another way than the master's: a stranger on an address that was used again, or a replica of
//! another deployment. It is never promoted and never told whom to follow, which would replace what it holds.
//!
//! A departure: the reference takes every node that stands at a known address for what once stood there.
//!
//! Every data set carries a replication id, and the one it went on from (`master_replid`, `master_replid2`). All ids
//! that the master had, as far as this Sentinel has seen, are its lineage; a node that has one of them belongs to it, and
//! whatever ids it goes on with do, too. A former master that was restarted from its file tells a new id and the one it had;
//! promoted again before it could copy anything, it tells two that no other node has ever had.
//! Only proof counts against a node. One that tells no id, or has nothing replicated yet (as after a restart without a
//! file), is judged as in the reference, and so is one that was our master before: a restart gives it a new id.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    events::Event,
    guard::Restart,
    planted::{Bug, planted},
    state::{Node, NodeId},
    types::RunId,
    view::Role,
    watch::Watch,
};

/// What one INFO says about where the data comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct History {
    /// `master_replid`
    pub(crate) id: Option<RunId>,
    /// `master_replid2`: the id before the last promotion. Zeros are none.
    pub(crate) former_id: Option<RunId>,
    /// The last offset of the former id: `second_repl_offset` is the one behind it. Servers before Redis 4 tell none.
    pub(crate) former_end: Option<u64>,
    /// `repl_backlog_active`: it has sent to a replica, or received from a master.
    pub(crate) has_backlog: bool,
}

impl History {
    /// Reads one id of INFO.
    pub(crate) fn read_id(value: &str) -> Option<RunId> {
        RunId::new(value).ok().filter(|id| id.as_str().bytes().any(|byte| byte != b'0'))
    }

    fn ids(&self) -> impl Iterator<Item = &RunId> {
        self.id.iter().chain(&self.former_id)
    }
}

/// The ids that the master had, and those with which nodes of its history went on, newest last.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Lineage {
    ids: VecDeque<RunId>,
    /// Those of them that the master itself had, or a replica whose link to it was up. The others are what nodes went on with by themselves.
    trunk: BTreeSet<RunId>,
    /// From which id a stream went on, for each that some node has told, and up to which offset of that.
    before: BTreeMap<RunId, (RunId, u64)>,
}

impl Lineage {
    /// Ids remembered. Each failover adds one, each restart of the master with new data one, and each of a former master
    /// from its file.
    const MAX: usize = 64;

    /// What a master with this history leaves.
    #[cfg(test)]
    pub(crate) fn of_master(history: &History) -> Self {
        let mut lineage = Self::default();
        lineage.learn(history, true);
        lineage
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Takes in what a node says whose data are of the master's history: of the master itself, or of one that is linked to it, or of one
    /// that goes on from there. Whether anything was new.
    fn learn(&mut self, history: &History, of_master: bool) -> bool {
        let mut news = false;
        // The older one first, so that it is forgotten first.
        for id in history.former_id.iter().chain(&history.id) {
            if !self.ids.contains(id) {
                self.ids.push_back(id.clone());
                news = true;
            }
            if of_master {
                self.trunk.insert(id.clone());
            }
        }
        if let (Some(id), Some(former)) = (&history.id, &history.former_id) {
            let end = history.former_end.unwrap_or(u64::MAX);
            // A replica tells where it was itself when the id changed, which may be further back.
            let known = self.before.entry(id.clone()).or_insert_with(|| (former.clone(), end));
            known.1 = known.1.max(end);
        }
        while self.ids.len() > Self::MAX {
            self.ids.pop_front();
        }
        self.before.retain(|id, _| self.ids.contains(id));
        self.trunk.retain(|id| self.ids.contains(id));
        news
    }

    /// From which id a stream went on, and up to which offset of that, as far as nodes of ours have told.
    pub(crate) const fn before(&self) -> &BTreeMap<RunId, (RunId, u64)> {
        &self.before
    }

    /// Whether the master had this id, as far as this Sentinel has seen.
    pub(crate) fn was_of_master(&self, id: &RunId) -> bool {
        self.trunk.contains(id)
    }

    /// The id that the master had last, as far as this Sentinel has seen.
    pub(crate) fn newest_of_master(&self) -> Option<&RunId> {
        self.ids.iter().rev().find(|id| self.trunk.contains(*id))
    }

    /// Whether it is certain that a data set goes on from the master's.
    pub(crate) fn includes(&self, history: &History) -> bool {
        history.ids().any(|id| self.ids.contains(id))
    }

    /// Whether it is certain that a data set is another one.
    fn excludes(&self, history: &History) -> bool {
        !self.ids.is_empty() && history.id.is_some() && !self.includes(history)
    }
}

impl Watch<'_> {
    /// INFO of a node has come: learn from it if its data are of the master's history, else see whether they could be.
    pub(crate) fn judge_history(&mut self, id: NodeId) {
        let Some(node) = self.master.nodes.get(id) else { return };
        let empty = self.master.emptied || matches!(node.restart, Some(Restart::Unclear | Restart::Empty { .. }));
        let is_master = id == self.master.current && node.role == Role::Master && !empty;
        let linked =
            node.role == Role::Replica && node.info.link_up && node.info.follows(self.master.addr(), &self.ctx.names);
        let history = &node.info.history;
        let of_master = is_master || linked;
        let belongs = of_master || self.master.lineage.includes(history);
        let news = belongs && self.master.lineage.learn(history, of_master);
        if let Some(node) = self.master.nodes.get_mut(id) {
            node.familiar.of_lineage = belongs;
        }
        if self.judge_stranger(id) || news {
            // Whoever follows it is judged by that, too.
            for id in self.master.replica_ids() {
                self.judge_stranger(id);
            }
        }
    }

    /// Whether the judgement is another one than before.
    fn judge_stranger(&mut self, id: NodeId) -> bool {
        let Some(ours) = self.master.nodes.get(id).map(|node| self.is_member(node)) else { return false };
        let Some(node) = self.master.nodes.get_mut(id) else { return false };
        if id == self.master.current {
            return std::mem::replace(&mut node.stranger, false);
        }
        let has_data = node.info.offset > 1 && (node.role == Role::Replica || node.info.history.has_backlog);
        let excluded = self.master.lineage.excludes(&node.info.history) && !planted(Bug::AcceptStrangers);
        let was_found = node.found_strange.is_some() && node.found_strange == node.info.run_id;
        let is = excluded && (was_found || has_data && !ours);
        if is {
            node.found_strange.clone_from(&node.info.run_id);
        }
        let changed = std::mem::replace(&mut node.stranger, is) != is;
        if changed && is {
            self.node_event(id, Event::ReplidMismatch);
        }
        changed
    }

    /// Whether a node has its place here by what it does: it replicates from one that is no stranger, or it is a former
    /// master that no INFO has shown as a replica since.
    fn is_member(&self, node: &Node) -> bool {
        let mut ours = self.master.nodes.values().filter(|node| !node.stranger);
        match node.info.role {
            Some(Role::Replica) => ours.any(|it| node.info.follows(&it.addr, &self.ctx.names)),
            _ => node.former_master,
        }
    }

    /// Whether anything speaks for a node's data being those of before: an id of the lineage, as many keys as it had
    /// when it was last in sync, or that it was the master. Whom it follows does not: a process of another deployment
    /// at a known address that has just been given our master follows it, too, and is no stranger while it shows no
    /// offset to judge it by.
    pub(crate) fn has_data_of_before(&self, node: &Node) -> bool {
        let former = node.former_master && node.info.role != Some(Role::Replica);
        former || self.master.lineage.includes(&node.info.history) || node.holds_what_it_did() == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(id: &str, former: &str) -> History {
        let read = |letter: &str| History::read_id(&letter.repeat(40));
        History { id: read(id), former_id: read(former), former_end: None, has_backlog: true }
    }

    #[test]
    fn a_promoted_node_shares_its_former_id_and_zeros_are_no_id() {
        let mut lineage = Lineage::default();
        assert!(!lineage.excludes(&history("a", "0")), "nothing is known yet");
        assert!(lineage.learn(&history("a", "0"), true));
        assert!(!lineage.learn(&history("a", "0"), true));
        assert!(!lineage.excludes(&history("a", "0")));
        assert!(!lineage.excludes(&history("b", "a")));
        assert!(lineage.excludes(&history("c", "0")));
        assert!(!lineage.excludes(&history("0", "0")), "it tells none");
        assert!(lineage.learn(&history("b", "a"), true));
        assert!(!lineage.excludes(&history("a", "0")), "not resynchronised yet");
    }

    #[test]
    fn what_a_node_goes_on_with_belongs_to_it_too() {
        let mut lineage = Lineage::default();
        lineage.learn(&history("a", "0"), true);
        // Restarted from its file as a master, then promoted once more.
        assert!(lineage.includes(&history("c", "a")) && lineage.excludes(&history("d", "c")));
        lineage.learn(&history("c", "a"), false);
        assert!(lineage.was_of_master(&RunId::new(&"a".repeat(40)).unwrap()));
        assert!(!lineage.was_of_master(&RunId::new(&"c".repeat(40)).unwrap()), "it went on with that by itself");
        assert!(lineage.includes(&history("d", "c")) && !lineage.excludes(&history("d", "c")));
        assert!(lineage.excludes(&history("e", "f")));
        assert!(!lineage.includes(&history("0", "0")), "it tells none");
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut lineage = Lineage::default();
        for n in 0..1_000 {
            let id = |n: u32| RunId::new(&format!("{n:040}")).ok();
            lineage.learn(&History { id: id(2 * n + 1), former_id: id(2 * n + 2), ..History::default() }, true);
        }
        assert_eq!((lineage.ids.len(), lineage.trunk.len()), (Lineage::MAX, Lineage::MAX));
        assert!(lineage.before.len() <= Lineage::MAX);
    }
}
