//! MASTERS, MASTER, REPLICAS, SENTINELS: instances as maps whose values are all bulk strings.

use std::{fmt::Display, time::Duration};

use sentinel_resp::Reply;

use crate::{
    settings::{MasterSettings, master::MASTER},
    time::Instant,
    types::Epoch,
    view::{MasterView, NodeView, PeerView, ReplicaView},
};

/// The map of a master.
pub(super) fn master(master: &MasterView, now: Instant) -> Reply {
    let settings = &master.settings;
    let mut fields = Fields::default();
    fields.put("name", &master.name);
    fields.link(&master.node, &run_id(&master.node), &master_flags(master));
    if let Some(state) = master.failover_state {
        fields.put("failover-state", state);
    }
    fields.silence(&master.node, now);
    if let Some(since) = master.odown_since {
        fields.ms("o-down-time", now.since(since));
    }
    fields.ms("down-after-milliseconds", settings.down_after);
    fields.info(&master.node, now);
    fields.put("config-epoch", master.config_epoch);
    fields.put("num-slaves", master.replicas.len());
    fields.put("num-other-sentinels", master.peers.len());
    fields.put("quorum", settings.quorum);
    fields.ms("failover-timeout", settings.failover_timeout);
    fields.put("parallel-syncs", settings.parallel_syncs);
    if let Some(path) = &settings.notification_script {
        fields.put("notification-script", path);
    }
    if let Some(path) = &settings.client_reconfig_script {
        fields.put("client-reconfig-script", path);
    }
    fields.denied(&master.node);
    // What the reference does not have is shown where it is set; readers of its answer do not mind further fields.
    let defaults = MasterSettings::new(settings.quorum);
    for row in MASTER.iter().filter(|row| row.ours) {
        let value = row.value(settings);
        if value != row.value(&defaults) {
            fields.put(row.name, value);
        }
    }
    if let Some(promotion) = &master.promotion {
        fields.put("promoted-slave", &promotion.addr);
        let offset = promotion.offset.map_or_else(|| "?".to_owned(), |offset| offset.to_string());
        fields.put("promoted-offset", offset);
        if let Some((highest, addr)) = &promotion.highest {
            fields.put("highest-known-offset", highest);
            fields.put("highest-known-offset-of", addr);
        }
    }
    fields.into_reply()
}

/// The maps of all replicas that want to be listed.
pub(super) fn replicas(master: &MasterView, now: Instant) -> Reply {
    let listed = master.replicas.iter().filter(|replica| replica.announced);
    Reply::Array(listed.map(|one| replica(one, master.settings.down_after, now)).collect())
}

/// The maps of the other Sentinels.
pub(super) fn peers(master: &MasterView, now: Instant) -> Reply {
    let peers = master.peers.iter();
    Reply::Array(peers.map(|one| peer(one, master.settings.down_after, now)).collect())
}

fn replica(replica: &ReplicaView, down_after: Duration, now: Instant) -> Reply {
    let mut fields = Fields::default();
    fields.put("name", &replica.node.addr);
    fields.link(&replica.node, &run_id(&replica.node), &replica_flags(replica));
    fields.silence(&replica.node, now);
    fields.ms("down-after-milliseconds", down_after);
    fields.info(&replica.node, now);
    fields.put("master-link-down-time", replica.master_link_down_ms);
    let status = if replica.master_link_up { "ok" } else { "err" };
    fields.put("master-link-status", status);
    let master = replica.master_addr.as_ref();
    let (host, port) = master.map_or(("?", 0), |(host, port)| (host.as_str(), *port));
    fields.put("master-host", host);
    fields.put("master-port", port);
    fields.put("slave-priority", replica.priority);
    fields.put("slave-repl-offset", replica.offset);
    fields.put("replica-announced", u8::from(replica.announced));
    fields.denied(&replica.node);
    fields.into_reply()
}

