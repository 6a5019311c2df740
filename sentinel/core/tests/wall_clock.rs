//! The wall clock decides nothing: whatever it does, the same things happen at the same time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sentinel_core::{
    Boot, Engine, Input, LinkFault, MasterSnapshot, Output, Snapshot,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant, Now, WallTime},
    types::{Epoch, MasterName, Quorum, SentinelId},
};

/// Ten virtual minutes in which nobody can be reached; every effect with its time.
fn history(wall: fn(u64) -> u64) -> Vec<String> {
    let mut settings = MasterSettings::new(Quorum::new(1).expect("a quorum"));
    settings.down_after = Duration::from_secs(1);
    settings.failover_timeout = Duration::from_secs(3);
    let name = MasterName::new("m").expect("a name");
    let mut master = MasterSnapshot::new(name, "127.0.0.1:6379".parse().expect("an address"), settings);
    master.replicas = vec!["127.0.0.1:6380".parse().expect("an address")];
    let snapshot = Snapshot {
        id: SentinelId::new(&"a".repeat(40)).expect("an id"),
        current_epoch: Epoch::new(1),
        globals: Arc::new(GlobalSettings::default()),
        masters: vec![Arc::new(master)],
    };
    let boot = Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), run_id: None, seed: 7 };
    let reading = |micros: u64| Now { mono: Instant::from_micros(micros), wall: WallTime(wall(micros)) };
    let mut engine = Engine::new(boot, reading(0));
    let mut history = Vec::new();
    let mut now = 0;
    while now < 600_000_000 {
        while let Some(output) = engine.poll_output() {
            history.push(format!("{now} {output:?}"));
            match output {
                Output::Connect { link, .. } => {
                    engine.handle(reading(now), Input::LinkDown { link, fault: LinkFault::Refused });
                }
                Output::Persist(seq) => engine.handle(reading(now), Input::Persisted(seq)),
                _ => {}
            }
        }
        now = engine.next_timeout().map_or(u64::MAX, Instant::as_micros);
        if now < u64::MAX {
            engine.handle_timeout(reading(now));
        }
    }
    history
}

#[test]
fn weakness_24_jumps_of_the_wall_clock_change_nothing() {
    let usual = history(|micros| 1_800_000_000_000 + micros / 1_000);
    assert!(usual.iter().any(|line| line.contains("Sdown") || line.contains("SubjectivelyDown")), "{usual:#?}");
    // Every 7 s to another day, forth and back; and one that stands still.
    let jumping = history(|micros| 1_800_000_000_000 + micros / 1_000 + micros / 7_000_000 % 3 * 86_400_000);
    let standing = history(|_| 1_800_000_000_000);
    assert_eq!(usual, jumping);
    assert_eq!(usual, standing);
}
