//! What may happen, and how it is drawn: what is likely to lead somewhere, and anything else.

use std::{fmt::Write as _, net::IpAddr};

use bytes::Bytes;
use proptest::prelude::*;
use sentinel_core::LinkFault;
use sentinel_resp::Reply;
use sentinel_rig::id;

/// One thing that happens. Numbers choose among what exists at that moment.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Wait(u64),
    /// Time passes, and nobody calls the engine.
    Stall(u64),
    Up(usize),
    Down(usize, LinkFault),
    /// So many rounds in which everybody connects and answers as he should, but those at these ports.
    Live(u32, Vec<u16>),
    /// An answer to a request that was made.
    Answer(usize, Reply),
    /// An answer to nothing, over any link.
    Stray(u64, u64, Reply),
    Hello(usize, Bytes),
    Command(Vec<Bytes>),
    Publish(Bytes),
    /// The resolver answers to the oldest question, or says something unasked.
    Resolved(Option<IpAddr>),
    Persisted,
    PersistedUpTo(u64),
    PersistFailed,
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![6379u16..6383, 26379u16..26383, Just(0)]
}

fn host() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just("127.0.0.1"), 1 => Just("::1"), 1 => Just("db.example"), 1 => Just("")]
}

fn epoch() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..9, 1 => any::<u64>()]
}

fn sentinel() -> impl Strategy<Value = String> {
    "[a-e]".prop_map(|letter| id(letter.chars().next().unwrap()))
}

fn info() -> impl Strategy<Value = Reply> {
    let replica = (host(), port(), any::<bool>(), -1i64..30, 0u64..3, 0u32..3, 0u64..4);
    let fields = (prop::option::of(replica), prop::collection::vec((host(), port()), 0..4), "[x-z]", any::<bool>());
    fields.prop_map(|(replica, listed, run, role)| {
        let mut text = format!("run_id:{}\r\n", run.repeat(40));
        match replica {
            _ if !role => {}
            None => text.push_str("role:master\r\nmaster_repl_offset:5\r\n"),
            Some((host, port, up, down, offset, priority, sync)) => {
                let status = if up { "up" } else { "down" };
                let _ = write!(
                    text,
                    "role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{status}\r\n\
                     master_link_down_since_seconds:{down}\r\nslave_repl_offset:{offset}\r\nslave_priority:{priority}\r\n\
                     master_sync_read_bytes:{sync}\r\n"
                );
            }
        }
        for (n, (host, port)) in listed.into_iter().enumerate() {
            let _ = write!(text, "slave{n}:ip={host},port={port},state=online\r\n");
        }
        Reply::text(text)
    })
}

fn verdict() -> impl Strategy<Value = Reply> {
    (0i64..3, prop_oneof![sentinel(), Just("*".to_owned()), Just(String::new())], -2i64..9).prop_map(
        |(down, leader, epoch)| Reply::Array(vec![Reply::Integer(down), Reply::text(leader), Reply::Integer(epoch)]),
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    let odd = prop_oneof![
        Just(Reply::status("QUEUED")),
        Just(Reply::error("BUSY Redis is busy")),
        Just(Reply::error("LOADING Redis is loading")),
        Just(Reply::error("NOPERM no")),
        Just(Reply::Integer(-1)),
        Just(Reply::Null),
        Just(Reply::NullArray),
        Just(Reply::Array(Vec::new())),
        Just(Reply::Boolean(true)),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Reply::bulk),
        ".{0,40}".prop_map(Reply::error),
    ];
    prop_oneof![
        4 => Just(Reply::status("PONG")),
        4 => info(),
        3 => verdict(),
        3 => info().prop_map(|info| Reply::Array(vec![Reply::ok(), Reply::Array(vec![Reply::ok()]), info])),
        1 => odd.clone(),
        1 => prop::collection::vec(odd, 0..4).prop_map(Reply::Array),
    ]
}

