//! Every command in good and bad forms.

use crate::departures::{self, Departure};
use crate::pair::{Encrypted, Pair, Protocol};

const BOTH: &[Protocol] = &[Protocol::Resp2, Protocol::Resp3];
const NONE: &[Departure] = &[];

/// Commands that concern the connection.
const CONNECTION: &str = r#"
QUIT
RESET
PING / PING hello / PING a b / ping "a \x00\r\n b" / PiNg / PING ""
line PING / line ping "a \x41\n" / line   PING   hello   / line 'PING' 'it\'s' / line PING "a"x / PING
foo / foo bar baz / CONFIG GET * / MULTI / EXEC / SELECT 0 / MONITOR / PUBSUB CHANNELS / TIME / ECHO a / DEBUG SLEEP 0
SLOWLOG GET / LATENCY LATEST / SPUBLISH a b / SSUBSCRIBE a / REPLICAOF NO ONE / SLAVEOF NO ONE / GET a / "" / "" a / "a b" c
foo "a\r\nb" "it's" / "a\x00b" "c\x00d" / foo "" "" / FoO BaR
HELLO / HELLO 2 / PING / HELLO 1 / HELLO 4 / HELLO x / HELLO "" / HELLO 02 / HELLO -2 / HELLO 2.0 / HELLO 99999999999999999999
HELLO 3 / CLIENT GETNAME / HELLO 2 / CLIENT GETNAME
HELLO 3 FOO / HELLO 3 AUTH a / HELLO 3 AUTH / HELLO 3 SETNAME / HELLO 3 setname a foo / CLIENT GETNAME / HELLO FOO 3 / HELLO AUTH default x
HELLO 3 AUTH default x SETNAME foo / CLIENT GETNAME / HELLO 2 SETNAME bar AUTH default y / CLIENT GETNAME
HELLO 3 AUTH nobody x / HELLO 3 SETNAME "a b" / HELLO 2 SETNAME "a\nb" / HELLO 2 SETNAME "" / CLIENT GETNAME
HELLO 3 "a\r\nb" / hello 3 "it's"
AUTH / AUTH a / AUTH default a / AUTH foo a / AUTH a b c / AUTH "" / AUTH default ""
ROLE / ROLE x / role
SHUTDOWN foo / SHUTDOWN ABORT / SHUTDOWN ABORT NOW / SHUTDOWN SAVE NOSAVE / SHUTDOWN NOSAVE foo / SHUTDOWN abort abort / SHUTDOWN NOW foo
INFO replication / INFO commandstats keyspace / INFO "" / INFO foo bar / INFO memory / INFO modules / INFO errorstats / INFO persistence
INFO / INFO default / INFO all / INFO everything / INFO server / INFO CLIENTS / INFO sentinel / INFO stats cpu / INFO Sentinel sentinel foo / INFO cpu server / INFO latencystats
"#;

