//! Opening links, losing them, and opening them again.

use std::time::Duration;

use crate::{
    context::Context,
    events::Subject,
    input::LinkFault,
    notice::Topic,
    output::{Message, Target, TargetKind},
    settings::{GlobalSettings, MasterSettings},
    state::{Asked, Link, LinkState, NodeId},
    time::Instant,
    timer::{Endpoint, Timer},
    types::{HostPort, SentinelId},
    watch::Watch,
};

/// First pause between two attempts to connect; doubled up to [`Timing::reconnect_period`].
const FIRST_RECONNECT_PAUSE: Duration = Duration::from_millis(10);
/// A connection that lasts less long counts as one that could hardly be opened: a node that answers and hangs up is not
/// dialled a thousand times a second.
const BRIEF_LIFE: Duration = Duration::from_secs(1);
/// Each closed link adds this to the longest pause, so that a thousand dead nodes do not cost a core.
const RECONNECT_PAUSE_PER_LINK: Duration = Duration::from_millis(2);
/// The reference's pause between two attempts: the longest ever used here.
const MAX_RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// How long after a refused login another one is tried, over the same connection: somebody may have added the user.
const LOGIN_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How often the log is told that there is no room for connections.
const STARVATION_TOLD_EVERY: Duration = Duration::from_secs(10);

/// How a data node is reached.
pub(crate) fn node_target(id: &SentinelId, settings: &MasterSettings, addr: HostPort) -> Target {
    Target {
        addr,
        kind: TargetKind::DataNode,
        user: settings.auth_pass.as_ref().and(settings.auth_user.clone()),
        pass: settings.auth_pass.clone(),
        client_name: format!("sentinel-{}", id.short()),
        rename_commands: std::sync::Arc::new(settings.rename_commands.clone()),
    }
}

/// How another Sentinel is reached: with `sentinel-pass`, else with the own `requirepass`.
pub(crate) fn peer_target(id: &SentinelId, globals: &GlobalSettings, addr: HostPort) -> Target {
    let (user, pass) = match &globals.sentinel_pass {
        Some(pass) => (globals.sentinel_user.clone(), Some(pass.clone())),
        None => (None, globals.requirepass.clone()),
    };
    Target {
        addr,
        kind: TargetKind::Peer,
        user,
        pass,
        client_name: format!("sentinel-{}", id.short()),
        rename_commands: std::sync::Arc::default(),
    }
}

impl Context {
    /// A link came up: PING at once, and go on from there.
    pub(crate) fn link_up(
        &mut self,
        link: &mut Link,
        local: Option<std::net::IpAddr>,
        login_refused: bool,
        endpoint: &Endpoint,
    ) {
        let LinkState::Connecting(id) = link.state else { return };
        let since = self.mono();
        link.state = LinkState::Up { link: id, since, local };
        link.attempts = 0;
        link.refusals = 0;
        link.told = None;
        link.fault.0 = None;
        link.odd_answer.0 = None;
        link.shut_out = false;
        link.login_tried_at = login_refused.then_some(since);
        if std::mem::take(&mut link.starved) {
            link.restart_silence(since);
        }
        link.heard_at = since;
        self.closed_links = self.closed_links.saturating_sub(1);
        self.first_dials.ended(id);
        self.notice(Topic::Link, None, format!("The link to {} is up", link.target.addr));
        if link.target.kind == TargetKind::Peer {
            // Before anything else: what follows counts only if this is answered as it should be.
            let challenge = self.fresh_nonce();
            self.send(link, Asked::Identity { challenge }, Message::Identify { challenge });
        }
        self.send_ping(link, endpoint);
    }

