//! The connection to one replica, and what is known of it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::latency::RoundTrips;
use crate::address::Address;
use crate::balance::Contender;
use crate::dial::Link;
use crate::topology::ReplicaState;

/// An open connection to a replica that is linked to its master.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) link: Link,
    in_flight: AtomicUsize,
    measured: Mutex<Measured>,
    /// In nanoseconds; beside [`Measured`] since every choice looks at it.
    latency: AtomicU64,
    /// Too far behind the master, as far as that is limited.
    pub(crate) behind: AtomicBool,
    /// A command was refused or not answered: it is not read from before it has proved itself on a new connection.
    failed: AtomicBool,
    pub(crate) failure: Notify,
}

/// What is found out each time the replica is asked.
#[derive(Debug, Default)]
struct Measured {
    round_trips: RoundTrips,
    lag: Option<u64>,
}

impl Line {
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            in_flight: AtomicUsize::new(0),
            measured: Mutex::default(),
            latency: AtomicU64::new(0),
            behind: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Notify::new(),
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.link.address
    }

    pub(crate) fn is_readable(&self) -> bool {
        !self.failed.load(Ordering::Acquire) && !self.behind.load(Ordering::Acquire) && !self.link.has_ended()
    }

    pub(crate) fn contender(&self) -> Contender<'_> {
        let latency = Duration::from_nanos(self.latency.load(Ordering::Relaxed));
        Contender { address: self.address(), load: self.in_flight.load(Ordering::Relaxed), latency }
    }

    pub(crate) fn state(&self) -> ReplicaState {
        let Contender { load, latency, .. } = self.contender();
        let lag = self.measured().lag;
        ReplicaState { address: self.address().clone(), readable: self.is_readable(), latency, lag, in_flight: load }
    }

    pub(crate) fn note(&self, round_trip: Duration, lag: Option<u64>) {
        let mut measured = self.measured();
        measured.lag = lag;
        measured.round_trips.add(round_trip);
        let latency = measured.round_trips.median().as_nanos().try_into().unwrap_or(u64::MAX);
        self.latency.store(latency, Ordering::Relaxed);
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a command for as long as the guard lives.
    pub(crate) fn enter(self: &Arc<Self>) -> UnderWay {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    pub(crate) fn fail(&self) {
        if !self.failed.swap(true, Ordering::AcqRel) {
            self.failure.notify_one();
        }
    }
}

pub(crate) struct UnderWay(Arc<Line>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