const CLIENT: &str = r#"
CLIENT / CLIENT foo / CLIENT foo bar / CLIENT "" / CLIENT setname / CLIENT SETNAME x y / client ID x / CLIENT GETNAME x / CLIENT help x
CLIENT HELP / client Help
CLIENT SETNAME "a b" / CLIENT SETNAME x / CLIENT GETNAME / CLIENT SETNAME "" / CLIENT GETNAME / CLIENT SETNAME "é" / CLIENT SETNAME "a\n" / CLIENT SETNAME "!~"
CLIENT KILL 1 / CLIENT KILL ID 0 / CLIENT KILL ID x / CLIENT KILL ID -1 / CLIENT KILL TYPE foo / CLIENT KILL SKIPME maybe / CLIENT KILL 127.0.0.1:1
CLIENT KILL foo bar / CLIENT KILL USER nobody / CLIENT KILL ID 1 2 / CLIENT KILL ADDR 1.2.3.4:5 / CLIENT KILL LADDR 1.2.3.4:5 / CLIENT KILL ID 9999 TYPE
CLIENT KILL ID 9999 TYPE normal / CLIENT KILL TYPE pubsub / CLIENT KILL TYPE replica / CLIENT KILL TYPE slave / CLIENT KILL TYPE master / CLIENT KILL ID {id} / CLIENT KILL
CLIENT KILL ID {id} SKIPME no
CLIENT KILL ID {id} skipme NO TYPE normal USER default
CLIENT INFO / CLIENT LIST ID {id} / CLIENT LIST ID {id} 9999 / CLIENT SETNAME me / CLIENT INFO / CLIENT INFO x
SUBSCRIBE a b / PSUBSCRIBE c / CLIENT INFO
CLIENT LIST TYPE foo / CLIENT LIST TYPE pubsub / CLIENT LIST TYPE replica / CLIENT LIST TYPE master / CLIENT LIST ID 9999 / CLIENT LIST ID x / CLIENT LIST ID 0 / CLIENT LIST ID -1
CLIENT LIST ID / CLIENT LIST foo / CLIENT LIST TYPE / CLIENT LIST TYPE normal x / CLIENT LIST foo bar / CLIENT LIST TYPE slave
~ CLIENT REPLY foo / CLIENT REPLY OFF / PING / foo / CLIENT REPLY ON / PING
~ CLIENT REPLY OFF / SUBSCRIBE a / PING / PSUBSCRIBE b* / UNSUBSCRIBE / PUNSUBSCRIBE / PING / CLIENT REPLY ON / PING
~ CLIENT REPLY SKIP / SUBSCRIBE a / PING
~ CLIENT REPLY SKIP / PING 1 / PING 2
~ CLIENT REPLY SKIP / CLIENT REPLY SKIP / PING 1 / PING 2
~ CLIENT REPLY SKIP / CLIENT REPLY ON / PING 2
~ CLIENT REPLY SKIP / foo / PING 2
~ CLIENT REPLY OFF / CLIENT REPLY SKIP / PING 1 / PING 2 / CLIENT REPLY on / PING 3
CLIENT REPLY / CLIENT REPLY on off / CLIENT REPLY ON
CLIENT NO-EVICT foo / CLIENT NO-EVICT on / CLIENT NO-EVICT OFF / CLIENT NO-EVICT
CLIENT PAUSE x / CLIENT PAUSE -1 / CLIENT PAUSE 1 foo / CLIENT PAUSE 0 WRITE / CLIENT PAUSE 1 WRITE x / CLIENT PAUSE 99999999999999999999 / CLIENT PAUSE / CLIENT UNPAUSE / CLIENT UNPAUSE x
CLIENT UNBLOCK x / CLIENT UNBLOCK 1 / CLIENT UNBLOCK 1 foo / CLIENT UNBLOCK 1 ERROR / CLIENT UNBLOCK 1 timeout / CLIENT UNBLOCK 1 ERROR x / CLIENT UNBLOCK {id}
CLIENT TRACKING foo / CLIENT TRACKING on FOO / CLIENT TRACKING off / CLIENT TRACKINGINFO / CLIENT GETREDIR / CLIENT TRACKING / CLIENT TRACKINGINFO x / CLIENT GETREDIR x
CLIENT TRACKING on / CLIENT TRACKINGINFO / CLIENT GETREDIR / CLIENT CACHING yes / CLIENT TRACKING off / CLIENT TRACKINGINFO
CLIENT TRACKING on BCAST PREFIX a / CLIENT TRACKINGINFO / CLIENT GETREDIR
CLIENT TRACKING on REDIRECT 9999 / CLIENT TRACKING on REDIRECT x / CLIENT TRACKING on OPTIN OPTOUT / CLIENT TRACKING on PREFIX a
CLIENT TRACKING on OPTIN / CLIENT CACHING yes / CLIENT CACHING no / CLIENT TRACKINGINFO
CLIENT CACHING yes / CLIENT CACHING foo / CLIENT CACHING / CLIENT NO-TOUCH on / CLIENT CAPA redirect
CLIENT SETINFO LIB-NAME x / CLIENT SETINFO FOO x / CLIENT SETINFO LIB-NAME "a b" / CLIENT SETINFO / CLIENT INFO
"#;

