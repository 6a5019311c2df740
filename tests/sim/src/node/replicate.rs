//! Replication, from both sides.

use std::sync::Arc;

use sentinel_core::types::HostPort;

use crate::{
    node::{Downstream, Entry, Item, Lost, Node, Sync, Upstream},
    packet::{Packet, Purpose},
    physics::{ConnId, DIALER, Event, LISTENER, Physics},
    say,
};

/// A master says so often, in seconds, that it lives.
const PING_TICKS: u64 = 10;

impl Node {
    // Roles -----------------------------------------------------------------------------------------------------

    /// SLAVEOF NO ONE
    pub(super) fn become_master(&mut self, physics: &mut Physics) {
        let Some(up) = self.upstream.take() else { return };
        self.reigns += 1;
        if let Some(conn) = up.sync.conn() {
            physics.close(conn, DIALER);
        }
        self.replid2 = self.replid;
        self.second_offset = self.offset + 1;
        self.replid = self.rng.word();
        self.cached = false;
        self.drop_replicas(physics);
    }

    /// SLAVEOF host port
    pub(super) fn become_replica(&mut self, physics: &mut Physics, of: HostPort) {
        let now = physics.now();
        let mut down_since = None;
        if let Some(up) = &self.upstream {
            if up.of == of {
                return;
            }
            down_since = up.down_since;
            match up.sync {
                Sync::Streaming(conn) => {
                    self.cached = true;
                    down_since = Some(Lost { at: now, ahead: self.clock_ahead });
                    physics.close(conn, DIALER);
                }
                Sync::Asking(conn) | Sync::Receiving { conn, .. } | Sync::Loading { conn, .. } => {
                    physics.close(conn, DIALER);
                }
                Sync::Idle => {}
            }
        } else {
            // Its own history is what it can go on from.
            self.cached = true;
            self.unblock(physics);
        }
        self.upstream = Some(Upstream { of, sync: Sync::Idle, down_since, heard_at: now });
        self.dial_master(physics);
    }

    fn drop_replicas(&mut self, physics: &mut Physics) {
        for conn in std::mem::take(&mut self.downstreams).into_keys() {
            physics.close(conn, LISTENER);
        }
    }

    // The replica's side ----------------------------------------------------------------------------------------

    pub(super) fn dial_master(&mut self, physics: &mut Physics) {
        let Some(up) = &mut self.upstream else { return };
        let conn = physics.dial(self.host, &up.of, Purpose::Replicate);
        up.sync = Sync::Asking(conn);
        up.heard_at = physics.now();
    }

    /// A connection to the master could be opened, or not.
    pub fn dialed(&mut self, physics: &mut Physics, conn: ConnId, up: bool) {
        let Some(upstream) = &mut self.upstream else { return physics.close(conn, DIALER) };
        if upstream.sync.conn() != Some(conn) {
            return physics.close(conn, DIALER);
        }
        if !up {
            upstream.sync = Sync::Idle;
            return;
        }
        let listening =
            if self.config.announces_name { physics.address(self.host) } else { physics.numeric_address(self.host) };
        let replid = self.cached.then_some(self.replid);
        let failover = self.wants_to_hand_over();
        physics.send(conn, DIALER, Packet::Psync { replid, offset: self.offset, listening, failover });
    }

    /// The connection to the master broke.
    pub(super) fn lose_master(&mut self, physics: &mut Physics) {
        let Some(up) = &mut self.upstream else { return };
        let now = physics.now();
        match std::mem::replace(&mut up.sync, Sync::Idle) {
            Sync::Streaming(_) => {
                self.cached = true;
                up.down_since = Some(Lost { at: now, ahead: self.clock_ahead });
                // At once, and then every second.
                self.dial_master(physics);
            }
            // What was read is complete, with or without the connection.
            Sync::Loading { conn, replid, offset, values, pending } => {
                up.sync = Sync::Loading { conn, replid, offset, values, pending };
            }
            Sync::Idle | Sync::Asking(_) | Sync::Receiving { .. } => {}
        }
    }

