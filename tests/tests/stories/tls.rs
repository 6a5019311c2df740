//! TLS: everywhere, with certificates that are demanded, renewed, or wrong.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sentinel_tests::{
    Authority, DataNode, Dataset, Deployment, Kind, Pair, SentinelProcess, eventually, programs, tls_lines,
};
use tempfile::TempDir;

use crate::given::{SOON, only_true_of_ours, record_all, wait_until_all_tell_the_switch};

#[test]
fn a_master_dies_where_nothing_but_tls_is_spoken() {
    a_master_dies_with(&Arc::new(Authority::new("all")));
}

#[test]
fn a_master_dies_where_all_certificates_are_of_x509_version_1() {
    // As tutorials make them: openssl x509 -req, without extensions, the authority's too
    a_master_dies_with(&Arc::new(Authority::of_first_version("all")));
}

fn a_master_dies_with(authority: &Arc<Authority>) {
    // Given three Sentinels and three nodes that have no other ports than those for TLS
    let deployment = Deployment::of_ours(3).encrypted_by(authority).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);
    let writer = deployment.write_to("mymaster");

    // When the master dies
    let killed = Instant::now();
    old.kill();

    // Then another one takes over, and the application goes on
    let new = deployment.wait_for_switch("mymaster", old.port());
    wait_until_all_tell_the_switch(&events, "mymaster", old.port(), new.port());
    writer.wait_for_write(new.port(), killed, SOON);
    group.wait_until_linked(new);

    // And the old one follows when it is back
    old.restart(Dataset::Kept);
    eventually("the old master follows the new one", SOON, || old.follows(new));
}

/// One master and one Sentinel that watches it, each with the lines given.
struct Two {
    master: DataNode,
    sentinel: SentinelProcess,
    folder: TempDir,
}

impl Two {
    fn start(master: &[String], sentinel: &[String]) -> Self {
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let master = DataNode::start_encrypted(folder.path(), "master", None, &[], master);
        let lines = [
            format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port()),
            "sentinel down-after-milliseconds mymaster 1000".to_owned(),
        ];
        let sentinel = SentinelProcess::start_encrypted(folder.path(), "sentinel", Kind::Ours, &lines, sentinel);
        Two { master, sentinel, folder }
    }

    /// The connections of the Sentinel that the master has, by their numbers.
    fn connections(&self) -> Vec<String> {
        let list: String = self.master.command(&["CLIENT", "LIST"]).unwrap_or_default();
        let of_sentinel = list.lines().filter(|line| line.contains(" name=sentinel-"));
        of_sentinel.filter_map(|line| line.split(' ').next()?.strip_prefix("id=")).map(str::to_owned).collect()
    }

    fn wait_until_connected(&self) -> Vec<String> {
        eventually("the Sentinel is connected", SOON, || {
            let connections = self.connections();
            if connections.is_empty() { Err(self.sentinel.last_output(5)) } else { Ok(connections) }
        })
    }

    fn wait_for_log(&self, text: &str) {
        eventually(&format!("the log says {text:?}"), SOON, || {
            let log = self.sentinel.last_output(1000);
            if log.contains(text) { Ok(()) } else { Err(log) }
        });
    }

    /// Asks the Sentinel over TLS, as an operator does.
    fn ask(&self, options: &[&str]) -> Output {
        let port = self.sentinel.port().to_string();
        let words = ["get-master-addr-by-name", "mymaster", "-p", &port];
        Command::new(programs::our_sentinel()).args(words).args(options).output().expect("the program can be started")
    }

    fn answers(&self, options: &[&str]) -> Result<(), String> {
        let output = self.ask(options);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() && told == format!("127.0.0.1 {}\n", self.master.port()) {
            Ok(())
        } else {
            Err(told + &String::from_utf8_lossy(&output.stderr))
        }
    }
}

