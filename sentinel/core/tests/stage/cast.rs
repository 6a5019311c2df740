//! Who plays: data nodes and other Sentinels, and how they answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use sentinel_core::{Message, Omitted, Part, Step, parts, types::Secret};
use sentinel_resp::Reply;

use super::Parcel;

/// Whether someone answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Well,
    /// Hangs, or is cut off: nothing is answered, nothing is closed.
    Silent,
    /// Connections are refused.
    Dead,
    /// Connections fail for another reason.
    Fails(Failure),
}

/// Why a connection fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    Denied,
    Unresolved,
    NoRoom,
}

/// How someone who is well departs from what is expected.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Flaw {
    /// A node or peer that does not answer to one kind of request.
    KeepsPing,
    KeepsInfo,
    KeepsOpinions,
    KeepsVotes,
    /// A node whose subscribers do not get what is published.
    SwallowsHellos,
    /// A node that does not do as SLAVEOF says.
    Disobeys,
    /// A node whose link to a new master is not up at once.
    SyncsSlowly,
    /// A replica that has not got everything yet.
    Lags,
    /// A peer that never gives a new vote.
    NeverVotes,
}

/// Sets or removes a flaw.
pub(super) fn put(flaws: &mut BTreeSet<Flaw>, flaw: Flaw, there: bool) {
    if there {
        flaws.insert(flaw);
    } else {
        flaws.remove(&flaw);
    }
}

/// Everybody but the engine.
pub(super) struct Cast {
    nodes: BTreeMap<String, Node>,
    peers: BTreeMap<char, Peer>,
    /// What the resolver knows.
    pub(super) names: BTreeMap<String, std::net::IpAddr>,
    /// A master that pauses writes, and the replica it waits for.
    handover: Option<(String, String)>,
}

/// A data node.
pub(super) struct Node {
    pub(super) life: Life,
    pub(super) runs: u32,
    /// Whom it replicates from. None: it is a master.
    pub(super) of: Option<String>,
    /// The host as which its master lists it, if not by its address.
    pub(super) announce: Option<String>,
    pub(super) offset: u64,
    pub(super) priority: u32,
    pub(super) link_up: bool,
    pub(super) link_down_for: i64,
    pub(super) sync_bytes: u64,
    /// What it has loaded of what it is sent without a file.
    pub(super) loaded_bytes: u64,
    /// `second_repl_offset`
    pub(super) second_offset: Option<u64>,
    /// Further lines of its INFO.
    pub(super) further: BTreeMap<String, String>,
    /// Its answer to PING.
    pub(super) ping: Reply,
    pub(super) flaws: BTreeSet<Flaw>,
    pub(super) run_id: Option<String>,
    pub(super) version: Option<String>,
    /// Keys in its only database; none: its INFO does not tell.
    pub(super) keys: Option<u64>,
    /// Changes since its data were last saved, and whether it is loading them.
    pub(super) dirty: u64,
    pub(super) loading: bool,
    pub(super) replid: Option<String>,
    pub(super) replid2: Option<String>,
    /// Its `master_failover_state`, if it tells one: no order but ABORT is taken then.
    pub(super) failover: Option<String>,
    /// What a master lists besides the replicas it has.
    pub(super) lists: Vec<String>,
    /// Commands it refuses, and how.
    pub(super) refuses: BTreeMap<String, String>,
    held: Vec<Parcel>,
}

impl Node {
    pub(super) const fn new(of: Option<String>) -> Self {
        Node {
            life: Life::Well,
            runs: 1,
            of,
            announce: None,
            offset: 1_000,
            priority: 100,
            link_up: true,
            link_down_for: -1,
            sync_bytes: 0,
            loaded_bytes: 0,
            second_offset: None,
            further: BTreeMap::new(),
            ping: Reply::Status(std::borrow::Cow::Borrowed("PONG")),
            flaws: BTreeSet::new(),
            run_id: None,
            version: None,
            keys: None,
            dirty: 0,
            loading: false,
            replid: None,
            replid2: None,
            failover: None,
            lists: Vec::new(),
            refuses: BTreeMap::new(),
            held: Vec::new(),
        }
    }
}

