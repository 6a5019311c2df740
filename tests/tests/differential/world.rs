//! The same story told twice: once to ours, once to redis-sentinel, each with data nodes of its own.

use std::time::Duration;

use sentinel_tests::{
    DataNode, Deployment, Event, EventRecorder, Fields, Group, Kind, SentinelProcess, eventually, free_port,
};
use std::collections::BTreeMap;
use std::fmt::Display;
use tempfile::TempDir;

use crate::masks::Names;
use crate::stream::Told;
use crate::version;

/// More than anything that is bound to happen takes with the periods of [`QUICK`].
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Shorter periods, so that the stories do not wait for the next INFO or hello.
const QUICK: &[&str] = &["SENTINEL", "DEBUG", "info-period", "300", "publish-period", "300", "ask-period", "200"];

/// The name under which the data nodes are watched.
pub(crate) const NAME: &str = "mymaster";

/// How a world begins.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    /// `replica-priority` of each replica; the first one is the better choice.
    pub(crate) priorities: Vec<u32>,
    /// `down-after-milliseconds`.
    pub(crate) down_after: u32,
    /// `failover-timeout`, in milliseconds.
    pub(crate) failover_timeout: u32,
    /// Further lines of the Sentinel's configuration; `{peer}` stands for ports on which nobody listens.
    pub(crate) lines: Vec<&'static str>,
    /// Whether the Sentinel watches the nodes from the beginning.
    pub(crate) watched: bool,
    /// The quorum; nobody else is there to agree.
    pub(crate) quorum: u32,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            priorities: vec![10, 100],
            down_after: 30_000,
            failover_timeout: 10_000,
            lines: Vec::new(),
            watched: true,
            quorum: 1,
        }
    }
}

/// A master, its replicas and one Sentinel, whose events are recorded once it knows them.
pub(crate) struct World {
    kind: Kind,
    names: Names,
    recorder: EventRecorder,
    sentinel: SentinelProcess,
    data: Deployment,
    _folder: TempDir,
}

impl World {
    fn begin(kind: Kind, setting: &Setting) -> Self {
        version::reference();
        let data = Deployment::of(&[]).replicas(setting.priorities.len()).priorities(&setting.priorities).start();
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let group = data.only_group();
        let mut names = data_names(group);
        let mut lines = vec!["loglevel debug".to_owned()];
        if setting.watched {
            lines.push(format!("sentinel monitor {NAME} 127.0.0.1 {} {}", group.master().port(), setting.quorum));
            lines.push(format!("sentinel down-after-milliseconds {NAME} {}", setting.down_after));
            lines.push(format!("sentinel failover-timeout {NAME} {}", setting.failover_timeout));
        }
        for line in &setting.lines {
            let peer = free_port();
            names.call(&peer, "peer");
            lines.push(line.replace("{peer}", &peer.to_string()));
        }
        let sentinel = SentinelProcess::start(folder.path(), kind.name(), kind, &lines);
        names.call(&sentinel.id(), "own-id");
        names.call(&sentinel.port(), "own-port");
        let quick: String = sentinel.command(QUICK).expect("the periods can be set");
        assert_eq!(quick, "OK");
        if setting.watched {
            wait_until_known(&sentinel, group);
        }
        let recorder = sentinel.record();
        Self { kind, names, recorder, sentinel, data, _folder: folder }
    }

    /// Whose Sentinel watches.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The Sentinel.
    pub(crate) fn sentinel(&self) -> &SentinelProcess {
        &self.sentinel
    }

    /// The data nodes.
    pub(crate) fn group(&self) -> &Group {
        self.data.only_group()
    }

    /// The master at the beginning.
    pub(crate) fn master(&self) -> &DataNode {
        self.group().master()
    }

    /// The replica that is the better choice, and the others.
    pub(crate) fn replica(&self, index: usize) -> &DataNode {
        &self.group().replicas()[index]
    }

    /// Calls a name so from now on.
    pub(crate) fn call(&mut self, name: &impl Display, label: &str) {
        self.names.call(name, label);
    }

    /// Sends a command that must be answered with OK.
    #[track_caller]
    pub(crate) fn tell(&self, words: &[&str]) {
        let answer: String = self
            .sentinel
            .command(words)
            .unwrap_or_else(|error| panic!("{}: {}: {error}", self.kind.name(), words.join(" ")));
        assert_eq!(answer, "OK", "{}: {}", self.kind.name(), words.join(" "));
    }

    /// Says hello in the name of another Sentinel.
    #[track_caller]
    pub(crate) fn hello(&self, hello: &str) {
        let answer: i64 = self
            .sentinel
            .command(&["PUBLISH", "__sentinel__:hello", hello])
            .unwrap_or_else(|error| panic!("{}: {hello}: {error}", self.kind.name()));
        assert_eq!(answer, 1);
    }

    /// Waits for an event whose payload has all of these words, ports called as in the comparison.
    #[track_caller]
    pub(crate) fn wait_for(&self, channel: &str, words: &[&str]) {
        self.recorder.wait_for(
            channel,
            |payload| {
                let payload = self.names.replaced(payload);
                words.iter().all(|word| payload.contains(word))
            },
            SOON,
        );
    }

    /// Waits until every replica is known, linked and has answered INFO.
    #[track_caller]
    pub(crate) fn wait_until_known(&self) {
        wait_until_known(&self.sentinel, self.group());
    }

