//! Ours and redis-sentinel side by side, and the comparison of what they answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use sentinel_tests::{Authority, Deployment, Kind, SentinelProcess, eventually};
use tempfile::TempDir;

use crate::departures::Departure;
use crate::masks::{self, Names};
use crate::newer;
use crate::script::{self, Talk};
use crate::version;
use crate::way::{self, Way};
use crate::wire::{SILENCE, Value, Wire};

/// The protocols a script is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Resp2,
    Resp3,
}

/// One Sentinel of each kind under the same conditions.
pub(crate) struct Pair {
    sides: [Side; 2],
    variables: BTreeMap<&'static str, String>,
    started: Started,
}

/// How those that speak no plain TCP are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Encrypted {
    /// On their port.
    Tls,
    /// At their Unix socket.
    Socket,
}

/// One of the two.
struct Side {
    kind: Kind,
    port: u16,
    way: Way,
    names: Names,
}

/// What ends when the pair is dropped.
enum Started {
    Alone { sentinels: Vec<SentinelProcess>, _folder: TempDir },
    Watching(Deployment),
}

impl Pair {
    /// Two that watch nothing, with these lines in their configurations.
    pub(crate) fn alone(lines: &[&str]) -> Self {
        version::reference();
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let sentinels: Vec<SentinelProcess> = [Kind::Ours, Kind::Reference]
            .map(|kind| SentinelProcess::start(folder.path(), kind.name(), kind, &lines))
            .into();
        let sides = sides(&sentinels, None);
        Self { sides, variables: BTreeMap::new(), started: Started::Alone { sentinels, _folder: folder } }
    }

    /// The same on ports that speak TLS only, with a Unix socket each. They are asked by TLS, or by the sockets.
    pub(crate) fn encrypted(lines: &[&str], by: Encrypted) -> Self {
        version::reference();
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let authority = Authority::new("differential");
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        // The socket's path is what clients are called by, and has the label in it.
        let start = |(kind, label): (Kind, &str)| {
            SentinelProcess::start_encrypted(folder.path(), label, kind, &lines, &authority.lines(label))
        };
        let labels = ["ours", "theirs"];
        let sentinels: Vec<SentinelProcess> =
            [Kind::Ours, Kind::Reference].into_iter().zip(labels).map(start).collect();
        let mut sides = sides(&sentinels, None);
        let client = way::client(&authority);
        for (side, sentinel) in sides.iter_mut().zip(&sentinels) {
            let folder = sentinel.config_file().parent().expect("a file lies in a folder").to_owned();
            side.names.call(&sentinel.label(), "label");
            side.way = match by {
                Encrypted::Tls => Way::Encrypted(side.port, Arc::clone(&client)),
                Encrypted::Socket => Way::Local(folder.join("door")),
            };
        }
        Self { sides, variables: BTreeMap::new(), started: Started::Alone { sentinels, _folder: folder } }
    }

    /// Two that watch one master, `mymaster`, with two replicas, and know each other.
    pub(crate) fn watching() -> Self {
        version::reference();
        let kinds = [Kind::Ours, Kind::Reference];
        let deployment = Deployment::of(&kinds).down_after(Duration::from_secs(30)).start();
        let ids: Vec<String> = deployment.sentinels().iter().map(SentinelProcess::id).collect();
        let sides = sides(deployment.sentinels(), Some(&ids));
        let group = deployment.only_group();
        let mut variables = BTreeMap::from([("master", group.master().port().to_string())]);
        variables.insert("replica", group.replicas()[0].port().to_string());
        Self { sides, variables, started: Started::Watching(deployment) }
    }

    /// In requests, `{name}` stands for `value` from now on; in answers, `<name>` does.
    pub(crate) fn name(&mut self, name: &'static str, value: &impl Display) {
        for side in &mut self.sides {
            side.names.call(value, name);
        }
        self.variables.insert(name, value.to_string());
    }

    /// Has both answer the script in these protocols and compares; a difference that `departures` does not explain, or an
    /// explanation of one that is not there, is a failure.
    #[track_caller]
    pub(crate) fn compare(&self, script: &str, protocols: &[Protocol], departures: &[Departure]) {
        let reference = version::reference();
        let departures = newer::departures(reference, script, departures);
        let departures = departures.as_slice();
        let (mut answers, mut on_purpose) = (0, 0);
        let mut failures = Vec::new();
        let mut needed = BTreeSet::new();
        for &protocol in protocols {
            for talk in script::talks(script) {
                self.told(&talk, protocol, |said, [ours, theirs]| {
                    answers += 1;
                    let known = explained(said, protocol, departures);
                    needed.extend(known);
                    on_purpose += usize::from(known.is_some());
                    failures.extend(judged(protocol, said, ours, theirs, known.map(|known| &departures[known])));
                });
            }
        }
        for (index, departure) in departures.iter().enumerate() {
            if !needed.contains(&index) && !newer::is_of_version(departure) {
                failures.push(format!("{}: this entry of the table was never asked for", departure.request));
            }
        }
        count([answers, on_purpose, failures.len()]);
        assert!(
            failures.is_empty(),
            "{} differences that nothing explains:\n{}\n\nmasked are:\n{}",
            failures.len(),
            failures.join("\n"),
            masks::explanation()
        );
    }

    /// A further connection to each, which has been answered once.
    pub(crate) fn connect_to_both(&self) -> [Wire; 2] {
        self.sides.each_ref().map(|side| {
            let mut wire = Wire::open(&side.way);
            let answers = wire.ask(&script::bytes("PING"));
            assert_eq!(answers.end, None, "{} on port {}", side.kind.name(), side.port);
            wire
        })
    }

