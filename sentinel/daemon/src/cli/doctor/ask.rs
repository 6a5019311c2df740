//! Asking everybody: the Sentinels that were named, those that they know, and all data nodes, all at once.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use redis::{Cmd, Value};
use tokio_rustls::rustls::ClientConfig;

use super::facts::{Clock, Facts, Fields, Inside, Node, Sentinel, Silence, Told, Watched, place_of};
use crate::cli::{
    conversation::{Conversation, Unanswered},
    reply,
    target::{Line, Place, lost, refused},
};
use crate::terminal::complain;

/// Longest time that one Sentinel or node is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many are asked at the same time.
const AT_ONCE: usize = 64;
/// So many Sentinels are asked: each may name others, and one that lies may name new ones for ever.
const MOST_SENTINELS: usize = 1_024;
/// So many data nodes are.
const MOST_NODES: usize = 65_536;
/// How long the growth of a master's replication stream is measured.
const SAMPLE: Duration = Duration::from_secs(1);

/// What a Sentinel sends to a data node, each with the fewest words that its arity allows.
const SENT: [&[&str]; 12] = [
    &["PING"],
    &["INFO"],
    &["ROLE"],
    &["PUBLISH", "__sentinel__:hello", "x"],
    &["SUBSCRIBE", "__sentinel__:hello"],
    &["MULTI"],
    &["EXEC"],
    &["SLAVEOF", "NO", "ONE"],
    &["CONFIG", "REWRITE"],
    &["CLIENT", "SETNAME", "x"],
    &["CLIENT", "KILL", "TYPE", "normal"],
    &["SCRIPT", "KILL"],
];

/// How data nodes are asked.
pub(super) struct Entry {
    pub(super) login: Option<Cmd>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

enum Asked {
    Sentinel(Place),
    Node(Place),
}

enum Answer {
    Sentinel(Sentinel),
    Node(Node),
}

/// Asks everybody who is learnt of. With a name only what concerns that master.
pub(super) fn everybody(line: &Line, entry: &Entry, name: Option<&str>) -> Facts {
    let patience = line.patience.min(PATIENCE);
    let mut facts = Facts::default();
    let mut waiting: VecDeque<Asked> = VecDeque::new();
    let (mut sentinels, mut nodes) = (BTreeSet::new(), BTreeSet::new());
    for place in &line.places {
        if sentinels.insert(place.clone()) {
            waiting.push_back(Asked::Sentinel(place.clone()));
        }
    }
    let (answers, arriving) = mpsc::channel();
    thread::scope(|scope| {
        let mut asked = 0;
        loop {
            while asked < AT_ONCE
                && let Some(next) = waiting.pop_front()
            {
                asked += 1;
                let answers = answers.clone();
                scope.spawn(move || {
                    let answer = match next {
                        Asked::Sentinel(place) => Answer::Sentinel(sentinel(place, line, name, patience)),
                        Asked::Node(place) => Answer::Node(node(place, entry, patience)),
                    };
                    // Whoever waits for it waits until all have come.
                    let _ = answers.send(answer);
                });
            }
            if asked == 0 {
                break;
            }
            let Ok(answer) = arriving.recv() else { break };
            asked -= 1;
            match answer {
                Answer::Node(node) => drop(facts.nodes.insert(node.place.clone(), node)),
                Answer::Sentinel(sentinel) => {
                    for (name, watched) in sentinel.told.iter().flat_map(|told| &told.masters) {
                        facts.names.insert(name.clone());
                        let peers = watched.peers.iter().filter_map(place_of);
                        waiting.extend(unknown(peers, &mut sentinels, MOST_SENTINELS).map(Asked::Sentinel));
                        let named = watched.replicas.iter().chain([&watched.fields]).filter_map(place_of);
                        waiting.extend(unknown(named, &mut nodes, MOST_NODES).map(Asked::Node));
                    }
                    facts.sentinels.push(sentinel);
                }
            }
        }
    });
    for (what, known, most) in [("Sentinels", &sentinels, MOST_SENTINELS), ("data nodes", &nodes, MOST_NODES)] {
        if known.len() >= most {
            complain!("more than {most} {what} are named: no others were asked");
        }
    }
    facts.sentinels.sort_by(|one, other| one.place.cmp(&other.place));
    facts.merge();
    facts
}

/// Those of these places that are new, as long as not too many are known.
fn unknown(
    named: impl Iterator<Item = Place>,
    known: &mut BTreeSet<Place>,
    most: usize,
) -> impl Iterator<Item = Place> {
    let new: Vec<Place> = named.filter(|place| known.len() < most && known.insert(place.clone())).collect();
    new.into_iter()
}

/// A conversation with a time for the whole of it.
struct Talk {
    conversation: Conversation,
    until: Instant,
}

impl Talk {
    fn begin(
        place: &Place,
        tls: Option<Arc<ClientConfig>>,
        login: Option<&Cmd>,
        patience: Duration,
    ) -> Result<Self, Unanswered> {
        let until = Instant::now() + patience;
        let mut talk = Talk { conversation: Conversation::begin(tls, place, patience)?, until };
        if let Some(login) = login {
            match talk.conversation.say(std::slice::from_ref(login), patience) {
                // Nobody is asked for a password there.
                Err(Unanswered::Refused(error))
                    if error.detail().is_some_and(|it| it.starts_with("AUTH <password>")) => {}
                answer => drop(answer?),
            }
        }
        Ok(talk)
    }