    /// The events in its log since the process first began, also those that no client could be told. Without those that are for
    /// the log alone: they tell how connections are made.
    pub(crate) fn logged(&self) -> Vec<Told> {
        let event = |line: &str| {
            let words: Vec<&str> = line.splitn(8, ' ').collect();
            let [_, _, _, _, _, sign, name, payload] = words[..] else { return None };
            let told = name.starts_with(['+', '-']) && sign != ".";
            told.then(|| Told { channel: format!("{sign} {name}"), payload: self.names.replaced(payload) })
        };
        self.sentinel.last_output(usize::MAX).lines().filter_map(event).collect()
    }

    /// The signs of the levels with which each kind of event stands in its log.
    fn levels(&self) -> BTreeMap<String, String> {
        let log = self.sentinel.last_output(usize::MAX);
        let event = |line: &str| {
            // `<pid>:X <day> <month> <year> <time> <sign> <name> <payload>`
            let words: Vec<&str> = line.split(' ').collect();
            let (sign, name) = (words.get(5)?, words.get(6)?);
            name.starts_with(['+', '-']).then(|| ((*name).to_owned(), (*sign).to_owned()))
        };
        log.lines().filter_map(event).collect()
    }

    /// What was told so far, with ports and ids called by their roles.
    pub(crate) fn told(&self) -> Vec<Told> {
        told(&self.recorder, &self.names)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "{} told:\n{}\nits log:\n{}",
                self.kind.name(),
                self.recorder.list(),
                self.sentinel.last_output(30)
            );
        }
    }
}

#[track_caller]
fn wait_until_known(sentinel: &SentinelProcess, group: &Group) {
    eventually(&format!("{} knows all nodes", sentinel.label()), SOON, || {
        let replicas = sentinel.replicas(NAME).map_err(|error| error.to_string())?;
        let good = |replica: &&Fields| replica["flags"] == "slave" && replica["master-link-status"] == "ok";
        if replicas.iter().filter(good).count() == group.replicas().len() {
            Ok(())
        } else {
            Err(format!("{replicas:?}"))
        }
    });
}

/// Tells the story to ours and to the reference at the same time, and gives what each told. Their logs must have each kind of event
/// with the same level.
#[track_caller]
pub(crate) fn told_by_both(setting: &Setting, story: impl Fn(&mut World) + Sync) -> [Vec<Told>; 2] {
    by_both(setting, |world| {
        story(world);
        world.told()
    })
}

/// The same with what `story` gives as what was told.
#[track_caller]
pub(crate) fn by_both(setting: &Setting, story: impl Fn(&mut World) -> Vec<Told> + Sync) -> [Vec<Told>; 2] {
    let [ours, theirs] = std::thread::scope(|scope| {
        let tellers = [Kind::Ours, Kind::Reference].map(|kind| {
            let story = &story;
            scope.spawn(move || {
                let mut world = World::begin(kind, setting);
                let told = story(&mut world);
                (told, world.levels())
            })
        });
        tellers.map(|teller| teller.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    for (name, level) in &ours.1 {
        if let Some(expected) = theirs.1.get(name) {
            assert_eq!(level, expected, "the level of {name} in the log");
        }
    }
    [ours.0, theirs.0]
}

/// What two observers told of a failover that a Sentinel of the kind `leader` led: ours and the reference's, over the same nodes.
#[track_caller]
pub(crate) fn told_by_observers(leader: Kind) -> [Vec<Told>; 2] {
    version::reference();
    let data = Deployment::of(&[]).priorities(&[10, 100]).start();
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let group = data.only_group();
    // The quorum of the observers is out of reach: they vote and never lead.
    let sentinels: Vec<SentinelProcess> =
        [("leader", leader, 2), ("ours", Kind::Ours, 9), ("theirs", Kind::Reference, 9)]
            .map(|(label, kind, quorum)| {
                let lines = [
                    format!("sentinel monitor {NAME} 127.0.0.1 {} {quorum}", group.master().port()),
                    format!("sentinel down-after-milliseconds {NAME} 2000"),
                    format!("sentinel failover-timeout {NAME} 10000"),
                ];
                let sentinel = SentinelProcess::start(folder.path(), label, kind, &lines);
                let quick: String = sentinel.command(QUICK).expect("the periods can be set");
                assert_eq!(quick, "OK");
                sentinel
            })
            .into();
    for sentinel in &sentinels {
        eventually(&format!("{} knows the others", sentinel.label()), SOON, || {
            let peers = sentinel.peers(NAME).map_err(|error| error.to_string())?;
            let good = peers.iter().filter(|peer| peer["flags"] == "sentinel").count();
            let replicas = sentinel.replicas(NAME).map_err(|error| error.to_string())?;
            if good == 2 && replicas.len() == 2 { Ok(()) } else { Err(format!("{peers:?} {replicas:?}")) }
        });
    }
    let mut names = data_names(group);
    names.call(&sentinels[0].id(), "leader");
    names.call(&sentinels[0].port(), "leader-port");
    for observer in &sentinels[1..] {
        names.call(&observer.id(), "observer");
        names.call(&observer.port(), "observer-port");
    }
    let recorders = [sentinels[1].record(), sentinels[2].record()];
    group.master().kill();
    recorders.map(|recorder| {
        let old = format!("slave {}", group.master().address());
        recorder.wait_for("+sdown", |payload| payload.starts_with(&old), SOON);
        told(&recorder, &names)
    })
}

fn data_names(group: &Group) -> Names {
    let mut names = Names::default();
    names.call(&group.master().port(), "master");
    for (index, replica) in group.replicas().iter().enumerate() {
        names.call(&replica.port(), &format!("replica-{}", index + 1));
    }
    names
}

fn told(recorder: &EventRecorder, names: &Names) -> Vec<Told> {
    let told = |event: &Event| Told { channel: event.channel.clone(), payload: names.replaced(&event.payload) };
    recorder.all().iter().map(told).collect()
}
