//! docs/migration.md, carried out: the commands of the guide as they stand there.
//!
//! What differs from host to host the guide has in its block `settings`. The story gives those variables other values, and runs
//! every other block word for word. `systemctl` is a stand-in, which asks the story: it starts what the unit and the files beside
//! it say.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Dataset, Deployment, Kind, SentinelProcess, eventually, programs};

use crate::given::SOON;

/// Longer than a restart takes on a busy machine: nobody may notice one.
const DOWN_AFTER: Duration = Duration::from_secs(10);
/// After down-after redis-sentinel tries again, if its first election is lost, after twice the failover timeout.
const SWITCHED_WITHIN: Duration = Duration::from_secs(60);
/// More than any step of the guide takes.
const STEP_WITHIN: Duration = Duration::from_secs(60);

/// What no log may say while processes are replaced.
const ALARMS: [&str; 6] =
    [" +sdown ", " +odown ", " +new-epoch ", " +try-failover ", " +switch-master ", " +config-update-from "];

/// The commands of the guide, by the second word behind the fence.
fn guide() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/migration.md");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut steps = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        let block = lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n") + "\n";
        let name = fence.strip_prefix("bash ").unwrap_or_else(|| panic!("nobody runs the block {fence:?}:\n{block}"));
        assert!(steps.insert(name.to_owned(), block).is_none(), "two blocks are called {name}");
    }
    let names: Vec<&str> = steps.keys().map(String::as_str).collect();
    assert_eq!(names, ["back", "look", "replace", "settings", "whole"]);
    steps
}

/// The names of the variables that a block sets.
fn variables(block: &str) -> Vec<&str> {
    block.lines().map(|line| line.split_once('=').unwrap_or_else(|| panic!("it sets nothing: {line}")).0).collect()
}

/// A machine with one Sentinel under a unit of systemd, as the guide finds it.
struct Host<'a> {
    sentinel: &'a SentinelProcess,
    folder: PathBuf,
    unit: &'static str,
    /// What the unit starts, as it was when systemd last read it.
    loaded: RefCell<Vec<String>>,
    settings: String,
}

impl<'a> Host<'a> {
    fn new(folder: PathBuf, sentinel: &'a SentinelProcess, all: &str, guide: &BTreeMap<String, String>) -> Self {
        let valkey = Kind::Reference.version().contains("Valkey");
        let unit = if valkey { "valkey-sentinel" } else { "redis-sentinel" };
        let units = folder.join("units");
        fs::create_dir_all(&units).expect("a folder can be made");
        let (program, arguments) = Kind::Reference.command(&sentinel.config_file());
        let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // As Debian has it.
        let text = format!(
            "[Service]\nType=notify\nExecStart={} {} --supervised systemd --daemonize no\nNoExecPaths=/\n",
            program.display(),
            words.join(" ")
        );
        fs::write(units.join(format!("{unit}.service")), text).expect("a file can be written");
        let values = [
            ("UNIT", unit.to_owned()),
            ("CONF", sentinel.config_file().display().to_string()),
            ("PROGRAM", programs::our_sentinel().display().to_string()),
            ("UNITS", units.display().to_string()),
            ("CLI", programs::redis_cli().display().to_string()),
            ("MASTER", "mymaster".to_owned()),
            ("SENTINELS", all.to_owned()),
        ];
        assert_eq!(variables(&guide["settings"]), values.each_ref().map(|(name, _)| *name));
        let settings = values.map(|(name, value)| format!("{name}='{value}'\n")).concat();
        let host = Self { sentinel, folder, unit, loaded: RefCell::default(), settings };
        host.write_stand_in();
        host.read_units();
        host
    }

    /// `systemctl`: leaves its words for [`Host::systemctl`], and ends when that is done, or after a minute.
    fn write_stand_in(&self) {
        let folder = self.folder.join("bin");
        fs::create_dir(&folder).expect("a folder can be made");
        let script = "#!/bin/sh\ncd \"${0%/*}/..\"\necho \"$@\" >asking && mv asking asked\n\
                      for _ in $(seq 3000); do\n[ -e done ] && exec rm done\nsleep 0.02\ndone\nexit 1\n";
        let path = folder.join("systemctl");
        fs::write(&path, script).expect("a file can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be made executable");
    }

