//! What the benchmarks of this folder share: things to decode, and an engine at work.

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use bytes::Bytes;
use sentinel_core::{
    Boot, ClientId, Engine, Input, LinkFault, LinkId, MasterSnapshot, Message, Output, Snapshot, TargetKind, View,
    command::Command,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant, Now, WallTime},
    types::{Epoch, MasterName, Quorum, SentinelId},
};
use sentinel_resp::Reply;

/// Masters that the engine watches, each with two replicas.
pub(crate) const MASTERS: usize = 1_000;

/// What most clients ask.
pub(crate) const QUESTION: &[u8] = b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$2\r\nm0\r\n";

/// The INFO of an emulated node, as a server prints it.
pub(crate) fn info(replication: &str) -> Bytes {
    include_str!("../../src/info.txt")
        .replace('\n', "\r\n")
        .replace("{run_id}", &"a".repeat(40))
        .replace("{replication}", replication)
        .into()
}

/// The same on the wire.
pub(crate) fn bulk(text: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", text.len()).as_bytes(), text, b"\r\n"].concat()
}

/// What the Sentinel whose id is this digit, 40 times, says of a master.
pub(crate) fn hello(sentinel: char, master: usize) -> Bytes {
    let id = sentinel.to_string().repeat(40);
    format!("10.9.9.9,26379,{id},0,m{master},10.0.{master}.1,6379,0").into()
}

/// An engine whose instances all answer at once.
pub(crate) struct Field {
    engine: Engine,
    now: Instant,
    /// A link to one of them.
    pub(crate) last: Option<LinkId>,
    quorum: u32,
    master: Bytes,
    replica: Bytes,
}

impl Field {
    /// Watches so many masters, and has done so for `seconds`.
    pub(crate) fn new(masters: usize, seconds: u32) -> Self {
        let quorum = Quorum::new(1).expect("one is a quorum");
        let masters = (0..masters).map(|number| {
            let addr = |member: usize| {
                format!("10.{}.{}.{member}:6379", number / 250, number % 250).parse().expect("an address")
            };
            let name = MasterName::new(&format!("m{number}")).expect("a name");
            let mut master = MasterSnapshot::new(name, addr(1), MasterSettings::new(quorum));
            master.replicas = vec![addr(2), addr(3)];
            master.into()
        });
        let snapshot = Snapshot {
            id: SentinelId::new(&"b".repeat(40)).expect("an id"),
            current_epoch: Epoch::ZERO,
            globals: GlobalSettings::default().into(),
            masters: masters.collect(),
        };
        let now = Instant::from_micros(1_000_000);
        let engine = Engine::new(
            Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), run_id: None, seed: 1 },
            Now { mono: now, wall: WallTime(0) },
        );
        let mut field = Field {
            engine,
            now,
            last: None,
            quorum: 1,
            master: info("role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:4711\r\n"),
            replica: info("role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:4711\r\n"),
        };
        field.answer();
        for _ in 0..seconds {
            field.second();
        }
        field
    }

    /// Tells the engine something.
    pub(crate) fn take(&mut self, input: Input) {
        self.engine.handle(Now { mono: self.now, wall: WallTime(0) }, input);
    }

    /// One second passes. Gives the number of effects.
    pub(crate) fn second(&mut self) -> usize {
        let end = self.now + Duration::from_secs(1);
        let mut effects = 0;
        while let Some(due) = self.engine.next_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(Now { mono: self.now, wall: WallTime(0) });
            effects += self.answer();
        }
        self.now = end;
        black_box(self.engine.poll_view());
        effects
    }

    /// The last link that opened breaks and opens again, and INFO is read.
    pub(crate) fn reconnect(&mut self) -> usize {
        let link = self.last.expect("there are links");
        self.take(Input::LinkDown { link, fault: LinkFault::Refused });
        self.second()
    }

    /// One of the masters gets another quorum, and everybody sees it.
    pub(crate) fn set_and_view(&mut self) -> Option<Arc<View>> {
        self.quorum = self.quorum % 5 + 1;
        let words = ["SENTINEL", "SET", "m7", "quorum", &self.quorum.to_string()]
            .map(|word| Bytes::copy_from_slice(word.as_bytes()));
        let Ok(Command::Change(change)) = Command::parse(&words) else { panic!("SENTINEL SET is a change") };
        self.take(Input::Change { client: ClientId(1), change });
        self.answer();
        self.engine.poll_view()
    }

    /// Answers what the engine has asked. Gives the number of effects.
    pub(crate) fn answer(&mut self) -> usize {
        let mut effects = 0;
        while let Some(output) = self.engine.poll_output() {
            effects += 1;
            match output {
                Output::Connect { link, target } if target.kind == TargetKind::DataNode => {
                    self.last = Some(link);
                    self.take(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()), refused_login: None });
                }
                Output::Send { link, request, message } => {
                    let reply = match message {
                        Message::Ping => Reply::status("PONG"),
                        Message::Info if link.0 % 3 == 0 => Reply::Bulk(self.master.clone()),
                        Message::Info => Reply::Bulk(self.replica.clone()),
                        _ => Reply::Integer(1),
                    };
                    self.take(Input::Reply { link, request, reply });
                }
                Output::Persist(seq) => self.take(Input::Persisted(seq)),
                _ => {}
            }
        }
        effects
    }
}
