//! The other answers.

use super::*;

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
    assert_eq!(help.len(), 86);
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
