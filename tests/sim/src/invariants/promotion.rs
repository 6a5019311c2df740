use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::{
    command::{Change, MasterSetting},
    events::{Event, Subject},
    settings::{master::DOWN_AFTER, row::Value},
    types::HostPort,
};
use sentinel_resp::Reply;

use super::{Invariant, Observation, Setting, Sort, emptied::Emptying};
use crate::{
    packet::InfoFacts,
    physics::HostId,
    time::{SEC, Time},
};

/// No promotion of a node that is down, of priority 0, without the group's data, or staler than another candidate.
///
/// What counts is what the Sentinel was told: the last INFO that reached it, with the truth of the moment in which it
/// was made.
#[derive(Debug, Default)]
pub(super) struct FitReplica {
    known: BTreeMap<(HostId, HostId), Known>,
    /// Since when a Sentinel says that a group's master is down.
    master_down: BTreeMap<(HostId, usize), Time>,
    down: BTreeSet<(HostId, HostId)>,
    /// Who has told that nobody is the master of a group, since the last switch.
    vacant: BTreeSet<(HostId, usize)>,
    /// Whom an operator has named, until that failover ends. One that does not win its epoch is begun anew in the next.
    ordered: BTreeMap<(HostId, usize), (HostId, Time)>,
    /// `down-after-milliseconds`, where an operator has set another one: it outlives a restart.
    down_after: BTreeMap<(HostId, usize), Time>,
    /// Who has refused the login of whom.
    denied: BTreeSet<(HostId, HostId)>,
    masters: BTreeMap<(HostId, usize), HostId>,
    /// When a Sentinel told last that it had stood still: nobody was heard meanwhile, which says nothing of them.
    stood_still: BTreeMap<HostId, Time>,
    emptying: Emptying,
    /// Nodes of which a Sentinel knows nothing that speaks of data, and has not heard since: it was told to forget them
    /// (RESET), or they showed no keys before it was started anew, and its state file says so.
    unheard: BTreeSet<(HostId, HostId)>,
}

/// What a node tells by its clock is that much off when the clock was set.
const CLOCK_LEAP: Time = SEC;
/// `info-period`, with answers that are late.
const BETWEEN_REPORTS: Time = 13 * SEC;

#[derive(Debug, Default)]
struct Known {
    linked: bool,
    ponged_at: Option<Time>,
    info: Option<(Time, InfoFacts)>,
    /// Its start that it has proved to be one without data, while it is a master that nobody has followed since.
    empty_start: Option<u32>,
    /// From which node, in which of its lives, it has the data that it holds.
    source: Option<(HostId, u32)>,
}

impl Known {
    /// `source`: the node that it says it is linked to.
    fn read(&mut self, now: Time, facts: &InfoFacts, source: Option<(HostId, u32)>) {
        let same = self.info.as_ref().is_some_and(|(_, it)| it.life == facts.life && it.replid == facts.replid);
        if facts.linked_to.is_some() || !facts.replica || !same {
            self.source = source;
        }
        let unfollowed = !facts.replica && facts.offset <= 1;
        if !unfollowed || self.empty_start.is_some_and(|life| life != facts.life) {
            self.empty_start = None;
        }
        if unfollowed && facts.shows_empty_start {
            self.empty_start = Some(facts.life);
        }
        self.info = Some((now, facts.clone()));
    }
}

/// Whether one node has less of the stream that another one was in before its data went a way of their own.
fn has_less(one: &InfoFacts, of: &InfoFacts) -> bool {
    let Some((stream, end)) = of.former else { return false };
    let in_it =
        if one.replid == stream { Some(one.offset) } else { one.former.filter(|it| it.0 == stream).map(|it| it.1) };
    in_it.is_some_and(|offset| offset < end)
}

impl FitReplica {
    /// Whether every node of a group, those included that are away, showed no keys of the group's when it told INFO
    /// last: a cache that was emptied, or data that are gone everywhere. What a stranger holds is not the group's.
    fn nobody_holds_data(&self, setting: &Setting, sentinel: HostId, group: usize) -> bool {
        let nodes =
            (0..setting.nodes.len()).filter(|node| setting.nodes[*node].as_ref().is_some_and(|it| it.1 == group));
        let shows_nothing = |node| {
            if self.unheard.contains(&(sentinel, node)) {
                return true;
            }
            self.known
                .get(&(sentinel, node))
                .and_then(|it| it.info.as_ref())
                .is_some_and(|(_, it)| it.keys == 0 || it.foreign)
        };
        nodes.into_iter().all(shows_nothing)
    }

