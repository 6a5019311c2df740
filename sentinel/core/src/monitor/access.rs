//! Telling of what an instance does not let us do, and of the end of it.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    engine::Engine,
    events::Event,
    input::{LinkFault, LinkId},
    notice::Topic,
    planted::{Bug, planted},
    state::{
        Asked, Change, Denials, NodeId, PAUSE, SIGN_IN, SUBSCRIBE, is_denial, of_role_change, refusal, told_elsewhere,
    },
    timer::Endpoint,
    types::SentinelId,
    view::Role,
    watch::Watch,
};

impl Engine {
    /// An instance refused the subscription to hellos, or has granted it. Whatever the reason of a refusal, other Sentinels
    /// are not heard of there.
    pub(crate) fn subscription_answered(&mut self, link: LinkId, refusal: Option<&str>) {
        let Some(Endpoint::Node(key, id)) = self.ctx.owners.get(&link).cloned() else { return };
        self.with_master(key, |watch| match refusal {
            Some(error) if !is_denial(SUBSCRIBE, error) => {
                // Busy, for example. It is asked for again.
                let Some(addr) = watch.master.nodes.get(id).map(|node| node.addr.clone()) else { return };
                let name = watch.master.name.clone();
                let text = format!("{addr} refuses the subscription to hellos: {error}");
                watch.ctx.notice(Topic::SubscriptionRefused, Some(&name), text);
            }
            _ => watch.note_access(id, SUBSCRIBE, refusal),
        });
    }

    /// The same as [`Watch::note_access`], for a peer.
    pub(crate) fn note_peer_access(&mut self, id: &SentinelId, command: &'static str, refusal: Option<&str>) {
        let Some(shared) = self.peers.get_mut(id) else { return };
        let change = shared.link.denials.note(command, refusal);
        let told = announced(&mut shared.link.denials, command, change);
        if change == Change::Nothing {
            return;
        }
        self.ctx.process_unexamined.0 = true;
        for key in shared.users.clone() {
            self.with_master(key, |watch| {
                watch.changed();
                let Some(addr) = watch.master.peers.get(id).map(|peer| peer.addr.clone()) else { return };
                let Some(link) = watch.peers.get(id).map(|shared| &shared.link) else { return };
                let what = link.denials.describe(command, &link.target, &watch.master.name);
                let subject = watch.master.subject_of_peer(id, &addr);
                watch.ctx.outputs.extend(event(told, change, subject, what).map(crate::Output::Event));
            });
        }
    }
}

impl Watch<'_> {
    /// Notes whether a data node lets us use a command, and tells if that is new.
    pub(crate) fn note_access(&mut self, id: NodeId, command: &'static str, refusal: Option<&str>) {
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        let change = node.link.denials.note(command, refusal);
        let told = announced(&mut node.link.denials, command, change);
        if change == Change::Nothing {
            return;
        }
        let what = node.link.denials.describe(command, &node.link.target, &self.master.name);
        self.changed();
        self.ctx.unexamined.insert(self.master.key);
        let subject = self.master.subject_of(id);
        if let Some(event) = event(told, change, subject, what) {
            self.ctx.event(event);
        }
    }

    /// The answer to a request shows whether its commands are permitted.
    pub(crate) fn look_at_access(&mut self, id: NodeId, asked: &Asked, reply: &Reply) {
        match (asked, reply) {
            (Asked::Promote { omitted } | Asked::Replicate { omitted, .. }, Reply::Array(parts)) => {
                for (command, refusal) in of_role_change(*omitted, parts) {
                    self.note_access(id, command, refusal);
                }
            }
            (Asked::HandOver, Reply::Array(parts)) => {
                for (command, reply) in [PAUSE, "failover"].into_iter().zip(parts) {
                    self.note_access(id, command, refusal(command, reply));
                }
            }
            (Asked::Acknowledge, Reply::Array(parts)) => {
                self.note_access(id, "replconf", parts.first().and_then(|it| refusal("replconf", it)));
            }
            (Asked::Acknowledge, _) => self.note_access(id, "replconf", None),
            _ => {
                if let Some(command) = asked.command() {
                    self.note_access(id, command, refusal(command, reply));
                }
            }
        }
    }
}

impl Watch<'_> {
    /// A data node has answered by not letting us in. It lives, which is all that its silence is counted for.
    pub(crate) fn answered_by_refusing(&mut self, id: NodeId) {
        let now = self.ctx.mono();
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if !planted(Bug::DenialIsSilence) {
            node.link.silent_since = Some(now);
        }
        node.link.heard_at = now;
        node.link.vitals.set_ping_sent(Some(now));
        node.link.vitals.set_reply(now);
        if node.former_master {
            self.tell_of_closed_door(id);
        }
        self.advance_reconfiguration();
    }

    /// Says, loudly and again each minute, that a node cannot be told whom to follow: if it is a former master, it may
    /// take writes beside the present one.
    pub(crate) fn tell_of_closed_door(&mut self, id: NodeId) {
        let now = self.ctx.mono();
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if node.familiar.told_at.is_some_and(|at| now.since(at) < CLOSED_DOOR_TOLD_EVERY) {
            return;
        }
        node.familiar.told_at = Some(now);
        let (addr, former) = (node.addr.clone(), node.former_master || node.role == Role::Master);
        let what = if former { "may take writes beside it" } else { "does not follow it" };
        let why = node.link.denials.describe(SIGN_IN, &node.link.target, &self.master.name);
        let text = format!(
            "WARNING: {addr} does not let this Sentinel log in and is not told to follow {}, the master of {}: it {what}. {}",
            self.master.addr(),
            self.master.name,
            why.unwrap_or_default()
        );
        let name = self.master.name.clone();
        self.ctx.notice(Topic::NotLetIn, Some(&name), text);
    }
}

/// How often it is said of a node that it does not let us put it in its place.
const CLOSED_DOOR_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What signing in came to, if the link could not be opened for that reason.
pub(crate) fn sign_in_refusal(fault: &LinkFault) -> Option<(&'static str, &str)> {
    match fault {
        LinkFault::Denied(why) if why.starts_with("NOPERM") => Some(("hello", why)),
        LinkFault::Denied(why) => Some((SIGN_IN, why)),
        _ => None,
    }
}

/// Whether this change is told by an event of its own.
fn announced(denials: &mut Denials, command: &str, change: Change) -> bool {
    match change {
        Change::Denied if !told_elsewhere(command) => {
            denials.tell(true);
            true
        }
        Change::Granted => denials.tell(false),
        Change::Nothing | Change::Fewer | Change::Denied => false,
    }
}

fn event(told: bool, change: Change, subject: crate::events::Subject, what: Option<String>) -> Option<Event> {
    match (told, change) {
        (true, Change::Denied) => Some(Event::AccessDenied { subject, what: what? }),
        (true, Change::Granted) => Some(Event::AccessGranted(subject)),
        _ => None,
    }
}