/// Another Sentinel.
pub(super) struct Peer {
    pub(super) life: Life,
    pub(super) says_down: bool,
    pub(super) flaws: BTreeSet<Flaw>,
    /// The vote it gave last: for whom, and in which epoch.
    pub(super) vote: (String, u64),
    pub(super) addr: String,
    /// Its answer to a login, if it is used without.
    pub(super) refuses_login: Option<String>,
    /// It is redis-sentinel, which knows no pause.
    pub(super) knows_no_pause: bool,
    /// What it says when it is asked for its id.
    pub(super) myid: Reply,
    /// The run id in its INFO.
    pub(super) run_id: String,
    pub(super) id: String,
    /// Its `hello-auth-key`.
    pub(super) key: Option<Secret>,
    held: Vec<Parcel>,
}

impl Cast {
    /// Master and replicas at consecutive ports.
    pub(super) fn new(replicas: u16) -> Self {
        let master = super::script::address("6379");
        let mut nodes = BTreeMap::from([(master.clone(), Node::new(None))]);
        for port in (0..replicas).map(|n| 6380 + n) {
            nodes.insert(super::script::address(&port.to_string()), Node::new(Some(master.clone())));
        }
        let peers = ('B'..='I').zip(26_380_u16..).map(|(letter, port)| {
            (
                letter,
                Peer {
                    life: Life::Well,
                    says_down: false,
                    flaws: BTreeSet::new(),
                    vote: ("*".to_owned(), 0),
                    addr: super::script::address(&port.to_string()),
                    refuses_login: None,
                    knows_no_pause: false,
                    myid: Reply::display(super::script::id(letter)),
                    run_id: letter.to_string().repeat(40),
                    id: super::script::id(letter),
                    key: None,
                    held: Vec::new(),
                },
            )
        });
        Cast { nodes, peers: peers.collect(), names: BTreeMap::new(), handover: None }
    }

    pub(super) fn node(&mut self, addr: &str) -> &mut Node {
        self.nodes.entry(addr.to_owned()).or_insert_with(|| Node::new(None))
    }

    /// All other Sentinels have this key.
    pub(super) fn give_key(&mut self, key: &Secret) {
        for peer in self.peers.values_mut() {
            peer.key = Some(key.clone());
        }
    }

    pub(super) fn peer(&mut self, letter: char) -> &mut Peer {
        self.peers.get_mut(&letter).unwrap_or_else(|| panic!("peers are called B to I, not {letter}"))
    }

    pub(super) fn is_peer(&self, addr: &str) -> bool {
        self.peers.values().any(|peer| peer.addr == addr)
    }

    /// The letter of the peer at an address.
    pub(super) fn letter(&self, addr: &str) -> Option<char> {
        self.peers.iter().find(|(_, peer)| peer.addr == addr).map(|(letter, _)| *letter)
    }

    fn peer_at(&mut self, addr: &str) -> Option<&mut Peer> {
        self.peers.values_mut().find(|peer| peer.addr == addr)
    }

    /// An address where nobody plays is silent.
    pub(super) fn life(&mut self, addr: &str) -> Life {
        match self.peer_at(addr) {
            Some(peer) => peer.life,
            None => self.nodes.get(addr).map_or(Life::Silent, |node| node.life),
        }
    }

    pub(super) fn hold(&mut self, addr: &str, parcel: Parcel) {
        match self.peer_at(addr) {
            Some(peer) => peer.held.push(parcel),
            None => self.node(addr).held.push(parcel),
        }
    }

