//! What happened to each master, from the first sign to the end: kept by the runtime beside the state, told by SENTINEL HISTORY.
//!
//! An incident is what was said about a master from the moment in which it went down, or a failover began, until one ended or the
//! master was back: votes, candidates and refusals, the phases with their milliseconds, offsets, and how it ended. No decision depends
//! on it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    events::{Event, Subject},
    notice::{Notice, Topic},
    time::{Instant, Now},
    types::MasterName,
};

/// So many lines one has at most, besides its last.
const LINES: usize = 96;
/// So long a line is, in bytes.
const LINE: usize = 320;
/// So many can be under way at the same time.
const OPEN: usize = 4_096;

/// One line of an incident.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// Milliseconds since it began.
    pub at: u64,
    /// What was said.
    pub text: String,
}

/// Something that happened to a master.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Incident {
    /// The master.
    pub master: String,
    /// When it began, in milliseconds since 1970. Of the incidents of one master each has another one: it is their name.
    pub id: u64,
    /// How long it lasted, in milliseconds.
    pub lasted: u64,
    /// What began it.
    pub trigger: String,
    /// How it ended.
    pub outcome: String,
    /// What was said meanwhile.
    pub lines: Vec<Line>,
    /// Lines that were left out.
    pub omitted: u32,
}

/// All incidents.
#[derive(Clone, Debug)]
pub(crate) struct Chronicle {
    /// So many are kept.
    size: usize,
    open: BTreeMap<MasterName, Open>,
    closed: VecDeque<Arc<Incident>>,
    list: Arc<[Arc<Incident>]>,
}

/// An incident that is under way.
#[derive(Clone, Debug)]
struct Open {
    began: Instant,
    /// Another Sentinel has announced a configuration: with the switch to it, it is over for us.
    announced: bool,
    /// The master has been down.
    down: bool,
    incident: Incident,
}

/// What a step means for an incident.
enum Step {
    /// It begins, unless it has begun.
    Begins,
    /// It goes on.
    GoesOn,
    /// It ends, with this outcome unless one is known already.
    Ends(String),
}

impl Chronicle {
    /// None yet.
    pub(crate) fn new(size: usize) -> Self {
        Chronicle { size, open: BTreeMap::new(), closed: VecDeque::new(), list: Arc::default() }
    }

    /// The incidents that are over, oldest first.
    pub(crate) fn list(&self) -> Arc<[Arc<Incident>]> {
        Arc::clone(&self.list)
    }

    /// Takes those of former runs, oldest first.
    pub(crate) fn restore(&mut self, incidents: impl IntoIterator<Item = Incident>) {
        self.closed.extend(incidents.into_iter().map(Arc::new));
        self.keep();
    }

    /// An event was told. Returns an incident that it has ended.
    pub(crate) fn event(&mut self, now: Now, event: &Event) -> Option<Arc<Incident>> {
        let mut step = step_of(event)?;
        let master = event.master()?.clone();
        let follows = self.open.get(&master).is_some_and(|open| open.announced);
        if follows && matches!(event, Event::SwitchMaster { .. }) {
            step = Step::Ends(String::new());
        }
        let reason = match event {
            Event::SubjectivelyDown { cause, .. } => format!(" ({cause})"),
            _ => String::new(),
        };
        let text = format!("{} {}{reason}", event.channel(), event.payload());
        let outcome = match event {
            Event::SwitchMaster { old, new, .. } => Some(format!("{new} took the place of {old}")),
            _ => None,
        };
        // The failover of a master that is well is over when it is given up; that of one that is down is tried again.
        let gives_up =
            matches!(event, Event::AbortNotElected(_) | Event::AbortNoGoodReplica(_) | Event::AbortReplicaTimeout(_));
        if gives_up && self.open.get(&master).is_some_and(|open| !open.down) {
            step = Step::Ends("the failover was given up, the master stays".to_owned());
        }
        let ended = self.step(now, &master, step, text, outcome);
        if let Some(open) = self.open.get_mut(&master) {
            open.announced |= matches!(event, Event::ConfigUpdateFrom(_));
            open.down |= matches!(event, Event::SubjectivelyDown { subject: Subject::Master { .. }, .. });
        }
        ended
    }

    /// A notice was told.
    pub(crate) fn notice(&mut self, now: Now, notice: &Notice) {
        let step = match notice.topic {
            Topic::Ordered => Step::Begins,
            Topic::Info | Topic::Link | Topic::Opinion | Topic::ScriptChild => return,
            _ => Step::GoesOn,
        };
        if let Some(master) = &notice.master {
            self.step(now, master, step, notice.text.clone(), None);
        }
    }

