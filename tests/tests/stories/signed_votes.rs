//! Requests for votes between Sentinels that share a key (`hello-auth-key`).

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::Value;
use sentinel_tests::{Deployment, Kind, SentinelProcess, eventually, never};

use crate::given::{SOON, leaders, only_true_of_ours, record_all};

const KEY_LINE: &str = "sentinel hello-auth-key correct-horse";
const NO_KEY: &str = "it has no key";

/// More Sentinels than there are: one with this quorum votes but never runs itself.
const OUT_OF_REACH: u32 = 4;

/// How its log says it was asked for votes: each line with the id of the candidate.
fn requests(sentinel: &SentinelProcess) -> Vec<String> {
    let log = sentinel.last_output(100_000);
    log.lines().filter(|line| line.contains(" asks for the vote of epoch ")).map(str::to_owned).collect()
}

fn wait_until_all_have_proved_the_key(deployment: &Deployment) {
    eventually("every Sentinel has proved the key to every other one", SOON, || {
        for sentinel in deployment.sentinels() {
            let peers = sentinel.peers("mymaster").map_err(|error| error.to_string())?;
            if peers.iter().any(|peer| peer.get("authenticated").map(String::as_str) != Some("yes")) {
                return Err(format!("{}: {peers:?}", sentinel.label()));
            }
        }
        Ok(())
    });
}

#[test]
fn those_that_share_a_key_prove_it_and_sign_their_requests_for_votes() {
    if only_true_of_ours(NO_KEY) {
        return;
    }
    // Given three Sentinels with the same key, each of which has proved it to the others
    let deployment = Deployment::of_ours(3).sentinel_line(KEY_LINE).sentinel_line("loglevel debug").start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    wait_until_all_have_proved_the_key(&deployment);

    // When the master dies, then it is replaced
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    group.wait_until_linked(new);
    deployment.wait_for_one_config_epoch("mymaster");

    // And every vote was asked for with a signature
    let [leader] = leaders(&events)[..] else { panic!("one has led: {}", deployment.dump()) };
    for (index, sentinel) in deployment.sentinels().iter().enumerate() {
        let requests = requests(sentinel);
        assert!(requests.iter().all(|line| line.ends_with("signed")), "{requests:?}");
        assert!(index == leader || !requests.is_empty(), "{}: {}", sentinel.label(), deployment.dump());
    }
}