    pub(super) fn take_held(&mut self, addr: &str) -> Vec<Parcel> {
        match self.peer_at(addr) {
            Some(peer) => std::mem::take(&mut peer.held),
            None => std::mem::take(&mut self.node(addr).held),
        }
    }

    /// How someone who can be connected to answers to the login.
    pub(super) fn refused_login(&mut self, addr: &str) -> Option<String> {
        match self.peer_at(addr) {
            Some(peer) => peer.refuses_login.clone(),
            None => self.node(addr).refuses.get("AUTH").cloned(),
        }
    }

    /// The answer to a request. None: it is kept back.
    pub(super) fn answer(&mut self, addr: &str, message: &Message) -> Option<Reply> {
        match self.peer_at(addr) {
            Some(peer) => peer.answer(message),
            None => self.node_answers(addr, message),
        }
    }

    fn node_answers(&mut self, addr: &str, message: &Message) -> Option<Reply> {
        if matches!(message, Message::Info | Message::Acknowledge) {
            self.take_over(addr);
        }
        let node = self.node(addr);
        let command = match message {
            Message::Ping => "PING",
            Message::Info => "INFO",
            Message::Hello { .. } => "PUBLISH",
            Message::ScriptKill => "SCRIPT",
            Message::SignIn { .. } => "AUTH",
            _ => "",
        };
        if let Some(error) = node.refuses.get(command) {
            return Some(Reply::error(error.clone()));
        }
        match message {
            Message::Ping => (!node.flaws.contains(&Flaw::KeepsPing)).then(|| node.ping.clone()),
            Message::Info => (!node.flaws.contains(&Flaw::KeepsInfo)).then(|| Reply::text(self.info(addr))),
            Message::Hello { .. } => Some(Reply::Integer(1)),
            Message::ScriptKill | Message::SignIn { .. } => Some(Reply::ok()),
            Message::HandOver { to, .. } => {
                let pause = self.node(addr).refuses.get("CLIENT").cloned().map_or_else(Reply::ok, Reply::error);
                Some(Reply::Array(vec![pause, self.hand_over(addr, &to.to_string())]))
            }
            Message::CallOff { unpause: false } => Some(self.call_off(addr)),
            Message::CallOff { unpause: true } => Some(Reply::Array(vec![self.call_off(addr), Reply::ok()])),
            Message::Acknowledge => {
                let refusal = self.node(addr).refuses.get("REPLCONF").cloned();
                let info = Reply::text(self.info(addr));
                Some(match refusal {
                    Some(error) => Reply::Array(vec![Reply::error(error), info]),
                    None => info,
                })
            }
            Message::Promote { omitted } => Some(self.reconfigure(addr, None, *omitted)),
            Message::Replicate { of, omitted } => Some(self.reconfigure(addr, Some(of.to_string()), *omitted)),
            Message::Identify { .. } => {
                let myid = Reply::error("ERR unknown command 'SENTINEL', with args beginning with: 'MYID' ");
                Some(Reply::Array(vec![myid, Reply::text(self.info(addr))]))
            }
            Message::MayI { hand_over, .. } => {
                let refuses = &self.node(addr).refuses;
                let may = |part: Part| {
                    let command = match part {
                        Part::Step(Step::ReplicaOf) => "SLAVEOF",
                        Part::Step(Step::Rewrite) => "CONFIG",
                        Part::Step(Step::KillNormal) | Part::PauseWriters => "CLIENT",
                        Part::HandOver => "FAILOVER",
                        Part::Step(_) => "MULTI",
                    };
                    match (refuses.get("ACL"), refuses.get(command)) {
                        (Some(error), _) => Reply::error(error.clone()),
                        (None, Some(_)) => {
                            Reply::text(format!("This user has no permissions to run the '{command}' command"))
                        }
                        (None, None) => Reply::ok(),
                    }
                };
                Some(Reply::Array(parts(*hand_over).map(may).collect()))
            }
            Message::IsMasterDown { .. } | Message::Pause { .. } => {
                Some(Reply::error("ERR unknown command 'SENTINEL'"))
            }
        }
    }

