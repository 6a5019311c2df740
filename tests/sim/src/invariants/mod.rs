//! What must never happen, and what must happen in time. One file for each rule.
//!
//! The rules watch what Sentinels say and do, and what they are told; they do not look into the engine.

mod acknowledged;
mod bounded;
mod configurations;
mod convergence;
mod demotion;
mod durable;
mod emptied;
mod epochs;
mod heeded;
mod history;
mod lag;
mod leaders;
mod logins;
mod majority;
mod overruled;
mod pause;
mod problems;
mod promotion;
mod signed;
mod told;
mod votes;

use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::{
    Message, Snapshot,
    command::Change,
    events::Event,
    types::{Epoch, HostPort, SentinelId},
};
use sentinel_resp::Reply;

use crate::{guards::Guards, packet::InfoFacts, physics::HostId, time::Time};

pub use acknowledged::{Losses, count_losses};
pub use bounded::losses_are_bounded;
pub use convergence::{Disagreement, converged};
pub use overruled::{Overruled, count_overruled};
pub use problems::{CLEARED_WITHIN, Seen, left_over};

/// Something that a rule may want to know.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields are who it is about and what was said")]
pub enum Observation<'a> {
    /// A Sentinel starts from what is on its disk.
    Started { sentinel: HostId, snapshot: &'a Snapshot },
    /// A state is on a Sentinel's disk.
    Durable { sentinel: HostId, snapshot: &'a Snapshot },
    /// A Sentinel's link is ready.
    LinkUp { sentinel: HostId, to: HostId },
    /// A Sentinel's link is gone.
    LinkDown { sentinel: HostId, to: HostId },
    /// A data node serves a Sentinel nothing without another login.
    ShutOut { sentinel: HostId, by: HostId },
    /// A hello reaches a Sentinel.
    Heard { sentinel: HostId, hello: Hello<'a> },
    /// A Sentinel says hello; none: what it says is none.
    Said { sentinel: HostId, hello: Option<Hello<'a>> },
    /// A Sentinel sends something else.
    Sent { sentinel: HostId, to: HostId, message: &'a Message },
    /// A Sentinel is answered.
    Answered { sentinel: HostId, from: HostId, reply: &'a Reply, facts: Option<&'a InfoFacts> },
    /// A Sentinel answers a request for its vote.
    Voted { sentinel: HostId, group: usize, verdict: Option<Verdict> },
    /// A Sentinel tells of an event.
    Event { sentinel: HostId, event: &'a Event },
    /// A Sentinel says that it was elected.
    Elected { sentinel: HostId, group: usize, forced: bool },
    /// An operator's command.
    Operator { sentinel: HostId, change: &'a Change },
}

/// The three parts of an answer to is-master-down-by-addr.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the master is down.
    pub down: bool,
    /// Whom the vote is for.
    pub leader: Option<String>,
    /// In which epoch.
    pub epoch: u64,
}

impl Verdict {
    /// Reads an answer.
    pub fn read(reply: &Reply) -> Option<Self> {
        // Behind it stands the signature, if there is one.
        let [down, leader, epoch, ..] = reply.as_items()? else { return None };
        let leader = leader.as_text().filter(|text| *text != "*").map(str::to_owned);
        Some(Verdict { down: down.as_integer()? == 1, leader, epoch: u64::try_from(epoch.as_integer()?).ok()? })
    }
}

/// No election gets this far: these epochs are only in hellos that somebody has forged.
pub const FORGED: u64 = 1_000_000;

/// A hello, read independently of the engine.
#[derive(Clone, Copy, Debug)]
pub struct Hello<'a> {
    pub(crate) current_epoch: u64,
    pub(crate) master: &'a str,
    ip: &'a str,
    port: &'a str,
    pub(crate) config_epoch: u64,
    pub(crate) is_signed: bool,
}

impl<'a> Hello<'a> {
    /// Reads the eight fields, and whether something that looks like a signature is behind them.
    pub fn read(payload: &'a str) -> Option<Self> {
        let mut rest = payload;
        let mut next = || {
            // Fields are short, and nothing is read more often.
            let at = rest.bytes().position(|byte| byte == b',')?;
            let field = &rest[..at];
            rest = &rest[at + 1..];
            Some(field)
        };
        let (_ip, _port, _id) = (next()?, next()?, next()?);
        let current_epoch = next()?.parse().ok()?;
        let (master, ip, port) = (next()?, next()?, next()?);
        let (config_epoch, signature) = rest.split_once(';').unwrap_or((rest, ""));
        let is_signed = signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Hello { current_epoch, master, ip, port, config_epoch: config_epoch.parse().ok()?, is_signed })
    }

    /// Whether it tells an epoch that nobody has made.
    pub(crate) const fn is_forged(&self) -> bool {
        self.current_epoch >= FORGED || self.config_epoch >= FORGED
    }

    /// The address of the master, as it is shown elsewhere.
    pub(crate) fn addr(&self) -> String {
        format!("{}:{}", self.ip, self.port)
    }

    /// Whether the master is at this place, by name or by address, as it is shown elsewhere.
    pub(crate) fn is_at(&self, setting: &Setting, addr: &str) -> bool {
        let literally = || addr.strip_prefix(self.ip).and_then(|rest| rest.strip_prefix(':')) == Some(self.port);
        let place = |text: &str| text.parse().ok().and_then(|addr| setting.node_at(&addr));
        literally() || place(addr).is_some_and(|node| place(&self.addr()) == Some(node))
    }
}

/// What the rules know of the world from the beginning.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Names of the groups.
    pub groups: Vec<String>,
    /// The Sentinels' identities, by host.
    pub ids: Vec<Option<SentinelId>>,
    /// The data nodes' first addresses and groups, by host.
    pub nodes: Vec<Option<(HostPort, usize)>>,
    /// What the names among these resolve to at first.
    pub behind: Vec<Option<HostPort>>,
    /// The quorum of every group.
    pub quorum: usize,
    /// down-after
    pub down_after: Time,
    /// What was asked for.
    pub guards: Guards,
}

impl Setting {
    /// How many Sentinels there are.
    pub fn sentinels(&self) -> usize {
        self.ids.iter().flatten().count()
    }

    /// The host of a Sentinel.
    pub fn host_of(&self, id: &str) -> Option<HostId> {
        self.ids.iter().position(|it| it.as_ref().is_some_and(|it| it.as_str() == id))
    }

    /// The data node at an address.
    pub fn node_at(&self, addr: &HostPort) -> Option<HostId> {
        let known = |it: &Option<(HostPort, usize)>| it.as_ref().is_some_and(|(it, _)| it == addr);
        let behind = || self.behind.iter().position(|it| it.as_ref() == Some(addr));
        self.nodes.iter().position(known).or_else(behind)
    }

    /// Whether both are the same place, by name or by address.
    pub fn is_same(&self, one: &HostPort, other: &HostPort) -> bool {
        one == other || self.node_at(one).is_some_and(|node| self.node_at(other) == Some(node))
    }

    /// The same for addresses as they are shown.
    pub fn is_one_place(&self, one: &str, other: &str) -> bool {
        one == other || one.parse().ok().zip(other.parse().ok()).is_some_and(|(one, other)| self.is_same(&one, &other))
    }

    /// The group of the data node at an address.
    pub fn group_at(&self, addr: &HostPort) -> Option<usize> {
        self.node_at(addr).and_then(|node| self.nodes[node].as_ref()).map(|(_, group)| *group)
    }

    /// The group of that name.
    pub fn group_named(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|it| it == name)
    }
}

/// One rule.
pub(crate) trait Invariant: std::fmt::Debug {
    /// The rule in words.
    fn rule(&self) -> &'static str;

    /// The sorts of observations that it looks at. Most look at none of the most frequent ones.
    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Other]
    }

    /// Looks at one observation. The error says what happened.
    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String>;
}