const CATALOGUE: &str = r#"
COMMAND COUNT / COMMAND COUNT x / COMMAND foo / COMMAND "" / COMMAND HELP / COMMAND HELP x / command list x
COMMAND GETKEYS get a / COMMAND GETKEYS ping a b / COMMAND GETKEYS ping / COMMAND GETKEYS ping a / COMMAND GETKEYS foo a b / COMMAND GETKEYS sentinel foo bar / COMMAND GETKEYS sentinel masters
COMMAND GETKEYSANDFLAGS ping a b / COMMAND GETKEYS role a / COMMAND GETKEYSANDFLAGS get a / COMMAND GETKEYSANDFLAGS ping
COMMAND INFO ping / COMMAND INFO nope / COMMAND INFO client|nope / COMMAND INFO PING / COMMAND INFO "" / COMMAND INFO sentinel|masters|x
COMMAND INFO acl / COMMAND INFO auth / COMMAND INFO client / COMMAND INFO command / COMMAND INFO hello / COMMAND INFO info / COMMAND INFO psubscribe
COMMAND INFO publish / COMMAND INFO punsubscribe / COMMAND INFO role / COMMAND INFO sentinel / COMMAND INFO shutdown / COMMAND INFO subscribe / COMMAND INFO unsubscribe
COMMAND INFO client|id / COMMAND INFO CLIENT|KILL / COMMAND INFO sentinel|help / COMMAND INFO sentinel|masters / COMMAND INFO acl|whoami
COMMAND INFO nope ping role
COMMAND / COMMAND INFO / COMMAND LIST
COMMAND DOCS nope / COMMAND DOCS / COMMAND DOCS ping / COMMAND DOCS sentinel|masters / COMMAND DOCS client
COMMAND LIST FILTERBY ACLCAT nope / COMMAND LIST FILTERBY MODULE nope / COMMAND LIST FILTERBY foo bar / COMMAND LIST foo / COMMAND LIST FILTERBY / COMMAND LIST FILTERBY PATTERN
COMMAND LIST FILTERBY PATTERN rol? / COMMAND LIST FILTERBY PATTERN ROLE / COMMAND LIST FILTERBY PATTERN client|* / COMMAND LIST FILTERBY PATTERN nope / COMMAND LIST FILTERBY PATTERN a b
COMMAND LIST FILTERBY ACLCAT admin / COMMAND LIST FILTERBY ACLCAT fast / COMMAND LIST FILTERBY ACLCAT slow / COMMAND LIST filterby aclcat CONNECTION / COMMAND LIST FILTERBY ACLCAT dangerous
COMMAND LIST FILTERBY ACLCAT pubsub / COMMAND LIST FILTERBY ACLCAT read
"#;

const PUBSUB: &str = r#"
SUBSCRIBE +a b / PSUBSCRIBE * / UNSUBSCRIBE zz / UNSUBSCRIBE +a / UNSUBSCRIBE / PUNSUBSCRIBE / PUNSUBSCRIBE / UNSUBSCRIBE / PING
SUBSCRIBE a / PING / PING x / PING x y / INFO / CLIENT ID / foo / HELLO 3 / HELLO / SUBSCRIBE / SENTINEL MASTERS / SENTINEL foo / ROLE / AUTH x / CLIENT LIST / SENTINEL GET-MASTER-ADDR-BY-NAME x / PUBLISH a b / SHUTDOWN foo / COMMAND COUNT
PSUBSCRIBE x / PSUBSCRIBE x / SUBSCRIBE x / UNSUBSCRIBE x / PUNSUBSCRIBE / PING
SUBSCRIBE a a / UNSUBSCRIBE a a / UNSUBSCRIBE a b c
SUBSCRIBE c b a / PSUBSCRIBE z* y* / UNSUBSCRIBE / PUNSUBSCRIBE
SUBSCRIBE / PSUBSCRIBE / subscribe "" / SUBSCRIBE "a\r\nb"
PUBLISH foo bar / PUBLISH foo / PUBLISH / PUBLISH __sentinel__:hello nonsense / PUBLISH __sentinel__:hello "" / PUBLISH __SENTINEL__:HELLO x / PUBLISH "" x / PUBLISH a b c
PUBLISH __sentinel__:hello 127.0.0.1,1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,0,nobody,127.0.0.1,1,0
"#;