    /// `FAILOVER TO`
    fn hand_over(&mut self, addr: &str, to: &str) -> Reply {
        if let Some(error) = self.node(addr).refuses.get("FAILOVER") {
            return Reply::error(error.clone());
        }
        if self.node(&self.real(to)).of.clone().map(|of| self.real(&of)).as_deref() != Some(addr) {
            return Reply::error("ERR FAILOVER target HOST and PORT is not a replica.");
        }
        self.handover = Some((addr.to_owned(), self.real(to)));
        Reply::ok()
    }

    /// `FAILOVER ABORT`
    fn call_off(&mut self, addr: &str) -> Reply {
        let node = self.node(addr);
        if node.failover.take().is_some() {
            node.of = None;
            return Reply::ok();
        }
        match self.handover.take_if(|(from, _)| from == addr) {
            Some(_) => Reply::ok(),
            None => Reply::error("ERR No failover in progress."),
        }
    }

    /// A replica that has everything takes over.
    fn take_over(&mut self, addr: &str) {
        if self.node(addr).flaws.contains(&Flaw::Lags) {
            return;
        }
        if let Some((from, to)) = self.handover.take_if(|(_, to)| to == addr) {
            self.node(&to).of = None;
            self.node(&from).of = Some(to);
        }
    }

    /// The commands of a role change, each refused when it is queued if it is refused at all: then the rest of the
    /// transaction is thrown away.
    fn reconfigure(&mut self, addr: &str, of: Option<String>, omitted: Omitted) -> Reply {
        let node = self.node(addr);
        let refusal = |step| {
            let command = match step {
                Step::Rewrite => "CONFIG",
                Step::KillNormal | Step::KillPubSub => "CLIENT",
                Step::Exec => "EXEC",
                _ => return None,
            };
            node.refuses.get(command).cloned()
        };
        let (whole, discarded) = (!omitted.transaction, omitted.steps().any(|step| refusal(step).is_some()));
        let refused_exec = refusal(Step::Exec);
        let mut answers: Vec<_> = omitted
            .steps()
            .filter(|step| !matches!(step, Step::Unpause | Step::Info))
            .map(|step| match (step, refusal(step)) {
                (Step::Discard, _) => Reply::error("ERR DISCARD without MULTI"),
                (Step::Exec, Some(error)) => {
                    Reply::error(format!("EXECABORT Transaction discarded because of: {error}"))
                }
                (_, Some(error)) => Reply::error(error),
                (Step::Exec, None) if discarded => {
                    Reply::error("EXECABORT Transaction discarded because of previous errors.")
                }
                (Step::Multi, None) => Reply::ok(),
                _ if whole => Reply::status("QUEUED"),
                _ => Reply::ok(),
            })
            .collect();
        let acts = !whole || (!discarded && refused_exec.is_none());
        if acts && omitted.abort_first {
            node.failover = None;
        }
        let hands_over = node.failover.is_some();
        let disobeys = node.flaws.contains(&Flaw::Disobeys) || hands_over;
        let slaveof = if hands_over {
            Reply::error("ERR REPLICAOF not allowed while failing over.")
        } else if disobeys {
            Reply::error("NOPERM this user has no permissions to run the 'slaveof' command")
        } else {
            Reply::ok()
        };
        if acts && !disobeys && node.of != of {
            node.of = of;
            node.link_up = !node.flaws.contains(&Flaw::SyncsSlowly);
            node.link_down_for = -1;
        }
        if !whole {
            answers[1 + usize::from(omitted.abort_first)] = slaveof;
        } else if acts {
            let rest =
                omitted.steps().filter(|step| matches!(step, Step::Rewrite | Step::KillNormal | Step::KillPubSub));
            let abort = omitted.abort_first.then(Reply::ok);
            let results = abort.into_iter().chain([slaveof]).chain(rest.map(|_| Reply::ok())).collect();
            *answers.last_mut().expect("EXEC is the last") = Reply::Array(results);
        }
        answers.extend(omitted.unpause.then(Reply::ok));
        answers.push(Reply::text(self.info(addr)));
        Reply::Array(answers)
    }