/// Sorts of observations, as far as it matters for speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// PING and INFO are sent, a hello is taken: no rule says when or how often.
    Routine,
    /// A status in answer to PING.
    Pong,
    /// A hello that was heard.
    Heard,
    /// A hello that is said.
    Said,
    /// All others.
    Other,
}

impl Sort {
    const ALL: [Sort; 5] = [Sort::Routine, Sort::Pong, Sort::Heard, Sort::Said, Sort::Other];

    const fn of(observation: &Observation<'_>) -> Self {
        match observation {
            Observation::Sent { message: Message::Ping | Message::Info, .. }
            | Observation::Answered { reply: Reply::Integer(_), .. } => Sort::Routine,
            Observation::Answered { reply: Reply::Status(_), .. } => Sort::Pong,
            Observation::Heard { .. } => Sort::Heard,
            Observation::Said { .. } => Sort::Said,
            _ => Sort::Other,
        }
    }
}

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Time,
    /// Which rule.
    pub rule: &'static str,
    /// What happened.
    pub what: String,
}

/// All rules.
#[derive(Debug)]
pub struct Checks {
    setting: Setting,
    rules: Vec<Box<dyn Invariant>>,
    /// The rules that look at each sort of observation.
    lookers: [Vec<usize>; Sort::ALL.len()],
    violation: Option<Violation>,
    /// The master of each group to each Sentinel.
    in_force: BTreeMap<(HostId, usize), HostPort>,
    /// When `+switch-master` was told, of which group.
    switches: Vec<(Time, usize)>,
    /// Failovers that promoted a replica.
    pub promotions: u64,
    /// Elections that were tried.
    pub elections: u64,
    candidacies: Candidacies,
    /// Groups and epochs in which somebody stood, and those in which somebody was elected.
    stood: BTreeSet<(usize, u64)>,
    decided: BTreeSet<(usize, u64)>,
    /// Masters that died alone: when.
    died: BTreeMap<usize, Time>,
    /// From each such death to the first `+switch-master`.
    pub failover_times: Vec<Time>,
}