    fn ask(&mut self, words: &[&str]) -> Result<Value, Unanswered> {
        let left = self.until.saturating_duration_since(Instant::now());
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        self.conversation.say(&[command], left)
    }

    /// The same where an error is an answer: there is none.
    fn may_ask(&mut self, words: &[&str]) -> Result<Option<Value>, Unanswered> {
        match self.ask(words) {
            Ok(value) => Ok(Some(value)),
            Err(Unanswered::Refused(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// INFO, and what it says of the clock.
    fn info(&mut self) -> Result<(Fields, Option<Clock>), Unanswered> {
        let (started, before) = (SystemTime::now(), Instant::now());
        let info = lines(&self.ask(&["INFO"])?);
        let took = before.elapsed();
        let there = info.get("server_time_usec").and_then(|it| it.parse::<i64>().ok());
        let here = (started + took / 2).duration_since(UNIX_EPOCH).ok();
        let clock = there.zip(here.and_then(|it| i64::try_from(it.as_micros()).ok()));
        let within = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        Ok((info, clock.map(|(there, here)| Clock { ahead: (there - here) / 1000, within })))
    }

    fn certificate_ends(&self) -> Option<u64> {
        crate::tls::end_of(&self.conversation.certificate()?)
    }
}

fn sentinel(place: Place, line: &Line, name: Option<&str>, patience: Duration) -> Sentinel {
    let told = ask_sentinel(&place, line, name, patience).map_err(|why| match why {
        Unanswered::Refused(error) => refused(&error).1,
        Unanswered::Garbled(error) => error.to_string(),
        Unanswered::Lost(error) => lost(&error, patience),
    });
    Sentinel { place, told }
}

fn ask_sentinel(place: &Place, line: &Line, name: Option<&str>, patience: Duration) -> Result<Told, Unanswered> {
    let mut talk = Talk::begin(place, line.tls.clone(), line.login.as_ref(), patience)?;
    let masters = tables(&talk.ask(&["SENTINEL", "MASTERS"])?);
    let (info, clock) = talk.info()?;
    let mut told = Told { info, clock, ..Told::default() };
    told.id = talk.may_ask(&["SENTINEL", "MYID"])?.as_ref().and_then(reply::text);
    told.problems = match name {
        // Without those of other masters; a Sentinel that does not know this one lists nothing.
        Some(name) => talk.may_ask(&["SENTINEL", "PROBLEMS", name])?,
        None => talk.may_ask(&["SENTINEL", "PROBLEMS"])?,
    }
    .map(|answer| reply::tables(&answer));
    for fields in masters {
        let Some(called) = fields.get("name").filter(|called| name.is_none_or(|name| name == *called)).cloned() else {
            continue;
        };
        let peers = tables(&talk.ask(&["SENTINEL", "SENTINELS", &called])?);
        let replicas = tables(&talk.ask(&["SENTINEL", "REPLICAS", &called])?);
        told.masters.insert(called, Watched { fields, peers, replicas });
    }
    told.certificate_ends = talk.certificate_ends();
    Ok(told)
}

fn node(place: Place, entry: &Entry, patience: Duration) -> Node {
    let inside = ask_node(&place, entry, patience).map_err(|why| match why {
        Unanswered::Refused(error) => {
            Silence::Refused(format!("{} {}", error.code().unwrap_or_default(), error.detail().unwrap_or_default()))
        }
        Unanswered::Garbled(error) => Silence::Unreached(error.to_string()),
        Unanswered::Lost(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Silence::Unreached(crate::config::system_text(&error))
        }
        Unanswered::Lost(error) => Silence::Unreached(lost(&error, patience)),
    });
    Node { place, inside }
}

fn ask_node(place: &Place, entry: &Entry, patience: Duration) -> Result<Inside, Unanswered> {
    let mut talk = Talk::begin(place, entry.tls.clone(), entry.login.as_ref(), patience + SAMPLE)?;
    let (info, clock) = talk.info()?;
    let mut inside = Inside { info, clock, ..Inside::default() };
    let sampled = inside.number("master_repl_offset").filter(|_| inside.is_master()).zip(Some(Instant::now()));
    inside.config = talk.may_ask(&["CONFIG", "GET", "*"])?.map(|answer| pairs(&answer)).unwrap_or_default();
    inside.users = talk.may_ask(&["ACL", "LIST"])?.map(|answer| reply::texts(&answer)).unwrap_or_default();
    let clients = talk.may_ask(&["CLIENT", "LIST"])?.as_ref().and_then(reply::text).unwrap_or_default();
    inside.denied = denied(&mut talk, &clients)?;
    inside.certificate_ends = talk.certificate_ends();
    if let Some((offset, since)) = sampled {
        thread::sleep(SAMPLE.saturating_sub(since.elapsed()));
        let later = lines(&talk.ask(&["INFO", "replication"])?);
        let took = since.elapsed();
        let grown = later.get("master_repl_offset").and_then(|it| it.parse::<u64>().ok()?.checked_sub(offset));
        inside.written_per_second =
            grown.map(|bytes| bytes.saturating_mul(1000) / u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1));
        inside.info.extend(later);
    }
    Ok(inside)
}

/// What the users that Sentinels are logged in as may not do, as far as the node tells.
fn denied(talk: &mut Talk, clients: &str) -> Result<Vec<(String, String)>, Unanswered> {
    let word = |line: &str, key: &str| line.split(' ').find_map(|word| word.strip_prefix(key).map(str::to_owned));
    let sentinels = clients.lines().filter(|line| word(line, "name=").is_some_and(|it| it.starts_with("sentinel-")));
    let users: BTreeSet<String> = sentinels.filter_map(|line| word(line, "user=")).collect();
    let mut denied = Vec::new();
    for user in users {
        for words in SENT {
            let question = [&["ACL", "DRYRUN", user.as_str()], words].concat();
            // Older nodes have no dry run, and this user may have no right to it: then nothing is known.
            let Some(answer) = talk.may_ask(&question)? else { return Ok(denied) };
            if reply::text(&answer).is_some_and(|text| text != "OK") {
                let subcommand = matches!(words[0], "CONFIG" | "CLIENT" | "SCRIPT");
                let name = if subcommand { format!("{}|{}", words[0], words[1]) } else { words[0].to_owned() };
                denied.push((user.clone(), name.to_lowercase()));
            }
        }
    }
    Ok(denied)
}

/// `field:value` lines, as INFO has them.
fn lines(answer: &Value) -> Fields {
    let text = reply::text(answer).unwrap_or_default();
    let pair = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
    text.lines().filter_map(pair).collect()
}

/// A list of names and values, or a map.
fn pairs(answer: &Value) -> Fields {
    let pair = |(name, value): (&Value, &Value)| Some((reply::text(name)?, reply::text(value).unwrap_or_default()));
    match answer {
        Value::Array(words) => words.chunks_exact(2).filter_map(|it| pair((&it[0], &it[1]))).collect(),
        Value::Map(entries) => entries.iter().filter_map(|(name, value)| pair((name, value))).collect(),
        _ => Fields::new(),
    }
}

fn tables(answer: &Value) -> Vec<Fields> {
    match answer {
        Value::Array(items) => items.iter().map(pairs).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_names_new_ones_for_ever_is_not_followed() {
        let place = |port: u16| -> Place { ("10.0.0.1".to_owned(), port) };
        let mut known = BTreeSet::from([place(1)]);
        let named = || (1..100).map(place);
        assert_eq!(unknown(named(), &mut known, 10).count(), 9);
        assert_eq!(unknown(named(), &mut known, 10).count(), 0);
        assert_eq!(known.len(), 10);
    }
}