#[test]
fn a_link_with_tls_to_a_port_without_says_so() {
    if only_true_of_ours("it says nothing") {
        return;
    }
    // Given a master without TLS, and a Sentinel that speaks TLS to the nodes
    let authority = Authority::new("ours");
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let master = DataNode::start(folder.path(), "master", None, &[]);
    let monitor = [format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port())];
    let lines = authority.lines("sentinel");
    let sentinel = SentinelProcess::start_encrypted(folder.path(), "sentinel", Kind::Ours, &monitor, &lines);

    // Then the log says what is there and what to do, once
    let what = format!("Cannot connect to 127.0.0.1:{}: TLS: what is there does not speak TLS", master.port());
    wait_for_one_line(&sentinel, &what);
}

#[test]
fn a_link_without_tls_to_a_port_with_it_says_so() {
    if only_true_of_ours("it says nothing") {
        return;
    }
    // Given a master that speaks TLS only, and a Sentinel that speaks none to the nodes
    let authority = Authority::new("theirs");
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let master = DataNode::start_encrypted(folder.path(), "master", None, &[], &authority.lines("node"));
    let monitor = [format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port())];
    let sentinel = SentinelProcess::start(folder.path(), "sentinel", Kind::Ours, &monitor);

    // Then the log says what is there and what to do, once
    let what = format!("Cannot connect to 127.0.0.1:{}: TLS: what is there speaks only TLS", master.port());
    wait_for_one_line(&sentinel, &what);
}

