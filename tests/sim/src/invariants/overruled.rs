//! What a master takes, and acknowledges, after another one is in force everywhere.

use std::collections::BTreeSet;

use crate::{node::Node, world::World};

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

/// Looks for them on the masters that the Sentinels name. Another one that is left beside it keeps what it has taken, and
/// nobody is sent there.
pub fn count_overruled(world: &mut World) -> Overruled {
    let groups = world.physics.checks.setting().groups.clone();
    let named: Vec<_> = groups
        .iter()
        .map(|name| {
            let (addr, _) = world.sentinels.iter_mut().find_map(|sentinel| sentinel.master_of(name))?;
            world.physics.host_at(&addr)
        })
        .collect();
    let mut found = Overruled::default();
    for app in &world.apps {
        let is_it = |node: &&Node| node.group == app.group && Some(node.host) == named[app.group];
        let Some(master) = world.nodes.iter().find(is_it).filter(|node| node.is_master()) else {
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
