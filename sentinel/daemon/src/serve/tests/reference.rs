//! The same requests to this port and to a real redis-sentinel: the same bytes come back.

use std::{
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::harness::{PATIENCE, Peer, Port};

/// A redis-sentinel 7.0 in a temporary folder, stopped when it goes out of scope.
pub(super) struct Reference {
    process: Child,
    pub(super) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Reference {
    fn start(password: Option<&str>) -> Self {
        Self::with(&password.map(|password| format!("requirepass {password}\n")).unwrap_or_default())
    }

    /// With more lines in its configuration.
    pub(super) fn with(lines: &str) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(reference) = Self::try_start(lines, deadline) {
                return reference;
            }
            assert!(Instant::now() < deadline, "redis-sentinel does not come up");
        }
    }

    /// None when the port was taken by someone else meanwhile.
    fn try_start(lines: &str, deadline: Instant) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let file = folder.path().join("sentinel.conf");
        let text = format!(
            "port {}\nbind 127.0.0.1\ndir {}\n{lines}sentinel monitor mymaster 127.0.0.1 6390 2\n",
            address.port(),
            folder.path().display(),
        );
        std::fs::write(&file, text).expect("a writable folder");
        let process = Command::new("redis-sentinel")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-sentinel 7.0 is needed for this test: install the package redis-sentinel");
        let mut reference = Self { process, address, _folder: folder };
        while std::net::TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "redis-sentinel does not listen");
            std::thread::sleep(std::time::Duration::from_millis(10));
            if reference.process.try_wait().expect("a child").is_some() {
                return None;
            }
        }
        // Whoever answers must still be this process, not one that took the port before it.
        reference.process.try_wait().expect("a child").is_none().then_some(reference)
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends all lines and a last one that no Sentinel knows; what comes back, without the numbers of connections.
pub(super) fn talk(address: SocketAddr, lines: &str) -> String {
    const END: &str = "the-end-of-it";
    let mut peer = Peer::connect(address);
    let lines = lines.replace(" / ", "\r\n").replace("\\r", "\r").replace("\\n", "\n");
    peer.send(format!("{lines}\r\n{END}\r\n"));
    let answer = peer.until(format!("'{END}', with args beginning with: \r\n").as_bytes());
    let answer = answer.escape_ascii().to_string();
    let mut parts = answer.split("$2\\r\\nid\\r\\n:");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked.push_str("<id>");
        masked.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    masked
}