/// Asks every Sentinel for its vote, in ever newer epochs and over one connection each, until it is dropped.
struct Flood {
    ends: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn begin(deployment: &Deployment, master: u16) -> Self {
        let (ends, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let epochs = Arc::new(AtomicU64::new(1_000));
        let thread = |port: u16| {
            let (ends, sent, epochs) = (Arc::clone(&ends), Arc::clone(&sent), Arc::clone(&epochs));
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
                let mut answer = [0; 1024];
                while !ends.load(Ordering::Relaxed) {
                    let (epoch, id) = (epochs.fetch_add(1, Ordering::Relaxed), "e".repeat(40));
                    let ask = format!("SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {master} {epoch} {id}\r\n");
                    if stream.write_all(ask.as_bytes()).is_err() || !matches!(stream.read(&mut answer), Ok(1..)) {
                        return;
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                    // Far more often than an election takes, and no load to speak of.
                    std::thread::sleep(Duration::from_millis(2));
                }
            })
        };
        let threads = deployment.sentinels().iter().map(|sentinel| thread(sentinel.port())).collect();
        Flood { ends, sent, threads }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[test]
fn a_flood_of_requests_for_votes_without_the_key_keeps_no_election_from_ending() {
    if only_true_of_ours(NO_KEY) {
        return;
    }
    // Given three Sentinels with a key, and a stranger that asks each of them for its vote in ever newer epochs
    let deployment = Deployment::of_ours(3).sentinel_line(KEY_LINE).start();
    let group = deployment.only_group();
    wait_until_all_have_proved_the_key(&deployment);
    let old = group.master().port();
    let flood = Flood::begin(&deployment, old);
    eventually("the flood is on", SOON, || match flood.sent.load(Ordering::Relaxed) {
        100.. => Ok(()),
        sent => Err(format!("{sent} requests")),
    });

    // When the master dies, then it is replaced in the time that it always takes
    group.master().kill();
    deployment.wait_for_switch_within("mymaster", old, Duration::from_secs(10));
    let epoch = deployment.wait_for_one_config_epoch("mymaster");

    // And none of those epochs was taken
    drop(flood);
    assert!(epoch < 1_000, "{epoch}");
    for sentinel in deployment.sentinels() {
        assert!(sentinel.current_epoch() < 1_000, "{}", sentinel.current_epoch());
        let refused = || sentinel.last_output(5_000).matches("Refused the request of").count();
        assert!((1..3).contains(&refused()), "{} lines of the log", refused());
    }
}

#[test]
fn who_has_no_key_or_another_one_has_no_vote() {
    if only_true_of_ours(NO_KEY) {
        return;
    }
    // Given two Sentinels with a key, one of redis, and one with another key
    let deployment = Deployment::of_ours(2).sentinel_line(KEY_LINE).start();
    let group = deployment.only_group();
    let old = group.master().port();
    wait_until_all_have_proved_the_key(&deployment);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let monitor = format!("sentinel monitor mymaster 127.0.0.1 {old} {OUT_OF_REACH}");
    let key = "sentinel hello-auth-key another-horse".to_owned();
    let reference = SentinelProcess::start(folder.path(), "reference", Kind::Reference, std::slice::from_ref(&monitor));
    let other = SentinelProcess::start(folder.path(), "other", Kind::Ours, &[monitor, key]);
    // Their hellos are not believed: they stand in the files.
    for sentinel in deployment.sentinels() {
        sentinel.kill();
        let lines: String = [&reference, &other]
            .map(|it| format!("sentinel known-sentinel mymaster 127.0.0.1 {} {}\n", it.port(), it.id()))
            .concat();
        let config = sentinel.config() + &lines;
        std::fs::write(sentinel.config_file(), config).expect("its configuration can be written");
    }
    for sentinel in deployment.sentinels() {
        sentinel.restart();
    }

    // Then each says why they do not count
    for sentinel in deployment.sentinels() {
        eventually("it says so", SOON, || {
            let peers = sentinel.peers("mymaster").map_err(|error| error.to_string())?;
            let of = |it: &SentinelProcess| {
                let peer = peers.iter().find(|peer| peer["runid"] == it.id());
                peer.and_then(|peer| peer.get("identity").cloned()).unwrap_or_default()
            };
            let (none, wrong) = (of(&reference), of(&other));
            let right = none.contains("does not prove that it knows hello-auth-key") && wrong.contains("is wrong");
            right.then_some(()).ok_or_else(|| format!("{none:?}, {wrong:?}"))
        });
    }

    // And two of four are no majority, whatever the others say: the one with the key that has the vote of the other does not lead
    let events = record_all(&deployment);
    group.master().kill();
    for recorder in &events {
        recorder.wait_for_any("+odown", SOON);
    }
    never("one leads", Duration::from_secs(5), || {
        Ok::<_, String>((!leaders(&events).is_empty()).then(|| deployment.dump()))
    });
    // And nobody has asked the one with the other key, which would have used up its vote.
    assert_eq!(other.current_epoch(), 0);
}

/// Passes bytes on to a port, and keeps what clients have sent.
struct Recorder {
    port: u16,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    fn before(target: impl Fn() -> u16 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target())) else { continue };
                pass_on(&client, &server, Some(Arc::clone(&kept)));
                pass_on(&server, &client, None);
            }
        });
        Recorder { port, heard }
    }

    /// The words of the first signed request for a vote that came by.
    fn request_for_a_vote(&self) -> Option<Vec<String>> {
        let heard = self.heard.lock().expect("nobody panics with it");
        let text = String::from_utf8_lossy(&heard).into_owned();
        let requests = text.split("*9\r\n").skip(1);
        let words = requests.map(|request| {
            let words = request.split("\r\n").skip(1).step_by(2).take(9);
            words.map(str::to_owned).collect::<Vec<_>>()
        });
        words.filter(|words| words.len() == 9 && words[1] == "REQUEST-VOTE").find(|words| words[6] != "*")
    }
}

