//! Configuration files: loaded, rewritten, and loaded by the other.

use std::collections::BTreeSet;

use sentinel_tests::{Kind, SentinelProcess, free_port};
use tempfile::TempDir;

use crate::version::{self, Version};

/// Lines as an operator writes them, `{a}` and so on being ports on which nobody listens.
const WRITTEN: &[&str] = &[
    "# kept for the next reader",
    "sentinel down-after-milliseconds first 60000",
    "sentinel monitor first 127.0.0.1 {a} 2",
    "SENTINEL   Failover-Timeout    first 9000",
    "sentinel parallel-syncs first 1",
    "sentinel auth-pass first secret",
    "sentinel auth-user first \"someone\"",
    "sentinel rename-command first CONFIG guess",
    "sentinel master-reboot-down-after-period first 5",
    "sentinel config-epoch first 3",
    "sentinel leader-epoch first 4",
    "sentinel current-epoch 7",
    "sentinel known-replica first 127.0.0.1 {b}",
    "sentinel known-replica first ::1 {b}",
    "sentinel known-sentinel first 127.0.0.1 {c} cccccccccccccccccccccccccccccccccccccccc",
    "sentinel myid 9999999999999999999999999999999999999999",
    "sentinel announce-ip 127.0.0.1",
    "sentinel announce-port 7777",
    "sentinel sentinel-pass peers",
    "sentinel deny-scripts-reconfig no",
    "sentinel resolve-hostnames yes",
    "sentinel monitor second 127.0.0.1 0 12x",
    "sentinel parallel-syncs second 3",
    "loglevel notice",
    "maxclients 1000",
    "unixsocket door",
    "unixsocketperm 770",
    "rename-command ROLE whoami",
    "rename-command SHUTDOWN \"\"",
    "tls-cert-file s.crt",
    "tls-key-file \"s.key\"",
    "tls-auth-clients optional",
    "tls-protocols \"TLSv1.2 TLSv1.3\"",
    "tls-ciphers DEFAULT:!MEDIUM",
    "tls-prefer-server-ciphers yes",
    "tls-session-caching no",
    "tls-session-cache-size 5000",
    "tls-session-cache-timeout 60",
    "",
];

/// What changes it while it runs.
const CHANGES: &[&[&str]] = &[
    &["SENTINEL", "SET", "first", "quorum", "3", "parallel-syncs", "4"],
    &["SENTINEL", "SET", "first", "failover-timeout", "180000"],
    &["SENTINEL", "SET", "first", "auth-user", ""],
    &["SENTINEL", "SET", "second", "rename-command", "ping", "pong"],
    &["SENTINEL", "CONFIG", "SET", "announce-port", "0"],
    &["SENTINEL", "CONFIG", "SET", "sentinel-user", "me"],
    &["SENTINEL", "CONFIG", "SET", "resolve-hostnames", "no"],
    &["SENTINEL", "MONITOR", "third", "::1", "{e}", "1"],
    &["SENTINEL", "REMOVE", "third"],
    &["SENTINEL", "MONITOR", "fourth", "127.0.0.1", "0", "1"],
    &["SENTINEL", "FLUSHCONFIG"],
];

/// Lines that only one of the two writes, and why.
const ONLY: &[(Kind, &str, &str)] = &[
    (Kind::Reference, "latency-tracking-info-percentiles ", "of data nodes"),
    (Kind::Reference, "protected-mode no", "its parser has another default"),
    (Kind::Reference, "user default on ", "ours writes users when there are others"),
];

/// The same with Valkey only.
const ONLY_VALKEY: (Kind, &str, &str) = (
    Kind::Reference,
    "sentinel primary-reboot-down-after-period ",
    "it writes the line anew under its new name, and leaves the old one",
);

/// Lines that we write, what the reference writes instead, and why.
const OTHERWISE: &[(&str, Option<&str>, &str)] = &[
    (
        "sentinel failover-timeout first 180000",
        None,
        "a line that stood there stays when its value becomes the default",
    ),
    ("sentinel announce-port 0", None, "a line that stood there stays when its value becomes the default"),
    ("unixsocket door", Some("unixsocket \"door\""), "quotes only where they are needed"),
    ("tls-cert-file s.crt", Some("tls-cert-file \"s.crt\""), "quotes only where they are needed"),
    ("tls-ciphers DEFAULT:!MEDIUM", Some("tls-ciphers \"DEFAULT:!MEDIUM\""), "quotes only where they are needed"),
    ("sentinel announce-ip 127.0.0.1", Some("sentinel announce-ip \"127.0.0.1\""), "quotes only where they are needed"),
    (
        "sentinel monitor second 127.0.0.1 0 12x",
        Some("sentinel monitor second 127.0.0.1 0 12"),
        "a line whose meaning has not changed is left as it is",
    ),
    (
        "sentinel leader-epoch fourth 7",
        Some("sentinel leader-epoch fourth 0"),
        "a master watched anew might have been voted for in this epoch under another name, or before it was removed",
    ),
    (
        "sentinel rename-command second PING pong",
        Some("sentinel rename-command second ping pong"),
        "names of commands mean the same in any case",
    ),
];

/// Both kinds from the same file, one after the other's ports.
struct Both {
    sentinels: [SentinelProcess; 2],
    _folder: TempDir,
}

