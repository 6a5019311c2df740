//! One master being watched, with what it shares with the others: what most rules borrow.

use sentinel_resp::Reply;

use crate::{
    context::Context,
    events::Event,
    failover::CandidateLost,
    input::LinkFault,
    monitor::{PingAnswer, PingPeriod, node_target, sign_in_refusal},
    output::{Message, Target},
    state::{Asked, Master, Node, NodeId, PeerLinks, SIGN_IN},
    timer::{Endpoint, Timer},
    types::{HostPort, SentinelId},
    view::Role,
};

/// The scope of a rule about one master.
pub(crate) struct Watch<'a> {
    pub(crate) ctx: &'a mut Context,
    pub(crate) master: &'a mut Master,
    pub(crate) peers: &'a mut PeerLinks,
}

impl Watch<'_> {
    /// Something readers may see has changed.
    pub(crate) fn changed(&mut self) {
        self.ctx.stale_views.insert(self.master.key);
    }

    /// Something clients act on has changed.
    pub(crate) fn changed_urgently(&mut self) {
        self.changed();
        self.ctx.view_urgent = true;
        self.ctx.unexamined.insert(self.master.key);
    }

    /// Something durable, but no promise, has changed.
    pub(crate) fn persist(&mut self) {
        self.master.snapshot.0 = None;
        self.ctx.persist();
    }

    /// A promise was made: an epoch, a vote, a promotion.
    pub(crate) fn persist_promise(&mut self) {
        self.master.snapshot.0 = None;
        self.ctx.persist_promise();
    }

    pub(crate) fn endpoint(&self, id: NodeId) -> Endpoint {
        Endpoint::Node(self.master.key, id)
    }

    pub(crate) fn node_target(&self, addr: HostPort) -> Target {
        node_target(&self.ctx.id, &self.master.settings, addr)
    }

    /// Adds a data node and dials it.
    pub(crate) fn add_node(&mut self, addr: HostPort, role: Role) -> NodeId {
        let id = self.add_node_quietly(addr, role);
        self.evaluate_node(id);
        self.changed();
        id
    }

    /// The same without looking at it yet.
    pub(crate) fn add_node_quietly(&mut self, addr: HostPort, role: Role) -> NodeId {
        let id = self.ctx.fresh_node();
        let target = self.node_target(addr);
        let period = PingPeriod::of(&self.master.settings, &self.ctx.timing);
        let mut node = Node::new(id, target, period, role, self.ctx.mono());
        node.addr = self.ctx.shown(&node.addr);
        node.link.silence_limit = self.master.settings.down_after / 2;
        let endpoint = self.endpoint(id);
        self.ctx.open_link(&mut node.link, endpoint);
        self.master.nodes.insert(node);
        id
    }

    /// Forgets a data node.
    pub(crate) fn remove_node(&mut self, id: NodeId) {
        let endpoint = self.endpoint(id);
        self.master.aliases.retain(|_, kept| *kept != id);
        if let Some(mut node) = self.master.nodes.remove(id) {
            self.ctx.drop_link(&mut node.link, &endpoint);
            self.ctx.timers.disarm(&Timer::Info(self.master.key, id));
            self.ctx.timers.disarm(&Timer::NodeDown(self.master.key, id));
            self.changed();
        }
    }

    /// Forgets a peer; its link goes when no other master uses it.
    pub(crate) fn remove_peer(&mut self, id: &SentinelId) {
        if self.master.peers.remove(id).is_none() {
            return;
        }
        let key = self.master.key;
        self.ctx.timers.disarm(&Timer::PeerDown(key, id.clone()));
        self.ctx.timers.disarm(&Timer::Opinion(key, id.clone()));
        if let Some(shared) = self.peers.get_mut(id) {
            shared.users.remove(&key);
            if shared.users.is_empty() {
                self.ctx.drop_link(&mut shared.link, &Endpoint::Peer(id.clone()));
                self.peers.remove(id);
            }
        }
        self.changed();
    }

    /// Sends to a data node of this master.
    pub(crate) fn send_to(&mut self, id: NodeId, asked: Asked, message: Message) -> bool {
        let Some(node) = self.master.nodes.get_mut(id) else { return false };
        self.ctx.send(&mut node.link, asked, message)
    }

    /// A data node's link came up: PING, INFO and hello at once.
    pub(crate) fn node_up(&mut self, id: NodeId, local: Option<std::net::IpAddr>, refused_login: Option<&str>) {
        let endpoint = self.endpoint(id);
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        node.hello_heard_at = self.ctx.mono();
        self.ctx.link_up(&mut node.link, local, refused_login.is_some(), &endpoint);
        self.note_access(id, SIGN_IN, refused_login);
        self.note_access(id, "hello", None);
        self.ask_info(id);
        self.say_hello_to_node(id);
        self.evaluate_node(id);
        self.changed();
        self.promotion_link_up(id);
        self.undoing_link_up(id);
        self.freeing_link_up(id);
    }

    /// A data node answered.
    pub(crate) fn node_replied(&mut self, id: NodeId, asked: &Asked, reply: &Reply) {
        self.look_at_access(id, asked, reply);
        match asked {
            Asked::Ping => self.node_ponged(id, reply),
            Asked::Info => self.info_received(id, reply),
            Asked::Promote { omitted } | Asked::Replicate { omitted, .. } => {
                self.role_change_answered(id, asked, *omitted, reply);
            }
            Asked::HandOver => self.handover_answered(reply),
            Asked::Acknowledge => self.acknowledgement_answered(id, reply),
            Asked::CallOff => self.call_off_answered(id),
            Asked::MayI => self.permissions_told(id, reply),
            Asked::Hello => self.hello_answered(id),
            Asked::Pause
            | Asked::Identity { .. }
            | Asked::ScriptKill
            | Asked::SignIn
            | Asked::Opinion { .. }
            | Asked::Vote { .. } => {}
        }
    }

    fn node_ponged(&mut self, id: NodeId, reply: &Reply) {
        let endpoint = self.endpoint(id);
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        let answer = self.ctx.ping_answered(&mut node.link, reply, &endpoint);
        if answer == PingAnswer::Pong {
            node.rebooted_at = None;
        }
        if answer == PingAnswer::Busy && node.sdown_since.is_some() && !node.script_kill_sent {
            node.script_kill_sent = self.ctx.send(&mut node.link, Asked::ScriptKill, Message::ScriptKill);
            self.changed();
        }
        self.evaluate_node(id);
    }

    /// A data node's link broke or could not be opened.
    pub(crate) fn node_lost(&mut self, id: NodeId, fault: &LinkFault) {
        let endpoint = self.endpoint(id);
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        let was_up = node.link.is_up();
        let first_failure = !was_up && node.link.attempts == 1;
        self.ctx.link_down(&mut node.link, fault, &endpoint);
        if let (true, LinkFault::Failed(why)) = (first_failure, fault) {
            self.tell_of_failed_connection(&self.master.subject_of(id), &["cmd", "pubsub"], why);
        }
        self.ctx.timers.disarm(&Timer::Info(self.master.key, id));
        if was_up {
            self.changed();
            self.ctx.unexamined.insert(self.master.key);
        }
        if let Some((command, why)) = sign_in_refusal(fault) {
            self.note_access(id, command, Some(why));
            self.answered_by_refusing(id);
        }
        self.evaluate_node(id);
        self.selection_lost(id);
        let refused = *fault == LinkFault::Refused;
        self.candidate_lost(id, if refused { CandidateLost::Refused } else { CandidateLost::Disconnected });
        if was_up {
            self.handover_lost(id);
        }
    }

    /// Closes the connection to a data node, and dials anew.
    pub(crate) fn renew_link_of(&mut self, id: NodeId) {
        let endpoint = self.endpoint(id);
        if let Some(node) = self.master.nodes.get_mut(id) {
            self.ctx.renew_link(&mut node.link, &endpoint);
            self.changed();
        }
    }

    /// Tells of an event about a data node.
    pub(crate) fn node_event(&mut self, id: NodeId, event: impl FnOnce(crate::events::Subject) -> Event) {
        let subject = self.master.subject_of(id);
        self.ctx.event(event(subject));
    }

    /// Tells of an event about the master.
    pub(crate) fn master_event(&mut self, event: impl FnOnce(crate::events::Subject) -> Event) {
        let subject = self.master.subject();
        self.ctx.event(event(subject));
    }
}
