//! `SENTINEL ...` in good and bad forms.

use sentinel_tests::free_port;

use crate::departures::{self, Departure};
use crate::pair::{Pair, Protocol};

const BOTH: &[Protocol] = &[Protocol::Resp2, Protocol::Resp3];
const NONE: &[Departure] = &[];

/// Of everything, too few and too many words.
const ARITY: &str = r#"
SENTINEL / SENTINEL foo / SENTINEL foo bar / SENTINEL "" / SENTINEL "a\r\nb" / SENTINEL "it's" x / sentinel MYID x / line sentinel / line SENTINEL foo
SENTINEL CKQUORUM / SENTINEL CKQUORUM a b / SENTINEL CONFIG / SENTINEL DEBUG a / SENTINEL FAILOVER / SENTINEL FAILOVER a b / SENTINEL FLUSHCONFIG x
SENTINEL GET-MASTER-ADDR-BY-NAME / SENTINEL GET-MASTER-ADDR-BY-NAME a b / SENTINEL HELP x / SENTINEL INFO-CACHE / SENTINEL MASTER / SENTINEL MASTER a b
SENTINEL IS-MASTER-DOWN-BY-ADDR / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 * x
SENTINEL MASTERS x / SENTINEL MONITOR / SENTINEL MONITOR a / SENTINEL MONITOR a 127.0.0.1 1 / SENTINEL MONITOR a 127.0.0.1 1 1 1 / SENTINEL MYID x / SENTINEL PENDING-SCRIPTS x
SENTINEL REMOVE / SENTINEL REMOVE a b / SENTINEL REPLICAS / SENTINEL REPLICAS a b / SENTINEL RESET / SENTINEL RESET a b / SENTINEL SENTINELS / SENTINEL SENTINELS a b
SENTINEL SET / SENTINEL SET a / SENTINEL SET a b / SENTINEL SIMULATE-FAILURE / SENTINEL SLAVES / SENTINEL SLAVES a b / sentinel Slaves
"#;

/// What concerns masters that nobody watches.
const UNKNOWN: &str = r#"
SENTINEL MASTER other / SENTINEL MASTER "" / SENTINEL MASTER MYMASTER / SENTINEL REPLICAS other / SENTINEL SLAVES other / SENTINEL SENTINELS other / SENTINEL CKQUORUM other
SENTINEL GET-MASTER-ADDR-BY-NAME other / SENTINEL GET-MASTER-ADDR-BY-NAME "" / SENTINEL FAILOVER other / SENTINEL REMOVE other / SENTINEL RESET other / SENTINEL RESET ""
SENTINEL SET other quorum 1 / SENTINEL SET other foo bar / SENTINEL INFO-CACHE other / SENTINEL INFO-CACHE other other / SENTINEL MASTER "a\r\nb"
"#;

/// What is read of a master, two replicas and another Sentinel.
const READING: &str = r#"
SENTINEL MASTERS / sentinel masters / SENTINEL MASTER mymaster / SENTINEL REPLICAS mymaster / SENTINEL SLAVES mymaster / SENTINEL SENTINELS mymaster
SENTINEL PRIMARIES => SENTINEL MASTERS / SENTINEL PRIMARY mymaster => SENTINEL MASTER mymaster / SENTINEL PRIMARY x => SENTINEL MASTER x / SENTINEL GET-PRIMARY-ADDR-BY-NAME mymaster => SENTINEL GET-MASTER-ADDR-BY-NAME mymaster
SENTINEL GET-PRIMARY-ADDR-BY-NAME x => SENTINEL GET-MASTER-ADDR-BY-NAME x / SENTINEL IS-PRIMARY-DOWN-BY-ADDR 127.0.0.1 {master} 0 * => SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {master} 0 *
SENTINEL GET-MASTER-ADDR-BY-NAME mymaster / sentinel get-master-addr-by-name mymaster / line SENTINEL get-master-addr-by-name "mymaster" / SENTINEL MYID / SENTINEL CKQUORUM mymaster
SENTINEL INFO-CACHE mymaster / SENTINEL INFO-CACHE mymaster mymaster other / SENTINEL PENDING-SCRIPTS / SENTINEL HELP / SENTINEL CONFIG GET * / SENTINEL DEBUG
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {master} 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {replica} 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR localhost {master} 0 *
ROLE / INFO sentinel / INFO / COMMAND COUNT / CLIENT LIST TYPE pubsub
SUBSCRIBE +nothing / SENTINEL MASTERS / SENTINEL GET-MASTER-ADDR-BY-NAME mymaster / UNSUBSCRIBE / SENTINEL GET-MASTER-ADDR-BY-NAME mymaster
"#;

