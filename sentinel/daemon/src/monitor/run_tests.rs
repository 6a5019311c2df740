//! The loop with nothing to watch: what clients and the disk see of it.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use sentinel_core::{Boot, ClientId, command::Change, settings::Timing, types::SentinelId};
use sentinel_resp::Reply;
use tokio::sync::oneshot;

use super::{Clock, Dialer, Handle, Heartbeat, Running, Setup, run::build, start, testing::PATIENCE};
use crate::{
    config::{self, Loaded, Source},
    persist::{Disk, RealDisk, Store},
    serve::Ask,
};

fn given<D: Disk + 'static>(
    folder: &Path,
    disk: D,
) -> (Handle, Running, tokio::sync::mpsc::UnboundedReceiver<sentinel_core::events::Event>) {
    start(setup(folder, disk)).unwrap()
}

fn setup<D: Disk + 'static>(folder: &Path, disk: D) -> Setup<D> {
    let path = folder.join("s.conf");
    std::fs::write(&path, "port 1\n").unwrap();
    let Loaded { config, keep, .. } = config::load(&Source::file(&path)).unwrap();
    let id = SentinelId::new(&"a".repeat(40)).unwrap();
    Setup {
        boot: Boot {
            snapshot: config.snapshot(id),
            timing: Timing::default(),
            names: std::collections::BTreeMap::new(),
            run_id: None,
            seed: 1,
        },
        clock: Clock::start(),
        dialer: Dialer::default(),
        store: Store::on(disk, keep),
        meters: Arc::default(),
        witnesses: Vec::new(),
        heartbeat: None,
    }
}

fn monitor(name: &str) -> Change {
    Change::Monitor(sentinel_core::command::NewMaster {
        name: sentinel_core::types::MasterName::new(name).unwrap(),
        addr: "127.0.0.1:1".parse().unwrap(),
        quorum: sentinel_core::types::Quorum::new(1).unwrap(),
    })
}

async fn ask(handle: &Handle, change: Change) -> Option<Reply> {
    let (reply, answer) = oneshot::channel();
    handle.asks.send(Ask { client: ClientId(1), change, reply }).await.ok()?;
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer, or its end, in time").ok()
}

/// A disk that may be full.
#[derive(Clone, Default)]
struct Full(Arc<AtomicBool>);

impl Disk for Full {
    fn resolve(&mut self, path: &Path) -> io::Result<std::path::PathBuf> {
        if self.0.load(Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(path.to_owned()) }
    }
}

#[tokio::test]
async fn whoever_was_answered_or_told_sees_it() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, running, mut events) = given(folder.path(), RealDisk);
    assert_eq!(ask(&handle, monitor("m")).await, Some(Reply::ok()));
    assert_eq!(handle.view.load().masters.len(), 1);
    let event = tokio::time::timeout(PATIENCE, events.recv()).await.unwrap().unwrap();
    assert_eq!(event.channel(), "+monitor");
    assert_eq!(ask(&handle, monitor("n")).await, Some(Reply::ok()));
    assert_eq!(handle.view.load().masters.len(), 2);
    handle.stop();
    assert!(running.join());
    let kept = std::fs::read_to_string(folder.path().join("s.conf")).unwrap();
    assert!(kept.contains("sentinel monitor m ") && kept.contains("sentinel monitor n "), "{kept}");
}

#[tokio::test]
async fn a_full_disk_is_seen_and_overcome() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Full::default();
    let (handle, running, _events) = given(folder.path(), disk.clone());
    disk.0.store(true, Relaxed);
    let asking = tokio::spawn({
        let handle = handle.clone();
        async move { ask(&handle, Change::FlushConfig).await }
    });
    let deadline = Instant::now() + PATIENCE;
    while handle.view.load().persist_error.is_none() {
        assert!(Instant::now() < deadline, "the failure is not shown");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    disk.0.store(false, Relaxed);
    while handle.view.load().persist_error.is_some() {
        assert!(Instant::now() < deadline, "the success is not shown");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(asking.await.unwrap().is_some(), "whatever the answer, there is one");
    handle.stop();
    assert!(running.join());
}

#[tokio::test]
async fn stopped_it_answers_nobody_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (handle, mut running, _events) = given(folder.path(), RealDisk);
    handle.stop();
    tokio::time::timeout(PATIENCE, running.ended()).await.expect("it ends");
    assert_eq!(ask(&handle, Change::FlushConfig).await, None);
    assert!(running.join());
}

/// What systemd hears next.
async fn heard(systemd: &tokio::net::UnixDatagram) -> String {
    let mut message = [0; 512];
    let length = tokio::time::timeout(PATIENCE, systemd.recv(&mut message)).await.expect("a message in time").unwrap();
    String::from_utf8_lossy(&message[..length]).into_owned()
}

#[tokio::test]
async fn who_turns_the_loop_and_nobody_else_tells_systemd_that_it_turns() {
    // Given a loop that this test turns, and a systemd that bears a silence of 40 ms
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let heartbeat = Heartbeat::new(socket.as_os_str(), Some(Duration::from_millis(40))).unwrap();
    let setup = Setup { heartbeat: Some(heartbeat), ..setup(folder.path(), RealDisk) };
    let (handle, monitor, _events) = build(setup).unwrap();
    let mut turning = Box::pin(monitor.run());
    for _ in 0..3 {
        tokio::select! {
            () = &mut turning => panic!("it ended"),
            message = heard(&systemd) => assert!(message.starts_with("WATCHDOG=1\n"), "{message}"),
        }
    }

    // When it hangs, while timers and other threads run on
    while systemd.try_recv(&mut [0; 512]).is_ok() {}
    let silence = tokio::time::timeout(Duration::from_millis(200), systemd.recv(&mut [0; 512])).await;

    // Then nothing is heard, until it turns again
    assert!(silence.is_err(), "something else sent it");
    tokio::select! {
        () = &mut turning => panic!("it ended"),
        message = heard(&systemd) => assert_eq!(message, "WATCHDOG=1\n"),
    }
    handle.stop();
    tokio::time::timeout(PATIENCE, turning).await.expect("it ends");
}
