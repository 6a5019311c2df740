//! What a client reads, on hand-made views, and what no request may do.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sentinel_resp::{Protocol, Reply, encode};

use super::{
    Change, Command, SUBCOMMANDS, check_shape, info_section, role,
    sample::{addr, error_of, id, master, ms, now, peer, replica, silent_node, view, words},
};
use crate::{
    types::Epoch,
    view::{Role, View},
};

fn ask(view: &View, line: &str) -> Reply {
    let mut args = vec![Bytes::from_static(b"Sentinel")];
    args.extend(words(line));
    match Command::parse(&args) {
        Ok(Command::Query(query)) => query.answer(view, now()),
        Ok(Command::Change(change)) => panic!("not a query: {change:?}"),
        Err(reply) => reply,
    }
}

fn change(line: &str) -> Result<Change, String> {
    let mut args = vec![Bytes::from_static(b"sentinel")];
    args.extend(words(line));
    match Command::parse(&args) {
        Ok(Command::Change(change)) => Ok(change),
        Ok(Command::Query(query)) => panic!("not a change: {query:?}"),
        Err(reply) => Err(error_of(&reply)),
    }
}

/// `name=value` for each pair of a map whose keys and values are all bulk strings.
fn fields(reply: &Reply) -> Vec<String> {
    let Reply::Map(pairs) = reply else {
        panic!("not a map: {reply:?}");
    };
    let bulk = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        other => panic!("not a bulk string: {other:?}"),
    };
    pairs.iter().map(|(name, value)| format!("{}={}", bulk(name), bulk(value))).collect()
}

fn field(reply: &Reply, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    fields(reply).into_iter().find_map(|field| field.strip_prefix(&prefix).map(str::to_owned))
}

fn only(reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => <[Reply; 1]>::try_from(items).map(|[one]| one).expect("exactly one item"),
        other => panic!("not an array: {other:?}"),
    }
}