/// Waits for a line of the log, and until it has had the time to be repeated.
fn wait_for_one_line(sentinel: &SentinelProcess, text: &str) {
    let lines = || sentinel.last_output(1000).lines().filter(|line| line.contains(text)).count();
    eventually(&format!("the log says {text:?}"), SOON, || match lines() {
        0 => Err(sentinel.last_output(1000)),
        _ => Ok(()),
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lines(), 1, "{}", sentinel.last_output(1000));
}

#[test]
fn a_sentinel_that_nobody_can_ask_says_so_at_its_start() {
    if only_true_of_ours("it says nothing") {
        return;
    }
    // Given a Sentinel that speaks TLS only, and none with others
    let authority = Authority::new("ours");
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let master = DataNode::start(folder.path(), "master", None, &[]);
    let monitor = [format!("sentinel monitor mymaster 127.0.0.1 {} 1", master.port())];
    let mut lines = authority.lines("sentinel");
    lines.retain(|line| !line.starts_with("tls-replication"));
    let sentinel = SentinelProcess::start_encrypted(folder.path(), "sentinel", Kind::Ours, &monitor, &lines);

    // Then it says what follows, and so does the check of its file
    let what = "this Sentinel tells the others that it is at port 0";
    eventually("the log says so", SOON, || {
        let log = sentinel.last_output(100);
        if log.contains(what) { Ok(()) } else { Err(log) }
    });
    let file = sentinel.config_file();
    let output = Command::new(programs::our_sentinel()).arg("check").arg(file).output().expect("it can be started");
    assert!(String::from_utf8_lossy(&output.stdout).contains(what), "{output:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

#[test]
fn who_shows_no_certificate_is_refused_and_told_so() {
    if only_true_of_ours("it asks with our command line") {
        return;
    }
    // Given a Sentinel that demands certificates, as it does unless told otherwise
    let (authority, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let two = Two::start(&authority.lines("master"), &authority.lines("sentinel"));
    two.wait_until_connected();
    let (trusted, own, foreign) = (authority.certificate(), authority.issue("operator"), stranger.issue("operator"));
    let with = |pair: &Pair| {
        let (certificate, key) = (text(&pair.certificate).to_owned(), text(&pair.key).to_owned());
        two.answers(&["--tls", "--cacert", text(&trusted), "--cert", &certificate, "--key", &key])
    };

    // Then one of its authority lets in, and none or another one does not
    with(&own).unwrap();
    let told = with(&foreign).unwrap_err();
    assert!(told.contains("it does not accept our certificate"), "{told}");
    let told = two.answers(&["--tls", "--cacert", text(&trusted)]).unwrap_err();
    assert!(told.contains("it demands a certificate; give --cert and --key"), "{told}");
    two.wait_for_log("it shows no certificate; give it one, or set tls-auth-clients");
    two.wait_for_log("its certificate is not issued by an authority of tls-ca-cert-file");

    // And who asks knows whom it asks
    let told = two.answers(&["--tls", "--cacert", text(&stranger.certificate())]).unwrap_err();
    assert!(told.contains("not issued by an authority of --cacert"), "{told}");
    let (certificate, key) = (text(&own.certificate), text(&own.key));
    two.answers(&["--tls", "--insecure", "--cert", certificate, "--key", key]).unwrap();
}

#[test]
fn a_node_with_a_certificate_of_strangers_is_down_and_the_log_says_why() {
    if only_true_of_ours("redis-sentinel says only that the node is down") {
        return;
    }
    // Given a master whose authority the Sentinel does not know, and one that does not know the Sentinel's
    let (authority, stranger) = (Authority::new("ours"), Authority::new("stranger"));
    let two = Two::start(&stranger.lines("master"), &authority.lines("sentinel"));
    let port = two.master.port();

    // Then it says so, and does not only say that it is down
    two.wait_for_log(&format!(
        "Cannot connect to 127.0.0.1:{port}: TLS: its certificate is not issued by an authority of tls-ca-cert-file"
    ));
    two.wait_for_log("+sdown master mymaster");

    // And when it knows the master, but the master does not know it
    two.sentinel.terminate();
    let lines = fs::read_to_string(two.sentinel.config_file()).unwrap();
    let (ours, theirs) = (authority.certificate(), stranger.certificate());
    fs::write(two.sentinel.config_file(), lines.replace(text(&ours), text(&theirs))).unwrap();
    two.sentinel.restart();
    two.wait_for_log(&format!("Cannot connect to 127.0.0.1:{port}: TLS: it does not accept our certificate"));
    drop(two.folder);
}

#[test]
fn certificates_are_renewed_by_a_signal_and_nobody_is_cut_off() {
    if only_true_of_ours("redis-sentinel ignores SIGHUP") {
        return;
    }
    // Given a Sentinel and its master that trust two authorities, with certificates of the first
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let install = |pair: &Pair| {
        fs::copy(&pair.certificate, at("own.crt")).unwrap();
        fs::copy(&pair.key, at("own.key")).unwrap();
    };
    let both = fs::read_to_string(first.certificate()).unwrap() + &fs::read_to_string(second.certificate()).unwrap();
    fs::write(at("both.crt"), both).unwrap();
    install(&first.issue("sentinel"));
    let own = Pair { certificate: at("own.crt"), key: at("own.key") };
    let two = Two::start(&tls_lines(&first.issue("master"), &at("both.crt")), &tls_lines(&own, &at("both.crt")));
    let before = two.wait_until_connected();
    let events = two.sentinel.record();
    let operator = second.issue("operator");
    let (certificate, key) = (text(&operator.certificate), text(&operator.key));
    let trusting = |authority: &Authority| {
        two.answers(&["--tls", "--cacert", text(&authority.certificate()), "--cert", certificate, "--key", key])
    };
    trusting(&first).unwrap();
    trusting(&second).unwrap_err();

    // When the files are those of the second, and it is told
    install(&second.issue("sentinel"));
    two.sentinel.hang_up();
    two.wait_for_log("TLS: certificates, keys and authorities were read again");

    // Then clients see the new one
    trusting(&second).unwrap();
    trusting(&first).unwrap_err();
    // And the connections that were there are there
    assert_eq!(two.connections(), before);
    // And the next ones show the new one: the master trusts no other any more
    let _: String = two
        .master
        .command(&["CONFIG", "SET", "tls-ca-cert-file", text(&second.certificate())])
        .expect("a node reads its authorities again");
    let cut = |connections: &[String]| {
        for id in connections {
            let _: i64 = two.master.command(&["CLIENT", "KILL", "ID", id]).expect("a connection can be cut");
        }
    };
    cut(&before);
    let after = two.wait_until_connected();
    assert!(after.iter().all(|id| !before.contains(id)), "{before:?} {after:?}");

    // When the next files are nonsense
    fs::write(at("own.key"), "nonsense").unwrap();
    two.sentinel.hang_up();

    // Then that is said, and what was there before is used
    two.wait_for_log("TLS: the certificates were not replaced, those read before stay in use: tls-key-file");
    trusting(&second).unwrap();
    cut(&after);
    two.wait_until_connected();
    assert_eq!(events.count("+sdown"), 0, "{}", events.list());
}