    pub(super) fn master_says(&mut self, physics: &mut Physics, conn: ConnId, packet: Packet) {
        let Some(up) = &mut self.upstream else { return };
        if up.sync.conn() != Some(conn) {
            return;
        }
        up.heard_at = physics.now();
        match packet {
            Packet::Continue { replid } => {
                up.sync = Sync::Streaming(conn);
                up.down_since = None;
                self.cached = true;
                self.synced = true;
                self.stray = false;
                self.blank = false;
                self.has_backlog = true;
                if replid != self.replid {
                    self.replid2 = self.replid;
                    self.second_offset = self.offset + 1;
                    self.replid = replid;
                    self.drop_replicas(physics);
                }
                say!(physics, "node {} goes on at offset {}", self.host, self.offset);
                physics.send(conn, DIALER, Packet::Ack { offset: self.offset });
                self.handed_over(physics);
            }
            Packet::NoTakeOver => self.abort_handover(physics),
            Packet::FullResync { replid } => {
                self.cached = false;
                up.sync = Sync::Receiving { conn, replid };
                self.handed_over(physics);
            }
            Packet::Rdb { values, offset } => {
                let Sync::Receiving { replid, .. } = up.sync else { return };
                up.sync = Sync::Loading { conn, replid, offset, values, pending: Vec::new() };
                self.drop_replicas(physics);
                let time = self.about(self.config.sync_time);
                physics.after(time, Event::Loaded { host: self.host, life: self.life, conn: Some(conn) });
            }
            Packet::Stream(entry) => match &mut up.sync {
                Sync::Loading { pending, .. } => pending.push(entry),
                Sync::Streaming(_) => self.apply(physics, conn, &entry),
                _ => {}
            },
            Packet::NoMasterLink => {
                up.sync = Sync::Idle;
                physics.close(conn, DIALER);
            }
            _ => {}
        }
    }

    /// `REPLCONF GETACK *`: tells the master how far this replica is.
    pub(super) fn tell_offset(&self, physics: &mut Physics) {
        if let Some(Upstream { sync: Sync::Streaming(conn), .. }) = &self.upstream {
            physics.send(*conn, DIALER, Packet::Ack { offset: self.offset });
        }
    }

    /// What was being read is read.
    pub fn loaded(&mut self, physics: &mut Physics, conn: Option<ConnId>) {
        let Some(conn) = conn else {
            self.loading = false;
            if self.upstream.is_some() {
                self.dial_master(physics);
            }
            return;
        };
        let Some(up) = &mut self.upstream else { return };
        if !matches!(up.sync, Sync::Loading { conn: of, .. } if of == conn) {
            return;
        }
        let Sync::Loading { replid, offset, values, pending, .. } = std::mem::replace(&mut up.sync, Sync::Idle) else {
            return;
        };
        self.data = values.to_vec();
        self.synced = true;
        self.blank = false;
        self.stray = false;
        self.foreign = false;
        self.has_backlog = true;
        self.replid = replid;
        self.replid2 = 0;
        self.second_offset = 0;
        self.offset = offset;
        self.backlog.clear();
        self.backlog_start = offset + 1;
        self.cached = true;
        self.rewrite_disk();
        say!(physics, "node {} has read everything: {} values at offset {offset}", self.host, self.data.len());
        if physics.is_open(conn, DIALER) {
            if let Some(up) = &mut self.upstream {
                up.sync = Sync::Streaming(conn);
                up.down_since = None;
                up.heard_at = physics.now();
            }
            physics.send(conn, DIALER, Packet::Ack { offset });
            for entry in pending {
                self.apply(physics, conn, &entry);
                if !physics.hosts[self.host].running {
                    return;
                }
            }
        } else {
            if let Some(up) = &mut self.upstream {
                up.down_since = Some(Lost { at: physics.now(), ahead: self.clock_ahead });
            }
            self.dial_master(physics);
        }
    }

    fn apply(&mut self, physics: &mut Physics, conn: ConnId, entry: &Entry) {
        debug_assert!(entry.end > self.offset, "a stream goes forward");
        if matches!(entry.item, Item::Write(..)) && self.must_give_up() {
            // Redis writes its file before it answers: what does not fit is never acknowledged.
            return self.stop(physics, false, false);
        }
        self.offset = entry.end;
        match &entry.item {
            Item::Write(value, wanted) => {
                self.data.push(*value);
                if *wanted {
                    physics.send(conn, DIALER, Packet::Ack { offset: self.offset });
                }
            }
            Item::Publish(text) => {
                self.deliver(physics, text);
            }
            Item::Ping => {}
        }
        self.pass_on(physics, entry);
    }

    // The master's side -----------------------------------------------------------------------------------------

