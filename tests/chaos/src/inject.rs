//! Makes a fault happen, and ends it.

use crate::ask;
use crate::cast::Cast;
use crate::fault::Fault;
use crate::network::{self, HostId};

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
        _ => {}
    }
    Ok(())
}

/// Ends everything, also what nobody has injected: a server that has ended because its disk was full is started again, as a service
/// supervisor would. The names of those that had ended by themselves.
pub(crate) fn heal(cast: &mut Cast) -> Result<Vec<String>, String> {
    network::disturb(&[])?;
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
