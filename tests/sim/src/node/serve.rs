//! Commands from Sentinels and applications.

use bytes::Bytes;
use sentinel_core::{Message, Omitted, RequestId, parts, types::HostPort};
use sentinel_resp::Reply;

use super::disk::MIN_REPLICAS_MAX_LAG;
use crate::{
    node::{Entry, Item, Node, Reign, Sync, Waiting, answer},
    packet::Packet,
    physics::{ConnId, LISTENER, Physics},
    say,
    time::{MS, SEC},
};

/// How long an application's WAIT lasts.
const WAIT: u64 = SEC;

const MISCONF: &str = "MISCONF Errors writing to the AOF file: No space left on device";
pub(crate) const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const LOADING: &str = "LOADING Redis is loading the dataset in memory";

impl Node {
    pub(super) fn is_loading(&self) -> bool {
        self.loading || matches!(self.upstream.as_ref().map(|up| &up.sync), Some(Sync::Loading { .. }))
    }

    pub(super) fn sentinel_asks(&mut self, physics: &mut Physics, conn: ConnId, request: RequestId, message: Message) {
        match message {
            Message::Ping => {
                let reply = if self.is_loading() {
                    Reply::error(LOADING)
                } else if self.is_unable_to_save() {
                    Reply::error(MISCONF)
                } else {
                    Reply::status("PONG")
                };
                answer(physics, conn, request, reply);
            }
            Message::Info => {
                let (text, facts) = self.info(physics);
                let reply = Reply::Bulk(Bytes::from(text));
                physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: Some(Box::new(facts)) });
            }
            Message::Hello { payload } => {
                self.publish(physics, &Bytes::copy_from_slice(payload.as_bytes()));
                answer(physics, conn, request, Reply::Integer(1));
            }
            Message::Promote { omitted } => self.change_role(physics, conn, request, None, omitted),
            Message::Replicate { of, omitted } => {
                self.change_role(physics, conn, request, Some(of), omitted);
            }
            Message::SignIn { .. } => {
                let refused = physics.hosts[self.host].without_user > 0;
                answer(physics, conn, request, if refused { Reply::error(WRONGPASS) } else { Reply::ok() });
            }
            Message::Pause { .. } => answer(physics, conn, request, Reply::error("ERR unknown command 'SENTINEL'")),
            Message::MayI { hand_over, .. } => {
                let replies = parts(hand_over).map(|_| Reply::ok()).collect();
                answer(physics, conn, request, Reply::Array(replies));
            }
            Message::ScriptKill => {
                answer(physics, conn, request, Reply::error("NOTBUSY No scripts in execution right now."));
            }
            Message::HandOver { .. } | Message::CallOff { .. } if self.config.old => {
                let errors = ["ERR syntax error", "ERR unknown command 'FAILOVER'"];
                answer(physics, conn, request, Reply::Array(errors.map(Reply::error).to_vec()));
            }
            Message::HandOver { to, timeout } => {
                let timeout = u64::try_from(timeout.as_micros()).unwrap_or(SEC);
                self.pause_clients(physics, timeout);
                let reply = self.hand_over(physics, to, timeout, false);
                answer(physics, conn, request, Reply::Array(vec![Reply::ok(), reply]));
            }
            Message::CallOff { unpause } => {
                let mut reply = self.call_off(physics);
                if unpause {
                    self.unpause_clients(physics);
                    reply = Reply::Array(vec![reply, Reply::ok()]);
                }
                answer(physics, conn, request, reply);
            }
            Message::Acknowledge => {
                self.tell_offset(physics);
                let (text, facts) = self.info(physics);
                let reply = Reply::Bulk(Bytes::from(text));
                physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: Some(Box::new(facts)) });
            }
            Message::Identify { .. } => {
                let (text, _) = self.info(physics);
                let myid = Reply::error("ERR unknown command 'SENTINEL', with args beginning with: 'MYID' ");
                answer(physics, conn, request, Reply::Array(vec![myid, Reply::Bulk(Bytes::from(text))]));
            }
            Message::IsMasterDown { .. } => {
                answer(physics, conn, request, Reply::error("ERR unknown command 'SENTINEL'"));
            }
        }
    }

    /// The transaction: FAILOVER ABORT if it is asked for, SLAVEOF, CONFIG REWRITE, CLIENT KILL twice; and INFO behind it.
    fn change_role(
        &mut self,
        physics: &mut Physics,
        conn: ConnId,
        request: RequestId,
        of: Option<HostPort>,
        omitted: Omitted,
    ) {
        let queued = Reply::status("QUEUED");
        let mut replies = vec![Reply::ok()];
        if omitted.abort_first {
            replies.push(queued.clone());
        }
        if self.is_loading() {
            replies.push(Reply::error(LOADING));
            replies.extend([queued.clone(), queued.clone(), queued]);
            replies.push(Reply::error("EXECABORT Transaction discarded because of previous errors."));
        } else {
            replies.extend([queued.clone(), queued.clone(), queued.clone(), queued]);
            let mut results = Vec::new();
            if omitted.abort_first {
                results.push(self.call_off(physics));
            }
            let done = if self.is_handing_over() {
                Reply::err("REPLICAOF not allowed while failing over.")
            } else {
                self.follow(physics, of);
                Reply::ok()
            };
            let killed = i64::try_from(self.clients.len()).unwrap_or(0);
            self.kill_clients(physics, conn);
            results.extend([done, Reply::ok(), Reply::Integer(killed), Reply::Integer(0)]);
            replies.push(Reply::Array(results));
        }
        if omitted.unpause {
            self.unpause_clients(physics);
            replies.push(Reply::ok());
        }
        let (text, facts) = self.info(physics);
        replies.push(Reply::Bulk(Bytes::from(text)));
        let reply = Reply::Array(replies);
        physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: Some(Box::new(facts)) });
    }

    /// SLAVEOF, and CONFIG REWRITE.
    fn follow(&mut self, physics: &mut Physics, of: Option<HostPort>) {
        say!(
            physics,
            "node {} is told to follow {}",
            self.host,
            of.as_ref().map_or("nobody".into(), |it| it.to_string())
        );
        self.config.replicaof.clone_from(&of);
        match of {
            None => self.become_master(physics),
            Some(of) => self.become_replica(physics, of),
        }
    }

    /// Its wall clock jumps, by milliseconds.
    pub fn jump_clock(&mut self, millis: i64) {
        self.clock_ahead += millis * i64::try_from(MS).unwrap_or(1);
    }

    /// Somebody types REPLICAOF.
    pub fn type_replicaof(&mut self, physics: &mut Physics, of: HostPort) {
        if !self.is_loading() && !self.is_handing_over() {
            self.follow(physics, Some(of));
        }
    }

    /// Somebody who may, but should not, publishes on the Sentinels' channel.
    pub fn forge(&mut self, physics: &mut Physics, payload: String) {
        self.publish(physics, &Bytes::from(payload));
    }

    /// PUBLISH: to the subscribers here and, from a master, to those of all replicas.
    fn publish(&mut self, physics: &mut Physics, payload: &Bytes) {
        self.deliver(physics, payload);
        if self.is_master() && !self.loading {
            self.feed(physics, Item::Publish(payload.clone()));
        }
    }

    pub(super) fn deliver(&self, physics: &mut Physics, payload: &Bytes) {
        for conn in &self.subscribers {
            physics.send(*conn, LISTENER, Packet::Published(payload.clone()));
        }
    }

    /// An application adds a value to the data set.
    pub(super) fn write(&mut self, physics: &mut Physics, conn: ConnId, value: u32, wait: usize) {
        let now = physics.now();
        let good = || {
            let lag = |at: u64| now.saturating_sub(at) <= MIN_REPLICAS_MAX_LAG;
            self.downstreams.values().filter(|down| down.waiting.is_none() && lag(down.acked_at)).count()
        };
        let refusal = if self.foreign {
            Some("NOAUTH")
        } else if self.is_loading() {
            Some("LOADING")
        } else if !self.is_master() {
            Some("READONLY")
        } else if self.is_unable_to_save() {
            Some("MISCONF")
        } else if self.config.min_replicas > 0 && good() < self.config.min_replicas {
            Some("NOREPLICAS")
        } else {
            None
        };
        if let Some(why) = refusal {
            physics.send(conn, LISTENER, Packet::Refused { value, why });
            return;
        }
        if self.must_give_up() {
            return self.stop(physics, false, false);
        }
        self.data.push(value);
        self.feed(physics, Item::Write(value, wait > 0));
        let overruled = physics.checks.overrule(self.group, self.host) && !self.feeds_the_master(physics);
        if wait == 0 {
            self.written(physics, conn, value, 0, overruled);
        } else {
            let until = now + WAIT;
            self.waiting.push(Waiting { conn, value, offset: self.offset, need: wait, until, overruled });
        }
    }

    /// Whether a node that is in force as the master follows this one. What is written here is written there, then.
    fn feeds_the_master(&self, physics: &Physics) -> bool {
        let mut followers = self.downstreams.keys().map(|conn| physics.other_end(*conn, LISTENER));
        followers.any(|host| physics.checks.is_in_force(self.group, host))
    }

    /// Tells an application that its value was written.
    pub(super) fn written(&self, physics: &mut Physics, conn: ConnId, value: u32, replicas: usize, overruled: bool) {
        let reign = self.reign();
        physics.send(conn, LISTENER, Packet::Written { value, replicas, reign, overruled });
    }

    /// The time for which it is a master now.
    pub(super) const fn reign(&self) -> Reign {
        Reign { node: self.host, number: self.reigns }
    }

    /// Adds to the replication stream of a master. As long as it has never had a replica there is none.
    pub(super) fn feed(&mut self, physics: &mut Physics, item: Item) {
        if !self.has_backlog {
            return;
        }
        self.offset += item.len();
        let entry = Entry { end: self.offset, item };
        self.pass_on(physics, &entry);
    }

    /// WAIT: a master that becomes a replica answers with an error.
    pub(super) fn unblock(&mut self, physics: &mut Physics) {
        for Waiting { conn, value, .. } in std::mem::take(&mut self.waiting) {
            physics.send(conn, LISTENER, Packet::Refused { value, why: "UNBLOCKED" });
        }
    }

    pub(super) fn replicas_at(&self, offset: u64) -> usize {
        self.downstreams.values().filter(|down| down.waiting.is_none() && down.acked >= offset).count()
    }

    /// A replica has come further: perhaps somebody waited for that.
    pub(super) fn serve_waiting(&mut self, physics: &mut Physics) {
        let (done, rest): (Vec<_>, _) =
            std::mem::take(&mut self.waiting).into_iter().partition(|it| self.replicas_at(it.offset) >= it.need);
        self.waiting = rest;
        for Waiting { conn, value, offset, overruled, .. } in done {
            let replicas = self.replicas_at(offset);
            self.written(physics, conn, value, replicas, overruled);
        }
    }
}
