//! All replicas that are read from.

mod latency;
mod line;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::address::Address;
use crate::balance::{Balance, Contender, Draw, choose};
use crate::cause::{Cause, Causes, Role};
use crate::topology::ReplicaState;
use crate::trouble::Trouble;

pub(crate) use latency::RoundTrips;
pub(crate) use line::{Line, UnderWay};

/// More replicas are not read from: nonsense must not open connections without end.
pub(crate) const MOST_REPLICAS: usize = 64;

/// What handles and tasks know of the replicas.
#[derive(Debug)]
pub(crate) struct Readers {
    /// Somebody reads from replicas: the Sentinels are asked for them.
    pub(crate) wanted: Arc<AtomicBool>,
    /// Those that the Sentinels hold for readable. Written by the follower alone.
    pub(crate) listed: watch::Sender<Arc<[Address]>>,
    lines: ArcSwap<Vec<Arc<Line>>>,
    /// Wakes those who wait for a line.
    changed: watch::Sender<()>,
    /// The last trouble with each replica, for messages.
    troubles: Mutex<BTreeMap<Address, Trouble>>,
    turn: AtomicUsize,
    /// Somebody reads from the master as well, if it is near: its latency is measured.
    pub(crate) master_wanted: AtomicBool,
    /// In nanoseconds; zero: not known.
    pub(crate) master_latency: AtomicU64,
}

/// Where a read goes.
pub(crate) enum Picked {
    Replica(Arc<Line>),
    Master,
}

impl Default for Readers {
    fn default() -> Self {
        Self {
            wanted: Arc::default(),
            listed: watch::Sender::new(Arc::default()),
            lines: ArcSwap::default(),
            changed: watch::Sender::new(()),
            troubles: Mutex::default(),
            turn: AtomicUsize::new(0),
            master_wanted: AtomicBool::new(false),
            master_latency: AtomicU64::new(0),
        }
    }
}

impl Readers {
    /// Where to read this key, if it is one: over none of the lines that were `tried`, or at the master, with its address and the commands
    /// that are under way there.
    pub(crate) fn pick(
        &self,
        balance: Balance,
        key: Option<&[u8]>,
        tried: &[Address],
        master: Option<(&Address, usize)>,
    ) -> Option<Picked> {
        let lines = self.lines.load();
        let readable: Vec<_> =
            lines.iter().filter(|line| line.is_readable() && !tried.contains(line.address())).collect();
        let mut contenders: Vec<_> = readable.iter().map(|line| line.contender()).collect();
        if let Some((address, under_way)) = master {
            let latency = Duration::from_nanos(self.master_latency.load(Ordering::Relaxed));
            // At the beginning it is not known whether it is near; the replicas' are.
            if !latency.is_zero() || !matches!(balance, Balance::LowestLatency { .. }) {
                let elsewhere: usize = contenders.iter().map(|replica| replica.load).sum();
                contenders.push(Contender { address, load: under_way.saturating_sub(elsewhere), latency });
            }
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = choose(balance, &contenders, Draw { turn, random: fastrand::usize(..), key })?;
        Some(readable.get(chosen).map_or(Picked::Master, |line| Picked::Replica(Arc::clone(line))))
    }

    /// Whether this very line is read over.
    pub(crate) fn has(&self, line: &Line) -> bool {
        line.is_readable() && self.lines.load().iter().any(|known| std::ptr::eq(&raw const **known, line))
    }

    /// Whether there is a line to read over.
    pub(crate) fn any(&self) -> bool {
        self.lines.load().iter().any(|line| line.is_readable())
    }

    /// Every replica to which there is a line, ordered by address.
    pub(crate) fn states(&self) -> Vec<ReplicaState> {
        let mut states: Vec<_> = self.lines.load().iter().map(|line| line.state()).collect();
        states.sort_by(|a, b| a.address.cmp(&b.address));
        states
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    pub(crate) fn join(&self, line: &Arc<Line>) {
        self.troubles().remove(line.address());
        self.lines.rcu(|lines| {
            let others = lines.iter().filter(|other| other.address() != line.address()).cloned();
            others.chain([Arc::clone(line)]).collect::<Vec<_>>()
        });
        self.tell();
    }

    /// `None`: it is not to be read from any more. Returns whether it was.
    pub(crate) fn leave(&self, address: &Address, trouble: Option<&Trouble>) -> bool {
        match trouble {
            Some(trouble) => self.troubles().insert(address.clone(), trouble.clone()),
            None => self.troubles().remove(address),
        };
        let before =
            self.lines.rcu(|lines| lines.iter().filter(|line| line.address() != address).cloned().collect::<Vec<_>>());
        self.tell();
        before.iter().any(|line| line.address() == address)
    }

    pub(crate) fn causes(&self) -> Causes {
        let troubles = self.troubles();
        let causes = troubles.iter().map(|(address, trouble)| Cause::new(Role::Replica, address, trouble));
        Causes::new(causes.collect::<Vec<_>>(), "no sentinel names one that is up and linked")
    }

    fn troubles(&self) -> std::sync::MutexGuard<'_, BTreeMap<Address, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