const PROTOCOL: &str = r#"
raw *0\r\n*-1\r\n\r\n / PING / raw \r\n\r\n\n\n / PING / raw *0\n / PING
raw PING\n / raw PING\r\nPING x\n / raw \x20\x20\r\n / raw *2\r\n$4\r\nPING\r\n$3\r\na\rb\r\n / raw *2\r\n$4\r\nPING\r\n$0\r\n\r\n
raw *1\r\nfoo\r\n
raw *1\r\n:1\r\n
raw *1\r\n\r\n
raw *x\r\n
raw *\r\n
raw *1.5\r\n
raw *-2\r\n / PING
raw *01\r\n
raw *+1\r\n
raw *2147483648\r\n
raw *99999999999999999999\r\n
raw *1\r\n$x\r\n
raw *1\r\n$\r\n
raw *1\r\n$-1\r\n
raw *1\r\n$-2\r\n
raw *1\r\n$536870913\r\n
raw *1\r\n$04\r\nPING\r\n
raw *1\r\n$4\r\nPINGxx

line PING "a
line PING 'a
line PING 'a'b
line PING "a" 'b'
line PING "a"b
line "PING
line PING \xff"
raw +OK\r\n
raw $4\r\nPING\r\n
line POST / HTTP/1.1
line Host: localhost
line GET / HTTP/1.1
line host: localhost
"#;

const LOCKED: &str = r"
PING / PING a b / foo bar / SENTINEL foo / SENTINEL MASTER / SENTINEL MASTERS / INFO / ROLE / SUBSCRIBE a / SUBSCRIBE / CLIENT GETNAME / CLIENT foo / COMMAND / PUBLISH a b / SHUTDOWN / ACL WHOAMI
HELLO / HELLO 3 / HELLO 4 / HELLO x / HELLO 3 SETNAME x / HELLO 3 FOO / HELLO 2 AUTH / CLIENT GETNAME
AUTH / AUTH wrong / AUTH a b c / AUTH default wrong / AUTH other secret / AUTH secret / PING / CLIENT GETNAME
HELLO 3 AUTH default wrong / HELLO 3 AUTH default secret / PING / HELLO 2
HELLO 3 SETNAME x AUTH default secret / CLIENT GETNAME
HELLO 3 SETNAME x AUTH default wrong / HELLO 3 AUTH default secret / CLIENT GETNAME
raw *10\r\n / raw $4\r\nPING\r\n
raw *11\r\n
raw *1\r\n$16384\r\n{16k}\r\n
raw *1\r\n$16385\r\n
AUTH secret / raw *11\r\n$4\r\nPING\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n
AUTH secret / AUTH wrong / PING / AUTH default wrong / PING / SENTINEL MASTERS
AUTH default secret / ACL WHOAMI / SENTINEL CONFIG GET * / CLIENT INFO
line AUTH secret / line PING
";

#[test]
fn commands_of_the_connection_answer_the_same() {
    Pair::alone(&[]).compare(CONNECTION, BOTH, departures::CONNECTION);
}

#[test]
fn client_commands_answer_the_same() {
    Pair::alone(&[]).compare(CLIENT, BOTH, departures::CLIENT);
}

#[test]
fn the_command_table_reads_the_same() {
    Pair::alone(&[]).compare(CATALOGUE, BOTH, NONE);
}

#[test]
fn the_command_table_has_nothing_else() {
    let [ours, theirs] = Pair::alone(&[]).lists("COMMAND LIST");
    assert_eq!(ours, theirs);
}

#[test]
fn subscriptions_answer_the_same() {
    Pair::alone(&[]).compare(PUBSUB, BOTH, NONE);
}

#[test]
fn bytes_that_are_no_request_are_answered_the_same() {
    Pair::alone(&[]).compare(PROTOCOL, &[Protocol::Resp2], NONE);
}

#[test]
fn a_locked_port_answers_the_same() {
    Pair::alone(&["requirepass secret"]).compare(LOCKED, &[Protocol::Resp2], NONE);
}

/// Renamed and switched off: the new names, the old ones, and what is said of both.
const RENAMED: &[&str] = &["rename-command ROLE whoami", "rename-command acl ACCESS", "rename-command PUBLISH \"\""];

