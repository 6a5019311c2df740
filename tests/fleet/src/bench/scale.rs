//! Many masters: start, steady state, mass failures.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use sentinel_fleet::{Fleet, clock::Micros, control::Sight};
use sentinel_resp::Reply;
use sentinel_tests::{EventRecorder, Kind};

use crate::{
    load,
    stats::Times,
    subject::{Subject, packed},
};

/// The replicas of each master.
const REPLICAS: usize = 2;

/// What all masters are configured with. The reference pings every second, ours every min(1 s, a quarter of it), or every
/// second when there are thousands.
pub(crate) const DOWN_AFTER_MS: u64 = 2_000;

const LINES: [&str; 2] = ["down-after-milliseconds 2000", "failover-timeout 60000"];

/// Connections that one Sentinel may have to a node: the reference has two.
const CONNECTIONS: usize = 2;

/// How long the start may take.
const START_LIMIT: Duration = Duration::from_secs(300);

/// How long a Sentinel has to calm down before it is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// Masters with their replicas, and a Sentinel that knows them all.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) subject: Subject,
    masters: usize,
    /// Start to the first PING of the last replica, in seconds.
    pub(crate) known: Option<f64>,
    /// Start to the moment at which failovers are possible, in seconds.
    pub(crate) acts: Option<f64>,
    /// What starting cost, in seconds of processor time.
    pub(crate) start_cpu: f64,
}

