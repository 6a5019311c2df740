//! Who is there besides the engine, and what they properly answer.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use sentinel_core::settings::{GlobalSettings, MasterSettings, Timing};
use sentinel_core::types::{Epoch, HostPort, MasterName, Quorum, SentinelId};
use sentinel_core::{Boot, MasterSnapshot, Message, Snapshot};
use sentinel_resp::Reply;

/// Data nodes and Sentinels.
#[derive(Debug)]
pub(crate) struct Deployment {
    /// Whom each data node follows. Not in it: it is a master.
    sources: BTreeMap<HostPort, HostPort>,
    /// Ports at which nobody answers.
    silent: BTreeSet<u16>,
}

impl Deployment {
    /// Two replicas that follow the master.
    pub(crate) fn new() -> Self {
        Self { sources: [1, 2].map(|replica| (data_node(replica), data_node(0))).into(), silent: BTreeSet::new() }
    }

    pub(crate) fn silence(&mut self, ports: impl IntoIterator<Item = u16>) {
        self.silent = ports.into_iter().collect();
    }

    pub(crate) fn speaks(&self, addr: &HostPort) -> bool {
        !self.silent.contains(&addr.port)
    }

    /// The answer of one that does what it is told. The other Sentinels agree with everything.
    pub(crate) fn answer(&mut self, addr: &HostPort, message: &Message) -> Reply {
        match message {
            Message::Ping => Reply::status("PONG"),
            Message::Info | Message::Acknowledge => self.info(addr),
            Message::Identify { .. } => {
                let id = Reply::display(id(if addr.port == 26381 { 'c' } else { 'b' }));
                Reply::Array(vec![id, self.info(addr)])
            }
            Message::Hello { .. } => Reply::Integer(1),
            Message::Pause { .. }
            | Message::MayI { .. }
            | Message::ScriptKill
            | Message::SignIn { .. }
            | Message::HandOver { .. }
            | Message::CallOff { .. } => Reply::ok(),
            Message::IsMasterDown { epoch, candidate, .. } => {
                let leader = candidate.as_ref().map_or("*", |id| id.as_str());
                let epoch = if candidate.is_some() { epoch.get() } else { 0 };
                let epoch = Reply::Integer(i64::try_from(epoch).unwrap_or(-1));
                Reply::Array(vec![Reply::Integer(1), Reply::text(leader), epoch])
            }
            Message::Promote { .. } => {
                self.sources.remove(addr);
                Reply::Array(vec![Reply::ok(), self.info(addr)])
            }
            Message::Replicate { of, .. } => {
                self.sources.insert(addr.clone(), of.clone());
                Reply::Array(vec![Reply::ok(), self.info(addr)])
            }
        }
    }

    fn info(&self, addr: &HostPort) -> Reply {
        let run = char::from(b'0' + u8::try_from(addr.port % 10).expect("a digit")).to_string().repeat(40);
        Reply::text(match self.sources.get(addr) {
            None => format!("run_id:{run}\r\nrole:master\r\nmaster_repl_offset:9\r\n"),
            Some(of) => format!(
                "run_id:{run}\r\nrole:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:up\r\n\
                 slave_repl_offset:9\r\nslave_priority:100\r\n",
                of.host, of.port
            ),
        })
    }
}

/// What the engine is told at its start: master `m` with two replicas and the Sentinels `b` and `c`; it is `a` itself.
pub(crate) fn boot() -> Boot {
    let mut settings = MasterSettings::new(Quorum::new(2).expect("a quorum"));
    settings.down_after = Duration::from_secs(1);
    settings.failover_timeout = Duration::from_secs(3);
    settings.reboot_down_after = Duration::from_secs(1);
    settings.down_on_refused = NonZeroU32::new(4);
    let name = MasterName::new("m").expect("a name");
    let mut master = MasterSnapshot::new(name, data_node(0), settings);
    master.replicas = vec![data_node(1), data_node(2)];
    master.peers = vec![(sentinel('b'), at(26380)), (sentinel('c'), at(26381))];
    let snapshot = Snapshot {
        id: sentinel('a'),
        current_epoch: Epoch::new(1),
        globals: Arc::new(GlobalSettings::default()),
        masters: vec![Arc::new(master)],
    };
    Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), run_id: None, seed: 7 }
}

/// The id of a Sentinel, as text.
pub fn id(of: char) -> String {
    of.to_string().repeat(40)
}

/// The address that everybody has, with this port: 6379 is the master's, those of the replicas and of the other Sentinels
/// (from 26380 on) follow.
pub fn at(port: u16) -> HostPort {
    format!("127.0.0.1:{port}").parse().expect("an address")
}

/// The data nodes, counted from the master.
pub(crate) fn data_node(number: usize) -> HostPort {
    at(6379 + u16::try_from(number).expect("a few nodes"))
}

fn sentinel(of: char) -> SentinelId {
    SentinelId::new(&id(of)).expect("an id")
}
