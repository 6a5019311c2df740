//! The fields of masters, replicas and other Sentinels.

use super::*;

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
    let mut wished = one.clone();
    wished.failover_coordinated = true;
    let [view, wished] = [one, wished].map(|master| view([master]));

    let flags = |reply: &Reply| field(reply, "flags").expect("flags");
    assert_eq!(
        flags(&ask(&view, "master m")),
        "s_down,o_down,master,disconnected,failover_in_progress,force_failover,script_kill_sent,master_reboot"
    );
    assert_eq!(
        flags(&ask(&wished, "master m")),
        "s_down,o_down,master,disconnected,failover_in_progress,coordinated_failover,script_kill_sent,master_reboot"
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
