//! Every table that others can fill has a bound: they are filled here, and counted.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    time::Duration,
};

use bytes::Bytes;
use sentinel_resp::Reply;

use crate::{
    Boot, Engine, Input, LinkId, MasterSnapshot, Message, Output, Snapshot,
    settings::{GlobalSettings, MasterSettings, Timing},
    state::Master,
    time::{Instant, Now, WallTime},
    types::{Epoch, HostPort, MasterName, Quorum, SentinelId},
};

/// An engine whose surroundings tell it as much as they can.
struct Flood {
    engine: Engine,
    now: Instant,
    links: BTreeMap<LinkId, HostPort>,
    /// How often INFO was answered.
    infos: usize,
    /// All nodes answer as one process.
    twins: bool,
}

impl Flood {
    fn new() -> Self {
        let mut settings = MasterSettings::new(Quorum::new(2).unwrap());
        settings.down_after = Duration::from_secs(3600);
        let addr = "10.0.0.1:6379".parse().unwrap();
        let master = MasterSnapshot::new(MasterName::new("m").unwrap(), addr, settings);
        let globals = GlobalSettings { resolve_hostnames: true, ..GlobalSettings::default() };
        let snapshot = Snapshot {
            id: SentinelId::new(&"b".repeat(40)).unwrap(),
            current_epoch: Epoch::ZERO,
            globals: globals.into(),
            masters: vec![master.into()],
        };
        let now = Instant::from_micros(1);
        let boot = Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), seed: 1, run_id: None };
        let engine = Engine::new(boot, Now { mono: now, wall: WallTime(0) });
        Flood { engine, now, links: BTreeMap::new(), infos: 0, twins: true }
    }

    fn feed(&mut self, input: Input) {
        self.engine.handle(Now { mono: self.now, wall: WallTime(0) }, input);
    }

    /// Lets time pass, and answers everything.
    fn run(&mut self, rounds: u64) {
        for _ in 0..rounds {
            self.now = self.now + Duration::from_millis(500);
            self.engine.handle_timeout(Now { mono: self.now, wall: WallTime(0) });
            let mut waiting = VecDeque::new();
            // Answers bring more to answer; what they bring in the end has its turn in the next round.
            for _ in 0..50_000 {
                while let Some(output) = self.engine.poll_output() {
                    waiting.push_back(output);
                }
                let Some(output) = waiting.pop_front() else { break };
                self.answer(output);
            }
        }
    }

    fn answer(&mut self, output: Output) {
        match output {
            Output::Connect { link, target } => {
                self.links.insert(link, target.addr.clone());
                self.feed(Input::LinkUp { link, local: None, refused_login: Some("WRONGPASS ".repeat(1_000)) });
            }
            Output::Send { link, request, message } => {
                let reply = match message {
                    Message::Ping => Reply::status("PONG"),
                    Message::Info => Reply::Bulk(self.info(link).into()),
                    _ => Reply::error(format!("NOPERM {}", "x".repeat(10_000))),
                };
                self.feed(Input::Reply { link, request, reply });
            }
            Output::Persist(seq) => self.feed(Input::Persisted(seq)),
            // Nobody answers for names, so that what waits for them goes on waiting.
            _ => {}
        }
    }

    /// A master that lists eleven hundred new replicas each time, with ids that are new each time, or one of them.
    fn info(&mut self, link: LinkId) -> String {
        self.infos += 1;
        let addr = &self.links[&link];
        let number = self.infos;
        let run_id =
            if self.twins { "a".repeat(40) } else { format!("{:0>40}", addr.to_string().replace(['.', ':'], "")) };
        if addr.host.to_string() != "10.0.0.1" {
            return format!("run_id:{run_id}\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n");
        }
        let mut text = format!("run_id:{run_id}\r\nrole:master\r\nmaster_replid:{number:040x}\r\n");
        for replica in 0..1_100_usize {
            let (high, low) = (number % 250, replica);
            write!(text, "slave{replica}:ip=11.{high}.{}.{},port=6379\r\n", low / 250, low % 250 + 1).unwrap();
        }
        text
    }

    fn master(&self) -> &Master {
        self.engine.masters.values().next().unwrap()
    }
}

#[test]
fn every_table_that_others_fill_has_a_bound() {
    let mut flood = Flood::new();
    flood.run(25);
    let aliases = flood.master().aliases.len();
    flood.twins = false;
    flood.run(25);
    let link = *flood.links.first_key_value().unwrap().0;
    for sentinel in 0..3_000_u32 {
        let id = format!("{sentinel:040x}");
        let names = sentinel % 2 == 0;
        let host =
            if names { format!("s{sentinel}.example") } else { format!("12.0.{}.{}", sentinel / 250, sentinel % 250) };
        let hello = format!("{host},26379,{id},1,m,10.0.0.1,6379,0");
        flood.feed(Input::Hello { link, payload: Bytes::from(hello) });
        flood.run(u64::from(sentinel % 1_000 == 0));
    }
    let master = flood.master();
    let ctx = &flood.engine.ctx;
    let node = master.node();
    // What, how much there is, the least that shows that the flood came that far, and the most that may be.
    for (what, is, least, most) in [
        ("other addresses of one process", aliases, 1_000, 1_024),
        ("nodes of a master", master.nodes.len(), 1_000, 1_026),
        ("peers of a master", master.peers.len(), 100, 256),
        ("links to peers", flood.engine.peers.len(), 100, 256),
        ("names", ctx.names.len(), 60, 4_096),
        ("hellos that wait for a name", ctx.parked.len(), 60, 1_024),
        ("ids of a lineage", master.lineage.len(), 3, 64),
        ("denials of a node", node.link.denials.len(), 1, 16),
        ("text of the denials of a node", node.link.denials.text(), 256, 16 * 256),
        ("unanswered requests of a node", node.link.in_flight.len(), 0, 100),
        ("kinds of complaints", ctx.complained_at.len(), 0, 16),
        ("scripts that wait", ctx.scripts.len(), 0, 256),
    ] {
        assert!((least..=most).contains(&is), "{what}: {is}, expected are {least} to {most}");
    }
}