fn pass_on(from: &TcpStream, to: &TcpStream, kept: Option<Arc<Mutex<Vec<u8>>>>) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if let Some(kept) = &kept {
                kept.lock().expect("nobody panics with it").extend_from_slice(&buffer[..count]);
            }
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_request_for_a_vote_means_nothing_to_another_sentinel_or_a_second_time() {
    if only_true_of_ours(NO_KEY) {
        return;
    }
    // Given one that can lead, one that can only vote and is reached through somebody who listens, and another deployment with the
    // same key and a master of the same name
    let deployment = Deployment::of_ours(1).quorum(1).sentinel_line(KEY_LINE).start();
    let group = deployment.only_group();
    let candidate = &deployment.sentinels()[0];
    let old = group.master().port();
    let reached = Arc::new(Mutex::new(0));
    let target = Arc::clone(&reached);
    let recorder = Recorder::before(move || *target.lock().expect("nobody panics with it"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = [
        format!("sentinel monitor mymaster 127.0.0.1 {old} {OUT_OF_REACH}"),
        format!("sentinel announce-port {}", recorder.port),
        "sentinel down-after-milliseconds mymaster 500".to_owned(),
        KEY_LINE.to_owned(),
    ];
    let voter = SentinelProcess::start(folder.path(), "voter", Kind::Ours, &lines);
    *reached.lock().expect("nobody panics with it") = voter.port();
    eventually("the voter has proved the key", SOON, || {
        let peers = candidate.peers("mymaster").map_err(|error| error.to_string())?;
        let proved = peers.iter().any(|peer| peer.contains_key("authenticated"));
        proved.then_some(()).ok_or_else(|| format!("{peers:?}"))
    });
    let elsewhere = Deployment::of_ours(1).sentinel_line(KEY_LINE).start();

    // When the master dies, and an election is heard
    group.master().kill();
    deployment.wait_for_switch("mymaster", old);
    let words = recorder.request_for_a_vote().unwrap_or_else(|| panic!("a request was heard: {}", deployment.dump()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let vote = voter.configured("sentinel leader-epoch mymaster");

    // Then what was heard moves nothing in the other deployment, also if it is told the address there
    let there = elsewhere.only_group().master().port().to_string();
    let mut changed = words.clone();
    changed[4] = &there;
    for request in [&words, &changed] {
        let answer = elsewhere.sentinels()[0].command::<Value>(request).expect_err("it is refused").to_string();
        assert!(answer.contains("WRONGSIGNATURE"), "{answer}");
    }
    assert_eq!(elsewhere.sentinels()[0].current_epoch(), 0);

    // And nothing here: in a later epoch it is not signed, and in its own the vote is given
    let later = (words[5].parse::<u64>().expect("an epoch") + 1).to_string();
    let mut changed = words.clone();
    changed[5] = &later;
    let answer = voter.command::<Value>(&changed).expect_err("it is refused").to_string();
    assert!(answer.contains("WRONGSIGNATURE"), "{answer}");
    let _: Value = voter.command(&words).expect("it is answered");
    assert_eq!(voter.configured("sentinel leader-epoch mymaster"), vote);
    assert_eq!(voter.current_epoch().to_string(), words[5]);

    // And nothing to the same one once it has started again
    voter.kill();
    voter.restart();
    let answer = voter.command::<Value>(&words).expect_err("it is refused").to_string();
    assert!(answer.contains("WRONGSIGNATURE"), "{answer}");
}

/// Writes another configuration and starts with it.
fn restart_with(sentinel: &SentinelProcess, change: impl Fn(&str) -> String) {
    sentinel.kill();
    std::fs::write(sentinel.config_file(), change(&sentinel.config())).expect("its configuration can be written");
    sentinel.restart();
}

fn wait_until_all_can_authorize_a_failover(deployment: &Deployment) {
    for sentinel in deployment.sentinels() {
        eventually("quorum and majority can be reached", SOON, || {
            let answer = sentinel.command::<String>(&["SENTINEL", "CKQUORUM", "mymaster"]);
            let answer = answer.map_err(|error| format!("{}: {error}", sentinel.label()))?;
            if answer.contains("3 usable") { Ok(()) } else { Err(answer) }
        });
    }
}

#[test]
fn a_key_is_brought_in_while_all_goes_on() {
    if only_true_of_ours(NO_KEY) {
        return;
    }
    // Given three Sentinels without a key, one of which is given one, and believes the others without
    let deployment = Deployment::of_ours(3).start();
    let (group, optional) = (deployment.only_group(), "sentinel hello-auth-required no");
    let bring_in = |config: &str| format!("{config}{KEY_LINE}\n{optional}\n");
    restart_with(&deployment.sentinels()[0], bring_in);
    wait_until_all_can_authorize_a_failover(&deployment);

    // When the master dies, then it is replaced as ever
    let old = group.master().port();
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", old);
    deployment.wait_for_one_config_epoch("mymaster");

    // When the others have it, too, and all are started once more without that line
    for sentinel in &deployment.sentinels()[1..] {
        restart_with(sentinel, bring_in);
        wait_until_all_can_authorize_a_failover(&deployment);
    }
    for sentinel in deployment.sentinels() {
        restart_with(sentinel, |config| {
            assert!(config.contains(optional), "a save keeps it: {config}");
            config.replace(optional, "")
        });
        wait_until_all_can_authorize_a_failover(&deployment);
    }

    // Then all prove it, who has none has no vote, and the next failover is as ever
    wait_until_all_have_proved_the_key(&deployment);
    let port = new.port().to_string();
    let ask = ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", &port, "1000", &"e".repeat(40)];
    let answer: (i64, String, i64) = deployment.sentinels()[0].command(&ask).expect("it has an opinion");
    assert_eq!(answer, (0, "*".to_owned(), 0));
    new.kill();
    deployment.wait_for_switch("mymaster", new.port());
    assert!(deployment.wait_for_one_config_epoch("mymaster") < 1_000);
}
