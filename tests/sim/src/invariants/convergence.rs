//! After the faults end, within bounded time: all Sentinels agree, there is one master, all replicas follow it, every
//! application writes again. A master whose replication ids share none with the present one's may stay beside it, with the
//! replicas that follow it: see `history`. Writes that wait for these are refused for so long (`min-replicas-to-write`).

use crate::{node::Node, time::Time, world::World};

/// Why the world has not come to rest.
pub type Disagreement = String;

/// Whether everything is well; writes after `since` count.
pub fn converged(world: &mut World, since: Time) -> Result<(), Disagreement> {
    let groups = world.physics.checks.setting().groups.clone();
    for (group, name) in groups.iter().enumerate() {
        let mut agreed = None;
        for sentinel in &mut world.sentinels {
            let Some(it) = sentinel.master_of(name) else {
                return Err(format!("Sentinel {} does not know {name}", sentinel.host));
            };
            let (first, by) = agreed.get_or_insert_with(|| (it.clone(), sentinel.host));
            if *first != it {
                return Err(format!(
                    "{name} is {} of epoch {} to Sentinel {by}, and {} of epoch {} to Sentinel {}",
                    first.0, first.1, it.0, it.1, sentinel.host
                ));
            }
        }
        let Some(((master, _), _)) = agreed else { return Err("there are no Sentinels".to_owned()) };
        let at = world.physics.host_at(&master);
        let present = world.nodes.iter().find(|node| Some(node.host) == at);
        // Its restarts, or a promotion that no Sentinel saw, left it no id that tells it from a stranger. Its data are
        // not replaced; `-replid-mismatch` leaves it to the operator. Nor are those of two that an operator made follow
        // each other.
        let nameless =
            |node: &Node| node.group == group && present.is_some_and(|master| !node.shares_an_id_with(master));
        let nameless: Vec<_> = world.nodes.iter().filter(|node| nameless(node)).map(|node| node.host).collect();
        let source = |node: &Node| node.follows().and_then(|(of, _)| world.physics.host_at(of));
        let apart = |node: &&Node| {
            nameless.contains(&node.host)
                && (node.is_master() || source(node).is_some_and(|host| nameless.contains(&host)))
        };
        let apart: Vec<_> = world.nodes.iter().filter(apart).map(|node| node.host).collect();
        let follows_one_apart = |node: &Node| source(node).is_some_and(|host| apart.contains(&host));
        let of_group = || world.nodes.iter().filter(|node| node.group == group);
        let lacking = of_group().filter(|node| apart.contains(&node.host) || follows_one_apart(node)).count();
        for node in of_group() {
            let is_it = Some(node.host) == at;
            match node.follows() {
                None if is_it || apart.contains(&node.host) => {}
                Some(_) if !is_it && follows_one_apart(node) => {}
                None => return Err(format!("node {} is a master beside {master}", node.host)),
                Some((of, _)) if is_it => return Err(format!("the master {master} follows {of}")),
                Some((of, _)) if world.physics.host_at(of) != at => {
                    return Err(format!("node {} follows {of} and not {master}", node.host));
                }
                Some((of, false)) => return Err(format!("node {} has no link to {of}", node.host)),
                Some(_) => {}
            }
        }
        let left = of_group().count() - 1 - lacking;
        if lacking > 0 && present.is_some_and(|master| master.min_replicas() > left) {
            continue;
        }
        // Nor does the master acknowledge what waits for these.
        for app in world.apps.iter().filter(|app| app.group == group && (lacking == 0 || app.wait <= left)) {
            if app.acknowledged.last().is_none_or(|last| last.at <= since) {
                return Err(format!("application {} has not written anything since", app.host));
            }
        }
    }
    Ok(())
}
