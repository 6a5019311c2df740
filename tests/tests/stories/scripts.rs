//! The scripts that operators name: called with what, in which order, how often, in which surroundings.
//!
//! What both programs do is asked of both, in the same words.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use redis::Value;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sentinel_tests::{Deployment, EventRecorder, Kind, SentinelProcess, eventually};
use tempfile::TempDir;

use crate::given::SOON;

const BOTH: [Kind; 2] = [Kind::Ours, Kind::Reference];

/// Appends the arguments of each call, each in brackets, to the file `calls` of the working directory.
const RECORD: &str = r#"line=$(printf '[%s]' "$@"); echo "$line" >> calls"#;

fn script(folder: &Path, name: &str, lines: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).expect("a script can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a file can be made executable");
    path.display().to_string()
}

/// One Sentinel that watches `m`, which does not exist, with a notification script.
struct Watched {
    sentinel: SentinelProcess,
    events: EventRecorder,
    path: String,
    folder: TempDir,
}

impl Watched {
    /// The script is empty while the Sentinel starts; then it has these lines.
    fn with(kind: Kind, lines: &str) -> Self {
        let folder = TempDir::with_prefix("sentinel-scripts-").expect("a temporary folder");
        let path = script(folder.path(), "notify.sh", "");
        let config = [
            "sentinel monitor m 127.0.0.1 1 2".to_owned(),
            "sentinel down-after-milliseconds m 600000".to_owned(),
            "sentinel deny-scripts-reconfig no".to_owned(),
            format!("sentinel notification-script m {path}"),
        ];
        let sentinel = SentinelProcess::start(folder.path(), kind.name(), kind, &config);
        let events = sentinel.record();
        let watched = Watched { sentinel, events, path, folder };
        watched.wait_until_idle();
        script(watched.folder.path(), "notify.sh", lines);
        watched
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(self.sentinel.kind().name()).join(name)
    }