fn hello() -> impl Strategy<Value = Bytes> {
    let name = prop_oneof![6 => Just("m"), 1 => Just("n"), 1 => Just("other")];
    let proper = ((host(), port()), sentinel(), epoch(), name, (host(), port()), epoch()).prop_map(
        |(from, id, epoch, name, to, config)| {
            Bytes::from(format!("{},{},{id},{epoch},{name},{},{},{config}", from.0, from.1, to.0, to.1))
        },
    );
    prop_oneof![
        9 => proper,
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from),
        1 => "[a,0-9]{0,30}".prop_map(Bytes::from),
    ]
}

fn command() -> impl Strategy<Value = Vec<Bytes>> {
    let ms = || prop_oneof![1u64..3_000, Just(i64::MAX.unsigned_abs())];
    let text = prop_oneof![
        4 => (port(), epoch(), prop_oneof![sentinel(), Just("*".to_owned())])
            .prop_map(|(port, epoch, id)| format!("is-master-down-by-addr 127.0.0.1 {port} {epoch} {id}")),
        2 => Just("failover m".to_owned()),
        1 => Just("reset *".to_owned()),
        1 => port().prop_map(|port| format!("monitor n 127.0.0.1 {port} 1")),
        1 => Just("remove n".to_owned()),
        1 => Just("remove m".to_owned()),
        1 => port().prop_map(|port| format!("monitor m 127.0.0.1 {port} 2")),
        2 => ("(down-after-milliseconds|failover-timeout|ping-period|quorum|parallel-syncs|down-on-refused)", ms())
            .prop_map(|(option, value)| format!("set m {option} {value}")),
        1 => Just("set m auth-pass p rename-command CONFIG X".to_owned()),
        1 => ("(info-period|ping-period|ask-period|publish-period|tilt-period|tilt-trigger|election-timeout)", ms())
            .prop_map(|(parameter, value)| format!("debug {parameter} {value}")),
        1 => "config set (resolve|announce)-hostnames (yes|yes|no)",
        1 => Just("config set sentinel-pass p announce-ip 10.0.0.1".to_owned()),
        1 => Just("flushconfig".to_owned()),
        1 => "(masters|replicas m|sentinels m|ckquorum m|info-cache m|get-master-addr-by-name m)",
    ];
    text.prop_map(|text| {
        format!("sentinel {text}").split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
    })
}

fn fault() -> impl Strategy<Value = LinkFault> {
    prop_oneof![
        Just(LinkFault::Closed),
        Just(LinkFault::Refused),
        Just(LinkFault::Failed("timed out".into())),
        Just(LinkFault::Denied("WRONGPASS".into())),
        Just(LinkFault::Untrusted("unknown issuer".into())),
        Just(LinkFault::Unresolved("no such host".into())),
        Just(LinkFault::Exhausted("Too many open files".into())),
    ]
}

/// Ports at which nobody answers: often the master's, or that of the master and of a replica.
fn silent() -> impl Strategy<Value = Vec<u16>> {
    let anybody = prop_oneof![6379u16..6383, 26379u16..26383];
    prop_oneof![Just(vec![]), Just(vec![6379]), Just(vec![6379, 6380]), prop::collection::vec(anybody, 0..4)]
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![0u64..20, 100u64..1_500].prop_map(Step::Wait),
        1 => prop_oneof![0u64..5_000, Just(100_000)].prop_map(Step::Stall),
        8 => any::<usize>().prop_map(Step::Up),
        6 => (1u32..40, silent()).prop_map(|(rounds, silent)| Step::Live(rounds, silent)),
        2 => (any::<usize>(), fault()).prop_map(|(n, fault)| Step::Down(n, fault)),
        14 => (any::<usize>(), reply()).prop_map(|(n, reply)| Step::Answer(n, reply)),
        1 => (0u64..60, 0u64..60, reply()).prop_map(|(link, request, reply)| Step::Stray(link, request, reply)),
        4 => (any::<usize>(), hello()).prop_map(|(n, payload)| Step::Hello(n, payload)),
        1 => hello().prop_map(Step::Publish),
        4 => command().prop_map(Step::Command),
        2 => prop_oneof![Just("127.0.0.1"), Just("10.0.0.7"), Just("")].prop_map(|ip| Step::Resolved(ip.parse().ok())),
        6 => Just(Step::Persisted),
        1 => (0u64..4).prop_map(Step::PersistedUpTo),
        1 => Just(Step::PersistFailed),
    ]
}
