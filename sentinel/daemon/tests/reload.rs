//! The configuration, read again while the program runs.

use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sentinel_tests::free_port;

const PATIENCE: Duration = Duration::from_secs(20);

/// A Sentinel in a temporary folder. Killed when dropped.
struct Running {
    process: Child,
    config: PathBuf,
    folder: tempfile::TempDir,
    connection: redis::Connection,
}

impl Running {
    /// `text` has `PORT` and `DIR` where those belong.
    fn start(file: &str, text: &str, environment: &[(&str, PathBuf)]) -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder can be made"), free_port());
        let config = folder.path().join(file);
        let text = text.replace("PORT", &port.to_string()).replace("DIR", &folder.path().display().to_string());
        fs::write(&config, text).expect("a file can be written there");
        let process = Command::new(env!("CARGO_BIN_EXE_sentinel"))
            .arg(&config)
            .envs(environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let client = redis::Client::open((Ipv4Addr::LOCALHOST.to_string(), port)).expect("an address");
        let deadline = Instant::now() + PATIENCE;
        let connection = loop {
            match client.get_connection() {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        Running { process, config, folder, connection }
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.config).expect("the configuration is there");
        assert!(text.contains(from), "{from:?} is not in {text}");
        fs::write(&self.config, text.replace(from, to)).expect("the configuration can be written");
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.config).expect("the configuration is there")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).expect("a child has a pid");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    fn sentinel<T: redis::FromRedisValue>(&mut self, words: &str) -> redis::RedisResult<T> {
        let mut command = redis::cmd("SENTINEL");
        for word in words.split(' ') {
            command.arg(word);
        }
        command.query(&mut self.connection)
    }

    fn reload(&mut self) -> Vec<String> {
        self.sentinel("RELOAD").unwrap_or_else(|error| panic!("{error}; log:\n{}", self.log()))
    }

    fn master(&mut self, field: &str) -> String {
        let fields: std::collections::HashMap<String, String> = self.sentinel("MASTER m").expect("it answers");
        fields.get(field).cloned().unwrap_or_default()
    }

    fn problem(&mut self) -> Option<String> {
        let all: Vec<std::collections::HashMap<String, String>> = self.sentinel("PROBLEMS").expect("it answers");
        all.into_iter().find(|it| it["code"] == "configuration-not-taken").map(|it| it["problem"].clone())
    }