    /// Waits until nobody listens any more.
    #[track_caller]
    pub(crate) fn wait_until_both_have_ended(&self) {
        let Started::Alone { sentinels, .. } = &self.started else { panic!("those that watch are not to end") };
        for sentinel in sentinels {
            eventually(&format!("{} ends", sentinel.label()), Duration::from_secs(5), || {
                if sentinel.is_running() { Err("it runs".to_owned()) } else { Ok(()) }
            });
        }
    }

    /// The texts in the list that each answers, unmasked.
    pub(crate) fn lists(&self, request: &str) -> [BTreeSet<String>; 2] {
        self.sides.each_ref().map(|side| match Wire::open(&side.way).ask(&script::bytes(request)).replies.as_slice() {
            [Value::Many(_, Some(items))] => items.iter().filter_map(|item| Some(item.text()?.to_owned())).collect(),
            other => panic!("{request} is answered by {other:?}"),
        })
    }

    /// Has both take part in the talk. `hear` gets all that was said on the connection up to and with a request, and what came
    /// back for that.
    fn told(&self, talk: &Talk<'_>, protocol: Protocol, mut hear: impl FnMut(&str, [&str; 2])) {
        let mut wires = self.sides.each_ref().map(|side| Wire::open(&side.way));
        if protocol == Protocol::Resp3 {
            for wire in &mut wires {
                let _ = wire.ask(&script::array(&["HELLO", "3"]));
            }
        }
        let together = [talk.requests.join(" / ")];
        let turns: Vec<&str> =
            if talk.at_once { together.iter().map(String::as_str).collect() } else { talk.requests.clone() };
        let mut said = String::new();
        for turn in turns {
            if !said.is_empty() {
                said.push_str(" / ");
            }
            said.push_str(turn);
            let requests: Vec<&str> = if talk.at_once { talk.requests.clone() } else { vec![turn] };
            let mut ended = false;
            let answers = [0, 1].map(|at| {
                let (side, wire) = (&self.sides[at], &mut wires[at]);
                let mine: Vec<&str> = requests.iter().map(|request| script::each(request)[at]).collect();
                let bytes: Vec<u8> = mine.iter().flat_map(|request| self.bytes(side, request, wire)).collect();
                let answers = wire.ask(&bytes);
                ended |= answers.end.is_some();
                masks::shown(side.kind, mine.first().unwrap_or(&""), answers, &side.names)
            });
            hear(&said, answers.each_ref().map(String::as_str));
            if ended {
                // Where only one has ended the connection, this turn shows it; what follows has no counterpart.
                break;
            }
        }
        for wire in wires {
            wire.close();
        }
    }

    fn bytes(&self, side: &Side, request: &str, wire: &mut Wire) -> Vec<u8> {
        let mut request = request.replace("{own}", &side.port.to_string()).replace("{16k}", &"z".repeat(16_384));
        if request.contains("{id}") {
            let id = match wire.ask(&script::array(&["CLIENT", "ID"])).replies.first() {
                Some(Value::Line(line)) => line[1..].to_owned(),
                other => panic!("CLIENT ID answers {other:?}"),
            };
            request = request.replace("{id}", &id);
        }
        for (name, value) in &self.variables {
            request = request.replace(&format!("{{{name}}}"), value);
        }
        script::bytes(&request)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if let (true, Started::Watching(deployment)) = (std::thread::panicking(), &self.started) {
            eprintln!("{}", deployment.dump());
        }
    }
}

fn sides(sentinels: &[SentinelProcess], ids: Option<&[String]>) -> [Side; 2] {
    [0, 1].map(|own| {
        let peer = 1 - own;
        let mut names = Names::default();
        names.call(&sentinels[own].port(), "own port");
        names.call(&sentinels[peer].port(), "peer's port");
        let id = |at: usize| ids.map_or_else(|| sentinels[at].id(), |ids| ids[at].clone());
        // A locked one does not tell its id, and nothing else that it says has it.
        if ids.is_some() {
            names.call(&id(own), "own id");
            names.call(&id(peer), "peer's id");
        }
        let port = sentinels[own].port();
        Side { kind: sentinels[own].kind(), port, way: Way::Plain(port), names }
    })
}

/// Adds a line to the file that `COMPARISONS` names, if it names one: answers, those that differ on purpose, and others that do.
fn count(counts: [usize; 3]) {
    use std::io::Write as _;

    let Some(path) = std::env::var_os("COMPARISONS") else { return };
    let line = counts.map(|count| count.to_string()).join(" ") + "\n";
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(line.as_bytes())).expect("the counts can be kept");
}

/// The entry of the table for what was said last: the longest, if several end so.
fn explained(said: &str, protocol: Protocol, departures: &[Departure]) -> Option<usize> {
    let fits = |departure: &Departure| {
        departure.protocol.is_none_or(|only| only == protocol)
            && said.strip_suffix(departure.request).is_some_and(|before| before.is_empty() || before.ends_with(" / "))
    };
    (0..departures.len()).filter(|&at| fits(&departures[at])).max_by_key(|&at| departures[at].request.len())
}

/// What is wrong with these two answers, if anything is.
fn judged(protocol: Protocol, said: &str, ours: &str, theirs: &str, known: Option<&Departure>) -> Option<String> {
    let what = match known {
        _ if ours.contains(SILENCE) && theirs.contains(SILENCE) => {
            "both are silent: a script must not wait for that".to_owned()
        }
        Some(known) if ours == known.ours && theirs == known.theirs => return None,
        Some(known) if ours == theirs => format!("the table says they differ ({}), but they do not", known.why),
        Some(known) => format!("it differs otherwise than the table says ({})", known.why),
        None if ours == theirs => return None,
        None => "nothing explains".to_owned(),
    };
    Some(format!("{protocol:?}: {said}: {what}\n  ours:      {ours}\n  reference: {theirs}"))
}