impl Checks {
    /// All rules, about a world.
    pub fn new(setting: Setting) -> Self {
        let rules: Vec<Box<dyn Invariant>> = vec![
            Box::<leaders::OneLeader>::default(),
            Box::<votes::OneVote>::default(),
            Box::<epochs::Forward>::default(),
            Box::<durable::DurableFirst>::default(),
            Box::<promotion::FitReplica>::default(),
            Box::<configurations::OneMaster>::default(),
            Box::<majority::Majority>::default(),
            Box::<demotion::KeepTheMaster>::default(),
            Box::<history::OneHistory>::default(),
            Box::<lag::BoundedLag>::default(),
            Box::<pause::Pause>::default(),
            Box::<emptied::KeepTheData>::default(),
            Box::<heeded::Heeded>::default(),
            Box::<signed::Signed>::default(),
            Box::<logins::Alive>::default(),
        ];
        let lookers = Sort::ALL.map(|sort| {
            let looking = rules.iter().enumerate().filter(|(_, rule)| rule.looks_at().contains(&sort));
            looking.map(|(number, _)| number).collect()
        });
        Checks {
            setting,
            rules,
            lookers,
            violation: None,
            in_force: BTreeMap::new(),
            switches: Vec::new(),
            promotions: 0,
            elections: 0,
            candidacies: Candidacies::default(),
            stood: BTreeSet::new(),
            decided: BTreeSet::new(),
            died: BTreeMap::new(),
            failover_times: Vec::new(),
        }
    }

    /// Lets every rule look.
    pub fn observe(&mut self, now: Time, observation: &Observation<'_>) {
        let sort = Sort::of(observation);
        if sort == Sort::Other {
            self.note(now, observation);
        }
        for number in &self.lookers[sort as usize] {
            let rule = &mut self.rules[*number];
            if let Err(what) = rule.observe(now, &self.setting, observation)
                && self.violation.is_none()
            {
                self.violation = Some(Violation { at: now, rule: rule.rule(), what });
            }
        }
    }