/// Requests, several on one connection separated by ` / `.
const SAME: &str = r#"
PING / PING hello / PING a b / ping "a \x41\n"
*1\r\n$4\r\nPING / *0 / *-1 /  / PING
*1\r\nfoo
*1\r\n:1
*x
*01
*2147483648
*1\r\n$x
*1\r\n$-1
*1\r\n$536870913
PING "a
PING 'a'b
PING "a" 'b'
foo / foo bar baz / CONFIG GET * / MULTI / SELECT 0 / MONITOR / PUBSUB CHANNELS
HELLO / HELLO 2 / PING
HELLO 3 / CLIENT GETNAME
HELLO 4 / HELLO x / HELLO 3 FOO / HELLO 3 AUTH a / HELLO 99999999999999999999 AUTH / HELLO 02 / HELLO "" / PING
HELLO 3 AUTH default x SETNAME foo / CLIENT GETNAME
HELLO 3 SETNAME foo BAR / CLIENT GETNAME
HELLO 3 SETNAME "a b" / HELLO 2 AUTH nobody x / HELLO 2 SETNAME / CLIENT GETNAME
AUTH / AUTH a / AUTH default a / AUTH foo a / AUTH a b c
CLIENT / CLIENT foo / CLIENT setname / CLIENT SETNAME x y / client ID x
CLIENT SETNAME "a b" / CLIENT SETNAME x / CLIENT GETNAME / CLIENT SETNAME "" / CLIENT GETNAME
CLIENT KILL 1 / CLIENT KILL ID 0 / CLIENT KILL ID x / CLIENT KILL ID -1 / CLIENT KILL TYPE foo / CLIENT KILL SKIPME maybe
CLIENT KILL foo bar / CLIENT KILL USER nobody / CLIENT KILL ID 1 2 / CLIENT KILL ADDR 1.2.3.4:5 / CLIENT KILL LADDR 1.2.3.4:5
CLIENT KILL ID 9999 TYPE normal / CLIENT KILL TYPE pubsub / CLIENT KILL TYPE replica / CLIENT KILL TYPE master
CLIENT LIST TYPE foo / CLIENT LIST TYPE pubsub / CLIENT LIST ID 9999 / CLIENT LIST ID x / CLIENT LIST ID / CLIENT LIST foo / CLIENT LIST TYPE
HELLO 3 / CLIENT LIST TYPE pubsub
CLIENT REPLY foo / CLIENT REPLY OFF / PING / foo / CLIENT REPLY ON / PING
CLIENT REPLY SKIP / PING 1 / PING 2
CLIENT REPLY SKIP / CLIENT REPLY SKIP / PING 1 / PING 2
CLIENT REPLY SKIP / CLIENT REPLY ON / PING 2
CLIENT REPLY SKIP / foo / PING 2
CLIENT NO-EVICT foo / CLIENT NO-EVICT on / CLIENT NO-EVICT OFF
CLIENT PAUSE x / CLIENT PAUSE -1 / CLIENT PAUSE 1 foo / CLIENT PAUSE 0 WRITE / CLIENT PAUSE 1 WRITE x / CLIENT UNPAUSE
CLIENT UNBLOCK x / CLIENT UNBLOCK 1 / CLIENT UNBLOCK 1 foo / CLIENT UNBLOCK 1 ERROR / CLIENT UNBLOCK 1 ERROR x
CLIENT TRACKING foo / CLIENT TRACKING on FOO / CLIENT TRACKING off / CLIENT TRACKINGINFO / CLIENT GETREDIR
CLIENT CACHING yes / CLIENT CACHING foo
HELLO 3 / CLIENT TRACKINGINFO
COMMAND COUNT / COMMAND COUNT x / COMMAND foo / COMMAND GETKEYS get a / COMMAND GETKEYS ping a b / COMMAND GETKEYS ping
COMMAND GETKEYSANDFLAGS ping a b / COMMAND GETKEYS role a
COMMAND INFO ping / COMMAND INFO nope client|id client|nope PING sentinel|masters / COMMAND INFO info publish shutdown
COMMAND INFO acl|deluser acl|dryrun acl|genpass acl|getuser acl|list acl|load acl|log acl|save acl|setuser acl|help
COMMAND INFO acl|whoami acl|users acl|cat client|list client|kill client|info command|docs command|list hello auth role
COMMAND INFO subscribe psubscribe unsubscribe punsubscribe sentinel|help client|setname command|count
HELLO 3 / COMMAND INFO nope / COMMAND DOCS nope
COMMAND DOCS nope / COMMAND LIST FILTERBY ACLCAT nope / COMMAND LIST FILTERBY MODULE nope / COMMAND LIST FILTERBY foo bar / COMMAND LIST foo
COMMAND LIST FILTERBY PATTERN rol? / COMMAND LIST FILTERBY PATTERN ROLE / COMMAND LIST FILTERBY PATTERN
SUBSCRIBE +a b / PSUBSCRIBE * / UNSUBSCRIBE zz / UNSUBSCRIBE +a / UNSUBSCRIBE / PUNSUBSCRIBE / PUNSUBSCRIBE / UNSUBSCRIBE / PING
SUBSCRIBE a / PING / PING x / PING x y / INFO / CLIENT ID / foo / HELLO 3 / SUBSCRIBE / SENTINEL MASTERS / ROLE / AUTH x
HELLO 3 / SUBSCRIBE +a b / PING / PING x / CLIENT GETNAME / UNSUBSCRIBE zz / PUNSUBSCRIBE
PSUBSCRIBE x / PSUBSCRIBE x / SUBSCRIBE x / UNSUBSCRIBE x / PUNSUBSCRIBE / PING
SUBSCRIBE a a / UNSUBSCRIBE a a
SUBSCRIBE / PSUBSCRIBE
PUBLISH foo bar / PUBLISH foo / PUBLISH
ROLE / ROLE x
INFO replication / INFO commandstats keyspace
SHUTDOWN foo / SHUTDOWN ABORT / SHUTDOWN ABORT NOW / SHUTDOWN SAVE NOSAVE
SENTINEL / SENTINEL foo / SENTINEL MASTER / SENTINEL set m a / sentinel GET-MASTER-ADDR-BY-NAME mymaster
SENTINEL GET-MASTER-ADDR-BY-NAME other / SENTINEL MASTER other / SENTINEL CKQUORUM other
HELLO 3 / SENTINEL GET-MASTER-ADDR-BY-NAME other
ACL / ACL foo / ACL WHOAMI / ACL USERS / ACL CAT / ACL CAT string / ACL CAT foo / ACL WHOAMI x
"#;