    fn selected(&self, now: Time, setting: &Setting, sentinel: HostId, node: HostId) -> Result<(), String> {
        let fail = |why: String| Err(format!("Sentinel {sentinel} selects node {node}: {why}"));
        let Some(known) = self.known.get(&(sentinel, node)) else { return fail("never heard of".to_owned()) };
        if !known.linked {
            return fail("its link is down".to_owned());
        }
        if self.down.contains(&(sentinel, node)) {
            return fail("it is subjectively down".to_owned());
        }
        let longest = 5 * SEC + setting.down_after;
        let stood_still = self.stood_still.get(&sentinel).is_some_and(|at| now - at < longest);
        if known.ponged_at.is_none_or(|at| now - at > longest) && !stood_still {
            return fail(format!("its last PONG came at {:?}", known.ponged_at));
        }
        let Some((_, info)) = &known.info else { return fail("it has never answered INFO".to_owned()) };
        if info.replica && info.priority == 0 {
            return fail("its priority is 0".to_owned());
        }
        // An empty master that was demoted shows an offset, and a replication id, as one does that was restarted with
        // its data: of those that are left it may be the last resort. So may one that shows keys which it may have
        // loaded, to a Sentinel that has not seen it without any.
        let may_have_loaded = info.keys > 0 && known.empty_start.is_none();
        let group = setting.nodes[node].as_ref().map_or(0, |(_, group)| *group);
        let cache = info.keys == 0 && self.nobody_holds_data(setting, sentinel, group);
        let mut last_resort = info.offset > 1 || may_have_loaded;
        if !info.synced && !last_resort && !cache {
            return fail("it has never had the data".to_owned());
        }
        let fresh_from = self.master_down.get(&(sentinel, group)).copied();
        // Where nobody is the master, and it was asked for, any candidate will do.
        let any_will_do = setting.guards.promote_best_effort && self.vacant.contains(&(sentinel, group));
        let down_after = self.down_after.get(&(sentinel, group)).copied().unwrap_or(setting.down_after);
        let longest = 10 * down_after + fresh_from.map_or(0, |down| now - down) + SEC;
        // A clock that was set back hides for how long a link has been down, and one that was set at all when it broke
        // between two reports.
        let leapt = info.link_down.abs_diff(info.link_down_told) > CLOCK_LEAP;
        let longest_told = longest + if leapt { BETWEEN_REPORTS } else { 0 };
        if info.replica && info.link_down.min(info.link_down_told) > longest_told && !any_will_do {
            return fail(format!("its link to the master had been down for {} s", info.link_down / SEC));
        }
        // An operator may prefer a staler one, unless the master has died since.
        let was_named = self
            .ordered
            .get(&(sentinel, group))
            .is_some_and(|(named, at)| *named == node && fresh_from.is_none_or(|down| down <= *at));
        for ((of, other), it) in &self.known {
            let same = setting.nodes[*other].as_ref().is_some_and(|(_, it)| *it == group);
            if *of != sentinel || *other == node || !same || !it.linked || self.down.contains(&(sentinel, *other)) {
                continue;
            }
            let Some((at, theirs)) = &it.info else { continue };
            // A replica that came back with a file of its own while its master is away shows the offset of one that has
            // never had anything: nobody can tell the two apart, and it is none.
            let candidate = theirs.replica
                && !theirs.foreign
                && !theirs.stray
                && !theirs.loading
                && theirs.synced
                && theirs.offset > 1
                && theirs.priority != 0
                // It is no candidate unless its history is known.
                && !self.denied.contains(&(sentinel, *other))
                && theirs.link_down.max(theirs.link_down_told) < 9 * setting.down_after
                && it.ponged_at.is_some_and(|at| now - at < 4 * SEC)
                && now - at < 4 * SEC
                && fresh_from.is_some_and(|down| *at >= down);
            last_resort &= !candidate;
            // While it is being sent the nothing that an empty master has, one that still holds the data shows the
            // offset 1. One that has taken over that nothing shows a greater one, of another stream, and is no
            // candidate.
            let lost = |node| self.emptying.has_lost(setting, sentinel, node);
            if lost(node) == Some(false) && lost(*other) == Some(true) {
                continue;
            }
            // Whoever has it from this one has nothing that this one lacks, whatever it told earlier.
            if it.source == Some((node, info.life)) {
                continue;
            }
            if candidate && info.stray && !has_less(theirs, info) {
                return fail(format!("its data went a way of their own, node {other} holds the group's"));
            }
            // Offsets compare in one stream, and in one that goes on from it, up to where the master's went on under
            // another id: what either has beyond that went a way of its own.
            let theirs_in_ours = match theirs.former {
                _ if theirs.replid == info.replid => Some(theirs.offset),
                Some((former, end)) if former == info.replid => Some(theirs.offset.min(end)),
                _ => None,
            };
            let end = self.end_of(sentinel, group, info.replid);
            let more = theirs_in_ours.is_some_and(|offset| offset.min(end) > info.offset);
            // An interrupted copy shows no offset, and leaves the data of before: what is there counts.
            let kept_all = info.offset <= 1 && info.keys >= theirs.keys;
            if candidate && info.synced && theirs.priority == info.priority && more && !kept_all && !was_named {
                return fail(format!("its offset is {}, node {other}'s is {}", info.offset, theirs.offset));
            }
        }
        if !info.synced && !last_resort && !cache {
            return fail("it has never had the data, and another has".to_owned());
        }
        Ok(())
    }