fn resp2(reply: &Reply) -> String {
    let mut out = BytesMut::new();
    encode(reply, Protocol::Resp2, &mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}

#[test]
fn a_healthy_master_has_twenty_fields() {
    let mut one = master("mymaster");
    one.replicas = vec![replica("127.0.0.1:6380"), replica("127.0.0.1:6381")];
    one.replicas[1].announced = false;
    one.peers = vec![peer('b')];
    let view = view([one]);
    let reply = ask(&view, "Master mymaster");
    assert_eq!(
        fields(&reply),
        [
            "name=mymaster",
            "ip=127.0.0.1",
            "port=6379",
            "runid=9999999999999999999999999999999999999999",
            "flags=master",
            "link-pending-commands=3",
            "link-refcount=1",
            "last-ping-sent=0",
            "last-ok-ping-reply=100",
            "last-ping-reply=50",
            "down-after-milliseconds=2000",
            "info-refresh=400",
            "role-reported=master",
            "role-reported-time=4000",
            "config-epoch=0",
            "num-slaves=2",
            "num-other-sentinels=1",
            "quorum=2",
            "failover-timeout=180000",
            "parallel-syncs=1",
        ]
    );
    assert!(resp2(&reply).starts_with("*40\r\n$4\r\nname\r\n$8\r\nmymaster\r\n"));
    assert_eq!(ask(&view, "PRIMARY mymaster"), reply);
    assert_eq!(only(ask(&view, "masters")), reply);
    assert_eq!(only(ask(&view, "primaries")), reply);
}

#[test]
fn a_master_in_failover_has_its_state_and_its_times() {
    let mut one = master("m");
    one.node.sdown_since = Some(ms(3_885));
    one.odown_since = Some(ms(3_900));
    one.failover_state = Some("wait_promotion");
    one.node.vitals.set_ping_sent(Some(ms(1_500)));
    let mut settings = (*one.settings).clone();
    settings.notification_script = Some("/srv/notify".to_owned());
    settings.client_reconfig_script = Some("/srv/reconfig".to_owned());
    one.settings = Arc::new(settings);
    let reply = ask(&view([one]), "master m");
    let names: Vec<String> =
        fields(&reply).iter().filter_map(|field| field.split('=').next().map(str::to_owned)).collect();
    assert_eq!(
        names.join(" "),
        "name ip port runid flags link-pending-commands link-refcount failover-state last-ping-sent \
         last-ok-ping-reply last-ping-reply s-down-time o-down-time down-after-milliseconds info-refresh \
         role-reported role-reported-time config-epoch num-slaves num-other-sentinels quorum failover-timeout \
         parallel-syncs notification-script client-reconfig-script"
    );
    for (name, value) in [
        ("flags", "s_down,o_down,master,failover_in_progress"),
        ("failover-state", "wait_promotion"),
        ("last-ping-sent", "4500"),
        ("s-down-time", "2115"),
        ("o-down-time", "2100"),
        ("notification-script", "/srv/notify"),
        ("client-reconfig-script", "/srv/reconfig"),
    ] {
        assert_eq!(field(&reply, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_master_never_heard_of_counts_its_silence_from_the_start() {
    let mut one = master("m");
    one.node = silent_node("[::1]:6379", Role::Master);
    let reply = ask(&view([one]), "master m");
    for (name, value) in [
        ("ip", "::1"),
        ("runid", ""),
        ("flags", "master,disconnected"),
        ("last-ping-sent", "5000"),
        ("last-ok-ping-reply", "5000"),
        ("last-ping-reply", "5000"),
        ("info-refresh", "0"),
        ("role-reported-time", "5000"),
    ] {
        assert_eq!(field(&reply, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn flags_come_in_the_references_order() {
    let mut one = master("m");
    one.node.sdown_since = Some(ms(0));
    one.odown_since = Some(ms(0));
    one.node.connected = false;
    one.failover_state = Some("wait_start");
    one.failover_forced = true;
    one.node.script_kill_sent = true;
    one.node.rebooted = true;
    one.node.role = Role::Replica;
    let mut chosen = replica("127.0.0.1:6380");
    chosen.node.sdown_since = Some(ms(0));
    chosen.node.connected = false;
    chosen.promoted = true;
    chosen.reconf = Some("reconf_inprog");
    chosen.node.script_kill_sent = true;
    one.replicas = vec![chosen];
    let mut other = peer('b');
    other.node.sdown_since = Some(ms(0));
    other.node.connected = false;
    other.master_down = true;
    one.peers = vec![other];
    let view = view([one]);

    let flags = |reply: &Reply| field(reply, "flags").expect("flags");
    assert_eq!(
        flags(&ask(&view, "master m")),
        "s_down,o_down,master,disconnected,failover_in_progress,force_failover,script_kill_sent,master_reboot"
    );
    assert_eq!(field(&ask(&view, "master m"), "role-reported").as_deref(), Some("slave"));
    assert_eq!(
        flags(&only(ask(&view, "replicas m"))),
        "s_down,slave,disconnected,promoted,reconf_inprog,script_kill_sent"
    );
    assert_eq!(flags(&only(ask(&view, "sentinels m"))), "s_down,sentinel,disconnected,master_down");
}

#[test]
fn a_replica_has_twenty_one_fields() {
    let mut one = master("m");
    one.replicas = vec![replica("127.0.0.1:6380")];
    let view = view([one]);
    let reply = only(ask(&view, "replicas m"));
    assert_eq!(
        fields(&reply),
        [
            "name=127.0.0.1:6380",
            "ip=127.0.0.1",
            "port=6380",
            "runid=9999999999999999999999999999999999999999",
            "flags=slave",
            "link-pending-commands=3",
            "link-refcount=1",
            "last-ping-sent=0",
            "last-ok-ping-reply=100",
            "last-ping-reply=50",
            "down-after-milliseconds=2000",
            "info-refresh=400",
            "role-reported=slave",
            "role-reported-time=4000",
            "master-link-down-time=0",
            "master-link-status=ok",
            "master-host=127.0.0.1",
            "master-port=6379",
            "slave-priority=100",
            "slave-repl-offset=8544",
            "replica-announced=1",
        ]
    );
    assert_eq!(only(ask(&view, "slaves m")), reply);
}

#[test]
fn a_replica_before_its_first_info_and_one_without_its_master() {
    let mut one = master("m");
    let mut fresh = replica("[::1]:6380");
    fresh.master_addr = None;
    fresh.master_link_up = false;
    fresh.master_link_down_ms = -1_000;
    fresh.node.sdown_since = Some(ms(5_500));
    one.replicas = vec![fresh];
    let reply = only(ask(&view([one]), "replicas m"));
    for (name, value) in [
        ("name", "[::1]:6380"),
        ("ip", "::1"),
        ("s-down-time", "500"),
        ("master-link-down-time", "-1000"),
        ("master-link-status", "err"),
        ("master-host", "?"),
        ("master-port", "0"),
    ] {
        assert_eq!(field(&reply, name).as_deref(), Some(value), "{name}");
    }
}

#[test]
fn a_replica_that_does_not_want_to_be_listed_is_not() {
    let mut one = master("m");
    one.replicas = vec![replica("127.0.0.1:6380"), replica("127.0.0.1:6381")];
    one.replicas[0].announced = false;
    let view = view([one]);
    let listed = only(ask(&view, "replicas m"));
    assert_eq!(field(&listed, "port").as_deref(), Some("6381"));
    assert_eq!(field(&ask(&view, "master m"), "num-slaves").as_deref(), Some("2"));
}

#[test]
fn another_sentinel_has_fourteen_fields() {
    let mut one = master("m");
    one.peers = vec![peer('b'), peer('c')];
    one.peers[1].vote = Some((id('a'), Epoch::new(7)));
    let reply = ask(&view([one]), "sentinels m");
    let peers = reply.as_items().expect("an array");
    let b = "b".repeat(40);
    assert_eq!(
        fields(&peers[0]),
        [
            format!("name={b}").as_str(),
            "ip=127.0.0.1",
            "port=26380",
            &format!("runid={b}"),
            "flags=sentinel",
            "link-pending-commands=3",
            "link-refcount=2",
            "last-ping-sent=0",
            "last-ok-ping-reply=100",
            "last-ping-reply=50",
            "down-after-milliseconds=2000",
            "last-hello-message=1500",
            "voted-leader=?",
            "voted-leader-epoch=0",
        ]
    );
    assert_eq!(field(&peers[1], "voted-leader"), Some("a".repeat(40)));
    assert_eq!(field(&peers[1], "voted-leader-epoch").as_deref(), Some("7"));
}

#[test]
fn the_address_for_clients_is_the_serving_one() {
    let mut one = master("m");
    one.serving = addr("[::1]:6380");
    let view = view([one]);
    for line in ["get-master-addr-by-name m", "GET-PRIMARY-ADDR-BY-NAME m"] {
        assert_eq!(ask(&view, line), Reply::Array(vec![Reply::from("::1"), Reply::from("6380")]), "{line}");
    }
    assert_eq!(field(&ask(&view, "master m"), "port").as_deref(), Some("6379"));
}

#[test]
fn an_unknown_name_is_an_error_but_where_it_is_a_null_array_or_nothing() {
    let view = view([master("m")]);
    for line in [
        "master nope",
        "master M",
        "primary nope",
        "replicas nope",
        "slaves nope",
        "sentinels nope",
        "ckquorum nope",
        "master ''",
    ] {
        assert_eq!(ask(&view, line), Reply::error("ERR No such master with that name"), "{line}");
    }
    assert_eq!(ask(&view, "get-master-addr-by-name nope"), Reply::NullArray);
    assert_eq!(ask(&view, "info-cache nope"), Reply::Array(vec![]));
    let no_text = Bytes::from_static(b"\xff");
    let mut args = words("sentinel master");
    args.push(no_text);
    let Ok(Command::Query(query)) = Command::parse(&args) else {
        panic!("a query");
    };
    assert_eq!(query.answer(&view, now()), Reply::error("ERR No such master with that name"));
}

#[test]
fn ckquorum_says_what_is_missing() {
    let with = |peers: &[bool], quorum: i64| {
        let mut one = master("m");
        for (&up, name) in peers.iter().zip('b'..) {
            let mut other = peer(name);
            // Only being subjectively down makes a Sentinel unusable; being disconnected does not.
            other.node.connected = false;
            other.node.sdown_since = if up { None } else { Some(ms(0)) };
            one.peers.push(other);
        }
        let mut settings = (*one.settings).clone();
        settings.quorum = crate::types::Quorum::new(quorum).expect("a quorum");
        one.settings = Arc::new(settings);
        ask(&view([one]), "ckquorum m")
    };
    let no_quorum = "Not enough available Sentinels to reach the specified quorum for this master";
    let no_majority = "Not enough available Sentinels to reach the majority and authorize a failover";
    assert_eq!(
        with(&[true, true], 2),
        Reply::status("OK 3 usable Sentinels. Quorum and failover authorization can be reached")
    );
    assert_eq!(with(&[true, false], 3), Reply::error(format!("NOQUORUM 2 usable Sentinels. {no_quorum}")));
    assert_eq!(with(&[false, false], 1), Reply::error(format!("NOQUORUM 1 usable Sentinels. {no_majority}")));
    assert_eq!(
        with(&[false, false], 2),
        Reply::error(format!("NOQUORUM 1 usable Sentinels. {no_quorum}. {no_majority}"))
    );
    // Two of four are not a majority.
    assert_eq!(with(&[true, false, false], 2), Reply::error(format!("NOQUORUM 2 usable Sentinels. {no_majority}")));
}

#[test]
fn info_cache_gives_master_and_replicas_as_read() {
    let mut one = master("m");
    one.replicas = vec![replica("127.0.0.1:6380")];
    let mut unread = master("n");
    unread.node = silent_node("127.0.0.1:7000", Role::Master);
    let view = view([one, unread]);
    let read = || Reply::Array(vec![Reply::Integer(400), Reply::from("# Server\r\n")]);
    let never = || Reply::Array(vec![Reply::Integer(0), Reply::Null]);
    assert_eq!(
        ask(&view, "info-cache n nope m n"),
        Reply::Array(vec![
            Reply::from("n"),
            Reply::Array(vec![never()]),
            Reply::from("m"),
            Reply::Array(vec![read(), read()]),
        ])
    );
    assert_eq!(resp2(&ask(&view, "info-cache n")), "*2\r\n$1\r\nn\r\n*1\r\n*2\r\n:0\r\n$-1\r\n");
}

#[test]
fn small_answers() {
    let view = view([]);
    assert_eq!(ask(&view, "myid"), Reply::from("a".repeat(40)));
    assert_eq!(ask(&view, "pending-scripts"), Reply::Array(vec![]));
    assert_eq!(ask(&view, "masters"), Reply::Array(vec![]));
    let Reply::Array(help) = ask(&view, "help") else {
        panic!("not an array");
    };
    assert_eq!(help.len(), 58);
    assert!(help.iter().all(|line| matches!(line, Reply::Status(_))));
}

#[test]
fn config_get_and_debug_are_maps_of_bulk_strings() {
    let view = view([]);
    assert_eq!(
        resp2(&ask(&view, "config get *")),
        "*14\r\n$17\r\nresolve-hostnames\r\n$2\r\nno\r\n$18\r\nannounce-hostnames\r\n$2\r\nno\r\n\
         $11\r\nannounce-ip\r\n$0\r\n\r\n$13\r\nannounce-port\r\n$1\r\n0\r\n\
         $13\r\nsentinel-user\r\n$0\r\n\r\n$13\r\nsentinel-pass\r\n$0\r\n\r\n\
         $8\r\nloglevel\r\n$6\r\nnotice\r\n"
    );
    assert_eq!(
        fields(&ask(&view, "debug")).join(" "),
        "INFO-PERIOD=10000 PING-PERIOD=1000 ASK-PERIOD=1000 PUBLISH-PERIOD=2000 DEFAULT-DOWN-AFTER=30000 \
         DEFAULT-FAILOVER-TIMEOUT=180000 TILT-TRIGGER=2000 TILT-PERIOD=30000 SLAVE-RECONF-TIMEOUT=10000 \
         MIN-LINK-RECONNECT-PERIOD=15000 ELECTION-TIMEOUT=10000 SCRIPT-MAX-RUNTIME=60000 SCRIPT-RETRY-DELAY=30000"
    );
}

#[test]
fn info_shows_masters_in_the_order_of_their_names() {
    let mut down = master("b");
    down.node.sdown_since = Some(ms(0));
    let mut worse = master("c");
    worse.node.sdown_since = Some(ms(0));
    worse.odown_since = Some(ms(0));
    let mut well = master("a");
    well.node.addr = addr("[::1]:6379");
    well.serving = addr("127.0.0.1:6380");
    well.replicas = vec![replica("127.0.0.1:6380")];
    well.replicas[0].announced = false;
    well.peers = vec![peer('b'), peer('c')];
    let mut view = view([worse, well, down]);
    let header = "# Sentinel\r\nsentinel_masters:3\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\n\
                  sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\n\
                  sentinel_simulate_failure_flags:0\r\n";
    let masters = "master0:name=a,status=ok,address=::1:6379,slaves=1,sentinels=3\r\n\
                   master1:name=b,status=sdown,address=127.0.0.1:6379,slaves=0,sentinels=1\r\n\
                   master2:name=c,status=odown,address=127.0.0.1:6379,slaves=0,sentinels=1\r\n";
    assert_eq!(info_section(&view, now()), format!("{header}{masters}"));

    view.tilt_since = Some(ms(1_500));
    view.simulated.crash_after_promotion = true;
    let header = header.replace("tilt:0", "tilt:1").replace("seconds:-1", "seconds:4").replace("flags:0", "flags:2");
    assert_eq!(info_section(&view, now()), format!("{header}{masters}"));
}

#[test]
fn role_names_the_masters() {
    assert_eq!(
        role(&view([master("b"), master("a")])),
        Reply::Array(vec![Reply::from("sentinel"), Reply::Array(vec![Reply::from("a"), Reply::from("b")])])
    );
    assert_eq!(resp2(&role(&view([]))), "*2\r\n$8\r\nsentinel\r\n*0\r\n");
}

#[test]
fn changes_without_options() {
    assert_eq!(change("flushconfig"), Ok(Change::FlushConfig));
    assert_eq!(change("Failover m"), Ok(Change::Failover { name: "m".to_owned() }));
    assert_eq!(change("remove m"), Ok(Change::Remove { name: "m".to_owned() }));
    assert_eq!(change("reset m*"), Ok(Change::Reset { pattern: "m*".to_owned() }));
}

#[test]
fn both_spellings_ask_for_a_vote() {
    let words = format!("127.0.0.1 6379 5 {}", "d".repeat(40));
    let vote = change(&format!("is-master-down-by-addr {words}")).expect("a vote");
    assert_eq!(
        vote,
        Change::IsMasterDown { addr: Some(addr("127.0.0.1:6379")), epoch: Epoch::new(5), candidate: Some(id('d')) }
    );
    assert_eq!(change(&format!("IS-PRIMARY-DOWN-BY-ADDR {words}")), Ok(vote));
}

#[test]
fn left_over_words_are_an_error_everywhere() {
    for subcommand in SUBCOMMANDS.iter().filter(|s| s.arity > 0) {
        let mut args = vec![Bytes::from_static(b"sentinel")];
        args.push(Bytes::from_static(subcommand.name.as_bytes()));
        args.resize(usize::try_from(subcommand.arity).expect("positive") + 1, Bytes::from_static(b"1"));
        let expected = format!("ERR wrong number of arguments for 'sentinel|{}' command", subcommand.name);
        assert_eq!(Command::parse(&args), Err(Reply::error(&expected)));
        args.truncate(args.len() - 2);
        assert!(check_shape(&args).is_err(), "{}", subcommand.name);
    }
}

fn word() -> impl Strategy<Value = Bytes> {
    let known = SUBCOMMANDS.iter().map(|s| s.name).chain([
        "set",
        "get",
        "SENTINEL",
        "m",
        "*",
        "0",
        "-1",
        "1",
        "99999",
        "127.0.0.1",
        "::1",
        "quorum",
        "auth-pass",
        "rename-command",
        "announce-ip",
        "announce-port",
        "sentinel-pass",
        "info-period",
        "help",
        "crash-after-election",
        "yes",
        "",
        "down-after-milliseconds",
        "9223372036854775807",
    ]);
    let known: Vec<&'static str> = known.collect();
    prop_oneof![
        4 => prop::sample::select(known).prop_map(|word| Bytes::from_static(word.as_bytes())),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_request_panics_and_shape_never_contradicts_parse(args in prop::collection::vec(word(), 0..9)) {
        let parsed = Command::parse(&args);
        if let Err(shape) = check_shape(&args) {
            prop_assert_eq!(&parsed, &Err(shape));
        }
        if let Ok(Command::Query(query)) = parsed {
            let mut one = master("m");
            one.replicas = vec![replica("127.0.0.1:6380")];
            one.peers = vec![peer('b')];
            prop_assert!(!matches!(query.answer(&view([one]), now()), Reply::NoReply));
        }
    }
}