/// The same, where a password is set.
const LOCKED: &str = r"
PING / foo bar / SENTINEL foo / SENTINEL MASTER / SENTINEL MASTERS / INFO / ROLE / SUBSCRIBE a / CLIENT GETNAME
HELLO / HELLO 3 / HELLO 4 / HELLO 3 SETNAME x / CLIENT GETNAME
AUTH / AUTH wrong / AUTH a b c / AUTH default wrong / AUTH other secret / AUTH secret / PING
HELLO 3 AUTH default wrong / HELLO 3 AUTH default secret / PING
HELLO 3 SETNAME x AUTH default secret / CLIENT GETNAME
*11
*10
*1\r\n$16385
AUTH secret / AUTH wrong / PING
AUTH secret / ACL WHOAMI
";

#[track_caller]
fn compare(ours: SocketAddr, reference: SocketAddr, requests: &str) {
    let mut different = Vec::new();
    for lines in requests.lines().filter(|lines| !lines.is_empty()) {
        let (expected, got) = (talk(reference, lines), talk(ours, lines));
        if expected != got {
            different.push(format!("{lines}\n  reference: {expected}\n  ours:      {got}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn connection_commands_answer_as_the_reference_does() {
    let (port, reference) = (Port::open(), Reference::start(None));
    compare(port.address, reference.address, SAME);
}

#[test]
fn a_locked_port_answers_as_the_reference_does() {
    let (port, reference) = (Port::with(|_| {}, Some("secret")), Reference::start(Some("secret")));
    compare(port.address, reference.address, LOCKED);
}

/// The words before `=` in the first line of CLIENT LIST.
fn fields(address: SocketAddr) -> Vec<String> {
    let line = Peer::connect(address).ask("CLIENT INFO").text();
    line.split(' ').filter_map(|word| Some(word.split_once('=')?.0.to_owned())).collect()
}

#[test]
fn clients_are_described_by_the_same_fields() {
    let (port, reference) = (Port::open(), Reference::start(None));
    let (mut expected, got) = (fields(reference.address), fields(port.address));
    // Of 7.2, which knows the name and version of the library.
    expected.extend(["lib-name".to_owned(), "lib-ver".to_owned()]);
    assert_eq!(got, expected);
}

/// The names in COMMAND LIST, in order.
fn names(address: SocketAddr) -> Vec<String> {
    let mut peer = Peer::connect(address);
    let count: usize = peer.ask("COMMAND LIST").line()[1..].parse().expect("an array");
    let mut names: Vec<String> = (0..count).map(|_| peer.text()).collect();
    names.sort();
    names
}

#[test]
fn the_table_has_every_command_of_the_reference() {
    let (port, reference) = (Port::open(), Reference::start(None));
    let ours = names(port.address);
    let missing: Vec<String> = names(reference.address).into_iter().filter(|name| !ours.contains(name)).collect();
    assert_eq!(missing, [""; 0]);
}