    /// A link broke or could not be opened. A broken one is dialled again at once: no answer there is the fastest
    /// sign of death.
    pub(crate) fn link_down(&mut self, link: &mut Link, fault: &LinkFault, endpoint: &Endpoint) {
        if let Some(id) = link.id() {
            self.owners.remove(&id);
            self.first_dials.ended(id);
        }
        link.refusals = match fault {
            LinkFault::Refused => link.refusals.saturating_add(1),
            LinkFault::Exhausted(_) => link.refusals,
            _ => 0,
        };
        if link.is_up() {
            self.closed_links += 1;
        }
        // One that refused when there was room is judged by that.
        link.starved = matches!(fault, LinkFault::Exhausted(_)) && link.refusals == 0;
        if link.starved {
            link.restart_silence(self.mono());
        }
        if let LinkFault::Exhausted(why) = fault {
            self.tell_of_starvation(why);
        }
        let was_up = link.is_up();
        if let Some(since) = link.up_since() {
            let brief = self.mono().since(since) < BRIEF_LIFE;
            link.brief_lives = if brief { link.brief_lives.saturating_add(1) } else { 0 };
        }
        let first_failure = !was_up && link.attempts == 1;
        link.state = LinkState::Closed;
        link.forget_requests();
        self.timers.disarm(&Timer::Ping(endpoint.clone()));
        self.timers.disarm(&Timer::LinkSilence(endpoint.clone()));
        link.fault.0 = Some(fault.clone());
        let denied = matches!(fault, LinkFault::Denied(_));
        link.shut_out = denied;
        let distrusted = matches!(fault, LinkFault::Untrusted(_));
        if distrusted && link.told.as_ref() != Some(fault) {
            // What an operator has to put right is told whenever it becomes another thing.
            self.notice(Topic::Untrusted, None, format!("Cannot connect to {}: {fault}", link.target.addr));
            link.told = Some(fault.clone());
        } else if was_up {
            self.notice(Topic::Link, None, format!("The link to {} is down: {fault}", link.target.addr));
        } else if first_failure && !denied {
            // What is denied is told by an event.
            self.notice(Topic::ConnectFailed, None, format!("Cannot connect to {}: {fault}", link.target.addr));
        }
        let pause = match fault {
            LinkFault::Untrusted(_) => MAX_RECONNECT_PAUSE,
            // Who is not let in fills the log there with every attempt; but each shows that the instance lives.
            LinkFault::Denied(_) => MAX_RECONNECT_PAUSE.min(link.silence_limit / 2),
            // The first one may be a coincidence.
            _ => self.reconnect_pause(link.attempts.max(link.brief_lives.saturating_sub(1))),
        };
        let at = self.mono() + pause;
        self.arm(Timer::Reconnect(endpoint.clone()), at);
    }

    /// Whether a connection failed a moment ago since this process had no room for it. It is tried again all the time.
    pub(crate) fn is_starved(&self) -> bool {
        self.starvation_told_at
            .is_some_and(|at| self.mono().since(at) < STARVATION_TOLD_EVERY + STARVATION_TOLD_EVERY / 2)
    }

    /// Says, loudly but not for every link, that some instances are not watched.
    fn tell_of_starvation(&mut self, why: &str) {
        let now = self.mono();
        if self.starvation_told_at.is_some_and(|at| now.since(at) < STARVATION_TOLD_EVERY) {
            return;
        }
        self.starvation_told_at = Some(now);
        self.process_unexamined.0 = true;
        let text = format!(
            "WARNING: this process has no room for connections to {} instances: {why}. They are not watched until it \
             has, and not held for down. Raise the limit of open files (ulimit -n, LimitNOFILE=)",
            self.closed_links
        );
        self.notice(Topic::Descriptors, None, text);
    }

    /// Closes a link on purpose and dials anew at once.
    pub(crate) fn renew_link(&mut self, link: &mut Link, endpoint: &Endpoint) {
        if link.is_up() {
            self.closed_links += 1;
        }
        self.close(link);
        self.timers.disarm(&Timer::Ping(endpoint.clone()));
        self.timers.disarm(&Timer::LinkSilence(endpoint.clone()));
        let now = self.mono();
        self.arm(Timer::Reconnect(endpoint.clone()), now);
    }

    /// Dials for the first time. With too many others a data node waits for its turn.
    pub(crate) fn open_link(&mut self, link: &mut Link, endpoint: Endpoint) {
        self.closed_links += 1;
        let Endpoint::Node(key, id) = endpoint else { return self.dial(link, endpoint) };
        if self.first_dials.is_full() {
            link.waits = true;
            self.first_dials.wait(key, id);
        } else {
            self.dial_first(link, endpoint);
        }
    }

    /// Dials a data node whose turn it is.
    fn dial_first(&mut self, link: &mut Link, endpoint: Endpoint) {
        self.dial(link, endpoint);
        if let LinkState::Connecting(dialled) = link.state {
            self.first_dials.begun(dialled, self.mono());
        }
    }

    /// Dials, unless the port is 0: such an instance is never connected.
    pub(crate) fn dial(&mut self, link: &mut Link, endpoint: Endpoint) {
        if std::mem::take(&mut link.waits) {
            link.restart_silence(self.mono());
        }
        if link.target.addr.port != 0 && link.state == LinkState::Closed {
            self.connect(link, endpoint);
        }
    }

    /// Forgets a link for good.
    pub(crate) fn drop_link(&mut self, link: &mut Link, endpoint: &Endpoint) {
        if !link.is_up() {
            self.closed_links = self.closed_links.saturating_sub(1);
        }
        self.close(link);
        self.timers.disarm(&Timer::Reconnect(endpoint.clone()));
        self.timers.disarm(&Timer::Ping(endpoint.clone()));
        self.timers.disarm(&Timer::LinkSilence(endpoint.clone()));
    }