/// Masters on port 0, which is never connected to, so that nothing changes but by these commands.
const MONITOR: &str = r#"
SENTINEL MONITOR m1 127.0.0.1 0 2 / SENTINEL MONITOR s fe80::1%lo 6379 1 / SENTINEL GET-MASTER-ADDR-BY-NAME s / SENTINEL REMOVE s / SENTINEL MONITOR s ::1%lo 6379 1 / SENTINEL MONITOR s fe80::1%nosuch 6379 1 / SENTINEL MONITOR s fe80::1% 6379 1 / SENTINEL MASTERS / SENTINEL MASTER m1 / SENTINEL REPLICAS m1 / SENTINEL SENTINELS m1 / SENTINEL GET-MASTER-ADDR-BY-NAME m1 / SENTINEL CKQUORUM m1 / SENTINEL INFO-CACHE m1 / ROLE / INFO sentinel
SENTINEL MONITOR m1 127.0.0.1 0 2 / SENTINEL MONITOR m1 127.0.0.1 1 1 / sentinel monitor M1 ::1 6379 1 / SENTINEL GET-MASTER-ADDR-BY-NAME M1 / SENTINEL REMOVE M1 / SENTINEL MONITOR m2 127.0.0.1 0 1 / SENTINEL MASTER m2 / SENTINEL CKQUORUM m2 / SENTINEL REMOVE m2
SENTINEL MONITOR a 127.0.0.1 x 1 / SENTINEL MONITOR a 127.0.0.1 1 x / SENTINEL MONITOR a 127.0.0.1 x x / SENTINEL MONITOR a 127.0.0.1 1 0 / SENTINEL MONITOR a 127.0.0.1 1 -1 / SENTINEL MONITOR a 127.0.0.1 70000 0 / SENTINEL MONITOR a 127.0.0.1 70000 1 / SENTINEL MONITOR a 127.0.0.1 -1 1
SENTINEL MONITOR a nohost 1 1 / SENTINEL MONITOR a localhost 70000 1 / SENTINEL MONITOR a "" 1 1 / SENTINEL MONITOR a 127.0.0.1 1 1.5 / SENTINEL MONITOR a 127.0.0.1 "" 1 / SENTINEL MONITOR a 127.0.0.1 " 1" 1 / SENTINEL MONITOR a 127.0.0.1 +1 1 / SENTINEL MONITOR a 127.0.0.1 01 1
SENTINEL FAILOVER m1 / SENTINEL FLUSHCONFIG / sentinel flushconfig / SENTINEL RESET m1 / SENTINEL RESET M1 / SENTINEL RESET m? / SENTINEL RESET m[a-z] / SENTINEL RESET m[0-9] / SENTINEL RESET [^m]1 / SENTINEL RESET \\m1 / SENTINEL RESET * / SENTINEL RESET ** / SENTINEL RESET x*
SENTINEL MASTER m1 / SENTINEL REMOVE m1 / SENTINEL REMOVE m1 / SENTINEL MASTERS / ROLE / INFO sentinel
"#;