    /// What systemd does with the unit and the files beside it.
    fn read_units(&self) {
        let units = self.folder.join("units");
        let mut files = vec![units.join(format!("{}.service", self.unit))];
        let beside = fs::read_dir(units.join(format!("{}.service.d", self.unit)));
        files.extend(beside.into_iter().flatten().map(|entry| entry.expect("an entry").path()));
        files[1..].sort();
        let mut start = Vec::new();
        for file in files {
            let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            assert!(text.starts_with("[Service]\n"), "{text}");
            for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
                // One that is empty takes back those before it.
                start.push(line.to_owned());
                if line.is_empty() {
                    start.clear();
                }
            }
        }
        *self.loaded.borrow_mut() = start;
    }

    fn systemctl(&self, words: &str) {
        let service = format!("restart {}", self.unit);
        match words.trim_end() {
            "daemon-reload" => self.read_units(),
            words if words == service => {
                let loaded = self.loaded.borrow();
                let [line] = loaded.as_slice() else { panic!("a unit starts one program: {loaded:?}") };
                let mut words = line.split(' ').map(OsString::from);
                let program = PathBuf::from(words.next().expect("a program"));
                self.sentinel.terminate();
                self.sentinel.restart_by(&program, &words.collect::<Vec<_>>());
            }
            other => panic!("this stand-in does not know systemctl {other}"),
        }
    }

    /// Runs a block of the guide, and gives what it printed.
    fn run(&self, block: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let printed = self.folder.join("printed");
        let output = fs::File::create(&printed).expect("a file can be made");
        let shell = Command::new("bash")
            .args(["-eu", "-c", &format!("{}{block}", self.settings)])
            .env("PATH", format!("{}:{path}", self.folder.join("bin").display()))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("an open file can be opened twice"))
            .stderr(output)
            .spawn();
        let mut shell = Shell(shell.expect("bash can be run"));
        let said = || fs::read_to_string(&printed).unwrap_or_default();
        let deadline = Instant::now() + STEP_WITHIN;
        let status = loop {
            if let Ok(words) = fs::read_to_string(self.folder.join("asked")) {
                fs::remove_file(self.folder.join("asked")).expect("it is there");
                self.systemctl(&words);
                fs::write(self.folder.join("done"), "").expect("a file can be written");
            }
            if let Some(status) = shell.0.try_wait().expect("a child can be asked") {
                break status;
            }
            let late = Instant::now() > deadline;
            assert!(!late, "{}: not within {STEP_WITHIN:?}:\n{block}\nprinted:\n{}", self.sentinel.label(), said());
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{}: {status}:\n{block}\nprinted:\n{}", self.sentinel.label(), said());
        said()
    }
}

/// A shell that does not outlive the test.
struct Shell(Child);

