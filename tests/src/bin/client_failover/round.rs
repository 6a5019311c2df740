//! One client, or several, through one failover.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Deployment, Kind, SentinelProcess, eventually};

use crate::application::{Application, Writes, now};
use crate::clients::Client;

const NAME: &str = "mymaster";
/// A second of writing: long enough to say that it goes on.
const STEADY: usize = 500;
const BEGINS_WITHIN: Duration = Duration::from_secs(30);
/// A client that has not written for so long after the death of its master does not recover.
const RECOVERS_WITHIN: Duration = Duration::from_secs(60);

/// What the application saw.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The longest time between two acknowledged writes; `None` if it has not written for a second within a minute.
    pub(crate) gap: Option<Duration>,
    /// Writes whose error reached the application.
    pub(crate) failed: usize,
    /// Acknowledged writes that the new master does not have.
    pub(crate) lost: usize,
}

/// Kills the master under an application on that client.
pub(crate) fn through_a_failover(client: Client, clients: &Path, kind: Kind, round: u32) -> Outcome {
    let deployment = Deployment::of(&[kind; 3]).start();
    let group = deployment.only_group();
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let application = Application::start(client, clients, folder.path(), NAME, &ports, &[]);
    eventually(&format!("{} writes", client.name()), BEGINS_WITHIN, || {
        let count = application.writes().acknowledged.len();
        if count >= STEADY { Ok(()) } else { Err(format!("{count} writes so far:\n{}", application.last_output())) }
    });
    // The rounds begin at different phases of the Sentinels' periods of 1 and 2 s.
    std::thread::sleep(Duration::from_millis(u64::from(round * 370 % 1000)));

    let killed = now();
    group.master().kill();
    let new = deployment.wait_for_switch(NAME, group.master().port());
    let deadline = Instant::now() + RECOVERS_WITHIN;
    let recovered = loop {
        // What was under way at the kill may be read after it; steady writing cannot.
        if application.writes().acknowledged_since(killed) >= STEADY {
            break true;
        }
        if Instant::now() >= deadline {
            break false;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let output = application.last_output();
    let writes = application.finish();
    if !recovered {
        let last = writes.last_failure.as_deref().unwrap_or("no failure");
        eprintln!("{} does not recover; last told: {last}\n{output}", client.name());
    }
    Outcome {
        gap: recovered.then(|| writes.longest_gap()),
        failed: writes.failed,
        lost: missing(&writes.acknowledged, new, "written"),
    }
}

/// Kills the master under applications on all these clients, which write at this pace; what each of them saw of the same failover.
pub(crate) fn through_the_same_failover(
    clients: &[Client],
    installed: &Path,
    kind: Kind,
    pace: Duration,
) -> Vec<Outcome> {
    let deployment = Deployment::of(&[kind; 3]).start();
    let group = deployment.only_group();
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prefix = |index: usize| format!("client{index}");
    let applications: Vec<Application> = (0..clients.len())
        .map(|index| {
            let parent = folder.path().join(prefix(index));
            std::fs::create_dir(&parent).expect("a folder in the temporary one");
            let variables = [format!("PACE={}", pace.as_secs_f64()), format!("KEY_PREFIX={}", prefix(index))];
            Application::start(clients[index], installed, &parent, NAME, &ports, &variables)
        })
        .collect();
    for (client, application) in clients.iter().zip(&applications) {
        eventually(&format!("{} writes", client.name()), BEGINS_WITHIN, || {
            let count = application.writes().acknowledged.len();
            if count >= STEADY { Ok(()) } else { Err(format!("{count} writes so far:\n{}", application.last_output())) }
        });
    }
    let killed = now();
    group.master().kill();
    let new = deployment.wait_for_switch(NAME, group.master().port());
    let deadline = Instant::now() + RECOVERS_WITHIN;
    let has_recovered = |application: &Application| application.writes().acknowledged_since(killed) >= STEADY;
    while Instant::now() < deadline && !applications.iter().all(has_recovered) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let recovered: Vec<bool> = applications.iter().map(has_recovered).collect();
    // All end before the keys are looked at.
    let writes: Vec<_> = applications.into_iter().map(Application::finish).collect();
    let outcome = |(index, writes): (usize, &Writes)| Outcome {
        gap: recovered[index].then(|| writes.longest_gap_since(killed)),
        failed: writes.failed,
        lost: missing(&writes.acknowledged, new, &prefix(index)),
    };
    writes.iter().enumerate().map(outcome).collect()
}

fn missing(acknowledged: &[(u64, Duration)], node: &DataNode, prefix: &str) -> usize {
    let keys: Vec<String> = node
        .command(&["KEYS", &format!("{prefix}:*")])
        .unwrap_or_else(|error| panic!("{}: cannot be searched: {error}", node.label()));
    let present: BTreeSet<u64> =
        keys.iter().filter_map(|key| key.strip_prefix(prefix)?.strip_prefix(':')?.parse().ok()).collect();
    acknowledged.iter().filter(|(number, _)| !present.contains(number)).count()
}
