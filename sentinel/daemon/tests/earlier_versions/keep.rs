//! Makes the folder of the present version: `KEEP_VERSION=1 cargo test -p sentineld --test earlier_versions`. Without the variable it is
//! made for a moment, and compared with the newest one that is kept.
//!
//! Everything is written by the program itself. The masters of the states are at addresses of documentation (RFC 5737), where nobody
//! is: whoever loads them later reaches no server of anybody. Hellos and requests for votes are heard on loopback between real ones.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

use sentinel_core::{
    settings::master::MASTER,
    snapshot::Snapshot,
    types::{HostPort, SentinelId},
};
use sentinel_tests::{Deployment, EventRecorder, Kind, SentinelProcess, eventually};
use sentineld::{
    config::{Source, load},
    persist::Store,
};

use super::{FORMS, fixtures, read, running::Running, state::assert_kept, versions, wire};

const SOON: Duration = Duration::from_secs(20);

const CLASSIC: &str = "\
# A comment of the operator.
port 0
unixsocket s.sock
sentinel announce-ip 192.0.2.11
sentinel deny-scripts-reconfig no
#@ sentinel hello-auth-key a-key-of-tests
#@ sentinel hello-auth-required no
#@ sentinel history-size 300
sentinel monitor mymaster 192.0.2.1 6379 2
sentinel down-after-milliseconds mymaster 60000
sentinel monitor gone 192.0.2.31 6379 2
";

const TOML: &str = r#"# A comment of the operator.

[server]
port = 0
unixsocket = "s.sock"

[sentinel]
announce-ip = "192.0.2.11"
deny-scripts-reconfig = false
hello-auth-key = "a-key-of-tests"
hello-auth-required = false
history-size = 300

[[master]]
name = "mymaster"
address = "192.0.2.1:6379"
quorum = 2
down-after = "1m"

[[master]]
name = "gone"
address = "192.0.2.31:6379"
quorum = 2
"#;

/// A value that is not the default, for each setting of a master that SENTINEL SET takes.
const SETTINGS: [(&str, &str); 18] = [
    ("down-after-milliseconds", "7000"),
    ("failover-timeout", "61000"),
    ("parallel-syncs", "3"),
    ("notification-script", "/bin/true"),
    ("client-reconfig-script", "/bin/true"),
    ("auth-pass", "a test password"),
    ("auth-user", "tester"),
    ("master-reboot-down-after-period", "90000"),
    ("down-on-refused", "4"),
    ("lossless-failover", "no"),
    ("lossless-catch-up", "6000"),
    ("empty-master-failover", "yes"),
    ("promote-best-effort", "yes"),
    ("max-lag", "1048576"),
    ("failover-pause", "30000"),
    ("reload-grace", "20000"),
    ("promote-empty", "yes"),
    ("ping-period", "400"),
];
/// These two SENTINEL PAUSE sets.
const PAUSE: [&str; 2] = ["paused-until", "pause-reason"];

fn id(digit: char) -> SentinelId {
    SentinelId::new(&digit.to_string().repeat(40)).expect("an id")
}

#[test]
fn the_values_kept_are_for_all_settings_of_a_master() {
    let mut given: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).chain(PAUSE).collect();
    let mut all: Vec<&str> = MASTER.iter().map(|row| row.name).collect();
    given.sort_unstable();
    all.sort_unstable();
    assert_eq!(given, all);
}

#[test]
fn the_present_version_writes_what_the_newest_kept_one_wrote() {
    if env::var_os("KEEP_VERSION").is_some() {
        let folder = fixtures().join(env!("CARGO_PKG_VERSION"));
        assert!(!folder.exists(), "{} is there already, and is never changed", folder.display());
        keep_version(&folder);
    }
    let newest = versions().pop().expect("a version is kept");
    let folder = tempfile::tempdir().expect("a temporary folder");
    keep_version(folder.path());
    for (form, configuration, state) in FORMS {
        for name in [Some(configuration), state].into_iter().flatten() {
            let before = newest.join(form).join(name);
            assert_kept(&read(&before), &read(folder.path().join(form).join(name)), &before);
        }
    }
    for (name, separator) in
        [("hello", ','), ("hello-signed", ','), ("request-vote", '\n'), ("request-vote-answer", '\n')]
    {
        let fields = |folder: &Path| read(folder.join("wire").join(name)).matches(separator).count();
        assert_eq!(fields(folder.path()), fields(&newest), "{name} has other fields than in {}", newest.display());
    }
}

