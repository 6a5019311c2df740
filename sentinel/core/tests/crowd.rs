//! Thousands of instances: each is pinged in time, one that hangs is noticed, and the runtime is woken seldom.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use sentinel_core::{
    Boot, Engine, Input, LinkId, MasterSnapshot, Message, Output, RequestId, Seq, Snapshot,
    events::Event,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant, Now, WallTime},
    types::{Epoch, MasterName, Quorum, SentinelId},
};
use sentinel_resp::Reply;

const DOWN_AFTER: Duration = Duration::from_secs(2);

/// How long an answer is under way.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// The work of opening a connection: one after the other is opened.
const OPENING: Duration = Duration::from_micros(300);

/// Masters with two replicas each. All answer, a little later.
struct Field {
    engine: Engine,
    now: Instant,
    /// What is under way, by when it arrives.
    answers: BTreeMap<Instant, Vec<(LinkId, RequestId, Message)>>,
    /// The connections that are being opened, by when they are open.
    openings: BTreeMap<Instant, LinkId>,
    masters: BTreeSet<LinkId>,
    silent: BTreeSet<LinkId>,
    pings: BTreeMap<LinkId, Vec<Instant>>,
    down: Vec<(Instant, String)>,
    timeouts: usize,
    /// When something was sent over which link: one write each.
    writes: BTreeSet<(Instant, LinkId)>,
    /// When a hello was said to how many.
    hellos: BTreeMap<Instant, usize>,
    /// Nothing is on disk from now on; the newest of what waits for it.
    disk_hangs: bool,
    unwritten: Option<Seq>,
}

impl Field {
    fn new(masters: usize) -> Self {
        let masters = (0..masters).map(|number| {
            let addr = |member: usize| {
                format!("10.{}.{}.{member}:6379", number / 250, number % 250).parse().expect("an address")
            };
            let mut settings = MasterSettings::new(Quorum::new(1).expect("a quorum"));
            settings.down_after = DOWN_AFTER;
            let name = MasterName::new(&format!("m{number}")).expect("a name");
            let mut master = MasterSnapshot::new(name, addr(1), settings);
            master.replicas = vec![addr(2), addr(3)];
            master.into()
        });
        let snapshot = Snapshot {
            id: SentinelId::new(&"b".repeat(40)).expect("an id"),
            current_epoch: Epoch::ZERO,
            globals: GlobalSettings::default().into(),
            masters: masters.collect(),
        };
        let now = Instant::from_micros(1_000_003);
        let boot = Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), run_id: None, seed: 1 };
        let mut field = Field {
            engine: Engine::new(boot, Now { mono: now, wall: WallTime(0) }),
            now,
            answers: BTreeMap::new(),
            openings: BTreeMap::new(),
            masters: BTreeSet::new(),
            silent: BTreeSet::new(),
            pings: BTreeMap::new(),
            down: Vec::new(),
            timeouts: 0,
            writes: BTreeSet::new(),
            hellos: BTreeMap::new(),
            disk_hangs: false,
            unwritten: None,
        };
        field.carry_out();
        field
    }

    fn reading(&self) -> Now {
        Now { mono: self.now, wall: WallTime(0) }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = self.engine.next_timeout().unwrap_or(Instant::NEVER);
            let arrival = self.answers.first_key_value().map_or(Instant::NEVER, |(at, _)| *at);
            let opening = self.openings.first_key_value().map_or(Instant::NEVER, |(at, _)| *at);
            let next = due.min(arrival).min(opening);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            if opening <= due.min(arrival) {
                if let Some((_, link)) = self.openings.pop_first() {
                    let local = Some([127, 0, 0, 1].into());
                    self.engine.handle(self.reading(), Input::LinkUp { link, local, refused_login: None });
                }
            } else if arrival <= due {
                for (link, request, message) in self.answers.pop_first().into_iter().flat_map(|(_, all)| all) {
                    let reply = match message {
                        Message::Ping => Reply::status("PONG"),
                        Message::Info => Reply::Bulk(self.info(link)),
                        _ => Reply::Integer(1),
                    };
                    self.engine.handle(self.reading(), Input::Reply { link, request, reply });
                }
            } else {
                self.timeouts += 1;
                self.engine.handle_timeout(self.reading());
            }
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Connect { link, target } => {
                    let after = self.openings.last_key_value().map_or(self.now, |(at, _)| *at);
                    self.openings.insert(after + OPENING, link);
                    if target.addr.host.to_string().ends_with(".1") {
                        self.masters.insert(link);
                    }
                }
                Output::Send { link, request, message } => {
                    self.writes.insert((self.now, link));
                    if message == Message::Ping {
                        self.pings.entry(link).or_default().push(self.now);
                    }
                    if matches!(message, Message::Hello { .. }) {
                        *self.hellos.entry(self.now).or_default() += 1;
                    }
                    if !self.silent.contains(&link) {
                        self.answers.entry(self.now + ROUND_TRIP).or_default().push((link, request, message));
                    }
                }
                Output::Persist(seq) if self.disk_hangs => self.unwritten = Some(seq),
                Output::Persist(seq) => self.engine.handle(self.reading(), Input::Persisted(seq)),
                Output::Event(event @ Event::SubjectivelyDown { .. }) => {
                    self.down.push((self.now, format!("{event:?}")));
                }
                _ => {}
            }
        }
    }

    fn info(&self, link: LinkId) -> Bytes {
        let is_master = self.masters.contains(&link);
        if is_master { "role:master\r\n" } else { "role:slave\r\nmaster_link_status:up\r\n" }.into()
    }

    /// The shortest and the longest time between two PINGs of one instance, in milliseconds.
    fn gaps(&self) -> (u64, u64) {
        let gaps = self.pings.values().flat_map(|at| at.windows(2).map(|pair| pair[1].since(pair[0]).as_micros()));
        let gaps: Vec<u64> = gaps.map(|gap| u64::try_from(gap / 1_000).expect("short")).collect();
        (*gaps.iter().min().expect("several"), *gaps.iter().max().expect("several"))
    }
}

