//! The rounds, and what is read off them.

use std::time::{Duration, Instant};

use sentinel_tests::{Dataset, Deployment, EventRecorder, Kind, Outcome, Prober, SentinelProcess, Writer, eventually};

const NAME: &str = "mymaster";
const QUORUM: usize = 2;
/// More than the reference needs for anything that is measured here.
const LIMIT: Duration = Duration::from_secs(40);

/// Milliseconds, one value a round. They are negative when what should come later came earlier.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// SIGKILL to the quorum-th `+sdown`.
    pub(crate) kill_to_down: Vec<f64>,
    /// The quorum-th `+sdown` to the first write the new master accepts.
    pub(crate) down_to_write: Vec<f64>,
    /// The quorum-th `+sdown` to the first write of an application that asks the Sentinels for the address.
    pub(crate) down_to_application: Vec<f64>,
    /// SIGKILL to that write.
    pub(crate) kill_to_application: Vec<f64>,
    /// The old master's first answer after its return to its first refusal of a write.
    pub(crate) return_to_fenced: Vec<f64>,
    /// `SENTINEL FAILOVER` to the first write the new master accepts.
    pub(crate) forced_to_write: Vec<f64>,
    /// `SENTINEL FAILOVER` to the application's first write to the new master.
    pub(crate) forced_to_application: Vec<f64>,
    /// The first write the new master accepts to the old master's first refusal of one.
    pub(crate) write_to_demoted: Vec<f64>,
}

/// Kills the master, waits until another accepts writes, and starts the old one again.
pub(crate) fn kill_and_return(kind: Kind, round: u32, samples: &mut Samples) {
    let deployment = Deployment::of(&[kind; 3]).start();
    let group = deployment.only_group();
    let old = group.master();
    let events: Vec<EventRecorder> = deployment.sentinels().iter().map(SentinelProcess::record).collect();
    let probers: Vec<Prober> = group.replicas().iter().map(|replica| Prober::start(replica.port())).collect();
    let application = application(&deployment);
    wait_for_phase(round);

    let killed = Instant::now();
    old.kill();
    let written = first_accepted(&probers, killed);
    let down = quorum_th_down(&events);
    let new = deployment.wait_for_switch(NAME, old.port());
    let application_wrote = application.wait_for_write(new.port(), killed, LIMIT);
    samples.kill_to_down.push(milliseconds(killed, down));
    samples.down_to_write.push(milliseconds(down, written));
    samples.down_to_application.push(milliseconds(down, application_wrote.at));
    samples.kill_to_application.push(milliseconds(killed, application_wrote.at));
    drop(application);
    drop(probers);

    let prober = Prober::start(old.port());
    let started = Instant::now();
    old.launch_again(Dataset::Kept);
    let fenced = wait_for(&prober, Outcome::ReadOnly, started, "is fenced");
    // One that is fenced before it accepted any write was never seen as a master.
    let answered = prober.first(Outcome::Accepted, started).unwrap_or(fenced);
    samples.return_to_fenced.push(milliseconds(answered.min(fenced), fenced));
}

/// Has a Sentinel move the master from a node that is alive.
pub(crate) fn forced_failover(kind: Kind, round: u32, samples: &mut Samples) {
    let deployment = Deployment::of(&[kind; 3]).start();
    let group = deployment.only_group();
    let probers: Vec<Prober> = group.replicas().iter().map(|replica| Prober::start(replica.port())).collect();
    let old = Prober::start(group.master().port());
    let application = application(&deployment);
    wait_for_phase(round);

    let told = Instant::now();
    deployment.sentinels()[0].failover(NAME);
    let written = first_accepted(&probers, told);
    let demoted = wait_for(&old, Outcome::ReadOnly, told, "is demoted");
    let new = deployment.wait_for_switch(NAME, group.master().port());
    let application_wrote = application.wait_for_write(new.port(), told, LIMIT);
    samples.forced_to_write.push(milliseconds(told, written));
    samples.forced_to_application.push(milliseconds(told, application_wrote.at));
    samples.write_to_demoted.push(milliseconds(written, demoted));
}

fn application(deployment: &Deployment) -> Writer {
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    Writer::start(&ports, NAME, Duration::from_millis(1))
}

/// The rounds begin at different phases of the Sentinels' periods of 1 and 2 s.
fn wait_for_phase(round: u32) {
    std::thread::sleep(Duration::from_millis(u64::from(round * 370 % 1000)));
}

fn first_accepted(probers: &[Prober], since: Instant) -> Instant {
    eventually("a replica accepts a write", LIMIT, || {
        probers
            .iter()
            .filter_map(|prober| prober.first(Outcome::Accepted, since))
            .min()
            .ok_or_else(|| "none does".to_owned())
    })
}

fn wait_for(prober: &Prober, outcome: Outcome, since: Instant, what: &str) -> Instant {
    eventually(&format!("the old master {what}"), LIMIT, || {
        prober.first(outcome, since).ok_or_else(|| format!("{:?}", prober.changes().last()))
    })
}

fn quorum_th_down(events: &[EventRecorder]) -> Instant {
    eventually("a quorum sees the master down", LIMIT, || {
        let mut seen: Vec<Instant> = events
            .iter()
            .filter_map(|recorder| {
                let told = recorder.find("+sdown", |payload| payload.starts_with("master "))?;
                Some(told.at)
            })
            .collect();
        seen.sort();
        seen.get(QUORUM - 1).copied().ok_or_else(|| format!("{} see it", seen.len()))
    })
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    if to >= from { (to - from).as_secs_f64() * 1e3 } else { -((from - to).as_secs_f64() * 1e3) }
}