/// All that is kept of a version.
fn keep_version(folder: &Path) {
    let wire = folder.join("wire");
    fs::create_dir_all(&wire).expect("a folder can be made");
    hear_hellos(&wire);
    let history = hear_an_election(&wire);
    for (name, configuration, state) in FORMS {
        keep_state(&folder.join(name), configuration, state, &history);
    }
}

/// One form of the state: what was learnt, what commands have changed, and what happened.
fn keep_state(kept: &Path, configuration: &str, state: Option<&str>, history: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(configuration);
    let text = match (configuration, state) {
        ("sentinel.conf", None) => CLASSIC.to_owned(),
        ("sentinel.conf", Some(state)) => format!("sentinel state-config-file {state}\n{CLASSIC}"),
        (_, None) => TOML.to_owned(),
        (_, Some(state)) => format!("state-file = {state:?}\n\n{TOML}"),
    };
    fs::write(&path, text).expect("a file can be written");
    let loaded = load(&Source { directory: folder.path().to_owned(), ..Source::file(&path) }).expect("it loads");
    let snapshot = learnt(loaded.config.snapshot(id('a')));
    Store::new(loaded.keep).save(&snapshot).expect("it is saved");
    let state_path = folder.path().join(state.unwrap_or(configuration));
    let history_path = format!("{}.history", state_path.display());
    fs::write(&history_path, history).expect("a file can be written");

    let running = Running::start(folder.path(), configuration);
    for (name, value) in SETTINGS {
        let _: String = running.ask(&["SENTINEL", "SET", "mymaster", name, value]);
    }
    let other = id('b').to_string();
    let commands: [&[&str]; 8] = [
        &["SENTINEL", "SET", "mymaster", "quorum", "3", "rename-command", "CONFIG", "test-config"],
        &["SENTINEL", "CONFIG", "SET", "announce-port", "26380"],
        &["SENTINEL", "CONFIG", "SET", "sentinel-user", "tester"],
        &["SENTINEL", "CONFIG", "SET", "sentinel-pass", "another test password"],
        &["SENTINEL", "MONITOR", "the cache", "192.0.2.21", "6379", "1"],
        &["SENTINEL", "REMOVE", "gone"],
        &["ACL", "SETUSER", "tester", "on", ">test", "&*", "-@all", "+ping"],
        &["SENTINEL", "PAUSE", "mymaster", "0", "a test, without end"],
    ];
    for words in commands {
        let _: redis::Value = running.ask(words);
    }
    // A vote, and a switch in a later epoch that a known Sentinel announces
    let vote = ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "192.0.2.1", "6379", "6", &other];
    let (_, leader, epoch): (i64, String, i64) = running.ask(&vote);
    assert_eq!((leader, epoch), (other.clone(), 6));
    let hello = format!("192.0.2.12,26379,{other},7,mymaster,192.0.2.2,6379,7");
    let _: i64 = running.ask(&["PUBLISH", "__sentinel__:hello", &hello]);
    eventually("it follows", SOON, || {
        let (host, _): (String, u16) = running.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]);
        let written = fs::read_to_string(&history_path).unwrap_or_default();
        let followed = host == "192.0.2.2" && written.lines().count() > history.lines().count();
        followed.then_some(()).ok_or(format!("{host}, {written}"))
    });
    let _: String = running.ask(&["SENTINEL", "FLUSHCONFIG"]);
    let answers = running.answers("mymaster");
    let answers: Vec<String> = answers.iter().map(|(name, value)| format!("{name} {value}\n")).collect();
    running.terminate();

    fs::create_dir(kept).expect("a folder can be made");
    fs::write(kept.join("answers"), answers.concat()).expect("a file can be written");
    let names = [Some(configuration), state].into_iter().flatten().map(str::to_owned);
    for name in names.chain([format!("{}.history", state.unwrap_or(configuration))]) {
        fs::copy(folder.path().join(&name), kept.join(&name)).expect("it can be copied");
    }
}

/// What others would have told: replicas, nodes that were in sync, other Sentinels.
fn learnt(mut snapshot: Snapshot) -> Snapshot {
    let addr = |text: &str| text.parse::<HostPort>().expect("an address");
    let master = snapshot.masters.iter_mut().find(|master| master.name.as_str() == "mymaster").expect("it is there");
    let master = Arc::make_mut(master);
    master.replicas = vec![addr("192.0.2.2:6379"), addr("192.0.2.3:6379")];
    master.in_sync = vec![(addr("192.0.2.1:6379"), 12), (addr("192.0.2.2:6379"), 11)];
    master.peers = vec![(id('b'), addr("192.0.2.12:26379")), (id('c'), addr("192.0.2.13:26379"))];
    snapshot
}

