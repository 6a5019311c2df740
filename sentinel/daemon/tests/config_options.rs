//! Options of the command line are saved with the first rewrite of a classic configuration, as redis-sentinel saves them.

mod config_support;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use config_support::{Folder, Listening, reference_installed};
use sentinel_core::types::SentinelId;
use sentinel_tests::{eventually, free_port};
use sentineld::{
    config::{Source, load},
    persist::Store,
};

const OURS: &str = env!("CARGO_BIN_EXE_sentinel");

const FILE: &str = "# mine\nport 1\nsentinel monitor m 127.0.0.1 1 1\nloglevel notice\nport 2\nmaxclients 77\n\
     client-output-buffer-limit pubsub 1mb 1mb 1\n";

fn options(port: u16) -> Vec<String> {
    let port = port.to_string();
    let words = [
        "--port",
        port.as_str(),
        "--loglevel",
        "verbose",
        "--requirepass",
        "a b",
        "--maxclients",
        "10000",
        "--timeout",
        "0",
        "--tcp-keepalive",
        "7",
        "--bind",
        "127.0.0.1",
        "--client-output-buffer-limit",
        "pubsub 2mb 1mb 1 normal 3mb 3mb 3",
        "--sentinel",
        "deny-scripts-reconfig",
        "no",
    ];
    words.map(str::to_owned).into()
}

/// The lines that options are about, in words: what quotes a value does not matter.
fn lines_of_options(text: &str) -> BTreeSet<String> {
    let about = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        let names = [
            "port",
            "loglevel",
            "requirepass",
            "maxclients",
            "timeout",
            "tcp-keepalive",
            "bind",
            "client-output-buffer-limit",
        ];
        names.contains(&name)
    };
    // The reference writes sizes out, and with one limit all that are not the default.
    text.lines().filter(about).map(|line| line.replace("mb", "").replace("097152", "").replace("048576", "")).collect()
}

#[test]
fn what_the_command_line_said_stands_in_the_file_as_the_reference_has_it() {
    let mut written = Vec::new();
    let programs = if reference_installed() { vec![OURS, "redis-sentinel"] } else { vec![OURS] };
    for program in programs {
        let folder = Folder::new();
        let config = folder.file("s.conf", &format!("dir {}\n{FILE}", folder.path().display()));
        let port = free_port();
        let mut command = Command::new(program);
        command.arg(&config).args(options(port));
        let mut first = Listening::start(command, port, folder.path().join("first"));
        let text = || fs::read_to_string(&config).expect("a configuration");
        eventually("it is rewritten", Duration::from_secs(30), || match text() {
            text if text.contains("sentinel myid") => Ok(()),
            text => Err(text),
        });
        first.kill();
        let lines = lines_of_options(&text());
        assert!(text().contains("# mine"), "{}", text());
        written.push(lines.into_iter().map(|line| line.replace(&port.to_string(), "PORT")).collect::<BTreeSet<_>>());

        // Without the options they are in force all the same.
        let mut command = Command::new(program);
        command.arg(&config);
        let second = Listening::start(command, port, folder.path().join("second"));
        drop(second);
    }
    let [ours, theirs @ ..] = &written[..] else { panic!("ours ran") };
    for line in [
        "port PORT",
        "loglevel verbose",
        "requirepass \"a b\"",
        "maxclients 10000",
        "tcp-keepalive 7",
        "bind 127.0.0.1",
    ] {
        assert!(ours.contains(line), "{line} is missing in {ours:?}");
        assert!(theirs.iter().all(|theirs| theirs.contains(line)), "{line} is missing in {theirs:?}");
    }
    for theirs in theirs {
        let limits = |lines: &BTreeSet<String>| lines.iter().filter(|line| line.starts_with("client-output")).count();
        assert_eq!(
            (ours.len() - limits(ours), limits(ours)),
            (theirs.len() - limits(theirs), limits(theirs)),
            "{ours:?} {theirs:?}"
        );
    }
}

fn saved(path: &Path, options: &[&str]) -> String {
    let source = Source { options: options.iter().map(|word| (*word).to_owned()).collect(), ..Source::file(path) };
    let loaded = load(&source).unwrap_or_else(|error| panic!("{error}"));
    let snapshot = loaded.config.snapshot(SentinelId::new(&"7".repeat(40)).unwrap());
    let mut store = Store::new(loaded.keep);
    store.save(&snapshot).unwrap();
    fs::read_to_string(path).unwrap()
}

#[test]
fn a_line_that_an_included_file_would_overrule_is_appended_and_one_that_says_it_already_stays() {
    let folder = Folder::new();
    let other = folder.file("other.conf", "timeout 9\n");
    let text = format!("timeout 5\ninclude {}\nPort   7\nsentinel monitor m 127.0.0.1 1 1\n", other.display());
    let path = folder.file("s.conf", &text);
    let text = saved(&path, &["--timeout", "0", "--port", "7", "--compatible-version", "valkey-9.1"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("include") && lines.contains(&"timeout 0"), "{text}");
    assert!(lines.contains(&"Port   7"), "{text}");
    assert!(lines.contains(&"#@ compatible-version valkey-9.1"), "the reference would refuse it: {text}");
    let loaded = load(&Source::file(&path)).unwrap();
    assert_eq!((loaded.config.server.idle_timeout, loaded.config.globals.port), (None, 7));
}

#[test]
fn an_edit_made_after_the_first_save_is_not_overwritten_and_users_are_not_saved() {
    let folder = Folder::new();
    let path = folder.file("s.conf", "sentinel monitor m 127.0.0.1 1 1\n");
    let options =
        ["--port", "7", "--user", "me", "on", "nopass", "+@all", "--requirepass-env", "NO", "--loglevel", "debug"];
    let source = Source {
        options: options.iter().map(|word| (*word).to_owned()).collect(),
        environment: |_| Some("secret".to_owned()),
        ..Source::file(&path)
    };
    let loaded = load(&source).unwrap_or_else(|error| panic!("{error}"));
    let snapshot = loaded.config.snapshot(SentinelId::new(&"7".repeat(40)).unwrap());
    let mut store = Store::new(loaded.keep);
    store.save(&snapshot).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("port 7\n") && text.contains("loglevel debug\n"), "{text}");
    assert!(!text.contains("user ") && !text.contains("secret"), "{text}");
    let start = Instant::now();
    folder.file("s.conf", &text.replace("port 7", "port 8 "));
    let later = sentinel_core::snapshot::Snapshot { current_epoch: sentinel_core::types::Epoch::new(5), ..snapshot };
    store.save(&later).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("port 8") && text.contains("current-epoch 5"), "{text} after {:?}", start.elapsed());
}
