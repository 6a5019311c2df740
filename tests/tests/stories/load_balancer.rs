//! `HAProxy` in front of real nodes, with the file of `configs/`.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sentinel_tests::{Deployment, Group, ServerProcess, Writer, eventually, free_port, programs, skipped};
use tempfile::TempDir;

use crate::given::{SOON, only_true_of_ours};

/// What an idle machine stays under is 250 ms, which is printed; a loaded one may take longer.
const LONGEST_GAP: Duration = Duration::from_secs(5);

fn program() -> Option<PathBuf> {
    programs::on_path("haproxy").or_else(|| Some(PathBuf::from("/usr/sbin/haproxy")).filter(|path| path.is_file()))
}

/// `configs/haproxy.cfg` with the ports of this deployment.
fn configured(deployment: &Deployment, port: u16, socket: &Path) -> String {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/haproxy.cfg");
    let mut text = fs::read_to_string(example).unwrap_or_else(|error| panic!("{example}: {error}"));
    let mut replace = |from: String, to: String| {
        assert!(text.contains(&from), "the example holds {from:?}");
        text = text.replace(&from, &to);
    };
    replace("/run/haproxy/admin.sock mode".to_owned(), format!("{} mode", socket.display()));
    replace("bind :6379".to_owned(), format!("bind 127.0.0.1:{port}"));
    replace("6399".to_owned(), free_port().to_string());
    for (index, node) in deployment.only_group().nodes().iter().enumerate() {
        replace(format!("10.0.0.{}:6379", index + 1), node.address());
    }
    for (index, sentinel) in deployment.sentinels().iter().enumerate() {
        let endpoint = sentinel.configured("http-listen").expect("it has an endpoint");
        replace(format!("10.0.0.1{}:26380", index + 1), endpoint);
    }
    text
}

/// Looks again and again which nodes `HAProxy` holds to be up.
struct Watched {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
    thread: JoinHandle<()>,
}

fn up(socket: &Path) -> std::io::Result<Vec<String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(b"show servers state redis\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    // The first two lines are the version and the names of the columns; in the sixth 2 is up.
    let servers = text.lines().skip(2).map(|line| line.split(' ').collect::<Vec<_>>());
    Ok(servers.filter(|it| it.get(5) == Some(&"2")).filter_map(|it| it.get(3).map(|&name| name.to_owned())).collect())
}

impl Watched {
    fn start(socket: &Path) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let thread = std::thread::spawn({
            let (stop, seen, socket) = (Arc::clone(&stop), Arc::clone(&seen), socket.to_owned());
            move || {
                while !stop.load(Ordering::Relaxed) {
                    if let Ok(up) = up(&socket) {
                        seen.lock().expect("nobody panics with it").push(up);
                    }
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        Watched { stop, seen, thread }
    }

    fn finish(self) -> Vec<Vec<String>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("it has watched");
        std::mem::take(&mut *self.seen.lock().expect("nobody panics with it"))
    }
}

#[track_caller]
fn wait_until_up(group: &Group, port: u16, socket: &Path) {
    let index = group.nodes().iter().position(|node| node.port() == port).expect("it is one of them");
    let wanted = vec![format!("node{}", index + 1)];
    eventually("HAProxy has found the master", SOON, || match up(socket) {
        Ok(up) if up == wanted => Ok(()),
        other => Err(format!("{other:?}, not {wanted:?}")),
    });
}

#[test]
fn haproxy_leads_writes_to_the_one_master_through_a_forced_failover_and_a_death() {
    if only_true_of_ours("it has no HTTP endpoint") {
        return;
    }
    let Some(haproxy) = program() else { return skipped("haproxy is not installed") };
    // Given three Sentinels, HAProxy with the example's file, and an application that writes through it
    let deployment = Deployment::of_ours(3).with_http().start();
    let group = deployment.only_group();
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let (port, socket, file) = (free_port(), folder.path().join("stats"), folder.path().join("haproxy.cfg"));
    fs::write(&file, configured(&deployment, port, &socket)).expect("it is written");
    let arguments: Vec<OsString> = vec!["-db".into(), "-f".into(), file.into()];
    let balancer = ServerProcess::start("haproxy", &haproxy, &arguments, folder.path());
    eventually("HAProxy answers", SOON, || {
        up(&socket).map_err(|error| format!("{error}: {}", balancer.last_output(20)))
    });
    wait_until_up(group, group.master().port(), &socket);
    let watched = Watched::start(&socket);

    // When an operator has the master replaced while the application writes
    let writer = Writer::through(port, Duration::from_millis(2));
    let old = group.master();
    deployment.sentinels()[0].failover("mymaster");
    let new = deployment.wait_for_switch("mymaster", old.port());
    wait_until_up(group, new.port(), &socket);
    writer.wait_for_write(port, Instant::now(), SOON);
    let gap = writer.finish().longest_gap();
    println!("longest write gap of a forced failover through HAProxy: {} ms", gap.as_millis());
    assert!(gap < LONGEST_GAP, "{gap:?}");

    // And when the new one dies, then it is taken out, and the next one is let in
    group.wait_until_linked(new);
    deployment.wait_until_discovered();
    let writer = Writer::through(port, Duration::from_millis(2));
    new.kill();
    let third = deployment.wait_for_switch("mymaster", new.port());
    wait_until_up(group, third.port(), &socket);
    writer.wait_for_write(port, Instant::now(), SOON);
    drop(writer);

    // Then at no time two were up
    let seen = watched.finish();
    let two = seen.iter().find(|up| up.len() > 1);
    assert!(seen.len() > 10 && two.is_none(), "{two:?} of {} looks", seen.len());
    println!("HAProxy was looked at {} times: never more than one master was up", seen.len());
}