    /// Keeps an entry, and sends it to all replicas.
    pub(super) fn pass_on(&mut self, physics: &mut Physics, entry: &Entry) {
        self.backlog.push_back(entry.clone());
        if self.backlog.len() > self.config.backlog
            && let Some(old) = self.backlog.pop_front()
        {
            self.backlog_start = old.end + 1;
        }
        for (conn, down) in &mut self.downstreams {
            match &mut down.waiting {
                Some(waiting) => waiting.push(entry.clone()),
                None => physics.send(*conn, LISTENER, Packet::Stream(entry.clone())),
            }
        }
    }

    /// PSYNC
    pub(super) fn replica_asks(
        &mut self,
        physics: &mut Physics,
        conn: ConnId,
        replid: Option<u64>,
        offset: u64,
        addr: HostPort,
    ) {
        let serves = match &self.upstream {
            // It wants another password.
            _ if self.foreign => false,
            None => !self.loading,
            Some(up) => matches!(up.sync, Sync::Streaming(_)),
        };
        if !serves {
            physics.send(conn, LISTENER, Packet::NoMasterLink);
            return;
        }
        let now = physics.now();
        let known = self.has_backlog
            && replid.is_some_and(|id| {
                id == self.replid || (id == self.replid2 && self.replid2 != 0 && offset < self.second_offset)
            });
        let mut down = Downstream { addr, waiting: None, snapshot: None, acked: 0, acked_at: now };
        if known && offset + 1 >= self.backlog_start && offset <= self.offset {
            say!(physics, "node {} lets {} go on at offset {offset}", self.host, down.addr);
            down.acked = offset;
            physics.send(conn, LISTENER, Packet::Continue { replid: self.replid });
            for entry in self.backlog.iter().filter(|entry| entry.end > offset) {
                physics.send(conn, LISTENER, Packet::Stream(entry.clone()));
            }
        } else {
            // What others copy is what the group has.
            self.synced = true;
            self.stray = false;
            if !self.has_backlog {
                // The stream begins.
                self.has_backlog = true;
                self.replid = self.rng.word();
                self.replid2 = 0;
                self.backlog_start = self.offset + 1;
            }
            say!(physics, "node {} sends everything to {}", self.host, down.addr);
            physics.send(conn, LISTENER, Packet::FullResync { replid: self.replid });
            down.waiting = Some(Vec::new());
            down.snapshot = Some((Arc::new(self.data.clone()), self.offset));
            let time = self.about(self.config.sync_time);
            physics.after(time, Event::RdbReady { host: self.host, life: self.life, conn });
        }
        self.downstreams.insert(conn, down);
    }

    /// The copy for one replica is made: it goes, and the stream behind it.
    pub fn rdb_ready(&mut self, physics: &mut Physics, conn: ConnId) {
        let Some(down) = self.downstreams.get_mut(&conn) else { return };
        let (Some((values, offset)), Some(waiting)) = (down.snapshot.take(), down.waiting.take()) else { return };
        down.acked_at = physics.now();
        physics.send(conn, LISTENER, Packet::Rdb { values, offset });
        for entry in waiting {
            physics.send(conn, LISTENER, Packet::Stream(entry));
        }
    }

    /// REPLCONF ACK
    pub(super) fn replica_acks(&mut self, physics: &mut Physics, conn: ConnId, offset: u64) {
        let Some(down) = self.downstreams.get_mut(&conn) else { return };
        down.acked = offset;
        down.acked_at = physics.now();
        if !self.waiting.is_empty() {
            self.serve_waiting(physics);
        }
        self.look_at_handover(physics);
    }

    pub(super) fn replication_cron(&mut self, physics: &mut Physics) {
        let now = physics.now();
        if let Some(up) = &mut self.upstream {
            let late = now - up.heard_at > self.config.repl_timeout;
            match up.sync {
                Sync::Idle => self.dial_master(physics),
                Sync::Streaming(conn) | Sync::Asking(conn) | Sync::Receiving { conn, .. } if late => {
                    physics.close(conn, DIALER);
                    self.lose_master(physics);
                }
                Sync::Streaming(conn) => physics.send(conn, DIALER, Packet::Ack { offset: self.offset }),
                _ => {}
            }
        } else if self.ticks.is_multiple_of(PING_TICKS) && !self.downstreams.is_empty() {
            self.feed(physics, Item::Ping);
        }
        let late = |down: &Downstream| down.waiting.is_none() && now - down.acked_at > self.config.repl_timeout;
        for conn in self.downstreams.iter().filter(|(_, down)| late(down)).map(|(conn, _)| *conn).collect::<Vec<_>>() {
            physics.close(conn, LISTENER);
            self.downstreams.remove(&conn);
        }
    }
}
