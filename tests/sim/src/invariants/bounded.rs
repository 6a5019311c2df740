//! What `min-replicas-to-write` promises.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    node::Reign,
    time::{SEC, Time},
    world::World,
};

/// `min-replicas-max-lag`, some time for what is on its way, and a replica that comes back once and goes away again before
/// anything has reached it.
const LONGEST: Time = 2 * 10 * SEC + 10 * SEC;

/// A master that wants all its replicas for a write, and is overruled, loses what it acknowledged within
/// `min-replicas-max-lag`, and not more: whoever is promoted was one of the replicas it had heard of until then.
pub fn losses_are_bounded(world: &World) -> Result<(), String> {
    for app in &world.apps {
        let of_group = || world.nodes.iter().filter(|node| node.group == app.group);
        let Some(master) = of_group().find(|node| node.is_master()) else { continue };
        if of_group().any(|node| node.config.min_replicas + 1 < of_group().count()) {
            continue;
        }
        let kept: BTreeSet<u32> = master.data.iter().copied().collect();
        let mut gone: BTreeMap<Reign, (Time, Time)> = BTreeMap::new();
        for it in &app.acknowledged {
            if kept.contains(&it.value) {
                gone.remove(&it.by);
            } else {
                let (losing, last) = gone.entry(it.by).or_insert((0, it.at));
                // While it refuses writes nothing is lost.
                *losing += (it.at - *last).min(SEC);
                *last = it.at;
                if *losing > LONGEST {
                    return Err(format!(
                        "application {} lost all that node {} acknowledged in {} s",
                        app.host,
                        it.by.node,
                        *losing / SEC
                    ));
                }
            }
        }
    }
    Ok(())
}