impl Drop for Shell {
    fn drop(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines of its log that a restart of another Sentinel must not cause.
fn alarms(sentinel: &SentinelProcess) -> Vec<String> {
    let log = sentinel.last_output(usize::MAX);
    log.lines().filter(|line| ALARMS.iter().any(|alarm| line.contains(alarm))).map(str::to_owned).collect()
}

fn all_alarms(deployment: &Deployment) -> Vec<Vec<String>> {
    deployment.sentinels().iter().map(alarms).collect()
}

fn ids(deployment: &Deployment) -> Vec<String> {
    deployment.sentinels().iter().map(SentinelProcess::id).collect()
}

fn current_epochs(deployment: &Deployment) -> Vec<u64> {
    deployment.sentinels().iter().map(SentinelProcess::current_epoch).collect()
}

/// Replaces all processes by those of the other kind, one after the other, with these steps of the guide, while an application
/// writes to the master. It stays the master, nobody notices anything, and nothing that was written is lost.
fn all_are_replaced(deployment: &Deployment, hosts: &[Host<'_>], master: &DataNode, steps: &[&str], by: Kind) {
    let guide = guide();
    // What an election has left behind is told by hellos.
    let epochs = eventually("all know the newest epoch", SOON, || {
        let epochs = current_epochs(deployment);
        if epochs.iter().all(|epoch| *epoch == epochs[0]) { Ok(epochs) } else { Err(format!("{epochs:?}")) }
    });
    let (before, ids_before) = (all_alarms(deployment), ids(deployment));
    let writer = deployment.write_to("mymaster");
    for host in hosts {
        assert_eq!(host.sentinel.kind(), by.other());
        for &step in steps {
            let said = host.run(&guide[step]);
            match step {
                "look" => assert!(said.contains("sentinel.conf: ok, 1 master\n  mymaster at 127.0.0.1:"), "{said}"),
                "whole" => {
                    // All say that the quorum is whole, and name the same address
                    let verdict = |line: &&str| line.starts_with("OK 3 usable Sentinels");
                    assert_eq!(said.lines().filter(verdict).count(), 3, "{said}");
                    let address = |line: &&str| !verdict(line) && !line.contains("onnection refused");
                    let named: Vec<&str> = said.lines().filter(address).collect();
                    assert_eq!(named, ["127.0.0.1", &master.port().to_string()].repeat(3), "{said}");
                }
                _ => {}
            }
        }
        assert_eq!(host.sentinel.kind(), by);
        // Each knows the two others and all data nodes, under the same ids, and it is the same master
        deployment.wait_until_discovered();
        assert_eq!(ids(deployment), ids_before);
        assert_eq!(deployment.named_ports("mymaster"), [Some(master.port()); 3]);
        assert_eq!(all_alarms(deployment), before, "with {}", host.sentinel.label());
    }
    assert_eq!(current_epochs(deployment), epochs);

    // All that was acknowledged was acknowledged by this master, and all nodes have it
    let report = writer.finish();
    assert!(report.acknowledged.iter().all(|write| write.port == master.port()));
    eventually("all nodes have all that was written", SOON, || {
        for node in deployment.only_group().nodes() {
            let missing = report.missing_from(node);
            if !missing.is_empty() {
                return Err(format!("{} lacks {missing:?}", node.label()));
            }
        }
        Ok(())
    });
}

/// The master dies, a replica takes its place, and the application goes on; the old one comes back as a replica.
fn the_master_is_replaced<'a>(deployment: &'a Deployment, old: &DataNode) -> &'a DataNode {
    let group = deployment.only_group();
    let writer = deployment.write_to("mymaster");
    let killed = Instant::now();
    old.kill();
    let new = deployment.wait_for_switch_within("mymaster", old.port(), SWITCHED_WITHIN);
    deployment.wait_for_one_config_epoch("mymaster");
    writer.wait_for_write(new.port(), killed, SOON);
    drop(writer);
    // It is seen in every log: whoever looks for alarms there would find them
    for sentinel in deployment.sentinels() {
        eventually("the switch is logged", SOON, || {
            let alarms = alarms(sentinel);
            let told = alarms.iter().any(|line| line.contains(&format!(" {} 127.0.0.1 {}", old.port(), new.port())));
            told.then_some(()).ok_or_else(|| format!("{}: {alarms:?}", sentinel.label()))
        });
    }
    old.restart(Dataset::Kept);
    group.wait_until_linked(new);
    new
}

#[test]
fn a_fleet_goes_over_and_back_by_the_guide_as_it_stands() {
    // Given three of the others under units of systemd, with a master that is written to
    let deployment = Deployment::of(&[Kind::Reference; 3]).down_after(DOWN_AFTER).start();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (guide, sentinels) = (guide(), deployment.sentinels());
    let all: Vec<String> = sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    let host =
        |(index, sentinel)| Host::new(folder.path().join(format!("host-{index}")), sentinel, &all.join(" "), &guide);
    let hosts: Vec<Host<'_>> = sentinels.iter().enumerate().map(host).collect();

    // When they are replaced as the guide says, then nobody notices; and the master's death ends as ever
    let first = deployment.only_group().master();
    all_are_replaced(&deployment, &hosts, first, &["look", "replace", "whole"], Kind::Ours);
    let second = the_master_is_replaced(&deployment, first);
    deployment.wait_until_discovered();

    // And when, after settings that only ours know, all goes back as the guide says, it is the same
    for sentinel in sentinels {
        let set = ["SENTINEL", "SET", "mymaster", "ping-period", "500"];
        sentinel.command::<String>(&set).expect("it is a setting");
        assert!(sentinel.config().contains("#@ sentinel ping-period mymaster 500"), "{}", sentinel.config());
    }
    all_are_replaced(&deployment, &hosts, second, &["back", "whole"], Kind::Reference);
    the_master_is_replaced(&deployment, second);
}

#[test]
fn the_file_beside_the_unit_is_the_example() {
    // Given the guide's settings as a reader finds them, when its step is run where nothing is touched
    let guide = guide();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let units = format!("UNITS='{}'\nsystemctl() {{ :; }}\n", folder.path().display());
    let script = format!("{}{units}{}", guide["settings"], guide["replace"]);
    let ran = Command::new("bash").args(["-eu", "-c", &script]).output().expect("bash can be run");
    assert!(ran.status.success(), "{ran:?}");

    // Then what it writes is what the example has, for the package's program
    let written = folder.path().join("redis-sentinel.service.d/sentinel.conf");
    let written = fs::read_to_string(&written).expect("it is written");
    let example = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/redis-sentinel.override.conf"));
    let example = fs::read_to_string(example).expect("it is there").replace("/usr/local/bin/", "/usr/bin/");
    let lines = |text: &str| {
        let meant = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        meant.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines(&written), lines(&example));
}