const UNDER_NEW_NAMES: &str = r"
ROLE / whoami / WHOAMI x / PUBLISH a b / publish / ACL WHOAMI / access whoami / ACCESS foo / access / ACCESS WHOAMI x / access getuser / ACCESS LOG x / ACCESS CAT foo / ACCESS CAT a b
COMMAND COUNT / COMMAND INFO role / COMMAND INFO whoami / COMMAND INFO publish / COMMAND INFO access|whoami / COMMAND INFO acl|whoami / COMMAND INFO access / COMMAND DOCS role / COMMAND DOCS whoami / COMMAND DOCS access|cat
COMMAND LIST FILTERBY PATTERN ro* / COMMAND LIST FILTERBY PATTERN who* / COMMAND LIST FILTERBY PATTERN acl|w* / COMMAND LIST FILTERBY PATTERN access* / COMMAND LIST FILTERBY PATTERN pub*
COMMAND GETKEYS role a / COMMAND GETKEYS whoami / COMMAND GETKEYS publish a b / COMMAND LIST
ACCESS SETUSER u +role / ACCESS SETUSER u +whoami / ACCESS GETUSER u / ACCESS LIST / ACCESS DRYRUN u role / ACCESS DRYRUN u whoami / ACCESS DRYRUN u publish a b / ACCESS SETUSER u reset / ACCESS SETUSER u +acl|list / ACCESS SETUSER u +access|list / ACCESS LIST / ACCESS SETUSER u reset / ACCESS SETUSER u +publish / ACCESS GETUSER u / ACCESS DELUSER u
SUBSCRIBE a / whoami / access whoami / ROLE / publish a b
whoami / CLIENT INFO / access whoami / CLIENT LIST
";

#[test]
fn renamed_commands_answer_the_same() {
    Pair::alone(RENAMED).compare(UNDER_NEW_NAMES, BOTH, NONE);
}

/// What depends on the way by which a client has come.
const BY_ANOTHER_WAY: &str = r"
PING / PING x / HELLO / HELLO 3 / CLIENT INFO / CLIENT LIST / CLIENT GETNAME / INFO server / INFO clients / ROLE / SENTINEL MASTERS / SENTINEL CONFIG GET * / ACL WHOAMI / COMMAND COUNT
CLIENT KILL 1.2.3.4:5 / CLIENT KILL ADDR nowhere:0 / CLIENT KILL LADDR nowhere:0 / CLIENT KILL ID {id} SKIPME yes / PING
SUBSCRIBE a / PING / PUBLISH a b / CLIENT INFO / UNSUBSCRIBE / PING
CLIENT KILL ID {id} SKIPME no
raw *1\r\nfoo\r\n
raw *2\r\n$4\r\nPING\r\n$-1\r\n
line GET / HTTP/1.1
line POST / HTTP/1.1
";

#[test]
fn clients_over_tls_are_answered_the_same() {
    Pair::encrypted(&[], Encrypted::Tls).compare(BY_ANOTHER_WAY, BOTH, NONE);
}

#[test]
fn clients_at_the_unix_socket_are_answered_the_same() {
    Pair::encrypted(&["unixsocketperm 770"], Encrypted::Socket).compare(BY_ANOTHER_WAY, BOTH, NONE);
}

#[test]
fn a_locked_unix_socket_answers_the_same() {
    Pair::encrypted(&["requirepass secret"], Encrypted::Socket).compare(LOCKED, &[Protocol::Resp2], NONE);
}

/// The forms that end the process.
#[test]
fn shutdown_ends_the_process_the_same() {
    for form in ["SHUTDOWN", "SHUTDOWN NOSAVE", "shutdown save now", "SHUTDOWN NOW FORCE", "line SHUTDOWN"] {
        let pair = Pair::alone(&[]);
        pair.compare(form, &[Protocol::Resp2], NONE);
        pair.wait_until_both_have_ended();
    }
}

/// One client too many.
#[test]
fn clients_are_refused_the_same() {
    let pair = Pair::alone(&["maxclients 3"]);
    let _crowd = [pair.connect_to_both(), pair.connect_to_both(), pair.connect_to_both()];
    pair.compare("PING", &[Protocol::Resp2], NONE);
}