/// Each option with good and bad values.
const SET: &str = r#"
SENTINEL MONITOR m1 127.0.0.1 0 2
SENTINEL SET m1 down-after-milliseconds 60000 / SENTINEL SET m1 DOWN-AFTER-MILLISECONDS 60001 / SENTINEL SET m1 down-after-milliseconds 0 / SENTINEL SET m1 down-after-milliseconds -1 / SENTINEL SET m1 down-after-milliseconds x / SENTINEL SET m1 down-after-milliseconds "" / SENTINEL SET m1 down-after-milliseconds 1.5 / SENTINEL SET m1 down-after-milliseconds " 1" / SENTINEL SET m1 Down-After-Milliseconds +5 / SENTINEL SET m1 down-after-milliseconds 99999999999999999999
SENTINEL SET m1 failover-timeout 1 / SENTINEL SET m1 failover-timeout 0 / SENTINEL SET m1 failover-timeout x / SENTINEL SET m1 parallel-syncs 3 / SENTINEL SET m1 parallel-syncs 0 / SENTINEL SET m1 parallel-syncs x / SENTINEL SET m1 parallel-syncs 01
SENTINEL SET m1 quorum 3 / SENTINEL SET m1 quorum 0 / SENTINEL SET m1 quorum -1 / SENTINEL SET m1 quorum x / SENTINEL CKQUORUM m1 / SENTINEL SET m1 quorum 1 / SENTINEL CKQUORUM m1
SENTINEL SET m1 master-reboot-down-after-period 5 / SENTINEL SET m1 master-reboot-down-after-period 0 / SENTINEL SET m1 master-reboot-down-after-period -1 / SENTINEL SET m1 master-reboot-down-after-period x
SENTINEL SET m1 auth-pass secret / SENTINEL SET m1 auth-pass "" / SENTINEL SET m1 auth-user u / SENTINEL SET m1 auth-user "" / SENTINEL SET m1 AUTH-PASS "p w"
SENTINEL SET m1 rename-command CONFIG GUESS / SENTINEL SET m1 rename-command config CONFIG / SENTINEL SET m1 rename-command "" x / SENTINEL SET m1 rename-command x "" / SENTINEL SET m1 rename-command x / SENTINEL SET m1 RENAME-COMMAND ping PONG / SENTINEL SET m1 rename-command ping ping
SENTINEL SET m1 notification-script /nowhere / SENTINEL SET m1 client-reconfig-script /nowhere
SENTINEL SET m1 foo bar / SENTINEL SET m1 foo bar baz / SENTINEL SET m1 quorum 2 foo / SENTINEL SET m1 quorum 2 foo bar / SENTINEL SET m1 quorum / SENTINEL SET m1 "" "" / SENTINEL SET m1 "it's" x / SENTINEL SET m1 "a\r\nb" x
SENTINEL SET m1 quorum 4 parallel-syncs 5 failover-timeout 7000 / SENTINEL SET m1 quorum 5 parallel-syncs x failover-timeout 1 / SENTINEL MASTER m1 / SENTINEL CKQUORUM m1
SENTINEL SET M1 quorum 1 / SENTINEL SET m1 config-epoch 9 / SENTINEL SET m1 known-replica x / SENTINEL SET m1 port 1
SENTINEL REMOVE m1
"#;

/// What all masters have in common.
const CONFIG: &str = r#"
SENTINEL CONFIG GET * / SENTINEL CONFIG GET resolve-hostnames / SENTINEL CONFIG GET RESOLVE-* / SENTINEL CONFIG GET announce* / SENTINEL CONFIG GET [ab]nnounce-ip / SENTINEL CONFIG GET foo / SENTINEL CONFIG GET "" / sentinel config get *user
SENTINEL CONFIG GET / SENTINEL CONFIG SET / SENTINEL CONFIG foo / SENTINEL CONFIG foo bar / SENTINEL CONFIG foo bar baz / SENTINEL CONFIG SET a / SENTINEL CONFIG SET announce-port / SENTINEL CONFIG SET foo bar
SENTINEL CONFIG SET resolve-hostnames yes / SENTINEL CONFIG SET resolve-hostnames YES / SENTINEL CONFIG SET resolve-hostnames 1 / SENTINEL CONFIG SET resolve-hostnames x / SENTINEL CONFIG SET resolve-hostnames "" / SENTINEL CONFIG SET announce-hostnames no / SENTINEL CONFIG SET announce-hostnames maybe / SENTINEL CONFIG GET *hostnames / SENTINEL CONFIG SET resolve-hostnames no
SENTINEL CONFIG SET announce-port 70000 / SENTINEL CONFIG SET announce-port -1 / SENTINEL CONFIG SET announce-port x / SENTINEL CONFIG SET announce-port "" / SENTINEL CONFIG SET announce-port 65535 / SENTINEL CONFIG SET Announce-Port 0 / SENTINEL CONFIG GET announce-port
SENTINEL CONFIG SET announce-ip 10.0.0.1 / SENTINEL CONFIG GET announce-ip / SENTINEL CONFIG SET announce-ip "" / SENTINEL CONFIG GET announce-ip
SENTINEL CONFIG SET sentinel-user u / SENTINEL CONFIG SET sentinel-pass "p w" / SENTINEL CONFIG GET sentinel-* / SENTINEL CONFIG SET sentinel-user "" / SENTINEL CONFIG SET sentinel-pass "" / SENTINEL CONFIG GET sentinel-*
SENTINEL DEBUG / SENTINEL DEBUG info-period / SENTINEL DEBUG foo 1 / SENTINEL DEBUG info-period 0 / SENTINEL DEBUG info-period -1 / SENTINEL DEBUG info-period x / SENTINEL DEBUG info-period "" / SENTINEL DEBUG INFO-PERIOD 9000 ping-period 900 / SENTINEL DEBUG tilt-period 5 tilt-trigger x ask-period 6 / SENTINEL DEBUG ask-period 7 foo / SENTINEL DEBUG
SENTINEL DEBUG info-period 1 ping-period 2 ask-period 3 publish-period 4 default-down-after 5 default-failover-timeout 6 tilt-trigger 10000 tilt-period 8 slave-reconf-timeout 9 min-link-reconnect-period 10 election-timeout 11 script-max-runtime 12 script-retry-delay 13 / SENTINEL DEBUG
SENTINEL DEBUG info-period 10000 ping-period 1000 ask-period 1000 publish-period 2000 default-down-after 30000 default-failover-timeout 180000 tilt-trigger 2000 tilt-period 30000 slave-reconf-timeout 10000 min-link-reconnect-period 15000 election-timeout 10000 script-max-runtime 60000 script-retry-delay 30000 / SENTINEL DEBUG
SENTINEL SIMULATE-FAILURE foo / SENTINEL SIMULATE-FAILURE crash-after-election / INFO sentinel / SENTINEL SIMULATE-FAILURE CRASH-AFTER-PROMOTION crash-after-election / INFO sentinel / SENTINEL SIMULATE-FAILURE crash-after-promotion foo / INFO sentinel / SENTINEL SIMULATE-FAILURE help / INFO sentinel / SENTINEL SIMULATE-FAILURE "" / SENTINEL SIMULATE-FAILURE crash-after-election help / INFO sentinel / SENTINEL SIMULATE-FAILURE help foo / SENTINEL SIMULATE-FAILURE help
"#;

