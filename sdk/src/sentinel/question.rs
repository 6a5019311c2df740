//! What a Sentinel is asked, and what its answer may look like.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{ServerError, ServerErrorKind, Value};

use crate::address::{Address, AddressMap};
use crate::fields::{brief, field, number, text};
use crate::readers::MOST_REPLICAS;
use crate::stall::within;
use crate::trouble::Trouble;

/// More Sentinels than this are not learnt from one answer: no deployment has as many, and nonsense must not grow the pool.
const MOST_PEERS: usize = 64;

/// How one Sentinel sees the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The master's address, as `get-master-addr-by-name` gives it.
    pub(crate) master: Address,
    /// The configuration epoch; `None` when the Sentinel's ACL hides it.
    pub(crate) epoch: Option<u64>,
    /// The other Sentinels it knows.
    pub(crate) peers: Vec<Peer>,
    /// The Sentinel's own id, where it has one to tell.
    pub(crate) id: Option<String>,
    /// The replicas, if they were asked for.
    pub(crate) replicas: Vec<Replica>,
}

impl View {
    /// With the addresses as they are reached from here.
    pub(crate) fn translated(mut self, map: &AddressMap) -> Self {
        self.master = map.translate(self.master);
        for peer in &mut self.peers {
            peer.address = map.translate(peer.address.clone());
        }
        for replica in &mut self.replicas {
            replica.address = map.translate(replica.address.clone());
        }
        self
    }
}

/// A replica, as one Sentinel sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) address: Address,
    /// It can be reached.
    pub(crate) up: bool,
    /// It is linked to the master.
    pub(crate) linked: bool,
}

/// Another Sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    pub(crate) address: Address,
    pub(crate) id: Option<String>,
}

/// Why there is no view.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The connection is of no more use.
    Link(String),
    /// The Sentinel lives, but this is no answer.
    Answer(Trouble),
}

/// Asks for the address, the epoch, the other Sentinels, the Sentinel's id and, if they are of use, the replicas, in one round trip.
///
/// While a leader reconfigures the replicas, the reference's `SENTINEL MASTER` shows the old address with the new epoch already:
/// the address is taken from `get-master-addr-by-name` and the epoch from `MASTER`, asked together.
pub(crate) async fn ask(
    connection: &mut MultiplexedConnection,
    master: &str,
    replicas: bool,
    deadline: Duration,
) -> Result<View, Failure> {
    let mut questions = redis::pipe();
    let sentinel = |words: &[&str]| {
        let mut command = redis::cmd("SENTINEL");
        command.arg(words);
        command
    };
    questions
        .add_command(sentinel(&["get-master-addr-by-name", master]))
        .add_command(sentinel(&["MASTER", master]))
        .add_command(sentinel(&["SENTINELS", master]))
        .add_command(sentinel(&["MYID"]));
    if replicas {
        questions.add_command(sentinel(&["REPLICAS", master]));
    }
    let count = questions.len();
    let answers = within(deadline, connection.req_packed_commands(&questions, 0, count))
        .await
        .map_err(|_| Failure::Link(format!("no answer within {deadline:?}")))?
        .map_err(|error| Failure::Link(error.to_string()))?;
    view(&answers).map_err(|text| {
        let (lasting, text) = match answers.first() {
            // It does not know this master.
            Some(Value::Nil) => (true, text),
            Some(Value::ServerError(error)) if is_unknown_command(error) => {
                (true, format!("it is no sentinel, perhaps a data node: {text}"))
            }
            Some(Value::ServerError(error)) => (matches!(error.code(), "NOPERM" | "NOAUTH"), text),
            _ => (false, text),
        };
        Failure::Answer(Trouble { text, lasting, source: None })
    })
}

fn is_unknown_command(error: &ServerError) -> bool {
    error.code() == "ERR" && error.details().is_some_and(|words| words.starts_with("unknown command"))
}

fn view(answers: &[Value]) -> Result<View, String> {
    let [address, master, peers, id, more @ ..] = answers else {
        return Err(format!("{} answers to 4 questions", answers.len()));
    };
    let epoch = match master {
        // The least that an ACL for clients grants is get-master-addr-by-name.
        Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoPerm) => None,
        master => Some(
            field(master, "config-epoch")
                .and_then(number)
                .ok_or_else(|| format!("SENTINEL MASTER: {}", brief(master)))?,
        ),
    };
    Ok(View {
        master: master_address(address)?,
        epoch,
        peers: peers_of(peers),
        id: text(id).map(str::to_owned),
        replicas: more.first().map(replicas_of).unwrap_or_default(),
    })
}

fn master_address(answer: &Value) -> Result<Address, String> {
    let parts = match answer {
        Value::Nil => return Err("it does not know this master".to_owned()),
        Value::Array(parts) if parts.len() == 2 => parts,
        other => return Err(format!("get-master-addr-by-name: {}", brief(other))),
    };
    let port = number(&parts[1]).and_then(|port| port.try_into().ok());
    match (text(&parts[0]), port) {
        (Some(host), Some(port)) => Address::new(host, port).map_err(|error| error.to_string()),
        _ => Err(format!("get-master-addr-by-name: {}", brief(answer))),
    }
}