fn key_line() -> String {
    format!("sentinel hello-auth-key {}", wire::KEY)
}

/// A hello as it is published at a data node, without a key and with one.
fn hear_hellos(kept: &Path) {
    for (name, lines) in [("hello", vec![]), ("hello-signed", vec![key_line()])] {
        let deployment = lines.iter().fold(Deployment::of(&[Kind::Ours]), |it, line| it.sentinel_line(line)).quorum(1);
        let deployment = deployment.start();
        let old = deployment.only_group().master();
        deployment.sentinels()[0].failover("mymaster");
        let new = deployment.wait_for_switch("mymaster", old.port());
        deployment.only_group().wait_until_linked(new);
        let heard = EventRecorder::start(new.port());
        let in_epoch = |payload: &str| payload.split(';').next().is_some_and(|text| text.ends_with(",1"));
        let hello = heard.wait_for("__sentinel__:hello", in_epoch, SOON).payload;
        fs::write(kept.join(name), hello + "\n").expect("a file can be written");
    }
}

/// A signed request for a vote, its answer, and who was asked. Returns the history of the one that led.
fn hear_an_election(kept: &Path) -> String {
    let deployment = Deployment::of(&[Kind::Ours]).quorum(1).sentinel_line(&key_line()).start();
    let (candidate, old) = (&deployment.sentinels()[0], deployment.only_group().master());
    let between = Between::start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = [
        format!("sentinel monitor mymaster 127.0.0.1 {} 4", old.port()),
        format!("sentinel announce-port {}", between.port),
        "sentinel down-after-milliseconds mymaster 500".to_owned(),
        key_line(),
    ];
    let voter = SentinelProcess::start(folder.path(), "voter", Kind::Ours, &lines);
    between.target.store(voter.port(), Ordering::Relaxed);
    eventually("the voter has proved the key", SOON, || {
        let peers = candidate.peers("mymaster").map_err(|error| error.to_string())?;
        let proved = peers.iter().any(|peer| peer.contains_key("authenticated"));
        proved.then_some(()).ok_or_else(|| format!("{peers:?}"))
    });
    let info: String = voter.command(&["INFO", "server"]).expect("it answers");
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).expect("it has one").trim();
    old.kill();
    deployment.wait_for_switch("mymaster", old.port());
    let (request, answer) = eventually("an election is heard", SOON, || {
        let asked = between.asked.lock().expect("nobody panics with it");
        let answered = between.answered.lock().expect("nobody panics with it");
        wire::vote_in(&asked, &answered).ok_or_else(|| "none".to_owned())
    });
    fs::write(kept.join("request-vote"), request).expect("a file can be written");
    fs::write(kept.join("request-vote-answer"), answer).expect("a file can be written");
    fs::write(kept.join("voter"), format!("{}\n{run}\n", voter.id())).expect("a file can be written");
    let history = format!("{}.history", candidate.config_file().display());
    eventually("the failover has ended", SOON, || {
        let history = fs::read_to_string(&history).unwrap_or_default();
        if history.is_empty() { Err("no incident".to_owned()) } else { Ok(history) }
    })
}

/// Stands before a Sentinel, and keeps what goes to it and comes from it.
struct Between {
    port: u16,
    target: Arc<AtomicU16>,
    asked: Arc<Mutex<Vec<u8>>>,
    answered: Arc<Mutex<Vec<u8>>>,
}

impl Between {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let between = Between { port, target: Arc::default(), asked: Arc::default(), answered: Arc::default() };
        let (target, asked, answered) =
            (Arc::clone(&between.target), Arc::clone(&between.asked), Arc::clone(&between.answered));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target.load(Ordering::Relaxed))) else { continue };
                pass_on(&client, &server, &asked);
                pass_on(&server, &client, &answered);
            }
        });
        between
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream, kept: &Arc<Mutex<Vec<u8>>>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let kept = Arc::clone(kept);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            kept.lock().expect("nobody panics with it").extend_from_slice(&buffer[..count]);
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// What a file of answers says.
pub(crate) fn answers_in(text: &str) -> BTreeMap<String, String> {
    text.lines().map(|line| line.split_once(' ').unwrap_or((line, ""))).map(|(a, b)| (a.into(), b.into())).collect()
}
