//! `sentinel check`: everything that is wrong at once, and what is dangerous.

mod config_support;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Command, Output},
};

use config_support::Folder;

fn check(folder: &Folder, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sentinel"))
        .arg("check")
        .args(words)
        .current_dir(folder.path())
        .env("PASS", "from-the-environment")
        .output()
        .expect("the program can be started")
}

fn warnings(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect()
}

const M: &str = "bind 127.0.0.1\nsentinel monitor m 10.0.0.1 6379 2\n";

fn peer(n: u8, address: &str) -> String {
    format!("sentinel known-sentinel m {address} 26379 {}\n", n.to_string().repeat(40))
}

/// A configuration, and the one warning that it gets: its place, its directive, and a part of its text.
fn cases() -> Vec<(String, &'static str, &'static str)> {
    let peers = |count: u8| (1..=count).map(|n| peer(n, &format!("10.0.0.{}", n + 1))).collect::<String>();
    let three = peers(2);
    let with_quorum = |quorum: u8, peers: &str| format!("{}{peers}", M.replace(" 2\n", &format!(" {quorum}\n")));
    vec![
        (with_quorum(4, &three), "s.conf:2: sentinel monitor", "a quorum of 4 is never reached by the 3 Sentinels"),
        (with_quorum(1, &three), "s.conf:2: sentinel monitor", "The majority is 2"),
        (with_quorum(3, &three), "s.conf:2: sentinel monitor", "a quorum of all 3 Sentinels"),
        (with_quorum(2, &peers(1)), "s.conf:3: sentinel known-sentinel", "Run three"),
        (
            format!("{M}sentinel down-after-milliseconds m 499\n"),
            "s.conf:3: sentinel down-after-milliseconds",
            "499 ms of silence are not yet a death",
        ),
        (
            format!("{M}sentinel down-after-milliseconds m 20000\nsentinel failover-timeout m 10000\n"),
            "s.conf:4: sentinel failover-timeout",
            "Write 20000 or more",
        ),
        (
            format!("{M}sentinel down-after-milliseconds m 2000\n#@ sentinel ping-period m 2000\n"),
            "s.conf:4: sentinel ping-period",
            "the master is always down",
        ),
        (
            format!("{}sentinel announce-ip 10.0.0.9\n", M.replace("10.0.0.1", "127.0.0.1")),
            "s.conf:2: sentinel monitor",
            "this Sentinel is announced as 10.0.0.9",
        ),
        (
            format!("{}{three}", M.replace("10.0.0.1", "::1")),
            "s.conf:2: sentinel monitor",
            "another Sentinel is at 10.0.0.2:26379",
        ),
        (
            format!("{}sentinel known-replica m 10.0.0.7 1\n", M.replace("10.0.0.1", "127.0.0.1")),
            "s.conf:2: sentinel monitor",
            "a replica is at 10.0.0.7:1",
        ),
        (format!("{M}sentinel announce-ip 127.0.0.1\n"), "s.conf:3: announce-ip", "means another host on each host"),
        (
            format!("{M}sentinel monitor other 10.0.0.1 6379 2\n"),
            "s.conf:3: sentinel monitor",
            "10.0.0.1:6379 is the address of `m`, too",
        ),
        (
            format!(
                "{M}sentinel myid {}\n{}{}",
                "2".repeat(40),
                peer(1, "10.0.0.2"),
                peers(3).replace(&peer(1, "10.0.0.2"), "")
            ),
            "s.conf:6: sentinel myid",
            "the Sentinel known at 10.0.0.3:26379 for `m` has the id of this one",
        ),
        (format!("{M}sentinel auth-user m someone\n"), "s.conf:3: sentinel auth-user", "no AUTH is sent"),
        (M.replace("bind 127.0.0.1", "port 26380"), "s.conf: bind", "whoever reaches port 26380"),
        (M.replace("bind 127.0.0.1", "bind 127.0.0.1 -10.1.1.1"), "s.conf:1: bind", "there is no password"),
        (M.replace("bind 127.0.0.1", "bind"), "s.conf:1: bind", "nothing is listened on: a start fails"),
        (format!("{M}port 0\n"), "s.conf:3: port", "nothing is listened on: a start fails"),
        (
            format!("{M}sentinel current-epoch 4611686018427387904\n"),
            "s.conf:3: current-epoch",
            "room for 4611686018427387903",
        ),
        (
            format!("{M}sentinel config-epoch m 18446744073709551615\n"),
            "s.conf: current-epoch",
            "was not made by elections, and redis-sentinel cannot take part",
        ),
        ("bind 127.0.0.1\n".to_owned(), "s.conf: monitor", "no master is monitored"),
        (
            M.replace("bind 127.0.0.1", "protected-mode yes").replace("10.0.0.1", "127.0.0.1"),
            "s.conf:2: sentinel monitor",
            "this Sentinel listens on all addresses",
        ),
        (format!("{M}sentinel parallel-syncs m 0\n"), "s.conf:3: sentinel parallel-syncs", "1 is used"),
        (format!("port 26380\n{M}port 26381\n"), "s.conf:4: port", "stands in line 1, too: only the last one counts"),
        (format!("{M}bind 127.0.0.1\n"), "s.conf:3: bind", "stands in line 1, too"),
        (
            format!("{M}sentinel failover-timeout m 60000\n\nsentinel failover-timeout m 70000\n"),
            "s.conf:5: sentinel failover-timeout",
            "`m`: stands in line 3, too",
        ),
        (
            format!("{M}sentinel announce-ip 10.1.1.1\nsentinel announce-ip 10.1.1.2\n"),
            "s.conf:4: sentinel announce-ip",
            "stands in line 3, too",
        ),
        // What this host does not have.
        (
            M.replace("bind 127.0.0.1", "bind 999.1.1.1\nprotected-mode yes"),
            "s.conf:1: bind",
            "999.1.1.1 is no address of this host",
        ),
        (
            M.replace("bind 127.0.0.1", "bind 127.0.0.1 203.0.113.9\nprotected-mode yes"),
            "s.conf:1: bind",
            "a start fails",
        ),
        (
            format!("{M}bind-source-addr 203.0.113.9\n"),
            "s.conf:3: bind-source-addr",
            "no instance can be reached from it",
        ),
        (
            format!("{M}unixsocket /nonexistent/s.sock\n"),
            "s.conf:3: unixsocket",
            "there is no folder /nonexistent; create it",
        ),
        (format!("{M}unixsocket s.conf\n"), "s.conf:3: unixsocket", "s.conf is no socket; remove it"),
        (format!("{M}pidfile /nonexistent/s.pid\n"), "s.conf:3: pidfile", "there will be no pid file"),
        (format!("{M}pidfile /\n"), "s.conf:3: pidfile", "/ is a folder; name a file"),
    ]
}

