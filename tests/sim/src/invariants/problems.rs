//! What a Sentinel lists as wrong: while a fault lasts that it can see, its problem is there; at rest, where nothing is left of the
//! faults, nothing is listed.

use std::collections::{BTreeMap, btree_map::Entry};

use sentinel_core::{
    Code, Problem,
    types::{Epoch, HostPort},
    view::MasterView,
};

use crate::{
    faults::Kind,
    physics::HostId,
    time::{SEC, Time},
    world::World,
};

/// How long a problem may last after the world has come to rest: until each has said hello again and has been asked for INFO.
pub const CLEARED_WITHIN: Time = 60 * SEC;

/// Since when each process is gone, or is there and gets on, and since when each Sentinel has had each master where it is. Which
/// start of a process it was is kept, too: it may end and begin between two looks.
#[derive(Debug, Default)]
pub struct Seen {
    gone: BTreeMap<HostId, (u32, Time)>,
    well: BTreeMap<HostId, (u32, Time)>,
    masters: BTreeMap<(HostId, String), (Configuration, Time)>,
}

/// Where a master is, and in which epoch that was announced: it may move there and back between two looks.
type Configuration = (HostPort, Epoch);

/// Notes since when something is as it is now, and says so.
fn begin<K: Ord, V: PartialEq>(known: &mut BTreeMap<K, (V, Time)>, key: K, is: V, now: Time) -> Time {
    match known.entry(key) {
        Entry::Occupied(entry) if entry.get().0 == is => entry.get().1,
        Entry::Occupied(mut entry) => {
            entry.insert((is, now));
            now
        }
        Entry::Vacant(entry) => entry.insert((is, now)).1,
    }
}

impl Seen {
    /// Looks at all processes, and at what the Sentinels list. To be called each second.
    pub fn look(&mut self, world: &mut World, now: Time) -> Result<(), String> {
        let lives = world.nodes.iter().map(|node| (node.host, node.life));
        let lives: BTreeMap<HostId, u32> = lives.chain(world.sentinels.iter().map(|it| (it.host, it.life))).collect();
        for (host, it) in world.physics.hosts.iter().enumerate() {
            let life = lives.get(&host).copied().unwrap_or(0);
            let gets_on = it.running && it.hung == 0 && it.sluggish == 0;
            for (known, is_so) in [(&mut self.gone, !it.running), (&mut self.well, gets_on)] {
                if is_so {
                    begin(known, host, life, now);
                } else {
                    known.remove(&host);
                }
            }
        }
        // What is silent is noticed after down-after, which may have been changed, counted from the next PING.
        let long = 2 * world.scenario().down_after + 15 * SEC;
        let gone = |host: &HostId| self.gone.get(host).is_some_and(|(_, since)| now >= since + long);
        // RESET begins everything anew, and so does MONITOR behind REMOVE, both perhaps between two looks.
        let reset = |kind: &Kind| matches!(kind, Kind::Forget { .. } | Kind::Remove { .. });
        let resets = world.scenario().faults.iter().filter(|fault| reset(&fault.kind));
        let is_reset = resets.into_iter().any(|fault| (fault.at..fault.until + long).contains(&now));
        let all: Vec<HostId> = world.sentinels.iter().map(|sentinel| sentinel.host).collect();
        let alive = all.len() - all.iter().filter(|host| gone(host)).count();
        let leaves_some = alive <= all.len() / 2 && !forgets(world);
        let names = world.physics.checks.setting().groups.clone();
        for at in 0..world.sentinels.len() {
            let host = world.sentinels[at].host;
            if self.well.get(&host).is_none_or(|(_, since)| now < since + long) {
                continue;
            }
            let Some(view) = world.sentinels[at].view().cloned() else { continue };
            if view.tilt_since.is_some() {
                continue;
            }
            for name in &names {
                let Some(master) = view.masters.get(name) else {
                    self.masters.remove(&(host, name.clone()));
                    continue;
                };
                let configuration = (master.node.addr.clone(), master.config_epoch);
                if now < begin(&mut self.masters, (host, name.clone()), configuration, now) + long || is_reset {
                    continue;
                }
                let lists = |code| master.problems.iter().any(|problem| problem.code == code);
                if leaves_some && !lists(Code::QuorumLost) {
                    return Err(format!(
                        "{alive} of {} Sentinels live, and Sentinel {host} lists no quorum-lost of {name}",
                        all.len()
                    ));
                }
                let node = world.physics.host_at(&master.node.addr);
                if node.as_ref().is_some_and(gone) && !lists(Code::MasterDown) {
                    return Err(format!("the master of {name} is gone, and Sentinel {host} lists no master-down"));
                }
            }
        }
        Ok(())
    }
}

/// Whether Sentinels are told to forget others: fewer are a majority then.
fn forgets(world: &World) -> bool {
    let forgets = |kind: &Kind| matches!(kind, Kind::Forget { .. } | Kind::ForgetPeer { .. } | Kind::Remove { .. });
    world.scenario().faults.iter().any(|fault| forgets(&fault.kind))
}

/// Something that a Sentinel lists although nothing is wrong any more.
pub fn left_over(world: &mut World) -> Option<String> {
    let mut views = Vec::new();
    for sentinel in &mut world.sentinels {
        views.extend(sentinel.view().cloned().map(|view| (sentinel.host, view)));
    }
    // Data that cannot be told from a stranger's are left to the operator, and so is a master that has come back empty where a guard
    // refuses whoever holds its data; and what follows from either.
    let is_of_operator = |problem: &Problem| match problem.code {
        Code::ForeignHistory | Code::TwoMasters => true,
        Code::MasterDown => problem.sentence.contains("without its data"),
        _ => false,
    };
    let is_left = |name: &str| {
        let lists = |master: &MasterView| master.problems.iter().any(|it| is_of_operator(it));
        views.iter().filter_map(|(_, view)| view.masters.get(name)).any(|master| lists(master))
    };
    views.iter().find_map(|(host, view)| {
        let masters = view.masters.iter().filter(|(name, _)| !is_left(name.as_str()));
        let of_masters = masters.flat_map(|(_, master)| master.problems.iter());
        let problem = view.problems.iter().chain(of_masters).next()?;
        Some(format!("Sentinel {host} lists {} {}: {}", problem.code.as_str(), problem.scope, problem.sentence))
    })
}
