//! The tasks that keep a connection to each replica.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::aio::ConnectionLike;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::address::Address;
use crate::dial::Ending;
use crate::event::Event;
use crate::readers::{Line, RoundTrips};
use crate::retry::Backoff;
use crate::role;
use crate::shared::Shared;
use crate::stall::within;
use crate::trouble::Trouble;

/// A replica that failed sits out for this long at first...
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// ...and, while it goes on to fail, for this long.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Keeps a line to every replica that is listed, until the pool stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let stop = shared.dialer.stop.clone();
    let mut listed = shared.readers.listed.subscribe();
    let mut kept: HashMap<Address, DropGuard> = HashMap::new();
    loop {
        let wanted = Arc::clone(&listed.borrow_and_update());
        kept.retain(|address, _| wanted.contains(address));
        for address in &*wanted {
            kept.entry(address.clone()).or_insert_with(|| {
                let end = stop.child_token();
                shared.dialer.spawn(keep(shared.clone(), address.clone(), end.clone()));
                end.drop_guard()
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            change = listed.changed() => if change.is_err() { return },
        }
    }
}

/// Measures how far away the master is, whichever that is, until the pool stops.
pub(super) async fn measure_master(shared: Arc<Shared>) {
    let measure = async {
        let mut changed = shared.changed.subscribe();
        let (mut serial, mut round_trips) = (None, RoundTrips::default());
        loop {
            changed.borrow_and_update();
            let link = shared.standing.load().link.clone();
            if let Some(link) = &link {
                if serial.replace(link.serial) != Some(link.serial) {
                    round_trips = RoundTrips::default();
                    shared.readers.master_latency.store(0, Ordering::Relaxed);
                }
                let mut connection = link.link.connection.clone();
                let began = Instant::now();
                // The same question as to replicas. A refusal takes as long.
                let question = redis::cmd("ROLE");
                let answer = within(shared.config.timeouts.handshake, connection.send_packed_command(&question));
                // Whether it is well is for others to see.
                if answer.await.is_ok_and(|answer| answer.is_ok()) {
                    round_trips.add(began.elapsed());
                    let latency = u64::try_from(round_trips.median().as_nanos()).unwrap_or(u64::MAX);
                    shared.readers.master_latency.store(latency, Ordering::Relaxed);
                }
            }
            // A new master at once.
            let _ = timeout(shared.config.sentinel_ping, changed.changed()).await;
        }
    };
    tokio::select! {
        () = shared.dialer.stop.cancelled() => {}
        () = measure => {}
    }
}

/// Keeps a line to one replica until `stop`.
async fn keep(shared: Arc<Shared>, address: Address, stop: CancellationToken) {
    {
        let kept = pin!(dial_for_ever(&shared, &address, &stop));
        tokio::select! {
            () = stop.cancelled() => {}
            () = kept => {}
        }
    }
    if shared.readers.leave(&address, None) && !shared.dialer.stop.is_cancelled() {
        let reason = "the sentinels do not hold it for readable any more".to_owned();
        tracing::info!(%address, reason, "replica lost");
        shared.emit(Event::ReplicaLost { address, reason });
    }
}

async fn dial_for_ever(shared: &Arc<Shared>, address: &Address, stop: &CancellationToken) {
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    let mut broken = Broken::default();
    loop {
        let reason = match open(shared, address, &mut broken, stop).await {
            Err(reason) => {
                shared.readers.leave(address, Some(&reason));
                sleep(backoff.pause()).await;
                continue;
            }
            Ok(line) => {
                let since = Instant::now();
                shared.readers.join(&line);
                shared.emit(Event::ReplicaFound { address: address.clone() });
                let reason = attend(shared, &line, &mut broken).await;
                if since.elapsed() > LONGEST_PAUSE {
                    backoff.reset();
                }
                reason
            }
        };
        tracing::info!(%address, reason, "replica lost");
        shared.readers.leave(address, Some(&Trouble::from(reason.clone())));
        shared.emit(Event::ReplicaLost { address: address.clone(), reason });
        sleep(backoff.pause()).await;
    }
}

/// Since when the replica has had no link to its master.
#[derive(Default)]
struct Broken {
    since: Option<Instant>,
}

impl Broken {
    /// `Err`: for longer than it may be.
    fn note(&mut self, state: Option<&str>, longest: Duration) -> Result<(), String> {
        let Some(state) = state else {
            self.since = None;
            return Ok(());
        };
        let lasted = self.since.get_or_insert_with(Instant::now).elapsed();
        if lasted < longest { Ok(()) } else { Err(format!("its link to the master is in state `{state}`")) }
    }
}

async fn open(
    shared: &Shared,
    address: &Address,
    broken: &mut Broken,
    stop: &CancellationToken,
) -> Result<Arc<Line>, Trouble> {
    // What is under way when the replica is not to be read from any more still has its time.
    let ending = Ending { closed: stop.clone(), grace: shared.config.in_flight_grace };
    let access = shared.config.node_access();
    let link = shared.dialer.dial_shared(address, &access, ending).await?;
    let opened = Arc::new(Line::new(link));
    judge(shared, &opened, broken, shared.config.client_name.as_deref()).await?;
    Ok(opened)
}

/// Watches over a line; returns why it is given up.
async fn attend(shared: &Shared, line: &Line, broken: &mut Broken) -> String {
    loop {
        tokio::select! {
            biased;
            () = line.link.ended() => return "the connection was closed".to_owned(),
            () = line.failure.notified() => return "a command was refused or not answered".to_owned(),
            () = sleep(shared.config.sentinel_ping) => {}
        }
        if let Err(reason) = judge(shared, line, broken, None).await {
            return reason;
        }
    }
}

/// Asks for the role, and how far behind it is; with a name, the connection is given that first.
async fn judge(shared: &Shared, line: &Line, broken: &mut Broken, client_name: Option<&str>) -> Result<(), String> {
    let deadline = shared.config.timeouts.handshake;
    let mut connection = line.link.connection.clone();
    let judged = async {
        // The master first: what it writes between the two answers is not counted against the replica.
        let master = match shared.config.max_lag {
            Some(_) => master_offset(shared).await,
            None => None,
        };
        let replica = role::replica(&mut connection, client_name).await?;
        broken.note(replica.broken.as_deref(), shared.config.stale_reads)?;
        let lag = master.zip(replica.offset).map(|(master, replica)| master.saturating_sub(replica));
        Ok::<_, String>((lag, replica.round_trip))
    };
    let (lag, round_trip) =
        within(deadline, judged).await.map_err(|_| format!("no answer to ROLE within {deadline:?}"))??;
    line.note(round_trip, lag);
    // Without a master there is nothing to be behind of.
    let behind = lag.zip(shared.config.max_lag).is_some_and(|(lag, most)| lag > most);
    if line.behind.swap(behind, Ordering::AcqRel) != behind {
        tracing::debug!(address = %line.address(), lag, behind, "replica judged by its lag");
        shared.readers.tell();
    }
    Ok(())
}

async fn master_offset(shared: &Shared) -> Option<u64> {
    let link = shared.standing.load().link.clone()?;
    let mut connection = link.link.connection.clone();
    let answer = connection.req_packed_command(&redis::cmd("ROLE")).await.ok()?;
    role::offset_of_master(&answer)
}
