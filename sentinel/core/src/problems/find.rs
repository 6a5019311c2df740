//! Finding what is wrong. Nothing here changes anything.

use std::{fmt::Write as _, time::Duration};

use super::{Code, Scope, Severity, book::Found};
use crate::{
    context::Context,
    detect::DownCause,
    failover::Failover,
    guard::Vacancy,
    monitor::{Condition, TOLD_FOR},
    scripts::Failing,
    select::{Place, Refusal},
    state::{Identity, Link, Node, Peer, PeerLink, PeerLinks},
    time::Instant,
    types::{MasterName, SentinelId},
    view::Role,
    watch::Watch,
};

/// Attempts to connect that fail before a Sentinel is held for one that cannot be reached: some 100 ms where it refuses.
const ATTEMPTS: u32 = 3;
/// So many periods between hellos a Sentinel has to be discovered.
const DISCOVERY: u32 = 3;
/// Names that one sentence lists.
const LISTED: usize = 16;

/// A replica with its place among the candidates, or why it has none.
pub(super) type Ranked<'a> = (&'a Node, Result<Place, Refusal>);

/// How many Sentinels can be reached, and how many must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) usable: usize,
    pub(crate) known: usize,
    pub(crate) quorum: usize,
    pub(crate) majority: usize,
}

impl Reach {
    /// How many it takes to replace a master.
    pub(crate) fn needed(self) -> usize {
        self.quorum.max(self.majority)
    }

    pub(crate) fn is_enough(self) -> bool {
        self.usable >= self.needed()
    }
}

/// Whether a Sentinel could be asked now, as far as we know. One whose connection has just been lost is dialled first.
pub(crate) fn is_usable(peer: &Peer, shared: &PeerLink) -> bool {
    peer.sdown_since.is_none() && is_reached(shared)
}

fn is_reached(shared: &PeerLink) -> bool {
    let given_up = !shared.link.is_up() && shared.link.is_watched() && shared.link.attempts > ATTEMPTS;
    !given_up && shared.impostor.is_none() && !matches!(shared.identity, Identity::Unproven(_))
}

/// Why a Sentinel is not usable.
pub(crate) fn why_unusable(shared: &PeerLink, now: Instant) -> String {
    match (&*shared.impostor, &shared.identity) {
        (Some(impostor), _) => impostor.to_string(),
        (_, Identity::Unproven(why)) if shared.link.is_up() => why.text().to_owned(),
        _ => DownCause::of_link(&shared.link, now).to_string(),
    }
}

