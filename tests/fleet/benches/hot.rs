//! What happens most: requests, replies, INFO, hellos, and an engine with 1,000 masters.

#![allow(missing_docs, reason = "the macro of criterion makes a public function without")]

use std::{collections::BTreeMap, hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sentinel_core::{
    Boot, Engine, Input, LinkId, MasterSnapshot, Message, Output, Snapshot, TargetKind,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant, Now, WallTime},
    types::{Epoch, MasterName, Quorum, SentinelId},
};
use sentinel_resp::{Limits, Reply, ReplyDecoder, RequestDecoder};

const MASTERS: usize = 1_000;

const QUESTION: &[u8] = b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$2\r\nm0\r\n";

/// The INFO of an emulated node, as a server prints it.
fn info(replication: &str) -> Bytes {
    include_str!("../src/info.txt")
        .replace('\n', "\r\n")
        .replace("{run_id}", &"a".repeat(40))
        .replace("{replication}", replication)
        .into()
}

/// An engine whose instances all answer at once.
struct Field {
    engine: Engine,
    now: Instant,
    last: Option<LinkId>,
    master: Bytes,
    replica: Bytes,
}

impl Field {
    fn new(masters: usize) -> Self {
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
            Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), seed: 1 },
            Now { mono: now, wall: WallTime(0) },
        );
        let mut field = Field {
            engine,
            now,
            last: None,
            master: info("role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:4711\r\n"),
            replica: info("role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:4711\r\n"),
        };
        field.answer();
        for _ in 0..20 {
            field.second();
        }
        field
    }

    fn take(&mut self, input: Input) {
        self.engine.handle(Now { mono: self.now, wall: WallTime(0) }, input);
    }

    /// One second passes. Gives the number of effects.
    fn second(&mut self) -> usize {
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

    fn answer(&mut self) -> usize {
        let mut effects = 0;
        while let Some(output) = self.engine.poll_output() {
            effects += 1;
            match output {
                Output::Connect { link, target } if target.kind == TargetKind::DataNode => {
                    self.last = Some(link);
                    self.take(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()) });
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

fn wire(c: &mut Criterion) {
    let mut group = c.benchmark_group("resp");
    group.throughput(Throughput::Elements(1));
    let mut requests = RequestDecoder::new(Limits::default());
    group.bench_function("a request", |b| {
        b.iter(|| {
            requests.feed(black_box(QUESTION));
            requests.next_request().expect("well-formed")
        });
    });
    let mut replies = ReplyDecoder::new(1 << 20);
    let text = info("role:master\r\n");
    let bulk = [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat();
    for (name, bytes) in [("PONG", &b"+PONG\r\n"[..]), ("an INFO", &bulk)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                replies.feed(black_box(bytes));
                replies.next_reply().expect("well-formed")
            });
        });
    }
    group.finish();
}

fn engine(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine");
    let mut field = Field::new(MASTERS);
    group.throughput(Throughput::Elements(MASTERS as u64));
    group.bench_function("a second with 1,000 masters and 2 replicas each", |b| b.iter(|| field.second()));
    let link = field.last.expect("there are links");
    let payload = |sentinel: char, master: usize| {
        let id = sentinel.to_string().repeat(40);
        Bytes::from(format!("10.9.9.9,26379,{id},0,m{master},10.0.{master}.1,6379,0"))
    };
    group.throughput(Throughput::Elements(1));
    for (name, sentinel) in [("its own hello", 'b'), ("a hello", 'c')] {
        let payload = payload(sentinel, 7);
        group.bench_function(name, |b| {
            b.iter(|| {
                field.take(Input::Hello { link, payload: black_box(payload.clone()) });
                field.answer()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = hot;
    config = Criterion::default().measurement_time(Duration::from_secs(5)).sample_size(20);
    targets = wire, engine
}
criterion_main!(hot);