    /// Up to which offset what goes by this id is the stream of the master, as it told.
    fn end_of(&self, sentinel: HostId, group: usize, replid: u64) -> u64 {
        let master = self.masters.get(&(sentinel, group)).and_then(|master| self.known.get(&(sentinel, *master)));
        let told = master.and_then(|known| known.info.as_ref()).map(|(_, info)| info).filter(|info| !info.replica);
        let former = told.and_then(|info| info.former).filter(|(former, _)| *former == replid);
        former.map_or(u64::MAX, |(_, end)| end)
    }

    fn note_master(&mut self, setting: &Setting, sentinel: HostId, name: &str, addr: &HostPort) {
        if let Some((group, node)) = setting.group_named(name).zip(setting.node_at(addr)) {
            self.masters.insert((sentinel, group), node);
        }
    }

    fn forget(&mut self, sentinel: HostId, which: impl Fn(HostId) -> bool) {
        for (_, known) in self.known.iter_mut().filter(|((of, node), _)| *of == sentinel && which(*node)) {
            known.empty_start = None;
        }
    }

    fn downs(&mut self, now: Time, setting: &Setting, sentinel: HostId, subject: &Subject, is_down: bool) {
        let (addr, group) = match subject {
            Subject::Master { name, addr } => {
                let Some(group) = setting.group_named(name.as_str()) else { return };
                if is_down {
                    self.master_down.insert((sentinel, group), now);
                } else {
                    self.master_down.remove(&(sentinel, group));
                }
                (addr, group)
            }
            Subject::Replica { addr, master, .. } => {
                let Some(group) = setting.group_named(master.as_str()) else { return };
                (addr, group)
            }
            Subject::Peer { .. } => return,
        };
        if let Some(node) =
            setting.node_at(addr).filter(|node| setting.nodes[*node].as_ref().is_some_and(|it| it.1 == group))
        {
            if is_down {
                self.down.insert((sentinel, node));
            } else {
                self.down.remove(&(sentinel, node));
            }
        }
    }
}