/// Opinions and votes.
const VOTES: &str = r#"
SENTINEL MONITOR m1 127.0.0.1 {dead} 2
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} x * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 99999 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 -1 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR nohost 1 0 *
SENTINEL IS-MASTER-DOWN-BY-ADDR "" 1 0 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} "" * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x x * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 1.5 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 0 **
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 5 dddddddddddddddddddddddddddddddddddddddd / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 5 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 4 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 5 *
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 6 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 7 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 0 *
SENTINEL REMOVE m1
"#;

/// A master that is watched anew.
const ANEW: &str = r"
SENTINEL MONITOR m1 127.0.0.1 {dead} 2
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 6 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee / SENTINEL REMOVE m1 / SENTINEL MONITOR m1 127.0.0.1 {dead} 2 / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 6 dddddddddddddddddddddddddddddddddddddddd
";

/// What the reference takes without a look, and cannot read again from its file, or which harms other Sentinels.
const ODD: &str = r#"
SENTINEL MONITOR "" 127.0.0.1 {dead} 1
SENTINEL MONITOR a,b 127.0.0.1 {dead} 1
SENTINEL MONITOR "a\nb" 127.0.0.1 {dead} 1
SENTINEL MONITOR "a b" 127.0.0.1 {dead} 1 / SENTINEL GET-MASTER-ADDR-BY-NAME "a b"
SENTINEL MONITOR "\xff" 127.0.0.1 {dead} 1
SENTINEL MONITOR old 1.2.3 {dead} 1
SENTINEL MONITOR many 127.0.0.1 {dead} 4294967297
SENTINEL MONITOR m1 127.0.0.1 {dead} 2
SENTINEL SET m1 quorum 4294967297 / SENTINEL SET m1 parallel-syncs 4294967297 / SENTINEL SET m1 auth-user "a\nb" / SENTINEL SET m1 auth-pass "a\nb" / SENTINEL SET m1 rename-command PING "a b" / SENTINEL SET m1 auth-user "\xff"
SENTINEL SET m1 down-after-milliseconds 9223372036854775807 / SENTINEL SET m1 failover-timeout 9223372036854775807
SENTINEL CONFIG SET announce-ip nonsense / SENTINEL CONFIG SET announce-ip "a b" / SENTINEL CONFIG SET announce-ip "a\nb" / SENTINEL CONFIG SET announce-ip a,b / SENTINEL CONFIG SET sentinel-user "a\nb" / SENTINEL CONFIG GET announce-ip / SENTINEL CONFIG SET sentinel-user ""
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 7 short / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 8 "" / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 9 "a\nb"
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} -1 * / SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} 4294967999 dddddddddddddddddddddddddddddddddddddddd
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {dead} -1 dddddddddddddddddddddddddddddddddddddddd
"#;

