//! The host names of the configuration, before anybody is told of an instance.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use sentinel_core::{Snapshot, types::Host};

use crate::monitor;

/// How long the start waits for the resolver. A name that it does not know by then is an instance that cannot be
/// reached yet; the reference waits as long as its resolver does.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the names in a configuration resolve to.
pub(super) fn resolved(snapshot: &Snapshot) -> BTreeMap<Arc<str>, IpAddr> {
    if !snapshot.globals.resolve_hostnames {
        return BTreeMap::new();
    }
    let of_master = |master: &Arc<sentinel_core::MasterSnapshot>| {
        let peers = master.peers.iter().map(|(_, addr)| addr);
        let addresses = std::iter::once(&master.addr).chain(&master.replicas).chain(peers);
        addresses.map(|addr| addr.host.clone()).collect::<Vec<_>>()
    };
    let names: BTreeSet<Arc<str>> = snapshot
        .masters
        .iter()
        .flat_map(of_master)
        .filter_map(|host| match host {
            Host::Name(name) => Some(name),
            Host::Ip(_) => None,
        })
        .collect();
    monitor::before_start(names.into_iter().collect(), PATIENCE)
}