    /// An open connection on which nothing has come for long, while a PING waits, is replaced: the reference's rule.
    pub(crate) fn check_silence(&mut self, link: &mut Link, endpoint: &Endpoint) {
        let LinkState::Up { since, .. } = link.state else { return };
        let Some(silent_since) = link.silent_since else { return };
        let quiet_since = silent_since.max(link.heard_at);
        let hurries = link.hasty && !link.behind_hello && link.awaits(&Asked::Hello);
        let least_age = if hurries { Duration::ZERO } else { self.timing.min_link_reconnect_period };
        let due = (since + least_age).max(quiet_since + link.silence_limit);
        if due <= self.mono() {
            self.renew_link(link, endpoint);
        } else {
            // One that comes too early, since there was an answer meanwhile, finds nothing to do.
            self.timers.arm_by(Timer::LinkSilence(endpoint.clone()), due);
        }
    }

    fn reconnect_pause(&mut self, attempts: u32) -> Duration {
        if attempts == 0 {
            return Duration::ZERO;
        }
        let crowd = RECONNECT_PAUSE_PER_LINK.saturating_mul(u32::try_from(self.closed_links).unwrap_or(u32::MAX));
        let longest = self.timing.reconnect_period.max(crowd).min(MAX_RECONNECT_PAUSE);
        let pause = FIRST_RECONNECT_PAUSE.saturating_mul(1 << attempts.min(10)).min(longest);
        pause.checked_sub(self.rng.up_to(pause / 4)).unwrap()
    }

    /// Sends a PING and counts the silence from it, if none was pending.
    pub(crate) fn send_ping(&mut self, link: &mut Link, endpoint: &Endpoint) {
        let now: Instant = self.mono();
        if link.awaits(&Asked::Ping) {
            return;
        }
        self.sign_in_again(link);
        if !self.send(link, Asked::Ping, Message::Ping) {
            return;
        }
        link.ping_sent_at = Some(now);
        if link.silent_since.is_none() {
            link.silent_since = Some(now);
            link.vitals.set_ping_sent(Some(now));
        }
        self.check_silence(link, endpoint);
    }

    /// Tries the login again that was refused, now and then.
    ///
    /// Redis 8.0 does not answer a refused AUTH that it has read together with commands before it: every later answer
    /// would be taken for that to another question. So nothing is under way, and it goes first.
    fn sign_in_again(&mut self, link: &mut Link) {
        if link.in_flight.len() > 0 {
            return;
        }
        let now = self.mono();
        let tried = link.login_tried_at.filter(|_| link.denials.refuse_login());
        let due = tried.is_some_and(|at| now.since(at) >= LOGIN_AGAIN_AFTER);
        let Some(pass) = link.target.pass.clone().filter(|_| due && !link.awaits(&Asked::SignIn)) else { return };
        let message = Message::SignIn { user: link.target.user.clone(), pass };
        if self.send(link, Asked::SignIn, message) {
            link.login_tried_at = Some(now);
        }
    }
}

impl Watch<'_> {
    /// It is the turn of a data node that waited for its first connection.
    pub(crate) fn dial_in_turn(&mut self, id: NodeId) {
        let endpoint = self.endpoint(id);
        let Some(node) = self.master.nodes.get_mut(id).filter(|node| node.link.waits) else { return };
        self.ctx.dial_first(&mut node.link, endpoint);
        // From now on its silence counts.
        self.evaluate_node(id);
    }

    /// Says in the reference's words that an instance cannot be connected to. The reference does so for each of its
    /// two connections and with every attempt, a second apart; here attempts are many, and only the first is told of.
    pub(crate) fn tell_of_failed_connection(&mut self, subject: &Subject, links: &[&str], why: &str) {
        let name = self.master.name.clone();
        for link in links {
            self.ctx.notice(Topic::Link, Some(&name), format!("-{link}-link-reconnection {subject} #{why}"));
        }
    }

    /// The same of another Sentinel.
    pub(crate) fn peer_connection_failed(&mut self, id: &SentinelId, why: &str) {
        if let Some(peer) = self.master.peers.get(id) {
            let subject = self.master.subject_of_peer(id, &peer.addr);
            self.tell_of_failed_connection(&subject, &["cmd"], why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quorum;

    #[test]
    fn weakness_19_commands_renamed_on_data_nodes_keep_their_names_for_peers() {
        let mut settings = MasterSettings::new(Quorum::new(1).unwrap());
        settings.rename_commands.insert("PING".to_owned(), "GUESS".to_owned());
        let id = SentinelId::new(&"a".repeat(40)).unwrap();
        let addr: HostPort = "127.0.0.1:6379".parse().unwrap();
        assert_eq!(node_target(&id, &settings, addr.clone()).rename_commands["PING"], "GUESS");
        assert!(peer_target(&id, &GlobalSettings::default(), addr).rename_commands.is_empty());
    }
}