impl Stage {
    /// Starts everything and waits until the Sentinel acts.
    pub(crate) fn set(program: &Path, kind: Kind, masters: usize) -> io::Result<Self> {
        let mut fleet = Fleet::start(program, masters, REPLICAS, CONNECTIONS)?;
        let subject = Subject::start(kind, &fleet, masters, 1, &LINES)?;
        let nodes = masters * (REPLICAS + 1);
        let mut known = None;
        while known.is_none() && Micros::now().since(subject.started) < START_LIMIT.as_micros() as u64 {
            let sight = fleet.look()?;
            if sight.pinged == nodes {
                known = Some(seconds(subject.started, Micros(sight.last_first_ping)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // A TILT may begin a moment after the last discovery.
        std::thread::sleep(SETTLE);
        let acting = subject.wait_until_it_acts(START_LIMIT)?;
        let late = acting.map(|at| seconds(subject.started, at));
        // Without a TILT it has acted since all were known.
        let acts = late.filter(|at| known.is_none_or(|known| *at > known + SETTLE.as_secs_f64() + 2.0)).or(known);
        let start_cpu = subject.usage()?.cpu / 1e6;
        Ok(Stage { fleet, subject, masters, known, acts: acts.filter(|_| acting.is_some()), start_cpu })
    }

    /// What it costs to watch them while nothing happens.
    pub(crate) fn steady(&mut self, time: Duration) -> io::Result<Steady> {
        std::thread::sleep(SETTLE);
        let latency = Latency::start(&self.subject)?;
        self.fleet.look_anew()?;
        let before = self.subject.usage()?;
        std::thread::sleep(time);
        let after = self.subject.usage()?;
        let sight = self.fleet.look()?;
        let (latency, naps) = latency.stop();
        Ok(Steady {
            cpu: after.percent_since(&before),
            resident: self.subject.resident()?,
            descriptors: self.subject.descriptors()?,
            latency,
            naps,
            held_for_down: self.subject.held_for_down(),
            sight,
        })
    }

    /// The longest gap between two PINGs while clients ask as fast as they can, in seconds.
    pub(crate) fn gap_under_load(&mut self, clients: usize, time: Duration) -> io::Result<f64> {
        self.fleet.look_anew()?;
        load::full_speed(self.subject.addr(), clients, 1, time)?;
        Ok(self.fleet.look()?.worst_gap as f64 / 1e6)
    }

    /// The masters of some groups die in the same instant.
    pub(crate) fn kill(&mut self, groups: std::ops::Range<usize>, limit: Duration) -> io::Result<Failure> {
        let names: Vec<String> = groups.clone().map(|group| format!("m{group}")).collect();
        let masters: Vec<usize> = groups.map(|group| self.fleet.node(group, 0)).collect();
        let events = EventRecorder::start(self.subject.port);
        let watch = Watching::start(&self.subject, &names)?;
        self.fleet.look_anew()?;
        let cpu = self.subject.usage()?;
        let killed = Micros::now();
        let killed_at = std::time::Instant::now();
        self.fleet.kill(&masters)?;
        let end = Micros(killed.0 + limit.as_micros() as u64);
        let of_these = |payload: &str| names.iter().any(|name| payload.split(' ').next() == Some(name));
        while Micros::now() < end && (events.count("+switch-master") < names.len() || !watch.is_done()) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let sight = self.fleet.look()?;
        let cpu = self.subject.usage()?.cpu - cpu.cpu;
        let all = events.all();
        let switched: Vec<_> =
            all.iter().filter(|event| event.channel == "+switch-master" && of_these(&event.payload)).collect();
        let past = |at: f64| at - DOWN_AFTER_MS as f64 / 1e3;
        let (known, last_known) = watch.stop();
        Ok(Failure {
            killed: names.len(),
            known,
            last_known: (known == names.len()).then(|| past(seconds(killed, last_known))),
            switched: switched.len(),
            last_switched: switched
                .last()
                .filter(|_| switched.len() >= names.len())
                .map(|event| past((event.at - killed_at).as_secs_f64())),
            tilt: all.iter().any(|event| event.channel == "+tilt"),
            worst_gap: sight.worst_gap as f64 / 1e6,
            cpu: cpu / 1e6,
        })
    }

    /// How many masters are watched.
    pub(crate) const fn masters(&self) -> usize {
        self.masters
    }
}

/// A steady state.
pub(crate) struct Steady {
    /// Percent of one core.
    pub(crate) cpu: f64,
    /// MB.
    pub(crate) resident: f64,
    pub(crate) descriptors: usize,
    pub(crate) latency: Times,
    /// How much too late the thread was woken that measured the latency.
    pub(crate) naps: Times,
    /// How often a healthy instance was held for down, since the start.
    pub(crate) held_for_down: usize,
    pub(crate) sight: Sight,
}

impl Steady {
    /// The longest gap between two PINGs of a node, in seconds.
    pub(crate) fn worst_gap(&self) -> f64 {
        self.sight.worst_gap as f64 / 1e6
    }

    /// What the emulation used, in percent of one core.
    pub(crate) fn fleet_cpu(&self) -> f64 {
        self.sight.cpu as f64 / self.sight.elapsed.max(1) as f64 * 100.0
    }
}

/// What followed when masters died. Times are seconds past down-after.
pub(crate) struct Failure {
    pub(crate) killed: usize,
    /// Masters whose new address was told to clients who ask.
    pub(crate) known: usize,
    pub(crate) last_known: Option<f64>,
    /// Masters with a `+switch-master`.
    pub(crate) switched: usize,
    pub(crate) last_switched: Option<f64>,
    pub(crate) tilt: bool,
    pub(crate) worst_gap: f64,
    /// Seconds of processor time.
    pub(crate) cpu: f64,
}

/// Asks one question 200 times a second, and notes how long the answers take, and how long the machine lets the thread
/// that asks wait.
struct Latency {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(Times, Times)>,
}

/// From one question to the next.
const NAP: Duration = Duration::from_millis(5);

impl Latency {
    fn start(subject: &Subject) -> io::Result<Self> {
        let mut client = subject.client()?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut times, mut naps) = (Times::default(), Times::default());
            while !asked_to.load(Relaxed) {
                let begun = Micros::now();
                if client.ask(&load::QUESTION).is_err() {
                    break;
                }
                let answered = Micros::now();
                times.add(answered.since(begun));
                std::thread::sleep(NAP);
                naps.add(Micros::now().since(answered).saturating_sub(NAP.as_micros() as u64));
            }
            (times, naps)
        });
        Ok(Latency { stop, thread })
    }

    fn stop(self) -> (Times, Times) {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// Asks for the addresses of masters, every 20 ms, until they have all changed.
struct Watching {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<(usize, Micros)>>,
}

impl Watching {
    fn start(subject: &Subject, names: &[String]) -> io::Result<Self> {
        let mut client = subject.client()?;
        let mut before = Vec::new();
        for name in names {
            before.push((question(name), client.ask(&["SENTINEL", "get-master-addr-by-name", name])?));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut last = Micros::default();
            let all = before.len();
            while !before.is_empty() && !asked_to.load(Relaxed) {
                let questions: Vec<u8> = before.iter().flat_map(|(question, _)| question.iter().copied()).collect();
                client.send(&questions)?;
                let mut answers = Vec::with_capacity(before.len());
                for _ in &before {
                    answers.push(client.next()?);
                }
                let mut answers: std::vec::IntoIter<Reply> = answers.into_iter();
                let left = before.len();
                before.retain(|(_, old)| answers.next().as_ref() == Some(old));
                if before.len() < left {
                    last = Micros::now();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok((all - before.len(), last))
        });
        Ok(Watching { stop, thread })
    }

    fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    fn stop(self) -> (usize, Micros) {
        self.stop.store(true, Relaxed);
        self.thread.join().ok().and_then(Result::ok).unwrap_or_default()
    }
}

fn question(name: &str) -> Vec<u8> {
    packed(&["SENTINEL", "get-master-addr-by-name", name])
}

pub(crate) fn seconds(from: Micros, to: Micros) -> f64 {
    to.since(from) as f64 / 1e6
}