#[test]
fn few_instances_are_pinged_four_times_in_down_after() {
    let mut field = Field::new(100);
    field.run(Duration::from_secs(3));
    field.pings.clear();
    field.run(Duration::from_secs(6));
    assert_eq!(field.pings.len(), 300);
    assert_eq!(field.gaps(), (500, 500));
    assert!(field.down.is_empty(), "{:?}", field.down);
}

#[test]
fn three_thousand_instances_are_pinged_every_second_and_in_company() {
    let mut field = Field::new(1_000);
    field.run(Duration::from_secs(3));
    field.pings.clear();
    (field.timeouts, field.writes) = (0, BTreeSet::new());
    field.run(Duration::from_secs(10));
    assert_eq!(field.pings.len(), 3_000);
    let (shortest, longest) = field.gaps();
    assert!(shortest >= 990 && longest <= 1_010, "{shortest} to {longest} ms between two PINGs");
    assert!(field.down.is_empty(), "{:?}", field.down);
    // Ten PINGs and an INFO each: the hellos leave together with PINGs.
    assert!(field.writes.len() <= 11 * 3_000 + 300, "{} writes in ten seconds", field.writes.len());
    // 100 steps a second, and as many looks at who might be down by now: each instance has five timers.
    assert!(field.timeouts <= 10 * 250, "{} wake-ups in ten seconds", field.timeouts);
}

#[test]
fn one_of_thousands_that_hangs_is_noticed_after_its_next_ping() {
    let mut field = Field::new(1_000);
    field.run(Duration::from_secs(3));
    let link = *field.pings.keys().nth(1_234).expect("there are 3,000");
    field.silent.insert(link);
    let hung = field.now;
    field.run(Duration::from_secs(5));
    let [(at, _)] = field.down.as_slice() else { panic!("one is down: {:?}", field.down) };
    let late = at.since(hung);
    assert!(late >= DOWN_AFTER && late <= DOWN_AFTER + Duration::from_millis(1_010), "{late:?}");
}

#[test]
fn nobody_is_held_for_down_because_ten_thousand_others_are_connected_to_first() {
    let mut field = Field::new(4_000);
    let opening = 12_000 * OPENING;
    assert!(opening > DOWN_AFTER + Duration::from_secs(1));
    field.run(opening + Duration::from_millis(100));
    assert_eq!(field.pings.len(), 12_000, "all are connected to as soon as that can be done");
    field.run(Duration::from_secs(5));
    assert!(field.down.is_empty(), "{} are held for down", field.down.len());
}

#[test]
fn thousands_that_are_dead_keep_nobody_waiting_for_long() {
    let mut field = Field::new(700);
    // Nothing of what was dialled so far is ever heard of again: one in eight.
    assert_eq!(field.openings.len(), 256);
    field.openings.clear();
    field.run(Duration::from_secs(1) + 2_100 * OPENING);
    assert_eq!(field.pings.len(), 2_100 - 256);
    field.run(DOWN_AFTER);
    assert_eq!(field.down.len(), 256, "the dead are");
}

#[test]
fn hellos_that_waited_for_the_disk_are_not_all_said_at_once() {
    let mut field = Field::new(1_000);
    field.run(Duration::from_secs(3));
    // A master dies; the candidacy does not get onto the disk, and no hello may leave before it.
    field.disk_hangs = true;
    field.silent.extend(field.masters.first());
    field.run(DOWN_AFTER + Duration::from_secs(2));
    let promise = field.unwritten.expect("the candidacy");
    field.hellos.clear();
    field.run(Duration::from_secs(3));
    assert!(field.hellos.is_empty(), "{:?}", field.hellos);
    // Then it does, and all others speak, each to three instances.
    field.disk_hangs = false;
    field.engine.handle(field.reading(), Input::Persisted(promise));
    field.carry_out();
    field.run(Duration::from_millis(1));
    let (said, most) = (field.hellos.values().sum::<usize>(), field.hellos.values().max());
    assert!((2_990..=3_010).contains(&said) && most <= Some(&100), "{said} hellos, {most:?} of them at once");
}