    fn lines(&self, name: &str) -> Vec<String> {
        fs::read_to_string(self.file(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn wait_for_lines(&self, name: &str, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines in {name}"), SOON, || {
            let lines = self.lines(name);
            if lines.len() >= count { Ok(lines) } else { Err(format!("{lines:?}\n{}", self.events.list())) }
        })
    }

    fn tell(&self, words: &str) {
        let words: Vec<&str> = words.split(' ').collect();
        let answer = self.sentinel.command::<String>(&words);
        assert_eq!(answer.as_deref(), Ok("OK"), "{words:?}");
    }

    /// Something that the script hears of.
    fn happen(&self) {
        self.tell("SENTINEL SET m quorum 2");
    }

    fn pending(&self) -> Vec<Value> {
        self.sentinel.command(&["SENTINEL", "PENDING-SCRIPTS"]).expect("an answer")
    }

    fn wait_until_idle(&self) {
        eventually("no script is pending", SOON, || match self.pending() {
            pending if pending.is_empty() => Ok(()),
            pending => Err(format!("{pending:?}")),
        });
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("not a bulk string: {other:?}"),
    }
}

/// The one pending script that has come so far, its changing numbers left out.
fn pending_as(watched: &Watched, wanted: &str) -> String {
    eventually(&format!("a script is {wanted}"), SOON, || {
        let pending = watched.pending();
        let [Value::Array(fields)] = pending.as_slice() else { return Err(format!("{pending:?}")) };
        let mut shown = String::new();
        for field in fields.chunks(2) {
            let value = match &field[1] {
                Value::Array(words) => words.iter().map(text).collect::<Vec<_>>().join("|"),
                value => text(value),
            };
            let changes = matches!(text(&field[0]).as_str(), "run-time" | "run-delay") || value.len() > 1;
            let number = value.bytes().all(|byte| byte.is_ascii_digit());
            let _ = write!(shown, " {} {}", text(&field[0]), if number && changes { "N" } else { &value });
        }
        if shown.contains(&format!("flags {wanted}")) { Ok(shown.replace(&watched.path, "PATH")) } else { Err(shown) }
    })
}

/// How an event names a Sentinel from which something was learnt.
fn source(sentinel: &SentinelProcess) -> String {
    format!("sentinel {} 127.0.0.1 {}", sentinel.id(), sentinel.port())
}

#[test]
fn a_failover_is_told_to_both_scripts_as_redis_sentinel_tells_it() {
    for kind in BOTH {
        // Given three Sentinels with both scripts, which write where their Sentinel's directory is
        let folder = TempDir::with_prefix("sentinel-scripts-").expect("a temporary folder");
        let notify = script(folder.path(), "notify.sh", &RECORD.replace("calls", "notified"));
        let reconfig = script(folder.path(), "reconfig.sh", &RECORD.replace("calls", "reconfigured"));
        let deployment = Deployment::of(&[kind; 3])
            .down_after(Duration::from_secs(30))
            .sentinel_line(&format!("sentinel notification-script mymaster {notify}"))
            .sentinel_line(&format!("sentinel client-reconfig-script mymaster {reconfig}"))
            .start();
        let old = deployment.only_group().master().port();

        // When the first is told to fail over, and has
        let events = deployment.sentinels()[0].record();
        deployment.sentinels()[0].failover("mymaster");
        let new = deployment.wait_for_switch("mymaster", old).port();
        events.wait_for_any("+failover-end", SOON);
        events.wait_for_any("+switch-master", SOON);
        let leader = deployment.sentinels()[0].id();

        let (master, switched) =
            (format!("[master mymaster 127.0.0.1 {old}"), format!("[mymaster 127.0.0.1 {old} 127.0.0.1 {new}]"));
        let replica = format!("[slave 127.0.0.1:{new} 127.0.0.1 {new} @ mymaster 127.0.0.1 {old}]");
        // Ours tells of the switch when it happens, and of the end when there is a new master already.
        let end = match kind {
            Kind::Ours => {
                [format!("+switch-master]{switched}"), format!("+failover-end][master mymaster 127.0.0.1 {new}]")]
            }
            Kind::Reference => [format!("+failover-end]{master}]"), format!("+switch-master]{switched}")],
        };
        for (index, sentinel) in deployment.sentinels().iter().enumerate() {
            let mut expected = vec![format!("+monitor]{master} quorum 2]"), "+new-epoch][1]".to_owned()];
            if index == 0 {
                expected.extend([
                    format!("+try-failover]{master}]"),
                    format!("+vote-for-leader][{leader} 1]"),
                    format!("+elected-leader]{master}]"),
                    format!("+failover-state-select-slave]{master}]"),
                    format!("+selected-slave]{replica}"),
                    format!("+promoted-slave]{replica}"),
                    format!("+failover-state-reconf-slaves]{master}]"),
                ]);
                expected.extend(end.clone());
            } else {
                if kind == Kind::Ours {
                    // A forced failover asks for votes, too, so that no other is led in the same epoch.
                    expected.push(format!("+vote-for-leader][{leader} 1]"));
                }
                let told_by = source(&deployment.sentinels()[0]);
                expected.push(format!("+config-update-from][{told_by} @ mymaster 127.0.0.1 {old}]"));
                expected.push(format!("+switch-master]{switched}"));
            }
            let mut expected: Vec<String> = expected.into_iter().map(|text| format!("[{text}")).collect();

            // Then its script has heard each warning event, ours in their order
            let file = |name: &str| {
                let path = sentinel.config_file().with_file_name(name);
                fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>()
            };
            if kind == Kind::Reference {
                expected.sort();
            }
            // An observer may have the configuration from the leader or from the other observer.
            let relayed: Vec<String> = deployment.sentinels()[1..].iter().map(source).collect();
            let from_the_leader = source(&deployment.sentinels()[0]);
            let as_from_the_leader = |line: String| match relayed.iter().find(|relay| line.contains(relay.as_str())) {
                Some(relay) => line.replace(relay, &from_the_leader),
                None => line,
            };
            eventually(&format!("{} has told its script everything", sentinel.label()), SOON, || {
                let mut told: Vec<_> = file("notified").into_iter().map(as_from_the_leader).collect();
                if kind == Kind::Reference {
                    told.sort();
                }
                if told == expected { Ok(()) } else { Err(format!("{told:#?}\n  instead of {expected:#?}")) }
            });

            // And the other script has heard of one switch
            let role = if index == 0 { "leader" } else { "observer" };
            let expected = format!("[mymaster][{role}][start][127.0.0.1][{old}][127.0.0.1][{new}]");
            eventually(&format!("{} has reconfigured clients", sentinel.label()), SOON, || {
                let told = file("reconfigured");
                if told == [expected.as_str()] { Ok(()) } else { Err(format!("{told:?}")) }
            });
        }
    }
}

#[test]
fn a_script_that_fails_is_tried_ten_times_and_then_told_of() {
    for kind in BOTH {
        for (lines, shown) in [("exit 1", "0 1"), ("kill -15 $$", "15 0")] {
            // Given a script that asks for another try, and tries that follow closely
            let watched = Watched::with(kind, &format!("{RECORD}\n{lines}"));
            watched.tell("SENTINEL DEBUG script-retry-delay 4");
            // When it is called
            watched.happen();
            // Then it is called ten times with the same words, and then there is an end
            let payload = format!("{} {shown}", watched.path);
            watched.events.wait_for("-script-error", |it| it == payload, SOON);
            assert_eq!(watched.lines("calls"), vec!["[+set][master m 127.0.0.1 1 quorum 2]"; 10]);
            assert_eq!(watched.events.count("-script-error"), 1);
            watched.wait_until_idle();
        }
    }
}

#[test]
fn a_script_that_fails_otherwise_or_cannot_be_executed_is_not_tried_again() {
    for kind in BOTH {
        let watched = Watched::with(kind, &format!("{RECORD}\nexit 7"));
        watched.tell("SENTINEL DEBUG script-retry-delay 1");
        watched.happen();
        let payload = format!("{} 0 7", watched.path);
        watched.events.wait_for("-script-error", |it| it == payload, SOON);
        assert_eq!(watched.lines("calls").len(), 1);

        // One that is no program, one without permission, one that is gone: told as the reference's child would end.
        let payload = format!("{} 0 2", watched.path);
        let spoils: [fn(&str); 3] = [
            |path| fs::write(path, "neither a program nor a script\n").expect("it can be written"),
            |path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("it can be changed"),
            |path| fs::remove_file(path).expect("it can be removed"),
        ];
        for (times, spoil) in spoils.into_iter().enumerate() {
            spoil(&watched.path);
            watched.happen();
            eventually("it is told of", SOON, || {
                let told = watched.events.all().iter().filter(|event| event.payload == payload).count();
                if told == times + 1 { Ok(()) } else { Err(watched.events.list()) }
            });
        }
        watched.wait_until_idle();
        assert_eq!(watched.lines("calls").len(), 1);
    }
}

#[test]
fn pending_scripts_are_shown_alike_and_those_that_take_too_long_are_killed() {
    let shown = BOTH.map(|kind| {
        // Given a script that does not end, and the limit too far away to matter
        let watched = Watched::with(kind, "echo $$ > pid; exec sleep 60");
        watched.happen();
        // Then it is shown with its process
        let running = pending_as(&watched, "running");
        let pid: i32 = watched.wait_for_lines("pid", 1)[0].parse().expect("a process id");
        let info: String = watched.sentinel.command(&["INFO", "sentinel"]).expect("an answer");
        for line in ["sentinel_running_scripts:1\r\n", "sentinel_scripts_queue_length:1\r\n"] {
            assert!(info.contains(line), "{info}");
        }
        // When the limit is lowered, then it is told of, dead, and waits for another try
        watched.tell("SENTINEL DEBUG script-max-runtime 10 script-retry-delay 500000");
        let payload = format!("{} {pid}", watched.path);
        watched.events.wait_for("-script-timeout", |it| it == payload, SOON);
        let scheduled = pending_as(&watched, "scheduled");
        let pid = Pid::from_raw(pid).expect("not zero");
        assert!(test_kill_process(pid).is_err(), "the script lives on, or was not reaped");
        (running, scheduled)
    });
    assert_eq!(shown[0], shown[1]);
    assert!(shown[0].0.contains("pid N run-time N retry-num 1"), "{}", shown[0].0);
    assert!(shown[0].1.contains("pid 0 run-delay N retry-num 1"), "{}", shown[0].1);
}

#[test]
fn a_script_has_the_surroundings_of_its_sentinel_and_none_of_its_descriptors() {
    // Given a Sentinel with a client, a subscriber, a log, and links that it tries to open
    let lines = r#"{ echo "$0"; pwd -P; echo "$PATH"; env | grep -c SENTINEL_IN_BACKGROUND; } > surroundings
        exec ls -l /proc/self/fd > descriptors"#;
    let watched = Watched::with(Kind::Ours, lines);
    // When a script runs
    watched.happen();
    watched.wait_for_lines("descriptors", 3);
    watched.wait_until_idle();
    // Then it is where its Sentinel is
    let here = fs::canonicalize(watched.file(".")).expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    assert_eq!(watched.lines("surroundings"), [watched.path.as_str(), &here.display().to_string(), &path, "0"]);
    // And has the standard streams of its Sentinel
    let descriptors = descriptors(&here);
    let output = here.join("output.log").display().to_string();
    assert_eq!((descriptors["0"].as_str(), &descriptors["2"]), ("/dev/null", &output), "{descriptors:?}");
    // And besides them only what it would have if this test had started it
    let direct = watched.folder.path().join("direct");
    fs::create_dir(&direct).expect("a folder can be made");
    let started = Command::new(&watched.path).current_dir(&direct).stdin(Stdio::null()).status();
    assert!(started.is_ok_and(|status| status.success()));
    let numbers = |of: &BTreeMap<String, String>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(numbers(&descriptors), numbers(&self::descriptors(&direct)), "{descriptors:#?}");
}

/// What `ls` wrote of its own open descriptors: the number of each, and whereto it leads.
fn descriptors(folder: &Path) -> BTreeMap<String, String> {
    let listed = fs::read_to_string(folder.join("descriptors")).expect("the script wrote it");
    let lines = listed.lines().filter_map(|line| line.split_once(" -> "));
    lines.map(|(left, to)| (left.rsplit(' ').next().unwrap_or_default().to_owned(), to.to_owned())).collect()
}

#[test]
fn three_hundred_events_at_once_are_told_in_order_as_far_as_there_is_room() {
    // Given a script that is quick
    let watched = Watched::with(Kind::Ours, RECORD);
    // When 300 things happen in the same instant
    let mut command = "SENTINEL SET m".to_owned();
    for number in 1..=300 {
        let _ = write!(command, " quorum {number}");
    }
    watched.tell(&command);
    let queued: String = watched.sentinel.command(&["INFO", "sentinel"]).expect("an answer at once");
    assert!(!queued.contains("sentinel_scripts_queue_length:0\r\n"), "{queued}");
    // Then the newest 256 are told, each in its turn
    let calls = eventually("all have been told", 4 * SOON, || {
        let calls = watched.lines("calls");
        if calls.len() >= 256 { Ok(calls) } else { Err(format!("{} calls", calls.len())) }
    });
    let expected: Vec<_> = (45..=300).map(|number| format!("[+set][master m 127.0.0.1 1 quorum {number}]")).collect();
    assert_eq!(calls, expected);
}

#[test]
fn a_script_that_hangs_does_not_hold_up_the_others() {
    // Given a script of which the first call hangs
    let watched = Watched::with(Kind::Ours, &format!("{RECORD}\n[ $(wc -l < calls) -gt 1 ] || exec sleep 60"));
    watched.happen();
    watched.wait_for_lines("calls", 1);
    // When more happens, then it is told meanwhile
    watched.tell("SENTINEL SET m quorum 3 quorum 4");
    let calls = watched.wait_for_lines("calls", 3);
    assert!(calls[1].ends_with("quorum 3]") && calls[2].ends_with("quorum 4]"), "{calls:?}");
    eventually("the first alone still hangs", SOON, || match watched.pending().len() {
        1 => Ok(()),
        count => Err(format!("{count} are pending")),
    });
    // Not to be left behind.
    watched.tell("SENTINEL DEBUG script-max-runtime 1 script-retry-delay 500000");
    watched.events.wait_for_any("-script-timeout", SOON);
}

#[test]
fn a_running_script_outlives_its_sentinel() {
    for kind in BOTH {
        let watched = Watched::with(kind, "echo $$ > pid; exec sleep 60");
        watched.happen();
        let pid = watched.wait_for_lines("pid", 1)[0].parse().ok().and_then(Pid::from_raw).expect("a process id");
        watched.sentinel.terminate();
        let lives = test_kill_process(pid);
        // Not to be left behind.
        let ended = kill_process(pid, Signal::KILL);
        assert!(lives.is_ok() && ended.is_ok(), "it ended with its Sentinel");
    }
}

#[test]
fn only_what_can_be_executed_is_taken_as_a_script() {
    for kind in BOTH {
        let watched = Watched::with(kind, RECORD);
        let plain = watched.folder.path().join("plain");
        fs::write(&plain, "").expect("a file can be written");
        let plain = plain.display().to_string();
        for (option, error) in [
            ("notification-script", "Notification script seems non existing or non executable"),
            ("client-reconfig-script", "Client reconfiguration script seems non existing or non executable"),
        ] {
            for path in ["/nonexistent/script", &plain] {
                // What stands before it counts, what stands behind it does not.
                let set = ["SENTINEL", "SET", "m", "parallel-syncs", "3", option, path, "parallel-syncs", "4"];
                let refused = watched.sentinel.command::<String>(&set).expect_err("no script");
                assert!(refused.to_string().ends_with(error), "{refused}");
                let master = watched.sentinel.master("m").expect("an answer");
                assert_eq!(master["parallel-syncs"], "3");
                assert_eq!(master.get(option), (option == "notification-script").then_some(&watched.path));
                watched.tell("SENTINEL SET m parallel-syncs 1");
            }
        }
        watched.tell(&format!("SENTINEL SET m client-reconfig-script {}", watched.path));
        // Whether it may be changed at all is asked first, and whether there is such a master before that.
        let unknown = watched.sentinel.command::<String>(&["SENTINEL", "SET", "x", "notification-script", "/nowhere"]);
        let unknown = unknown.expect_err("no master").to_string();
        assert!(unknown.ends_with("No such master with that name"), "{unknown}");
    }
}