    fn note(&mut self, now: Time, observation: &Observation<'_>) {
        self.candidacies.observe(&self.setting, observation);
        match observation {
            Observation::Event { sentinel, event: Event::VoteForLeader { epoch, master, .. } } => {
                let group = self.setting.group_named(master.as_str());
                let stood = group.filter(|group| self.candidacies.of(*sentinel, *group) == epoch.get());
                self.stood.extend(stood.map(|group| (group, epoch.get())));
            }
            Observation::Elected { sentinel, group, .. } => {
                self.decided.insert((*group, self.candidacies.of(*sentinel, *group)));
            }
            _ => {}
        }
        if let Observation::Event { event, .. } = observation {
            match event {
                Event::PromotedReplica(_) => self.promotions += 1,
                Event::TryFailover(_) => self.elections += 1,
                Event::SwitchMaster { name, .. } => {
                    self.switches.extend(self.setting.group_named(name.as_str()).map(|group| (now, group)));
                    let died = self.setting.group_named(name.as_str()).and_then(|group| self.died.remove(&group));
                    self.failover_times.extend(died.map(|at| now - at));
                }
                _ => {}
            }
        }
        self.note_masters(observation);
    }

    fn note_masters(&mut self, observation: &Observation<'_>) {
        let mut note = |sentinel: HostId, name: &str, addr: &HostPort| {
            if let Some(group) = self.setting.group_named(name) {
                self.in_force.insert((sentinel, group), addr.clone());
            }
        };
        match observation {
            Observation::Started { sentinel, snapshot } => {
                for it in &snapshot.masters {
                    note(*sentinel, it.name.as_str(), &it.addr);
                }
            }
            Observation::Event { sentinel, event: Event::SwitchMaster { name, new, .. } } => {
                note(*sentinel, name.as_str(), new);
            }
            Observation::Operator { sentinel, change: Change::Monitor(new) } => {
                note(*sentinel, new.name.as_str(), &new.addr);
            }
            _ => {}
        }
    }

    /// Whether every Sentinel has another master in force than this node.
    pub fn overrule(&self, group: usize, node: HostId) -> bool {
        let mut of_group = self.in_force.iter().filter(|((_, of), _)| *of == group);
        of_group.all(|(_, master)| self.setting.node_at(master) != Some(node))
    }

    /// Whether some Sentinel has this node in force as the master.
    pub fn is_in_force(&self, group: usize, node: HostId) -> bool {
        let mut of_group = self.in_force.iter().filter(|((_, of), _)| *of == group);
        of_group.any(|(_, master)| self.setting.node_at(master) == Some(node))
    }

    /// Epochs in which somebody stood, and nobody was elected.
    pub fn undecided(&self) -> u64 {
        self.stood.difference(&self.decided).count() as u64
    }

    /// When `+switch-master` was told, of which group.
    pub fn switches(&self) -> &[(Time, usize)] {
        &self.switches
    }

    /// A master died while all else was well.
    pub fn master_died(&mut self, now: Time, group: usize) {
        self.died.insert(group, now);
    }

    /// Notes a broken rule that somebody else has seen.
    pub fn violate(&mut self, at: Time, rule: &'static str, what: String) {
        self.violation.get_or_insert(Violation { at, rule, what });
    }

    /// The first rule that was broken.
    pub const fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// What the rules know of the world.
    pub const fn setting(&self) -> &Setting {
        &self.setting
    }
}

/// The epoch of the last candidacy of each Sentinel for each group, from its own events.
#[derive(Debug, Default)]
pub(crate) struct Candidacies(BTreeMap<(HostId, usize), Epoch>);

impl Candidacies {
    pub(crate) fn observe(&mut self, setting: &Setting, observation: &Observation<'_>) {
        if let Observation::Event { sentinel, event: Event::VoteForLeader { id, epoch, master } } = observation
            && setting.ids[*sentinel].as_ref() == Some(id)
            && let Some(group) = setting.group_named(master.as_str())
        {
            self.0.insert((*sentinel, group), *epoch);
        }
    }

    pub(crate) fn of(&self, sentinel: HostId, group: usize) -> u64 {
        self.0.get(&(sentinel, group)).map_or(0, |epoch| epoch.get())
    }
}