impl Watch<'_> {
    /// How many Sentinels could agree now.
    pub(crate) fn reach(&self) -> Reach {
        let usable = |(id, peer): &(&_, &Peer)| self.peers.get(*id).is_some_and(|shared| is_usable(peer, shared));
        Reach {
            usable: 1 + self.master.peers.iter().filter(usable).count(),
            known: self.master.voters(),
            quorum: usize::try_from(self.master.settings.quorum.get()).unwrap_or(usize::MAX),
            majority: self.master.majority(),
        }
    }

    /// The Sentinels that are not usable, with the reason: `; <id> at <address>: <reason>`.
    pub(crate) fn list_unusable(&self) -> String {
        let mut text = String::new();
        let now = self.ctx.mono();
        let missing = self.master.peers.iter().filter_map(|(id, peer)| {
            let shared = self.peers.get(id)?;
            (!is_usable(peer, shared)).then_some((id, peer, shared))
        });
        for (id, peer, shared) in missing.take(LISTED) {
            let _ = write!(text, "; {id} at {}: {}", peer.addr, why_unusable(shared, now));
        }
        text
    }

    /// What is wrong with this master and its nodes.
    pub(super) fn find_problems(&self, candidates: Option<&[Ranked<'_>]>) -> Vec<Found> {
        let mut found = Vec::new();
        self.of_the_master(&mut found);
        self.of_the_quorum(&mut found);
        self.of_the_peers(&mut found);
        if let Some(candidates) = candidates {
            self.of_the_candidates(candidates, &mut found);
        }
        let nodes = self.master.nodes.values().take(super::book::MOST);
        for node in nodes {
            self.of_node(node, &mut found);
        }
        found
    }

    fn master_scope(&self) -> Scope {
        Scope::Master { name: self.master.name.clone(), addr: self.master.addr().clone() }
    }

    fn node_scope(&self, node: &Node) -> Scope {
        Scope::Node { master: self.master.name.clone(), addr: node.addr.clone() }
    }

    fn of_the_master(&self, found: &mut Vec<Found>) {
        let node = self.master.node();
        if let Some(since) = node.sdown_since {
            let how = if self.master.odown_since.is_some() { "objectively" } else { "subjectively" };
            let text = format!("the master is {how} down: {}", self.cause_of(node.id));
            found.push(Found::new(Code::MasterDown, self.master_scope(), text).since(Some(since)));
        }
        if self.paused_until().is_some() {
            let reason = self.master.settings.pause_reason.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
            let text = format!("an operator has paused failovers{reason}");
            found.push(Found::new(Code::Paused, self.master_scope(), text));
        }
        let settings = &self.master.settings;
        let failing = self.master.failing_scripts.iter().filter(|(kind, it)| kind.of(settings) == Some(&*it.path));
        let failing: Vec<String> = failing.map(|(_, Failing { path, how })| format!("{path}: {how}")).collect();
        if !failing.is_empty() {
            found.push(Found::new(Code::ScriptFailing, self.master_scope(), failing.join("; ")));
        }
        if matches!(self.master.vacancy, Vacancy::Told { .. }) {
            let text = "no node is a master; the configured one says that it is a replica".to_owned();
            found.push(Found::new(Code::NoMaster, self.master_scope(), text).urgent(true));
        }
    }

    fn of_the_quorum(&self, found: &mut Vec<Found>) {
        let reach = self.reach();
        let Reach { usable, known, quorum, majority } = reach;
        // A master that was just given has yet to be told of by the others.
        let unknown_yet =
            known < quorum && self.master.known_for(self.ctx.mono()) < DISCOVERY * self.ctx.timing.publish_period;
        if !reach.is_enough() && !unknown_yet {
            let text = format!(
                "no failover is possible: {usable} of {known} Sentinels can agree, quorum {quorum} and majority {majority} are needed{}",
                self.list_unusable()
            );
            found.push(Found::new(Code::QuorumLost, self.master_scope(), text));
        } else if usable < known && usable == reach.needed() {
            let text =
                format!("{usable} of {known} Sentinels can agree, and all of them are needed{}", self.list_unusable());
            found.push(Found::new(Code::OneLossFromQuorum, self.master_scope(), text));
        }
    }

    /// What the others believe of this master.
    fn of_the_peers(&self, found: &mut Vec<Found>) {
        let mut texts = Vec::new();
        for (id, peer) in &self.master.peers {
            let (Some(claim), Some(shared)) = (&peer.claim, self.peers.get(id)) else { continue };
            let fresh = self.ctx.mono().since(peer.hello_at) < 5 * self.ctx.timing.publish_period;
            let elsewhere = !self.ctx.names.same(&claim.addr, self.master.addr());
            if fresh && shared.speaks() && (elsewhere || claim.config_epoch != self.master.config_epoch) {
                texts.push(format!("{id} names {} of epoch {}", claim.addr, claim.config_epoch));
            }
        }
        if !texts.is_empty() && self.master.failover.is_none() {
            texts.truncate(LISTED);
            let text = format!(
                "Sentinels disagree: here it is {} of epoch {}; {}",
                self.master.addr(),
                self.master.config_epoch,
                texts.join("; ")
            );
            found.push(Found::new(Code::PeersDisagree, self.master_scope(), text));
        }
    }

    fn of_the_candidates(&self, candidates: &[Ranked<'_>], found: &mut Vec<Found>) {
        if candidates.iter().any(|(_, place)| place.is_ok()) {
            return;
        }
        let down = self.master.node().sdown_since.is_some();
        let reasons = candidates.iter().filter_map(|(node, place)| {
            let why = place.as_ref().err()?;
            Some(format!("{}: {}", node.addr, why.without_numbers()))
        });
        let mut reasons: Vec<String> = reasons.take(LISTED).collect();
        reasons.sort();
        let text = if reasons.is_empty() {
            "no replica is known: nobody could take the master's place".to_owned()
        } else {
            format!("no replica could be promoted: {}", reasons.join("; "))
        };
        // Right after the master went down each is asked anew: that is waited for.
        let asked = |place: &Result<_, Refusal>| matches!(place, Err(Refusal::InfoTooOld(_)));
        let urgent = down && !candidates.iter().any(|(_, place)| asked(place));
        let severity = if down { Severity::Critical } else { Severity::Warning };
        found.push(
            Found::new(Code::NoEligibleReplica, self.master_scope(), text).with_severity(severity).urgent(urgent),
        );
    }

    fn of_node(&self, node: &Node, found: &mut Vec<Found>) {
        let is_master = node.id == self.master.current;
        let scope = || self.node_scope(node);
        if let Some(denied) = node.link.denials.summary(&node.link.target, &self.master.name) {
            found.push(Found::new(Code::AccessDenied, scope(), denied.to_string()));
        }
        if let Some(text) = lost_name(self.ctx, &node.link) {
            found.push(Found::new(Code::NameNotResolved, scope(), text));
        }
        if node.is_reachable() {
            self.of_condition(node, found);
        }
        if is_master {
            return;
        }
        if node.stranger {
            let text = "its data are of another history than the master's".to_owned();
            found.push(Found::new(Code::ForeignHistory, scope(), text));
        }
        if let Some(since) = node.sdown_since {
            let text = format!("the replica is down: {}", self.kind_of_cause(node));
            found.push(Found::new(Code::ReplicaDown, scope(), text).since(Some(since)));
            return;
        }
        if !node.is_reachable() || node.info_at.is_none() || node.stranger {
            return;
        }
        let moving = self.master.failover.as_ref().is_some_and(|it| !it.has_switched() || it.candidate().is_some());
        if node.info.role == Some(Role::Master) && !moving {
            let text = format!("it says that it is a master, beside {}", self.master.addr());
            found.push(Found::new(Code::TwoMasters, scope(), text));
        }
        let master_is_well = self.master.node().is_reachable() && self.master.node().role == Role::Master;
        if node.info.role == Some(Role::Replica) && !node.info.link_up && master_is_well {
            found.push(self.lost_link(node));
        }
    }

    /// What its INFO tells that no decision depends on.
    fn of_condition(&self, node: &Node, found: &mut Vec<Found>) {
        let Condition { refuses_writes, clock_is_off, short_backlog } = *node.condition;
        if clock_is_off {
            let text = "its clock and that of this Sentinel's host differ by more than 10 s".to_owned();
            found.push(Found::new(Code::ClockSkew, self.node_scope(node), text));
        }
        if node.id != self.master.current {
            return;
        }
        if refuses_writes {
            let text = "it refuses every write: no replica counts for its min-replicas-to-write".to_owned();
            found.push(Found::new(Code::MinReplicasUnsatisfiable, self.node_scope(node), text));
        }
        if let Some(bytes) = short_backlog {
            let text = format!(
                "its backlog of {bytes} bytes holds less than is written in down-after: a replica that is away as long must \
                 copy everything"
            );
            found.push(Found::new(Code::BacklogTooSmall, self.node_scope(node), text));
        }
    }

    fn lost_link(&self, node: &Node) -> Found {
        let source =
            node.info.source.as_ref().map_or_else(|| "nobody".to_owned(), |(host, port)| format!("{host}:{port}"));
        let how = if node.info.was_linked() { "is down" } else { "has never been up" };
        let login = if self.master.settings.auth_pass.is_some() {
            "; the master wants a login, so `masterauth` there may be wrong"
        } else {
            ""
        };
        let text = format!("its link to {source} {how}{login}");
        let since = u64::try_from(node.info.link_down_ms)
            .ok()
            .zip(node.info_at)
            .map(|(ms, at)| at.before(Duration::from_millis(ms)));
        let moving = self.master.failover.as_ref().is_some_and(Failover::has_switched);
        let severity = if moving { Severity::Info } else { Severity::Warning };
        Found::new(Code::ReplicaLinkDown, self.node_scope(node), text).since(since).with_severity(severity)
    }

    /// The cause without the numbers that grow with every look.
    fn kind_of_cause(&self, node: &Node) -> String {
        match self.cause_of(node.id) {
            DownCause::Silent(_) => "silent".to_owned(),
            cause => cause.to_string(),
        }
    }
}

/// What is said of an instance whose name does not resolve. While a connection stands nobody looks the name up.
fn lost_name(ctx: &Context, link: &Link) -> Option<String> {
    let host = Some(&link.target.addr.host).filter(|host| !link.is_up() && ctx.names.is_lost(host))?;
    Some(match ctx.names.ip(host) {
        Some(ip) => format!("{host} does not resolve; its last address {ip} is used on"),
        None => format!("{host} does not resolve"),
    })
}

/// What is wrong with this process and the other Sentinels.
pub(super) fn of_process(ctx: &Context, peers: &PeerLinks) -> Vec<Found> {
    let now = ctx.mono();
    let mut found = Vec::new();
    let mut add = |code, text: String, since| found.push(Found::new(code, Scope::Process, text).since(since));
    if let Some(since) = ctx.tilt_since {
        add(
            Code::Tilt,
            "this process stood still: nothing is acted on until all have been asked again".to_owned(),
            Some(since),
        );
    }
    if let Some(error) = &ctx.durability.error {
        add(Code::StateNotSaved, format!("the state cannot be written: {error}"), None);
    } else if ctx.durability.is_slow(now) {
        add(Code::SlowDisk, "a write of the state took longer than 500 ms within the last minute".to_owned(), None);
    }
    let configuration = [&ctx.configuration.overwritten, &ctx.configuration.differs];
    let configuration: Vec<&str> = configuration.into_iter().flatten().map(|text| &**text).collect();
    if !configuration.is_empty() {
        add(Code::ConfigurationNotTaken, format!("the configuration: {}", configuration.join("; ")), None);
    }
    if let Some(text) = &ctx.configuration.certificate {
        add(Code::CertificateExpires, text.to_string(), None);
    }
    if let Some((addr, _)) = ctx.own_id.elsewhere().filter(|(_, at)| now.since(*at) < TOLD_FOR) {
        add(Code::DuplicateId, format!("another process uses the id of this Sentinel, at {addr}"), None);
    }
    if ctx.is_starved() {
        let text = "instances cannot be connected to, and are not watched: this process has no room for connections";
        add(Code::Descriptors, text.to_owned(), None);
    }
    for (id, shared) in peers.iter().take(super::book::MOST) {
        of_peer(ctx, id, shared, &mut found);
    }
    found
}

fn of_peer(ctx: &Context, id: &SentinelId, shared: &PeerLink, found: &mut Vec<Found>) {
    let scope = || Scope::Peer { id: id.clone(), addr: ctx.shown(&shared.link.target.addr) };
    let now = ctx.mono();
    let silent = shared.link.unavailable_since().filter(|at| now.since(*at) >= 2 * shared.link.silence_limit);
    match (&*shared.impostor, &shared.identity) {
        (Some(impostor), _) => found.push(Found::new(Code::PeerElsewhere, scope(), impostor.to_string())),
        (_, Identity::Unproven(why)) if shared.link.is_up() => {
            found.push(Found::new(Code::PeerUnproven, scope(), format!("what it says does not count: {}", why.text())));
        }
        _ if shared.link.is_watched() && (silent.is_some() || !is_reached(shared)) => {
            let cause = match DownCause::of_link(&shared.link, now) {
                DownCause::Silent(_) => "silent".to_owned(),
                cause => cause.to_string(),
            };
            let text = format!("the Sentinel cannot be reached: {cause}");
            found.push(Found::new(Code::PeerUnreachable, scope(), text).since(shared.link.unavailable_since()));
        }
        (_, Identity::Withheld) if shared.link.is_up() => {
            let text = "it does not say who it is, and counts as long as nothing speaks against it".to_owned();
            found.push(Found::new(Code::PeerUnidentified, scope(), text));
        }
        _ => {}
    }
    if let Some(text) = lost_name(ctx, &shared.link) {
        found.push(Found::new(Code::NameNotResolved, scope(), text));
    }
    // What is denied is the same for every master; the remedy names one.
    let name = MasterName::new("<master>").ok();
    if let Some(denied) = name.and_then(|name| shared.link.denials.summary(&shared.link.target, &name)) {
        found.push(Found::new(Code::AccessDenied, scope(), denied.to_string()));
    }
}
