//! How far nodes have come, counted in one and the same stream.
//!
//! Every master numbers the bytes that it sends to its replicas, under a replication id. A replica that is promoted takes a
//! new id and goes on with the numbers (`master_replid2` is the id before, `second_repl_offset` where the new one begins).
//! Whoever writes to a node that nobody follows counts on in a stream of that node's own, so that a greater offset says
//! nothing beside another id. A departure: the reference compares the numbers alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    guard::{History, Lineage},
    monitor::InfoReport,
    state::{Node, NodeId},
    types::RunId,
    view::Role,
};

/// The stream of a deployment: its present id, and those under which it went before, each up to where the next began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Newest first, with the last offset of each.
    parts: Vec<Part>,
    before: BTreeMap<RunId, (RunId, u64)>,
}

type Part = (RunId, u64);

/// Which nodes say that they follow a master of this deployment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followers {
    /// The configured one.
    pub(crate) present: BTreeSet<NodeId>,
    /// One that was configured before.
    pub(crate) former: BTreeSet<NodeId>,
}

/// More are not followed back: each failover adds one, and a node tells two.
const LONGEST: usize = 16;

impl Stream {
    /// Finds it from what the nodes tell and have told. It goes on where most of those are that follow the master: in
    /// one of their streams, or in the master's. Where none of them has ever been linked, those count that were linked
    /// to a master of before, and have not been told of the switch. Those that have never been linked may all have gone
    /// on by themselves: where all of them come from what the master had last, that is the stream. Otherwise they are
    /// asked last: first who has an id that the master had.
    pub(crate) fn of<'a>(
        nodes: impl Iterator<Item = &'a Node>,
        master: NodeId,
        Followers { present, former }: &Followers,
        lineage: &Lineage,
        empty: Option<&RunId>,
    ) -> Self {
        let has_id = |node: &&Node| node.info.history.id.is_some() && node.info.history.id.as_ref() != empty;
        let nodes: Vec<&Node> = nodes.filter(|node| !node.stranger).filter(has_id).collect();
        let mut before = lineage.before().clone();
        for history in nodes.iter().map(|node| &node.info.history) {
            if let (Some(id), Some(former)) = (&history.id, &history.former_id) {
                let end = history.former_end.unwrap_or(u64::MAX);
                let known = before.entry(id.clone()).or_insert_with(|| (former.clone(), end));
                known.1 = known.1.max(end);
            }
        }
        let mut stream = Stream { parts: Vec::new(), before };
        let is_master = |node: &Node| node.id == master && node.info.role == Some(Role::Master);
        let best = |followers: &BTreeSet<NodeId>, strict: bool| {
            let follows = |node: &Node| followers.contains(&node.id) && node.id != master && node.info.offset > 1;
            let is_head = |node: &Node| is_master(node) || follows(node) && (node.info.was_linked() || !strict);
            let heads = nodes.iter().filter(|node| is_head(node));
            let streams =
                heads.filter_map(|node| Some((node, stream.back_from(node.info.history.id.as_ref()?, u64::MAX))));
            streams.max_by_key(|(head, parts)| {
                let covers = |node: &&&Node| follows(node) && stream.position_in(parts, &node.info).is_some();
                let covered = nodes.iter().filter(covers).count();
                let of_master = strict || parts.first().is_some_and(|(id, _)| lineage.was_of_master(id));
                (of_master, covered, parts.len(), head.id == master, head.info_at, std::cmp::Reverse(head.id))
            })
        };
        let all = || present.union(former).copied().collect();
        let linked = best(present, true).or_else(|| best(former, true)).map(|(_, parts)| parts);
        let parts = linked.or_else(|| {
            // All have gone on by themselves: they compare where they left what the master had last.
            let newest = stream.back_from(lineage.newest_of_master().filter(|id| Some(*id) != empty)?, u64::MAX);
            let has_left = |node: &&Node| stream.position_in(&newest, &node.info).is_some();
            nodes.iter().filter(|node| !node.info.has_no_offset()).all(has_left).then_some(newest)
        });
        let parts = parts.or_else(|| best(&all(), false).map(|(_, parts)| parts));
        stream.parts = parts.unwrap_or_default();
        stream
    }

    /// An id up to an offset, and what it went on from.
    fn back_from(&self, id: &RunId, offset: u64) -> Vec<Part> {
        let mut parts = vec![(id.clone(), offset)];
        while parts.len() < LONGEST
            && let Some((id, end)) = parts.last()
            && let Some((former, former_end)) = self.before.get(id)
            && parts.iter().all(|(id, _)| id != former)
        {
            parts.push((former.clone(), *former_end.min(end)));
        }
        parts
    }

    /// Whether a node's data are of this stream, as far as that can be told.
    pub(super) fn includes(&self, history: &History) -> bool {
        let known = |id: &RunId| self.parts.iter().any(|(part, _)| part == id);
        self.parts.is_empty() || history.id.is_none() || history.id.iter().chain(&history.former_id).any(known)
    }

    /// How far a node has come in this stream. What it has taken in besides does not count. None: it cannot be told.
    ///
    /// Servers that tell no id (before Redis 4) are believed the number that they tell.
    pub(crate) fn position(&self, info: &InfoReport) -> Option<u64> {
        self.position_in(&self.parts, info)
    }

    fn position_in(&self, parts: &[Part], info: &InfoReport) -> Option<u64> {
        if info.has_no_offset() {
            return None;
        }
        let history = &info.history;
        let Some(id) = history.id.as_ref().filter(|_| !parts.is_empty()) else { return Some(info.offset) };
        let own = self.back_from(id, info.offset);
        // What this node tells of itself is more exact than what others told of the same id.
        let limit = |part: &RunId| if part == id { None } else { history.former_end };
        own.iter().find_map(|(id, offset)| {
            let end = parts.iter().find(|(part, _)| part == id)?.1;
            Some(limit(id).map_or(*offset, |limit| limit.min(*offset)).min(end))
        })
    }
}
