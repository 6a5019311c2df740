//! Sequences of inputs to the engine.

use bytes::Bytes;
use sentinel_core::{LinkFault, command::Command};
use sentinel_resp::Reply;

use crate::reader::Reader;
use sentinel_rig::Rig;

/// Inputs that one run takes at most.
const STEPS: usize = 200;
/// Those of data nodes and Sentinels, and one more of each.
const PORTS: [u16; 8] = [6379, 6380, 6381, 6382, 26379, 26380, 26381, 26382];

/// Each byte chooses what happens next, and those behind it how.
pub fn engine(data: &[u8]) {
    let mut reader = Reader::new(data);
    let mut rig = if reader.coin() { Rig::new() } else { Rig::settled() };
    for _ in 0..STEPS {
        if reader.is_empty() {
            return;
        }
        step(&mut rig, &mut reader);
    }
}

fn step(rig: &mut Rig, reader: &mut Reader<'_>) {
    match reader.byte() % 18 {
        0 => rig.wait(u64::from(reader.byte()) * 10),
        1 => rig.stall(u64::from(reader.byte()) * 40),
        2 => rig.link_up(usize::from(reader.byte())),
        3 => {
            let which = usize::from(reader.byte());
            let fault = match reader.byte() % 5 {
                0 => LinkFault::Refused,
                1 => LinkFault::Unresolved("no such host".to_owned()),
                2 => LinkFault::Denied("NOPERM".to_owned()),
                3 => LinkFault::Closed,
                _ => LinkFault::Failed("timed out".to_owned()),
            };
            rig.link_down(which, fault);
        }
        4 => {
            // A bit for each of the eight.
            let bits = reader.byte();
            rig.silence(PORTS.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, port)| port));
        }
        5 | 6 => rig.live(u32::from(reader.byte() % 40)),
        7 => {
            let which = usize::from(reader.byte());
            let text = reader.text().to_vec();
            rig.answer(which, Reply::bulk(text));
        }
        8 => {
            let which = usize::from(reader.byte());
            let reply = match reader.byte() % 8 {
                0 => Reply::status("PONG"),
                1 => Reply::error("LOADING Redis is loading the dataset in memory"),
                2 => Reply::error("BUSY Redis is busy"),
                3 => Reply::error("NOPERM this user has no permissions"),
                4 => Reply::Null,
                5 => Reply::Integer(reader.number().cast_signed()),
                6 => Reply::Array(Vec::new()),
                _ => Reply::error(String::from_utf8_lossy(reader.text()).into_owned()),
            };
            rig.answer(which, reply);
        }
        9 => {
            let which = usize::from(reader.byte());
            let leader = if reader.coin() { id(reader.byte()) } else { "*".to_owned() };
            let down = i64::from(reader.byte() % 3);
            let epoch = reader.number().cast_signed();
            rig.answer(which, Reply::Array(vec![Reply::Integer(down), Reply::text(leader), Reply::Integer(epoch)]));
        }
        10 => {
            let node = usize::from(reader.byte() % 3);
            let text = info_text(reader);
            rig.answer_info_of(node, Reply::text(text));
        }
        11 => {
            let node = usize::from(reader.byte() % 3);
            let payload = hello_text(reader);
            rig.hello(node, Bytes::from(payload));
        }
        12 => {
            let payload = hello_text(reader);
            rig.publish(Bytes::from(payload));
        }
        13 => rig.persisted(u64::from(reader.byte() % 4)),
        14 => rig.persist_failed(),
        15 => {
            let outcome = match reader.byte() % 2 {
                0 => Err("no such host".to_owned()),
                _ => Ok([127, 0, 0, reader.byte()].into()),
            };
            rig.resolved(outcome);
        }
        _ => command(rig, reader),
    }
}

fn command(rig: &mut Rig, reader: &mut Reader<'_>) {
    let port = 6379 + u64::from(reader.byte() % 4);
    let line = match reader.byte() % 12 {
        0 => "SENTINEL FAILOVER m".to_owned(),
        1 => format!("SENTINEL FAILOVER m TO 127.0.0.1 {port}"),
        2 => "SENTINEL RESET *".to_owned(),
        3 => "SENTINEL REMOVE m".to_owned(),
        4 => format!("SENTINEL MONITOR m 127.0.0.1 {port} {}", reader.number()),
        5 => format!("SENTINEL SET m quorum {}", reader.number()),
        6 => format!("SENTINEL SET m down-after-milliseconds {}", reader.number()),
        7 => format!(
            "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {port} {} {}",
            reader.number(),
            if reader.coin() { id(reader.byte()) } else { "*".to_owned() }
        ),
        8 => format!("SENTINEL FORGET-REPLICA m 127.0.0.1 {port}"),
        9 => format!("SENTINEL FORGET m {}", id(reader.byte())),
        10 => format!("SENTINEL DEBUG info-period {}", reader.number()),
        _ => String::from_utf8_lossy(reader.text()).into_owned(),
    };
    let words: Vec<Bytes> = line.split(' ').map(|word| Bytes::from(word.to_owned())).collect();
    if let Ok(parsed) = Command::parse(&words) {
        rig.command(parsed);
    }
}

fn info_text(reader: &mut Reader<'_>) -> String {
    let run = char::from(b'x' + reader.byte() % 3).to_string().repeat(40);
    let head = format!("run_id:{run}\r\nmaster_replid:{run}\r\n");
    if !reader.coin() {
        return format!("{head}role:master\r\nmaster_repl_offset:{}\r\n", reader.number());
    }
    let (port, up) = (6379 + u64::from(reader.byte() % 4), if reader.coin() { "up" } else { "down" });
    format!(
        "{head}role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:{port}\r\nmaster_link_status:{up}\r\n\
         slave_repl_offset:{}\r\nslave_priority:{}\r\n{}",
        reader.number(),
        reader.number(),
        String::from_utf8_lossy(reader.text())
    )
}

fn hello_text(reader: &mut Reader<'_>) -> String {
    let (peer, from) = (id(reader.byte()), 26379 + u64::from(reader.byte() % 4));
    let (epoch, port, config) = (reader.number(), 6379 + u64::from(reader.byte() % 4), reader.number());
    format!("127.0.0.1,{from},{peer},{epoch},m,127.0.0.1,{port},{config}")
}

/// One of five Sentinels; the first is the one under test.
fn id(of: u8) -> String {
    char::from(b'a' + of % 5).to_string().repeat(40)
}
