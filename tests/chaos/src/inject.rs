//! Makes a fault happen, and ends it.

use std::net::Ipv4Addr;

use crate::ask;
use crate::cast::Cast;
use crate::fault::Fault;
use crate::host::Role;
use crate::network::{self, HostId, address_of, other_address_of};

/// Begins what a fault does to hosts. What it does to packets is in the network's rules.
pub(crate) fn begin(cast: &mut Cast, fault: &Fault<HostId>) -> Result<(), String> {
    match fault {
        Fault::Kill(host) => cast.host(*host).kill(),
        Fault::Hang(host) => cast.host(*host).hang(),
        Fault::FullDisk(host) => {
            let host = cast.host(*host);
            host.fill_disk().map_err(|error| format!("{}: its disk cannot be filled: {error}", host.name))?;
        }
        Fault::Slow(host) => cast.network().slow_down(*host)?,
        Fault::Failover(host) => {
            // It may be refused: that is an answer like any other.
            let address = cast.host(*host).address();
            std::thread::spawn(move || ask::failover(&address));
        }
        Fault::Move(host) => give_addresses(cast, &[(*host, other_address_of(*host))])?,
        Fault::Exchange(one, other) => exchange(cast, *one, *other)?,
        Fault::Isolate(_)
        | Fault::Mute(_)
        | Fault::Deafen(_)
        | Fault::Lossy(..)
        | Fault::Split(_)
        | Fault::HalfSplit(_)
        | Fault::Cut(..)
        | Fault::OneWay(..)
        | Fault::LossyEverywhere(_) => {}
    }
    Ok(())
}

/// Ends it.
pub(crate) fn end(cast: &mut Cast, fault: &Fault<HostId>) -> Result<(), String> {
    match fault {
        Fault::Kill(host) => cast.host(*host).start()?,
        Fault::Hang(host) => cast.host(*host).resume(),
        Fault::FullDisk(host) => cast.host(*host).free_disk(),
        Fault::Slow(host) => network::speed_up(*host),
        Fault::Move(host) => {
            // An exchange in between may have led somebody else there: then it stays away until everything heals.
            let home = address_of(*host);
            if cast.of(Role::Sentinel).all(|other| other.ip() != home) {
                give_addresses(cast, &[(*host, home)])?;
            }
        }
        Fault::Exchange(one, other) => exchange(cast, *one, *other)?,
        Fault::Failover(_)
        | Fault::Isolate(_)
        | Fault::Mute(_)
        | Fault::Deafen(_)
        | Fault::Lossy(..)
        | Fault::Split(_)
        | Fault::HalfSplit(_)
        | Fault::Cut(..)
        | Fault::OneWay(..)
        | Fault::LossyEverywhere(_) => {}
    }
    Ok(())
}

fn exchange(cast: &mut Cast, one: HostId, other: HostId) -> Result<(), String> {
    let (first, second) = (cast.host(one).ip(), cast.host(other).ip());
    give_addresses(cast, &[(one, second), (other, first)])
}

/// Stops these hosts' programs, gives the hosts new addresses, and starts again what ran.
fn give_addresses(cast: &mut Cast, new: &[(HostId, Ipv4Addr)]) -> Result<(), String> {
    let mut stopped = Vec::new();
    for (id, _) in new {
        let host = cast.host(*id);
        if host.is_running() {
            host.kill();
            stopped.push(*id);
        }
    }
    for (id, ip) in new {
        cast.host(*id).move_to(*ip)?;
    }
    network::forget_neighbours(cast.network().hosts())?;
    stopped.into_iter().try_for_each(|id| cast.host(id).start())
}

/// Ends everything, also what nobody has injected: a server that has ended because its disk was full is started again, as a service
/// supervisor would. The names of those that had ended by themselves.
pub(crate) fn heal(cast: &mut Cast) -> Result<Vec<String>, String> {
    network::disturb(&[])?;
    let away = cast.of(Role::Sentinel).filter(|host| host.ip() != address_of(host.id));
    let away: Vec<_> = away.map(|host| (host.id, address_of(host.id))).collect();
    give_addresses(cast, &away)?;
    let ids: Vec<HostId> = cast.network().hosts().collect();
    let mut ended = Vec::new();
    for id in ids {
        network::speed_up(id);
        let host = cast.host(id);
        host.free_disk();
        host.resume();
        if !host.is_running() {
            ended.push(host.name.clone());
            host.start()?;
        }
    }
    Ok(ended)
}
