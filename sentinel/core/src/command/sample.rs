//! A hand-made view and hand-made requests for the tests of this module.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sentinel_resp::Reply;

use crate::{
    command::SimulatedFailures,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant, Now, WallTime},
    types::{Epoch, HostPort, MasterName, Quorum, RunId, SentinelId},
    view::{MasterView, NodeView, PeerView, ReplicaView, Role, View, Vitals},
};

/// The words of a line, split at blanks; `'...'` keeps blanks, `''` is the empty word.
pub(super) fn words(line: &str) -> Vec<Bytes> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').expect("a closing quote"),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(Bytes::copy_from_slice(word.as_bytes()));
        rest = behind.trim_start();
    }
    words
}

/// The text of an error reply.
pub(super) fn error_of(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => text.clone(),
        other => panic!("not an error: {other:?}"),
    }
}

/// The moment, in milliseconds, at which the instances of the sample became known.
const START: u64 = 1_000;

pub(super) fn ms(at: u64) -> Instant {
    Instant::from_micros(at * 1_000)
}

/// Five seconds after the start.
pub(super) fn now() -> Now {
    Now { mono: ms(START + 5_000), wall: WallTime(0) }
}

pub(super) fn addr(text: &str) -> HostPort {
    text.parse().expect("an address")
}

/// An id of 40 times the same character.
pub(super) fn id(of: char) -> SentinelId {
    SentinelId::new(&of.to_string().repeat(40)).expect("an id")
}

/// A healthy node: PING sent and answered 100 ms ago, INFO 400 ms ago, role known for 4 s.
pub(super) fn node(at: &str, role: Role) -> NodeView {
    let vitals = Vitals::new(ms(START));
    vitals.set_ping_sent(None);
    vitals.set_ok_reply(ms(START + 4_900));
    vitals.set_reply(ms(START + 4_950));
    vitals.set_pending(3);
    NodeView {
        addr: addr(at),
        run_id: RunId::new(&"9".repeat(40)).ok(),
        vitals,
        sdown_since: None,
        connected: true,
        link_refcount: 1,
        info_at: Some(ms(START + 4_600)),
        info: Some(Arc::from("# Server\r\n")),
        role,
        role_since: ms(START + 1_000),
        script_kill_sent: false,
        denied: None,
        rebooted: false,
    }
}

/// The same before anything was ever heard of it.
pub(super) fn silent_node(at: &str, role: Role) -> NodeView {
    NodeView {
        run_id: None,
        vitals: Vitals::new(ms(START)),
        connected: false,
        info_at: None,
        info: None,
        role_since: ms(START),
        ..node(at, role)
    }
}

pub(super) fn replica(at: &str) -> ReplicaView {
    ReplicaView {
        node: node(at, Role::Replica),
        master_link_down_ms: 0,
        master_link_up: true,
        master_addr: Some(("127.0.0.1".to_owned(), 6_379)),
        priority: 100,
        offset: 8_544,
        announced: true,
        refusal: None,
        promoted: false,
        reconf: None,
    }
}

pub(super) fn peer(of: char) -> PeerView {
    PeerView {
        id: id(of),
        node: NodeView { info_at: None, info: None, link_refcount: 2, ..node("127.0.0.1:26380", Role::Master) },
        master_down: false,
        hello_at: ms(START + 3_500),
        vote: None,
        impostor: None,
        withheld: false,
        unproven: None,
        authenticated: false,
    }
}

/// A healthy master with quorum 2, down-after 2 s and nothing else.
pub(crate) fn master(name: &str) -> MasterView {
    let mut settings = MasterSettings::new(Quorum::new(2).expect("a quorum"));
    settings.down_after = Duration::from_secs(2);
    MasterView {
        name: MasterName::new(name).expect("a name"),
        serving: addr("127.0.0.1:6379"),
        node: node("127.0.0.1:6379", Role::Master),
        odown_since: None,
        failover_state: None,
        failover_forced: false,
        failover_coordinated: false,
        promotion: None,
        config_epoch: Epoch::ZERO,
        settings: Arc::new(settings),
        problems: Arc::new([]),
        replicas: Vec::new(),
        peers: Vec::new(),
    }
}

pub(super) fn view(masters: impl IntoIterator<Item = MasterView>) -> View {
    let masters = masters.into_iter().map(Arc::new).collect();
    View {
        id: id('a'),
        run_id: None,
        refused_requests: 0,
        current_epoch: Epoch::ZERO,
        tilt_since: None,
        simulated: SimulatedFailures::default(),
        globals: Arc::new(GlobalSettings::default()),
        timing: Timing::default(),
        own_id_elsewhere: None,
        history: Arc::new([]),
        problems: Arc::new([]),
        persist_error: None,
        scripts: Arc::new([]),
        masters,
    }
}