fn peer(peer: &PeerView, down_after: Duration, now: Instant) -> Reply {
    let mut fields = Fields::default();
    fields.put("name", &peer.id);
    fields.link(&peer.node, peer.id.as_str(), &peer_flags(peer));
    fields.silence(&peer.node, now);
    fields.ms("down-after-milliseconds", down_after);
    fields.ms("last-hello-message", now.since(peer.hello_at));
    let vote = peer.vote.as_ref();
    let (leader, epoch) = vote.map_or(("?", Epoch::ZERO), |(id, epoch)| (id.as_str(), *epoch));
    fields.put("voted-leader", leader);
    fields.put("voted-leader-epoch", epoch);
    fields.denied(&peer.node);
    // What the reference does not have: only while it is not known to be the one that is meant.
    if let Some(who) = &peer.impostor {
        fields.put("identity", who);
    } else if peer.withheld {
        fields.put("identity", "it does not say who it is");
    } else if let Some(why) = peer.unproven {
        fields.put("identity", why);
    }
    // Where there is a key.
    if peer.authenticated {
        fields.put("authenticated", "yes");
    }
    fields.into_reply()
}

fn run_id(node: &NodeView) -> String {
    node.run_id.as_ref().map_or_else(String::new, ToString::to_string)
}

fn master_flags(master: &MasterView) -> String {
    let node = &master.node;
    join([
        (node.sdown_since.is_some(), "s_down"),
        (master.odown_since.is_some(), "o_down"),
        (true, "master"),
        (!node.connected, "disconnected"),
        (master.failover_state.is_some(), "failover_in_progress"),
        // As in Valkey 9 one of the two.
        (master.failover_forced && !master.failover_coordinated, "force_failover"),
        (master.failover_coordinated, "coordinated_failover"),
        (node.script_kill_sent, "script_kill_sent"),
        (node.rebooted, "master_reboot"),
    ])
}

fn replica_flags(replica: &ReplicaView) -> String {
    let node = &replica.node;
    join([
        (node.sdown_since.is_some(), "s_down"),
        (true, "slave"),
        (!node.connected, "disconnected"),
        (replica.promoted, "promoted"),
        (replica.reconf.is_some(), replica.reconf.unwrap_or_default()),
        (node.script_kill_sent, "script_kill_sent"),
    ])
}

fn peer_flags(peer: &PeerView) -> String {
    join([
        (peer.node.sdown_since.is_some(), "s_down"),
        (true, "sentinel"),
        (!peer.node.connected, "disconnected"),
        (peer.master_down, "master_down"),
    ])
}

fn join<const N: usize>(flags: [(bool, &'static str); N]) -> String {
    let set: Vec<&str> = flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect();
    set.join(",")
}

/// The map under construction.
#[derive(Default)]
struct Fields(Vec<(Reply, Reply)>);

impl Fields {
    fn put(&mut self, name: &'static str, value: impl Display) {
        self.0.push((Reply::from(name), Reply::display(value)));
    }

    fn ms(&mut self, name: &'static str, value: Duration) {
        self.put(name, value.as_millis());
    }

    /// Fields 2 to 7.
    fn link(&mut self, node: &NodeView, run_id: &str, flags: &str) {
        self.put("ip", &node.addr.host);
        self.put("port", node.addr.port);
        self.put("runid", run_id);
        self.put("flags", flags);
        self.put("link-pending-commands", node.vitals.pending_commands());
        self.put("link-refcount", node.link_refcount);
    }

    /// Fields 9 to 12.
    fn silence(&mut self, node: &NodeView, now: Instant) {
        let vitals = &node.vitals;
        self.ms("last-ping-sent", vitals.ping_pending_for(now).unwrap_or_default());
        self.ms("last-ok-ping-reply", vitals.since_ok_reply(now));
        self.ms("last-ping-reply", vitals.since_reply(now));
        if let Some(since) = node.sdown_since {
            self.ms("s-down-time", now.since(since));
        }
    }

    /// Fields 15 to 17, of data nodes only.
    fn info(&mut self, node: &NodeView, now: Instant) {
        let age = node.info_at.map_or(Duration::ZERO, |at| now.since(at));
        self.ms("info-refresh", age);
        self.put("role-reported", node.role.as_str());
        self.ms("role-reported-time", now.since(node.role_since));
    }

    /// The last field, one that the reference does not have: only while something is denied.
    fn denied(&mut self, node: &NodeView) {
        if let Some(text) = &node.denied {
            self.put("denied", text);
        }
    }

    fn into_reply(self) -> Reply {
        Reply::Map(self.0)
    }
}