/// Those that cannot be read are left out, as are those that are not to be announced (`replica-announced no`).
fn replicas_of(answer: &Value) -> Vec<Replica> {
    let Value::Array(entries) = answer else {
        return Vec::new();
    };
    let word = |entry, name| field(entry, name).and_then(text).unwrap_or_default();
    entries
        .iter()
        .filter(|entry| field(entry, "replica-announced").and_then(number) != Some(0))
        .filter_map(|entry| {
            let port = number(field(entry, "port")?)?.try_into().ok()?;
            let down = |flag| matches!(flag, "s_down" | "o_down" | "disconnected");
            Some(Replica {
                address: Address::new(text(field(entry, "ip")?)?, port).ok()?,
                up: !word(entry, "flags").split(',').any(down),
                linked: word(entry, "master-link-status") == "ok",
            })
        })
        .take(MOST_REPLICAS)
        .collect()
}

/// Peers are a help, not the answer: those that cannot be read are left out.
fn peers_of(answer: &Value) -> Vec<Peer> {
    let Value::Array(entries) = answer else {
        return Vec::new();
    };
    entries
        .iter()
        .filter_map(|entry| {
            let port = number(field(entry, "port")?)?.try_into().ok()?;
            Some(Peer {
                address: Address::new(text(field(entry, "ip")?)?, port).ok()?,
                id: field(entry, "runid").and_then(text).filter(|id| !id.is_empty()).map(str::to_owned),
            })
        })
        .take(MOST_PEERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resp: &str) -> Value {
        redis::parse_redis_value(resp.as_bytes()).unwrap()
    }

    fn answers() -> Vec<Value> {
        vec![
            value("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n"),
            value("*4\r\n$4\r\nname\r\n$1\r\nm\r\n$12\r\nconfig-epoch\r\n$1\r\n7\r\n"),
            value("*1\r\n%3\r\n$2\r\nip\r\n$1\r\nb\r\n$4\r\nport\r\n$1\r\n2\r\n$5\r\nrunid\r\n$2\r\nxy\r\n"),
            value("$2\r\nab\r\n"),
        ]
    }

    #[test]
    fn the_address_is_paired_with_the_epoch() {
        let view = view(&answers()).unwrap();
        assert_eq!(view.master.to_string(), "127.0.0.1:6379");
        assert_eq!(view.epoch, Some(7));
        assert_eq!(view.peers[0].address.to_string(), "b:2");
        assert_eq!(view.peers[0].id.as_deref(), Some("xy"));
        assert_eq!(view.id.as_deref(), Some("ab"));
    }

    #[test]
    fn a_replica_is_read_from_when_it_is_up_and_linked() {
        let entry = |port: u16, flags: &str, status: &str, announced: &str| {
            let words = [
                ("ip", "a"),
                ("port", &port.to_string()),
                ("flags", flags),
                ("master-link-status", status),
                ("replica-announced", announced),
            ];
            words.iter().fold("*10\r\n".to_owned(), |text, (name, value)| {
                format!("{text}${}\r\n{name}\r\n${}\r\n{value}\r\n", name.len(), value.len())
            })
        };
        let entries = [
            entry(1, "slave", "ok", "1"),
            entry(2, "slave", "err", "1"),
            entry(3, "s_down,slave", "ok", "1"),
            entry(4, "slave,disconnected", "ok", "1"),
            entry(5, "slave", "ok", "0"),
            "*0\r\n".to_owned(),
        ];
        let mut answers = answers();
        answers.push(value(&format!("*{}\r\n{}", entries.len(), entries.concat())));
        let replicas = view(&answers).unwrap().replicas;
        let readable: Vec<_> =
            replicas.iter().map(|replica| (replica.address.port(), replica.up, replica.linked)).collect();
        assert_eq!(readable, [(1, true, true), (2, true, false), (3, false, true), (4, false, true)]);
        answers[4] = value("-NOPERM no\r\n");
        assert_eq!(view(&answers).unwrap().replicas, []);
    }

    #[test]
    fn nonsense_in_the_address_or_the_epoch_is_no_answer() {
        for (index, resp) in [
            (0, "$-1\r\n"),
            (0, "*-1\r\n"),
            (0, "*1\r\n$1\r\na\r\n"),
            (0, "*2\r\n$1\r\na\r\n$1\r\n0\r\n"),
            (0, "*2\r\n$1\r\na\r\n$5\r\n70000\r\n"),
            (0, "*2\r\n$0\r\n\r\n$1\r\n1\r\n"),
            (0, "-NOPERM no\r\n"),
            (0, ":1\r\n"),
            (1, "-ERR No such master with that name\r\n"),
            (1, "*0\r\n"),
            (1, "*2\r\n$12\r\nconfig-epoch\r\n$2\r\n-1\r\n"),
            (1, "+OK\r\n"),
        ] {
            let mut answers = answers();
            answers[index] = value(resp);
            assert!(view(&answers).is_err(), "{resp:?} was accepted");
        }
        assert!(view(&[]).is_err());
    }

    #[test]
    fn a_hidden_epoch_and_unreadable_peers_still_leave_an_answer() {
        let mut answers = answers();
        answers[1] = value("-NOPERM no permissions\r\n");
        answers[2] = value("*2\r\n:1\r\n*2\r\n$2\r\nip\r\n$0\r\n\r\n");
        answers[3] = value("-ERR unknown\r\n");
        let view = view(&answers).unwrap();
        assert_eq!((view.epoch, view.peers.len(), view.id), (None, 0, None));
    }
}