    /// The address behind a name.
    fn real(&self, addr: &str) -> String {
        let Some((host, port)) = addr.rsplit_once(':') else { return addr.to_owned() };
        self.names.get(host).map_or_else(|| addr.to_owned(), |ip| format!("{ip}:{port}"))
    }

    fn info(&self, addr: &str) -> String {
        let node = &self.nodes[addr];
        let mut text = String::new();
        let port = addr.rsplit_once(':').map_or("0", |(_, port)| port);
        let run_id = node.run_id.clone().unwrap_or_else(|| format!("{port:0>20}{:0>20}", node.runs));
        if run_id.len() == 40 {
            write!(text, "# Server\r\nrun_id:{run_id}\r\n\r\n").unwrap();
        }
        if let Some(version) = &node.version {
            write!(text, "redis_version:{version}\r\n").unwrap();
        }
        let loading = u8::from(node.loading);
        write!(text, "# Persistence\r\nloading:{loading}\r\nrdb_changes_since_last_save:{}\r\n", node.dirty).unwrap();
        if node.loading {
            write!(text, "loading_loaded_bytes:{}\r\n", node.loaded_bytes).unwrap();
        }
        text.push_str("# Replication\r\n");
        match &node.of {
            None => {
                text.push_str("role:master\r\n");
                let living = self
                    .nodes
                    .iter()
                    .filter(|(_, it)| it.life == Life::Well && it.of.as_ref().is_some_and(|of| self.real(of) == addr));
                let announced = |(addr, it): (&String, &Node)| match (&it.announce, addr.rsplit_once(':')) {
                    (Some(name), Some((_, port))) => format!("{name}:{port}"),
                    _ => addr.clone(),
                };
                let listed = living.map(announced).chain(node.lists.iter().cloned());
                for (n, replica) in listed.enumerate() {
                    let (host, port) = replica.rsplit_once(':').unwrap();
                    write!(text, "slave{n}:ip={host},port={port},state=online,offset=0,lag=0\r\n").unwrap();
                }
            }
            Some(of) => {
                let (host, port) = of.rsplit_once(':').unwrap();
                let status = if node.link_up { "up" } else { "down" };
                write!(
                    text,
                    "role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{status}\r\n"
                )
                .unwrap();
                if !node.link_up {
                    write!(text, "master_link_down_since_seconds:{}\r\n", node.link_down_for).unwrap();
                }
                write!(text, "slave_repl_offset:{}\r\nslave_priority:{}\r\n", node.offset, node.priority).unwrap();
                write!(text, "master_sync_read_bytes:{}\r\n", node.sync_bytes).unwrap();
            }
        }
        if let Some(state) = &node.failover {
            write!(text, "master_failover_state:{state}\r\n").unwrap();
        }
        for (field, id) in [("master_replid", &node.replid), ("master_replid2", &node.replid2)] {
            if let Some(id) = id {
                write!(text, "{field}:{id}\r\nrepl_backlog_active:1\r\n").unwrap();
            }
        }
        write!(text, "master_repl_offset:{}\r\n", node.offset).unwrap();
        if let Some(offset) = node.second_offset {
            write!(text, "second_repl_offset:{offset}\r\n").unwrap();
        }
        for (field, value) in &node.further {
            write!(text, "{field}:{value}\r\n").unwrap();
        }
        if let Some(keys) = node.keys {
            text.push_str("# Keyspace\r\n");
            if keys > 0 {
                write!(text, "db0:keys={keys},expires=0,avg_ttl=0\r\n").unwrap();
            }
        }
        text
    }
}
