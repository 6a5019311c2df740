//! The ways between hosts: cut, slow, lossy.

use super::{DIALER, Event, HostId, LISTENER, Physics};
use crate::time::{MS, SEC, Time};

impl Physics {
    /// Whether nothing gets from one host to another.
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cut[from][to] > 0
    }

    /// Cuts the way from one host to another.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        self.cut[from][to] += 1;
    }

    /// Undoes one cut.
    pub fn mend(&mut self, from: HostId, to: HostId) {
        self.cut[from][to] = self.cut[from][to].saturating_sub(1);
    }

    /// What was held goes on, where the way is open again, when its sender tries again.
    pub fn release_held(&mut self) {
        for conn in std::mem::take(&mut self.stuck) {
            for to in [DIALER, LISTENER] {
                let [source, target] = [self.conns[conn].ends[1 - to], self.conns[conn].ends[to]];
                if self.conns[conn].held[to] == 0 {
                    continue;
                }
                if self.is_cut(source, target) {
                    self.stuck.insert(conn);
                    continue;
                }
                let retry = self.rng.below(3 * SEC);
                let at = (self.now + retry).max(self.conns[conn].last[to]);
                self.conns[conn].last[to] = at;
                for _ in 0..std::mem::take(&mut self.conns[conn].held[to]) {
                    self.at(at, Event::Arrive { conn, to });
                }
            }
        }
    }

    /// For how long a message is on its way.
    pub(super) fn latency(&mut self, from: HostId, to: HostId) -> Time {
        let mut latency = self.base_latency + self.rng.below(self.jitter + 1);
        latency += self.hosts[from].slowness + self.hosts[to].slowness;
        let lossy = self.hosts[from].lossy + self.hosts[to].lossy;
        if lossy > 0 && self.rng.permille(lossy) {
            latency += 200 * MS + self.rng.below(400 * MS);
        }
        latency
    }
}
