//! Nodes that cannot copy from the replica that is promoted, since it writes files of a later format than they read.

use crate::{notice::Topic, state::NodeId, watch::Watch};

/// So many are named; of the others the number is told.
const NAMED: usize = 8;

impl Watch<'_> {
    /// Tells of nodes that will stay without data: a promotion is worth that, and mostly they are about to be upgraded, but who
    /// goes back later loses what was written since.
    pub(crate) fn warn_of_older_nodes(&mut self, chosen: NodeId) {
        let Some(node) = self.master.nodes.get(chosen) else { return };
        let Some(format) = node.info.version.map(format_of) else { return };
        let older: Vec<String> = self
            .master
            .nodes
            .values()
            .filter(|other| other.id != chosen && !other.stranger)
            .filter_map(|other| Some((other, other.info.version?)))
            .filter(|(_, version)| format_of(*version) < format)
            .map(|(other, (major, minor))| format!("{} ({major}.{minor})", other.addr))
            .collect();
        if older.is_empty() {
            return;
        }
        let named = older.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = older.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = format!(
            "{} is to be promoted, whose data (RDB version {format}) older nodes cannot read: {named}{more}. They get nothing from it until \
             they are upgraded",
            node.addr
        );
        let name = self.master.name.clone();
        self.ctx.notice(Topic::OlderNodes, Some(&name), text);
    }
}

/// The format of RDB that a version writes and reads, as far as it is known: of the version of Redis that a server tells, and
/// Valkey tells that it came from.
const fn format_of(version: (u16, u16)) -> u8 {
    match version {
        (0..=6, _) => 9,
        (7, 0..=1) => 10,
        (7, 2..=3) => 11,
        _ => 12,
    }
}