#[test]
fn every_danger_is_said_at_its_line() {
    for (text, place, said) in cases() {
        let folder = Folder::new();
        folder.file("s.conf", &text);
        let output = check(&folder, &["s.conf"]);
        let warnings = warnings(&output);
        assert_eq!(output.status.code(), Some(0), "{text}\n{output:?}");
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&format!("{place}: ")) && warnings[0].contains(said),
            "{place}, {said:?} was expected for\n{text}\nbut there is {warnings:#?}"
        );
        assert_eq!(check(&folder, &["--strict", "s.conf"]).status.code(), Some(1), "{text}");
    }
}

#[test]
fn what_is_sensible_is_not_warned_of() {
    let three = format!("{}{}", peer(1, "10.0.0.2"), peer(2, "10.0.0.3"));
    for text in [
        M.to_owned(),
        format!("{M}{three}sentinel down-after-milliseconds m 500\nsentinel failover-timeout m 5000\n"),
        format!("{}{three}", M.replace("bind 127.0.0.1", "requirepass-env PASS")),
        M.replace("bind 127.0.0.1", "protected-mode yes"),
        M.replace("bind 127.0.0.1", "user default off"),
        M.replace("bind 127.0.0.1", "user default on nopass +ping"),
        M.replace("bind 127.0.0.1", "port 0\nunixsocket s.sock"),
        M.replace("10.0.0.1", "127.0.0.1"),
        // Each of these lines counts, and a file may change what it includes.
        format!("{M}sentinel rename-command m A B\nsentinel rename-command m C D\nuser a on\nuser b on\n"),
        format!("port 26380\ninclude s.conf.d/*\n{M}"),
        format!("{M}sentinel monitor n 10.0.0.2 6379 2\nsentinel parallel-syncs m 1\nsentinel parallel-syncs n 1\n"),
        format!("{M}pidfile /run/made-at-the-start/s.pid\nunixsocket /run/made-at-the-start/s.sock\n"),
        "bind 127.0.0.1\nsentinel monitor a 127.0.0.1 0 1\nsentinel monitor b 127.0.0.1 0 1\n".to_owned(),
    ] {
        let folder = Folder::new();
        folder.file("s.conf", &text);
        let output = check(&folder, &["--strict", "s.conf"]);
        assert_eq!(output.status.code(), Some(0), "{text}\n{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn readable_passwords_are_said_and_named_ones_are_none() {
    let folder = Folder::new();
    let set = |path: &PathBuf, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for (name, text) in [
        ("s.conf", format!("{M}sentinel auth-pass m topsecret\n")),
        ("s.toml", "server.bind = ['127.0.0.1']\nmaster = [{ name = 'm', address = '[::2]:1', quorum = 2, auth-pass = 'topsecret' }]\n".into()),
    ] {
        let path = folder.file(name, &text);
        set(&path, 0o644);
        let output = check(&folder, &[name]);
        assert!(warnings(&output)[0].contains("chmod 640"), "{name}: {output:?}");
        assert!(!format!("{output:?}").contains("topsecret"), "{output:?}");
        set(&path, 0o640);
        assert_eq!(check(&folder, &["--strict", name]).status.code(), Some(0), "{name}");
    }
    let path = folder.file("named.conf", &format!("{M}sentinel auth-pass-env m PASS\n"));
    set(&path, 0o644);
    let output = check(&folder, &["--strict", "named.conf"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn several_files_are_compared_and_each_is_judged() {
    let folder = Folder::new();
    let id = "a".repeat(40);
    folder.file("one.conf", &format!("{M}sentinel myid {id}\n"));
    let master = "master = [{ name = 'm', address = '10.0.0.1:6379', quorum = 2 }]";
    folder.file("two.toml", &format!("server.bind = ['127.0.0.1']\n{master}\n[state]\nmyid = '{id}'\n"));
    folder.file("other.conf", &format!("{M}sentinel myid {}\n", "b".repeat(40)));
    let output = check(&folder, &["one.conf", "two.toml", "other.conf"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = warnings(&output);
    assert!(said.len() == 1 && said[0].contains("one.conf") && said[0].contains("two.toml"), "{said:?}");
    assert!(!said[0].contains("other.conf") && said[0].contains(&id), "{said:?}");
    assert!(warnings(&check(&folder, &["one.conf", "./one.conf"])).is_empty(), "a file is no copy of itself");

    folder.file("wrong.conf", "port x\nprot 1\n");
    let output = check(&folder, &["wrong.conf", "missing.conf", "one.conf"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    for part in ["wrong.conf:1: port: ", "wrong.conf:2: prot: ", "did you mean `port`?", "missing.conf': No such file"]
    {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("one.conf: ok, 1 master"), "{output:?}");
    assert_eq!(check(&folder, &[]).status.code(), Some(2));
}

/// What is in one file, what is in the other, and what is told of the two together.
const PAIRS: [(&str, &str, &[&str]); 9] = [
    ("", "", &[]),
    ("sentinel auth-pass m one\n", "sentinel auth-pass m one\n", &[]),
    ("sentinel auth-pass m one\n", "sentinel auth-pass m other\n", &["sentinel auth-pass: `m`: its passwords differ"]),
    ("sentinel auth-pass m one\n", "", &["sentinel auth-pass: `m`: its passwords differ"]),
    (
        "sentinel down-after-milliseconds m 5000\n",
        "",
        &["sentinel down-after-milliseconds: `m`: it differs: 30000 in two.conf, 5000 in one.conf"],
    ),
    ("requirepass one\n", "requirepass one\n", &[]),
    (
        "requirepass one\n",
        "requirepass other\n",
        &[
            "one.conf: requirepass: is not the requirepass of two.conf",
            "two.conf: requirepass: is not the requirepass of one.conf",
        ],
    ),
    ("requirepass one\n", "", &["two.conf: requirepass: is missing, and one is demanded by one.conf"]),
    ("requirepass one\n", "sentinel sentinel-pass one\n", &[]),
];

#[test]
fn sentinels_of_one_master_are_compared() {
    for (one, two, expected) in PAIRS {
        let folder = Folder::new();
        let set = |path: PathBuf| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        set(folder.file("one.conf", &format!("{M}{one}")));
        set(folder.file("two.conf", &format!("{M}{two}")));
        let output = check(&folder, &["one.conf", "two.conf"]);
        let said = warnings(&output);
        let as_expected =
            said.len() == expected.len() && said.iter().zip(expected).all(|(it, part)| it.starts_with(part));
        assert!(as_expected, "{one:?} and {two:?}: {said:#?}");
        assert!(!format!("{output:?}").contains("other\""), "no password is shown: {output:?}");
    }
    let folder = Folder::new();
    folder.file("one.conf", M);
    folder.file("two.conf", &M.replace(" 2\n", " 3\n"));
    folder.file("else.conf", "bind 127.0.0.1\nsentinel monitor n 10.0.0.2 6379 5\n");
    let said = warnings(&check(&folder, &["one.conf", "two.conf", "else.conf"]));
    assert!(said.len() == 1 && said[0].contains("`m`: it differs: 2 in one.conf, 3 in two.conf"), "{said:?}");
}

#[test]
fn a_byte_order_mark_is_called_by_its_name() {
    let folder = Folder::new();
    for (text, faults) in [("\u{feff}port 26380\n", 1), ("\u{feff}# a comment\n", 1), ("\u{feff}prot 1\nport x\n", 3)] {
        folder.file("s.conf", &format!("{text}{M}"));
        let output = check(&folder, &["s.conf"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("at line 1\n") && told.contains("begins with a byte-order mark"), "{told}");
        assert_eq!(told.matches("    help: ").count(), faults, "{told}");
    }
}

#[test]
fn what_is_found_is_told_as_json_and_as_columns() {
    let folder = Folder::new();
    folder.file("wrong.conf", "sentinel parallel-syncs m x\nport y\n");
    folder.file("s.conf", &format!("{M}sentinel parallel-syncs m 0\n"));
    let output = check(&folder, &["s.conf", "wrong.conf", "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &told["ok"]), (Some(1), &false.into()), "{told}");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(told["files"][0]["masters"][0]["port"], 6379, "{told}");
    assert_eq!((&told["files"][0]["loads"], &told["files"][1]["loads"]), (&true.into(), &false.into()), "{told}");
    let found = |index: usize| {
        let it = &told["found"][index];
        [&it["severity"], &it["file"], &it["line"], &it["directive"]].map(ToString::to_string).join(" ")
    };
    assert_eq!(found(0), r#""warning" "s.conf" 3 "sentinel parallel-syncs""#, "{told}");
    assert!(
        found(1).starts_with(r#""fault" "wrong.conf" 1 "#) && found(2).starts_with(r#""fault" "wrong.conf" 2 "#),
        "{told}"
    );
    let rows = check(&folder, &["s.conf", "wrong.conf", "--format", "tsv"]);
    let rows = String::from_utf8(rows.stdout).expect("text");
    assert_eq!(rows.lines().count(), 4, "{rows}");
    assert!(rows.lines().all(|row| row.matches('\t').count() == 5), "{rows}");
}

#[test]
fn a_state_that_could_not_be_kept_is_wrong() {
    let folder = Folder::new();
    folder.file("s.conf", &format!("{M}sentinel state-config-file /nonexistent/state\naclfile missing.acl\n"));
    let output = check(&folder, &["s.conf"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("/nonexistent/state is not writable: No such file or directory"), "{told}");
    assert!(told.contains("missing.acl"), "all at once: {told}");
}

/// TLS that cannot be set up, and what is said of it: the place, the line, what is wrong, and what to write instead.
const TLS_FAULTS: [(&str, &[&str]); 4] = [
    (
        "tls-port 41391\n",
        &[
            "s.conf:3: tls-port: needs tls-cert-file",
            "    tls-port 41391",
            "help: name the certificate of this Sentinel",
        ],
    ),
    (
        "# not first\ntls-port 41391\ntls-cert-file no.crt\ntls-key-file no.key\n",
        &[
            "s.conf:5: tls-cert-file: ",
            "no.crt: No such file or directory",
            "    tls-cert-file no.crt",
            "help: name a file",
        ],
    ),
    (
        "tls-port 41391\ntls-protocols \"SSLv3\"\n",
        &["s.conf:4: tls-protocols: \"SSLv3\": SSLv3 is not the name", "help: write TLSv1.2, TLSv1.3, or both"],
    ),
    (
        "tls-replication yes\n",
        &["s.conf:3: tls-replication: needs tls-ca-cert-file or tls-ca-cert-dir", "help: name the authorities"],
    ),
];

#[test]
fn what_is_wrong_with_tls_is_told_with_its_line_before_and_at_the_start() {
    for (lines, expected) in TLS_FAULTS {
        let folder = Folder::new();
        folder.file("s.conf", &format!("port 0\nbind 127.0.0.1\n{lines}sentinel monitor m 10.0.0.1 6379 2\n"));
        let checked = check(&folder, &["s.conf"]);
        let started = Command::new(env!("CARGO_BIN_EXE_sentinel"))
            .args(["s.conf", "--sentinel"])
            .current_dir(folder.path())
            .output()
            .expect("the program can be started");
        assert!(!checked.status.success() && !started.status.success());
        let (checked, started) = (String::from_utf8_lossy(&checked.stderr), String::from_utf8_lossy(&started.stdout));
        for part in expected {
            assert!(checked.contains(part), "{part:?} is not in {checked}");
            assert!(started.contains(part), "{part:?} is not in {started}");
        }
        assert!(started.trim_end().ends_with("Failed to configure TLS. Check logs for more info."), "{started}");
    }
}

#[test]
fn an_acl_file_that_is_not_there_is_told_with_its_key_in_toml() {
    let folder = Folder::new();
    folder.file("s.toml", "[acl]\naclfile = 'none.acl'\n");
    let output = check(&folder, &["s.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("s.toml:2:1: acl.aclfile\n    help: name a file that this user may read"), "{told}");
}

#[test]
fn a_fault_of_tls_in_toml_is_told_with_its_key() {
    let folder = Folder::new();
    folder.file("s.toml", "[server]\nport = 0\n\n[tls]\nport = 41391\nprotocols = \"SSLv3\"\n");
    let output = check(&folder, &["s.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.starts_with("s.toml:6:") && told.contains(": tls.protocols: \"SSLv3\": "), "{told}");
}

/// Of a certificate that was issued without extensions, as many instructions have it. Nobody else uses them.
const FIRST_VERSION: [&str; 2] = [
    "-----BEGIN CERTIFICATE-----
MIIBFjCBvQIUI//TLVHhoe8x2hLyPosVu09MGNMwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTIyMTI0NDM0WhgPMjEyNjEwMjkxMjQ0MzRaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIegagsyQMMgB6yAP
/PlvYF8icttKPFrVE9l2IYHStf5Zq/jwuAkjLmZqysY6ttrKyBt3kUZoMONrVmA4
ZNnqcjAKBggqhkjOPQQDAgNIADBFAiB34Yry/W2p3Wu5XV4BYx72Q7V/3Wu8gWhI
mu06EAVWxgIhALXNYe2XbFM2hzElXDVgq/T/MeA0jRzwBuLvE9b7xxiU
-----END CERTIFICATE-----",
    "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmWVSyOMUD3iO4Axu
3iB2lwQYsU1oVFAoP/0zsYCLOSuhRANCAAQh6BqCzJAwyAHrIA/8+W9gXyJy20o8
WtUT2XYhgdK1/lmr+PC4CSMuZmrKxjq22srIG3eRRmgw42tWYDhk2epy
-----END PRIVATE KEY-----",
];

#[test]
fn a_certificate_of_the_first_version_is_taken_and_told_with_what_to_do() {
    let folder = Folder::new();
    folder.file("s.crt", FIRST_VERSION[0]);
    folder.file("s.key", FIRST_VERSION[1]);
    folder.file(
        "s.conf",
        "port 0\nbind 127.0.0.1\ntls-port 41391\ntls-auth-clients no\ntls-cert-file s.crt\ntls-key-file s.key\n",
    );
    let output = check(&folder, &["s.conf"]);
    let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    for part in ["tls-cert-file s.crt", "is of X.509 version 1", "better issue it with extensions (version 3)"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
}
