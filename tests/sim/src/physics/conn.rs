//! Connections: streams that keep their order.

use std::collections::VecDeque;

use sentinel_core::{LinkFault, types::HostPort};

use super::{ConnId, DIALER, Event, HostId, LISTENER, Physics};
use crate::{
    packet::{Packet, Purpose},
    time::{SEC, Time},
};

/// How long a Sentinel's runtime waits for a connection.
const CONNECT_TIMEOUT: Time = 2 * SEC;

pub(super) struct Conn {
    pub(super) ends: [HostId; 2],
    pub(super) open: [bool; 2],
    pub(super) purpose: Purpose,
    pub(super) port: u16,
    /// The last arrival at each end: a stream keeps its order.
    pub(super) last: [Time; 2],
    /// What is on its way to each end, in order.
    pub(super) pipe: [VecDeque<Packet>; 2],
    /// How many of these should have arrived at each end, but the way was cut.
    pub(super) held: [usize; 2],
}

impl Physics {
    /// Opens a connection. [`Event::Dialed`] says how that ended.
    pub fn dial(&mut self, from: HostId, to: &HostPort, purpose: Purpose) -> ConnId {
        let conn = self.conns.len();
        let (known_after, found) = self.lookup(&to.host);
        // A further address first: whose it was is away.
        let target = found.ok().and_then(|ip| {
            let also = self.hosts.iter().position(|host| host.also == Some((ip, to.port)));
            also.or_else(|| self.hosts.iter().position(|host| host.ip == ip && host.port == to.port))
        });
        self.conns.push(Conn {
            ends: [from, target.unwrap_or(from)],
            open: [true, false],
            purpose,
            port: to.port,
            last: [0; 2],
            pipe: [VecDeque::new(), VecDeque::new()],
            held: [0; 2],
        });
        match (found, target) {
            (Err(why), _) => {
                self.after(known_after, Event::Dialed(conn, Err(LinkFault::Unresolved(why.to_owned()))));
            }
            (Ok(_), Some(target)) if !self.is_cut(from, target) => {
                let delay = self.latency(from, target);
                self.after(delay, Event::Syn(conn));
            }
            (Ok(_), _) => self.dial_fails_late(conn),
        }
        conn
    }

    fn dial_fails_late(&mut self, conn: ConnId) {
        let fault = LinkFault::Failed("no answer within 2 s".to_owned());
        self.after(CONNECT_TIMEOUT, Event::Dialed(conn, Err(fault)));
    }

    /// A connection request arrives.
    pub fn syn(&mut self, conn: ConnId) {
        let [from, to] = self.conns[conn].ends;
        let host = &self.hosts[to];
        if !host.powered || host.swallowing > 0 || self.is_cut(from, to) || self.is_cut(to, from) {
            // The way that was waited for already counts.
            self.dial_fails_late(conn);
        } else if !host.running || host.refusing > 0 || !host.listens_on(self.conns[conn].port) {
            let delay = self.latency(to, from);
            self.after(delay, Event::Dialed(conn, Err(LinkFault::Refused)));
        } else {
            self.conns[conn].open[LISTENER] = true;
            let delay = self.latency(to, from);
            let at = self.now + delay;
            self.conns[conn].last[DIALER] = at;
            self.at(self.now, Event::Accepted(conn));
            self.at(at, Event::Dialed(conn, Ok(())));
        }
    }

    /// Who is at the other end.
    pub fn other_end(&self, conn: ConnId, me: usize) -> HostId {
        self.conns[conn].ends[1 - me]
    }

    /// Whether this end is open.
    pub fn is_open(&self, conn: ConnId, end: usize) -> bool {
        self.conns[conn].open[end]
    }

    /// What the connection is for.
    pub fn purpose(&self, conn: ConnId) -> Purpose {
        self.conns[conn].purpose
    }

    /// Sends from one end to the other.
    pub fn send(&mut self, conn: ConnId, from: usize, packet: Packet) {
        self.send_late(conn, from, packet, 0);
    }

    /// Sends something that takes longer on its way.
    pub fn send_late(&mut self, conn: ConnId, from: usize, packet: Packet, more: Time) {
        let it = &self.conns[conn];
        if !it.open[from] {
            return;
        }
        let to = 1 - from;
        let at = self.now + self.latency(it.ends[from], it.ends[to]) + more;
        let it = &mut self.conns[conn];
        let at = at.max(it.last[to]);
        it.last[to] = at;
        it.pipe[to].push_back(packet);
        self.at(at, Event::Arrive { conn, to });
    }

    /// A message has come to the end of its way. Returns it if there is a machine to take it, and which.
    pub fn arrive(&mut self, conn: ConnId, to: usize) -> Option<(HostId, Packet)> {
        let ends = self.conns[conn].ends;
        let [source, target] = [ends[1 - to], ends[to]];
        if self.is_cut(source, target) {
            self.conns[conn].held[to] += 1;
            self.stuck.insert(conn);
            return None;
        }
        let it = &mut self.conns[conn];
        let packet = it.pipe[to].pop_front()?;
        if !self.hosts[target].powered {
            return None;
        }
        if !self.conns[conn].open[to] {
            // Nobody knows this connection any more: the sender is told.
            if !matches!(packet, Packet::Fin) && self.conns[conn].open[1 - to] {
                let at = (self.now + self.latency(target, source)).max(self.conns[conn].last[1 - to]);
                self.conns[conn].last[1 - to] = at;
                self.conns[conn].pipe[1 - to].push_back(Packet::Fin);
                self.at(at, Event::Arrive { conn, to: 1 - to });
            }
            return None;
        }
        if matches!(packet, Packet::Fin) {
            self.conns[conn].open[to] = false;
        }
        Some((target, packet))
    }

    /// Closes one end; the other hears of it.
    pub fn close(&mut self, conn: ConnId, end: usize) {
        if self.conns[conn].open[end] {
            self.send(conn, end, Packet::Fin);
            self.conns[conn].open[end] = false;
        }
    }

    /// All connections with an open end at a host.
    pub fn conns_of(&self, host: HostId) -> Vec<(ConnId, usize)> {
        let mut found = Vec::new();
        for (conn, it) in self.conns.iter().enumerate() {
            for end in [DIALER, LISTENER] {
                if it.ends[end] == host && it.open[end] {
                    found.push((conn, end));
                }
            }
        }
        found
    }

    /// Breaks an established connection at both ends.
    pub fn reset(&mut self, conn: ConnId) {
        for end in [DIALER, LISTENER] {
            if self.conns[conn].open[end] {
                // It overtakes what is on its way.
                self.conns[conn].pipe[end].push_front(Packet::Fin);
                self.after(0, Event::Arrive { conn, to: end });
            }
        }
    }
}
