//! What follows when a host name gets an address, gets another one, or loses it.

use std::{net::IpAddr, sync::Arc};

use crate::{
    engine::Engine,
    monitor::{Hello, InfoReport},
    notice::Topic,
    state::Learnt,
    watch::Watch,
};

/// Hellos that wait for the resolver: a bound on what hostile ones can make us remember.
const MAX_PARKED: usize = 1_024;

impl Engine {
    /// The resolver answered.
    pub(crate) fn resolved(&mut self, name: &Arc<str>, outcome: Result<IpAddr, String>) {
        let (ip, why) = match outcome {
            Ok(ip) => (Some(ip), String::new()),
            Err(why) => (None, why),
        };
        let now = self.ctx.mono();
        match self.ctx.names.learn(name, ip, now) {
            Learnt::Nothing => {}
            Learnt::First => self.addresses_changed(),
            Learnt::Moved(from) => {
                if let Some(ip) = ip {
                    self.ctx.notice(Topic::NameMoved, None, format!("Host '{name}' has moved from {from} to {ip}"));
                }
                self.addresses_changed();
            }
            Learnt::Lost(kept) => {
                let kept = kept.map_or_else(String::new, |ip| format!("; its last address {ip} is used on"));
                // The first words are the reference's.
                self.ctx.notice(Topic::NameLost, None, format!("Failed to resolve hostname '{name}': {why}{kept}"));
            }
        }
        self.ctx.process_unexamined.0 = true;
        self.monitor_those_at(name);
        let waiting = self.ctx.parked.iter().filter(|(_, hello)| names(hello, name));
        for key in waiting.map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            if let Some(hello) = self.ctx.parked.remove(&key) {
                self.greeted(hello);
            }
        }
    }

    /// Keeps a hello until the resolver has answered; a newer one of the same Sentinel takes its place.
    pub(crate) fn park(&mut self, hello: Hello) {
        let key = (hello.id.clone(), hello.master.clone());
        if self.ctx.parked.len() < MAX_PARKED || self.ctx.parked.contains_key(&key) {
            self.ctx.parked.insert(key, hello);
        }
    }

    /// How addresses are told to others may have changed. Connections stay as they are: a name is looked up anew when
    /// one is made.
    pub(crate) fn addresses_changed(&mut self) {
        for key in self.master_keys() {
            self.with_master(key, |watch| watch.addresses_changed());
        }
    }
}

impl Watch<'_> {
    fn addresses_changed(&mut self) {
        let mut changed = false;
        for node in self.master.nodes.values_mut() {
            let shown = self.ctx.shown(&node.link.target.addr);
            changed |= std::mem::replace(&mut node.addr, shown.clone()) != shown;
        }
        for peer in self.master.peers.values_mut() {
            let Some(shared) = self.peers.get(&peer.id) else { continue };
            let shown = self.ctx.shown(&shared.link.target.addr);
            changed |= std::mem::replace(&mut peer.addr, shown.clone()) != shown;
        }
        if changed {
            self.persist();
            self.changed_urgently();
        }
        // A replica that the master listed by this name was passed over until now.
        if let Some(text) = &self.master.node().info_text {
            let listed = InfoReport::parse(text).replicas;
            if listed.iter().any(|addr| !addr.host.is_ip()) {
                self.discover_replicas(listed);
            }
        }
    }
}

fn names(hello: &Hello, name: &str) -> bool {
    hello.addr.host.is_name(name) || hello.master_addr.host.is_name(name)
}