    fn step(
        &mut self,
        now: Now,
        master: &MasterName,
        step: Step,
        mut text: String,
        outcome: Option<String>,
    ) -> Option<Arc<Incident>> {
        let end = (0..=text.len().min(LINE)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        if !self.open.contains_key(master) {
            if !matches!(step, Step::Begins) || self.open.len() >= OPEN {
                return None;
            }
            self.begin(now, master, &text);
        }
        let Open { began, incident, .. } = self.open.get_mut(master)?;
        let at = u64::try_from(now.mono.since(*began).as_millis()).unwrap_or(u64::MAX);
        let last = matches!(step, Step::Ends(_));
        if incident.lines.len() < LINES || last {
            incident.lines.push(Line { at, text });
        } else {
            incident.omitted += 1;
        }
        if let Some(outcome) = outcome {
            incident.outcome = outcome;
        }
        let Step::Ends(how) = step else { return None };
        incident.lasted = at;
        if incident.outcome.is_empty() {
            incident.outcome = how;
        }
        let incident = Arc::new(self.open.remove(master)?.incident);
        self.closed.push_back(Arc::clone(&incident));
        self.keep();
        Some(incident)
    }

    fn begin(&mut self, now: Now, master: &MasterName, trigger: &str) {
        let of_master = self.closed.iter().filter(|it| it.master == master.as_str());
        let last = of_master.map(|it| it.id).max();
        let incident = Incident {
            master: master.to_string(),
            id: last.map_or(now.wall.0, |last| now.wall.0.max(last + 1)),
            lasted: 0,
            trigger: trigger.to_owned(),
            outcome: String::new(),
            lines: Vec::new(),
            omitted: 0,
        };
        self.open.insert(master.clone(), Open { began: now.mono, announced: false, down: false, incident });
    }

    fn keep(&mut self) {
        let surplus = self.closed.len().saturating_sub(self.size);
        self.closed.drain(..surplus);
        self.list = self.closed.iter().cloned().collect();
    }
}

fn step_of(event: &Event) -> Option<Step> {
    Some(match event {
        Event::SubjectivelyDown { subject: Subject::Master { .. }, .. }
        | Event::TryFailover(_)
        | Event::ConfigUpdateFrom(_)
        | Event::EmptyMaster { .. }
        | Event::NoMaster { .. } => Step::Begins,
        Event::SubjectivelyUp(Subject::Master { .. }) => Step::Ends("the master was back".to_owned()),
        Event::FailoverEnd(_) => Step::Ends("the failover ended".to_owned()),
        Event::Unmonitor(_) | Event::ResetMaster(_) => Step::Ends("an operator ended it".to_owned()),
        Event::Problem { .. } | Event::Notice(_) | Event::Set { .. } => return None,
        _ => Step::GoesOn,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DownCause, time::WallTime};

    fn now(ms: u64) -> Now {
        Now { mono: Instant::from_micros(ms * 1_000), wall: WallTime(1_000_000 + ms) }
    }

    fn master() -> Subject {
        Subject::Master { name: MasterName::new("m").unwrap(), addr: "10.0.0.1:6379".parse().unwrap() }
    }

    fn down() -> Event {
        Event::SubjectivelyDown { subject: master(), cause: DownCause::Refused }
    }

    #[test]
    fn an_incident_lasts_from_the_first_sign_to_the_end() {
        let mut all = Chronicle::new(20);
        assert_eq!(all.event(now(0), &Event::SubjectivelyUp(master())), None, "nothing has begun");
        all.event(now(10), &down());
        let text = "b voted for a 1".to_owned();
        let name = MasterName::new("m").ok();
        all.notice(now(15), &Notice { topic: Topic::PeerVoted, master: name.clone(), text });
        let (old, new) = ("10.0.0.1:6379".parse().unwrap(), "10.0.0.2:6379".parse().unwrap());
        all.event(now(30), &Event::SwitchMaster { name: name.unwrap(), old, new });
        let incident = all.event(now(40), &Event::FailoverEnd(master())).expect("it is over");
        assert_eq!((incident.id, incident.lasted), (1_000_010, 30));
        assert_eq!(incident.trigger, "+sdown master m 10.0.0.1 6379 (connection refused)");
        assert_eq!(incident.outcome, "10.0.0.2:6379 took the place of 10.0.0.1:6379");
        let at: Vec<u64> = incident.lines.iter().map(|line| line.at).collect();
        assert_eq!(at, [0, 5, 20, 30]);
        assert_eq!(all.list().len(), 1);
    }

    #[test]
    fn for_who_does_not_lead_it_is_over_with_the_switch() {
        let mut all = Chronicle::new(20);
        all.event(now(10), &down());
        let (name, old) = (MasterName::new("m").unwrap(), "10.0.0.1:6379".parse().unwrap());
        all.event(now(20), &Event::ConfigUpdateFrom(master()));
        let switch = Event::SwitchMaster { name, old, new: "10.0.0.2:6379".parse().unwrap() };
        let incident = all.event(now(20), &switch).expect("it is over");
        assert_eq!((incident.lines.len(), incident.lasted), (3, 10));
        assert_eq!(incident.outcome, "10.0.0.2:6379 took the place of 10.0.0.1:6379");
    }

    #[test]
    fn an_order_that_is_given_up_ends_it_and_an_election_that_is_lost_does_not() {
        let mut all = Chronicle::new(20);
        let ordered = Notice { topic: Topic::Ordered, master: MasterName::new("m").ok(), text: "ordered".to_owned() };
        all.notice(now(10), &ordered);
        let incident = all.event(now(20), &Event::AbortReplicaTimeout(master())).expect("it is over");
        assert_eq!((incident.trigger.as_str(), incident.lasted), ("ordered", 10));
        all.event(now(30), &down());
        assert_eq!(all.event(now(40), &Event::AbortNotElected(master())), None);
    }

    #[test]
    fn names_differ_and_everything_is_bounded() {
        let mut all = Chronicle::new(20);
        for _ in 0..30 {
            all.event(now(10), &down());
            for _ in 0..2 * LINES {
                all.event(now(11), &Event::ObjectivelyUp(master()));
            }
            all.event(now(12), &Event::SubjectivelyUp(master()));
        }
        let list = all.list();
        assert_eq!(list.len(), 20);
        assert!(list.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(
            list.iter().all(|it| it.lines.len() == LINES + 1 && it.omitted > 0 && it.outcome == "the master was back")
        );
    }
}
