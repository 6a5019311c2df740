//! What a master takes, and acknowledges, after another one is in force everywhere.

use std::collections::BTreeSet;

use crate::world::World;

/// What became of such writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overruled {
    /// Acknowledged.
    pub acknowledged: u64,
    /// Still there, and the Sentinels told of a switch since: their master came into force again, or a replica of it.
    pub reported: u64,
    /// Still there, although nobody told of one.
    pub unreported: u64,
}

/// Looks for them on the masters.
pub fn count_overruled(world: &World) -> Overruled {
    let mut found = Overruled::default();
    for app in &world.apps {
        let Some(master) = world.nodes.iter().find(|node| node.group == app.group && node.is_master()) else {
            continue;
        };
        let kept: BTreeSet<u32> = master.data.iter().copied().collect();
        for it in app.acknowledged.iter().filter(|it| it.overruled) {
            found.acknowledged += 1;
            if kept.contains(&it.value) {
                let mut told = world.physics.checks.switches().iter();
                if told.any(|(at, group)| *at > it.at && *group == app.group) {
                    found.reported += 1;
                } else {
                    found.unreported += 1;
                }
            }
        }
    }
    found
}