/// Forms of later versions.
const LATER: &str = r"
SENTINEL CONFIG GET announce-ip announce-port / SENTINEL CONFIG GET a b c / SENTINEL CONFIG GET *port *port / SENTINEL CONFIG GET loglevel
SENTINEL CONFIG SET announce-port 1 announce-port 2 / SENTINEL CONFIG SET announce-port 1 announce-ip / SENTINEL CONFIG SET announce-port 0 resolve-hostnames no / SENTINEL CONFIG SET foo bar announce-port 1 / SENTINEL CONFIG SET announce-port 1 foo bar / SENTINEL CONFIG SET announce-port 1 resolve-hostnames x / SENTINEL CONFIG GET announce-port
SENTINEL CONFIG SET loglevel notice / SENTINEL CONFIG SET loglevel foo
SENTINEL PRIMARY / SENTINEL PRIMARY a b / SENTINEL PRIMARIES x / SENTINEL GET-PRIMARY-ADDR-BY-NAME / SENTINEL IS-PRIMARY-DOWN-BY-ADDR x
SENTINEL CANDIDATES / SENTINEL FORGET / SENTINEL FORGET-REPLICA / SENTINEL AUTH-CHALLENGE 00 / SENTINEL REQUEST-VOTE m1 127.0.0.1 6379 1 * 00 00 / SENTINEL CANDIDATES other / SENTINEL PROBLEMS other / SENTINEL HISTORY other / SENTINEL PAUSE other / SENTINEL RESUME other / SENTINEL EXPLAIN other / SENTINEL CONSENSUS other / SENTINEL FAILOVER other TO 127.0.0.1 1 / SENTINEL FAILOVER other DRYRUN / SENTINEL FAILOVER other foo
SENTINEL MONITOR m1 127.0.0.1 {dead} 2
SENTINEL CANDIDATES m1 / SENTINEL FAILOVER m1 DRYRUN / SENTINEL FAILOVER m1 COORDINATED / SENTINEL FAILOVER m1 foo
SENTINEL SET m1 primary-reboot-down-after-period 5 / SENTINEL SET m1 primary-reboot-down-after-period x
SENTINEL SET m1 down-on-refused 3 / SENTINEL SET m1 ping-period 300 / SENTINEL SET m1 max-lag 0 / SENTINEL SET m1 failover-pause 0 / SENTINEL SET m1 empty-master-failover no / SENTINEL SET m1 promote-best-effort no / SENTINEL SET m1 reload-grace 10000 / SENTINEL SET m1 promote-empty no
SENTINEL REMOVE m1
";

#[test]
fn the_number_of_words_and_unknown_masters_are_answered_the_same() {
    let pair = Pair::alone(&[]);
    pair.compare(ARITY, BOTH, NONE);
    pair.compare(UNKNOWN, BOTH, NONE);
}

#[test]
fn what_is_monitored_reads_the_same() {
    Pair::watching().compare(READING, BOTH, NONE);
}

#[test]
fn masters_come_and_go_the_same() {
    let pair = Pair::alone(&[]);
    pair.compare(MONITOR, BOTH, NONE);
    pair.compare(SET, BOTH, departures::SET);
}

#[test]
fn settings_of_the_process_are_the_same() {
    Pair::alone(&[]).compare(CONFIG, BOTH, NONE);
}

/// Paths of scripts, where they may be changed.
const SCRIPTS: &str = r#"
SENTINEL MONITOR m1 127.0.0.1 0 2
SENTINEL SET m1 notification-script /nowhere / SENTINEL SET m1 client-reconfig-script /nowhere / SENTINEL SET m1 notification-script / / SENTINEL SET m1 notification-script /dev/null / SENTINEL SET m1 notification-script "" / SENTINEL MASTER m1
SENTINEL SET m1 client-reconfig-script /bin/true / SENTINEL MASTER m1 / SENTINEL SET m1 Client-Reconfig-Script "" / SENTINEL MASTER m1 / SENTINEL PENDING-SCRIPTS
SENTINEL REMOVE m1
"#;

#[test]
fn paths_of_scripts_are_taken_the_same() {
    Pair::alone(&["sentinel deny-scripts-reconfig no"]).compare(SCRIPTS, BOTH, NONE);
}

#[test]
fn opinions_and_votes_are_the_same() {
    for protocol in BOTH {
        let mut pair = Pair::alone(&[]);
        pair.name("dead", &free_port());
        pair.compare(VOTES, &[*protocol], NONE);
    }
    let mut pair = Pair::alone(&[]);
    pair.name("dead", &free_port());
    pair.compare(ANEW, &[Protocol::Resp2], departures::ANEW);
}

#[test]
fn forms_of_later_versions_are_understood() {
    let mut pair = Pair::alone(&[]);
    pair.name("dead", &free_port());
    pair.compare(LATER, &[Protocol::Resp2], departures::LATER_FORMS);
}

#[test]
fn what_would_do_harm_is_refused() {
    let mut pair = Pair::alone(&[]);
    pair.name("dead", &free_port());
    pair.compare(ODD, &[Protocol::Resp2], departures::ODD);
}