impl Both {
    fn start() -> (Self, impl Fn(&str) -> String) {
        version::reference();
        let ports: Vec<(String, String)> =
            ["{a}", "{b}", "{c}", "{e}"].into_iter().map(|name| (name.to_owned(), free_port().to_string())).collect();
        let filled =
            move |text: &str| ports.iter().fold(text.to_owned(), |text, (name, port)| text.replace(name, port));
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let lines: Vec<String> = WRITTEN.iter().map(|line| filled(line)).collect();
        let sentinels =
            [Kind::Ours, Kind::Reference].map(|kind| SentinelProcess::start(folder.path(), kind.name(), kind, &lines));
        (Self { sentinels, _folder: folder }, filled)
    }
}

/// The lines, without those that tell of this process only, in no order: the reference goes through hash tables.
fn lines(sentinel: &SentinelProcess) -> BTreeSet<String> {
    let own = |line: &&str| {
        ["port ", "dir ", "bind ", "daemonize "].iter().all(|start| !line.starts_with(start)) && !line.is_empty()
    };
    let config = sentinel.config();
    let kept: Vec<&str> = config.lines().map(str::trim_end).filter(own).collect();
    // Later versions put quotes around every value that is a text.
    let later = version::reference() != Version::Redis70;
    let line = |line: &str| if later { line.replace('"', "") } else { line.to_owned() };
    let distinct: BTreeSet<String> = kept.iter().copied().map(line).collect();
    assert_eq!(distinct.len(), kept.len(), "{}: a line stands twice:\n{config}", sentinel.label());
    distinct
}

/// What it knows, apart from ages and the state of links.
fn known(sentinel: &SentinelProcess) -> Vec<String> {
    const UNSTEADY: &[&str] = &[
        "flags",
        "link-pending-commands",
        "last-ping-sent",
        "last-ok-ping-reply",
        "last-ping-reply",
        "s-down-time",
        "o-down-time",
        "info-refresh",
        "role-reported-time",
        "last-hello-message",
    ];
    let mut known = vec![sentinel.id()];
    let mut settings: Vec<String> = sentinel.command(&["SENTINEL", "CONFIG", "GET", "*"]).expect("it answers");
    if let [.., name, _] = settings.as_slice()
        && name == "loglevel"
    {
        // Listed by later versions only.
        settings.truncate(settings.len() - 2);
    }
    known.push(settings.join(" "));
    for name in ["first", "second", "fourth"] {
        let mut all = vec![sentinel.master(name).unwrap_or_else(|error| panic!("{}: {error}", sentinel.label()))];
        all.extend(sentinel.replicas(name).expect("it answers"));
        all.extend(sentinel.peers(name).expect("it answers"));
        let mut shown: Vec<String> = all
            .into_iter()
            .map(|mut fields| {
                fields.retain(|field, _| !UNSTEADY.contains(&field.as_str()));
                format!("{fields:?}")
            })
            .collect();
        shown.sort();
        known.append(&mut shown);
    }
    known
}

#[test]
fn a_file_is_loaded_rewritten_and_handed_over_alike() {
    // Given one file, loaded by both
    let (both, filled) = Both::start();
    let [ours, theirs] = &both.sentinels;

    // When the same is changed
    for change in CHANGES {
        let words: Vec<String> = change.iter().map(|word| filled(word)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        for sentinel in [ours, theirs] {
            let answer: String = sentinel
                .command(&words)
                .unwrap_or_else(|error| panic!("{}: {}: {error}", sentinel.label(), words.join(" ")));
            assert_eq!(answer, "OK", "{}", words.join(" "));
        }
    }

    // Then both know the same
    let before = known(ours);
    assert_eq!(before, known(theirs));

    // And write the same lines, but for those that only one of them writes
    let (mut written, mut expected) = (lines(ours), lines(theirs));
    let only_valkey = (version::reference() >= Version::Valkey80).then_some(&ONLY_VALKEY);
    for (kind, start, why) in ONLY.iter().chain(only_valkey) {
        let (with, without) = if *kind == Kind::Ours { (&mut written, &expected) } else { (&mut expected, &written) };
        assert!(!without.iter().any(|line| line.starts_with(start)), "both write {start}: {why}");
        let count = with.len();
        with.retain(|line| !line.starts_with(start));
        assert_ne!(with.len(), count, "neither writes {start}: {why}");
    }
    let later = version::reference() != Version::Redis70;
    for (line, instead, why) in OTHERWISE {
        assert!(written.remove(*line), "not written any more: {line} ({why})");
        written.extend(instead.map(|line| if later { line.replace('"', "") } else { line.to_owned() }));
    }
    assert_eq!(written, expected);

    // And when each takes over the other's file, it knows what the other knew
    for sentinel in [ours, theirs] {
        sentinel.terminate();
        sentinel.restart_as(sentinel.kind().other());
        assert_eq!(known(sentinel), before, "{} has become {}", sentinel.label(), sentinel.kind().name());
    }

    // And what is written then is the same again
    for sentinel in [ours, theirs] {
        let answer: String = sentinel.command(&["SENTINEL", "FLUSHCONFIG"]).expect("it is written");
        assert_eq!(answer, "OK");
        let alike = |line: String| match OTHERWISE.iter().find(|(ours, ..)| *ours == line) {
            Some((_, instead, _)) => instead.map(|line| if later { line.replace('"', "") } else { line.to_owned() }),
            None => Some(line),
        };
        let of_both = |line: &String| line.starts_with("sentinel ") && !line.starts_with(ONLY_VALKEY.1);
        let sentinels: BTreeSet<String> = lines(sentinel).into_iter().filter(of_both).filter_map(alike).collect();
        let first: BTreeSet<String> = expected.iter().filter(|line| line.starts_with("sentinel ")).cloned().collect();
        assert_eq!(sentinels, first, "{} written by {}", sentinel.label(), sentinel.kind().name());
    }
}
