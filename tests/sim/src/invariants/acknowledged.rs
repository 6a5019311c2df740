//! Acknowledged writes that are lost.

use std::collections::BTreeSet;

use crate::world::World;

/// What became of the writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Acknowledged in all.
    pub acknowledged: u64,
    /// Of those acknowledged by the master alone, lost: a failover without `min-replicas-to-write` or WAIT loses some.
    pub unguarded: u64,
    /// Of those that every replica had when they were acknowledged, lost: never.
    pub guarded: u64,
}

/// Looks for every acknowledged value on the masters.
pub fn count_losses(world: &World) -> Losses {
    let mut losses = Losses::default();
    for app in &world.apps {
        let Some(master) = world.nodes.iter().find(|node| node.group == app.group && node.is_master()) else {
            continue;
        };
        let kept: BTreeSet<u32> = master.data.iter().copied().collect();
        for it in &app.acknowledged {
            losses.acknowledged += 1;
            if !kept.contains(&it.value) {
                if app.wait + 1 >= world.nodes.iter().filter(|node| node.group == app.group).count() {
                    losses.guarded += 1;
                } else {
                    losses.unguarded += 1;
                }
            }
        }
    }
    losses
}