impl Invariant for FitReplica {
    fn rule(&self) -> &'static str {
        "no promotion of a node that is down, of priority 0, without data, astray, or staler than another candidate"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Pong, Sort::Other]
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.emptying.observe(now, setting, observation);
        match observation {
            Observation::Operator { sentinel, change: Change::Monitor(new) } => {
                self.note_master(setting, *sentinel, new.name.as_str(), &new.addr);
            }
            Observation::Operator { sentinel, change: Change::Reset { pattern: name } | Change::Remove { name } } => {
                let group = setting.group_named(name.as_str());
                let of_it = |node: &HostId| setting.nodes[*node].as_ref().is_some_and(|it| Some(it.1) == group);
                self.unheard.extend((0..setting.nodes.len()).filter(of_it).map(|node| (*sentinel, node)));
            }
            Observation::Operator { sentinel, change: Change::Set { name, options, .. } } => {
                for option in options {
                    if let MasterSetting::Of(row, Value::Time(time)) = &option.setting
                        && *row == &DOWN_AFTER
                        && let Some(group) = setting.group_named(name)
                    {
                        // Both count while the change is carried out.
                        let known = self.down_after.entry((*sentinel, group)).or_default();
                        *known =
                            Time::try_from(time.as_micros()).unwrap_or(Time::MAX).max(setting.down_after).max(*known);
                    }
                }
            }
            Observation::Operator { sentinel, change: Change::FailoverTo { name, to: Some(to), .. } } => {
                if let Some((group, node)) = setting.group_named(name.as_str()).zip(setting.node_at(to)) {
                    self.ordered.insert((*sentinel, group), (node, now));
                }
            }
            Observation::Started { sentinel, snapshot } => {
                self.ordered.retain(|(of, _), _| of != sentinel);
                self.denied.retain(|(of, _)| of != sentinel);
                self.masters.retain(|(of, _), _| of != sentinel);
                for it in &snapshot.masters {
                    self.note_master(setting, *sentinel, it.name.as_str(), &it.addr);
                }
                let empty = |it: &Known| it.info.as_ref().is_some_and(|(_, info)| info.keys == 0);
                let of_it = self.known.iter().filter(|(at, known)| at.0 == *sentinel && empty(known));
                self.unheard.extend(of_it.map(|(at, _)| *at));
                self.known.retain(|(of, _), _| of != sentinel);
                self.down.retain(|(of, _)| of != sentinel);
                self.master_down.retain(|(of, _), _| of != sentinel);
                self.vacant.retain(|(of, _)| of != sentinel);
            }
            Observation::LinkUp { sentinel, to } => {
                let known = self.known.entry((*sentinel, *to)).or_default();
                known.linked = true;
                // As in the reference the time begins when it is known first, and by then it has answered the greeting.
                known.ponged_at.get_or_insert(now);
            }
            Observation::LinkDown { sentinel, to } => self.known.entry((*sentinel, *to)).or_default().linked = false,
            Observation::Answered { sentinel, from, reply, facts } => {
                if setting.nodes[*from].is_none() {
                    return Ok(());
                }
                let known = self.known.entry((*sentinel, *from)).or_default();
                if matches!(reply, Reply::Status(_))
                    || matches!(reply, Reply::Error(text) if text.starts_with("LOADING"))
                {
                    known.ponged_at = Some(now);
                }
                if let Some(facts) = facts {
                    self.unheard.remove(&(*sentinel, *from));
                    let life = |of| Some((of, self.known.get(&(*sentinel, of))?.info.as_ref()?.1.life));
                    let source = facts.linked_to.as_ref().and_then(|of| setting.node_at(of)).and_then(life);
                    self.known.entry((*sentinel, *from)).or_default().read(now, facts, source);
                }
            }
            Observation::Event { sentinel, event } => match event {
                Event::TiltEntered => drop(self.stood_still.insert(*sentinel, now)),
                Event::SubjectivelyDown { subject, .. } => self.downs(now, setting, *sentinel, subject, true),
                Event::SubjectivelyUp(subject) => self.downs(now, setting, *sentinel, subject, false),
                // What is heard of again later is known anew.
                Event::ReplicaForgotten(Subject::Replica { addr, .. }) => {
                    if let Some(node) = setting.node_at(addr) {
                        self.down.remove(&(*sentinel, node));
                        self.forget(*sentinel, |it| it == node);
                    }
                }
                Event::NoMaster { subject, .. } => {
                    let group = setting.group_named(subject.master().as_str());
                    self.vacant.extend(group.map(|group| (*sentinel, group)));
                }
                Event::AbortNotElected(subject)
                | Event::AbortNoGoodReplica(subject)
                | Event::AbortReplicaTimeout(subject)
                | Event::AbortMasterTimeout(subject) => {
                    if let Some(group) = setting.group_named(subject.master().as_str()) {
                        self.ordered.remove(&(*sentinel, group));
                    }
                }
                Event::AccessDenied {
                    subject: Subject::Replica { addr, .. } | Subject::Master { addr, .. }, ..
                } => {
                    self.denied.extend(setting.node_at(addr).map(|node| (*sentinel, node)));
                }
                Event::AccessGranted(Subject::Replica { addr, .. } | Subject::Master { addr, .. }) => {
                    if let Some(node) = setting.node_at(addr) {
                        self.denied.remove(&(*sentinel, node));
                    }
                }
                // Both are counted anew.
                Event::SwitchMaster { name, old, new } => {
                    self.note_master(setting, *sentinel, name.as_str(), new);
                    for addr in [old, new] {
                        if let Some(node) = setting.node_at(addr) {
                            self.down.remove(&(*sentinel, node));
                        }
                    }
                    if let Some(group) = setting.group_named(name.as_str()) {
                        self.master_down.remove(&(*sentinel, group));
                        self.vacant.remove(&(*sentinel, group));
                        self.ordered.remove(&(*sentinel, group));
                    }
                }
                Event::ResetMaster(subject) | Event::Unmonitor(subject) => {
                    if let Some(group) = setting.group_named(subject.master().as_str()) {
                        self.master_down.remove(&(*sentinel, group));
                        let of = |node: HostId| setting.nodes[node].as_ref().is_some_and(|it| it.1 == group);
                        self.down.retain(|(by, node)| by != sentinel || !of(*node));
                        self.forget(*sentinel, of);
                    }
                }
                Event::SelectedReplica(Subject::Replica { addr, .. }) => {
                    if let Some(node) = setting.node_at(addr) {
                        return self.selected(now, setting, *sentinel, node);
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}