    fn wait_for<T>(&mut self, what: &str, mut there: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(it) = there(self) {
                return it;
            }
            assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const CLASSIC: &str = "port PORT\nbind 127.0.0.1\ndir DIR\nlogfile log\nsentinel monitor m 127.0.0.1 1 2\n";
const SEPARATE: &str = "port PORT\nbind 127.0.0.1\ndir DIR\nlogfile log\nsentinel state-config-file DIR/state\n\
                        sentinel monitor m 127.0.0.1 1 2\nsentinel parallel-syncs m 5\n";
const TOML: &str = "[server]\nport = PORT\nbind = [\"127.0.0.1\"]\ndir = \"DIR\"\nlogfile = \"log\"\n\
                    [[master]]\nname = \"m\"\naddress = \"127.0.0.1:1\"\nquorum = 2\n";

#[test]
fn what_was_edited_is_in_force_after_a_signal_and_stays_in_the_file() {
    let mut running = Running::start("s.conf", CLASSIC, &[]);
    assert_eq!(running.master("quorum"), "2");
    running.edit("127.0.0.1 1 2", "127.0.0.1 1 3");
    running.signal(Signal::HUP);
    running.wait_for("a quorum of 3", |it| (it.master("quorum") == "3").then_some(()));
    assert_eq!(running.sentinel::<String>("FLUSHCONFIG").expect("it is saved"), "OK");
    assert!(running.text().contains("sentinel monitor m 127.0.0.1 1 3"), "{}", running.text());
    assert!(!running.config.with_extension("conf.replaced").exists(), "nothing was lost");
    running.wait_for("a line in the log", |it| {
        it.log().contains("the configuration was read again: applied: m quorum 2 -> 3").then_some(())
    });
    assert_eq!(running.reload(), ["nothing differs"]);
}

#[test]
fn a_file_with_a_fault_changes_nothing_and_says_where_the_fault_is() {
    let mut running = Running::start("s.conf", CLASSIC, &[]);
    running.edit("127.0.0.1 1 2", "127.0.0.1 1 3");
    running.edit("logfile log", "logfile log\nsentinel parallel-syncs n 1");
    let error = running.sentinel::<redis::Value>("RELOAD").expect_err("it has a fault").to_string();
    for part in ["s.conf:5: sentinel parallel-syncs: No such master with specified name.", "nothing of it is in force"]
    {
        assert!(error.contains(part), "{part:?} is not in {error}");
    }
    assert_eq!(running.master("quorum"), "2");
    running.wait_for("a problem", |it| it.problem().filter(|text| text.contains("s.conf:5: ")));

    // When the fault is mended, then all of it counts
    running.edit("\nsentinel parallel-syncs n 1", "");
    assert_eq!(running.reload(), ["applied: m quorum 2 -> 3"]);
    running.wait_for("the end of the problem", |it| it.problem().is_none().then_some(()));
}

#[test]
fn what_only_a_restart_or_a_command_can_do_is_named() {
    let mut running = Running::start("s.conf", CLASSIC, &[]);
    running.edit("bind 127.0.0.1", "bind 127.0.0.1 ::1\nmaxclients 77\nloglevel debug");
    running.edit("sentinel monitor m", "sentinel monitor other 127.0.0.1 2 1\nsentinel monitor m");
    let said = running.reload();
    assert_eq!(
        said,
        [
            "applied: loglevel debug",
            "not applied: master other is not monitored: SENTINEL MONITOR other 127.0.0.1 2 1",
            "not applied: bind needs a restart",
            "not applied: maxclients needs a restart",
        ]
    );
    let told = running.wait_for("a problem", Running::problem);
    assert!(told.contains("maxclients needs a restart"), "{told}");
}

#[test]
fn a_master_that_stands_nowhere_any_more_is_named_and_watched_on() {
    let mut running = Running::start("s.toml", TOML, &[]);
    let text = running.text();
    running.edit("name = \"m\"", "name = \"n\"");
    let said = running.reload();
    let expected = "not applied: master m stands nowhere in it: SENTINEL REMOVE m";
    assert!(said.iter().any(|line| line == expected), "{said:?}");
    assert!(said.iter().any(|line| line.contains("SENTINEL MONITOR n 127.0.0.1 1 2")), "{said:?}");
    assert_eq!(running.master("quorum"), "2");
    fs::write(&running.config, text).expect("the configuration can be written");
    assert_eq!(running.reload(), ["nothing differs"]);
}

/// The edit counts, a value set by a command holds until its configured one is edited, and both do after a restart.
#[test]
fn what_is_kept_beside_the_file_is_told_from_what_was_edited() {
    for (file, text, edits) in [
        ("s.conf", SEPARATE, [("127.0.0.1 1 2", "127.0.0.1 1 3"), ("parallel-syncs m 5", "parallel-syncs m 6")]),
        (
            "s.toml",
            TOML,
            [("quorum = 2", "quorum = 3\nparallel-syncs = 5"), ("parallel-syncs = 5", "parallel-syncs = 6")],
        ),
    ] {
        let mut running = Running::start(file, text, &[]);
        assert_eq!(running.sentinel::<String>("SET m failover-timeout 9000").expect("it is set"), "OK", "{file}");
        running.edit(edits[0].0, edits[0].1);
        let told = running.wait_for("a problem", Running::problem);
        assert!(told.contains("m quorum 2 -> 3"), "{file}: {told}");
        assert!(running.reload().contains(&"applied: m quorum 2 -> 3".to_owned()), "{file}");
        assert_eq!(running.master("failover-timeout"), "9000", "{file}");
        running.wait_for("the end of the problem", |it| it.problem().is_none().then_some(()));
        assert_eq!(running.sentinel::<String>("SET m parallel-syncs 8").expect("it is set"), "OK", "{file}");
        assert_eq!(running.reload(), ["nothing differs"], "{file}");
        running.edit(edits[1].0, edits[1].1);
        assert_eq!(running.reload(), ["applied: m parallel-syncs 8 -> 6"], "{file}");

        // When it is started again, then nothing is another one
        let source = sentineld::config::Source::file(&running.config);
        running.signal(Signal::TERM);
        assert!(running.process.wait().expect("a child can be waited for").success());
        let loaded = sentineld::config::load(&source).expect("it loads");
        let settings = &loaded.config.masters[0].settings;
        let all = (settings.quorum.get(), settings.parallel_syncs, settings.failover_timeout.as_millis());
        assert_eq!(all, (3, 6, 9_000), "{file}");
    }
}

#[test]
fn lines_that_are_overwritten_before_they_were_taken_are_kept_and_told() {
    let mut running = Running::start("s.conf", CLASSIC, &[]);
    running.edit("127.0.0.1 1 2", "127.0.0.1 1 3");
    assert_eq!(running.sentinel::<String>("FLUSHCONFIG").expect("it is saved"), "OK");
    let told = running.wait_for("a problem", Running::problem);
    assert!(told.contains("s.conf.replaced"), "{told}");
    let kept = fs::read_to_string(running.folder.path().join("s.conf.replaced")).expect("it is kept");
    assert!(kept.contains("127.0.0.1 1 3"), "{kept}");
    assert_eq!(running.reload(), ["nothing differs"]);
    running.wait_for("the end of the problem", |it| it.problem().is_none().then_some(()));
}
