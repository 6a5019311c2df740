//! Users and their permissions, on connections of our own and beside a real redis-sentinel.

use super::{
    harness::{Peer, Port},
    reference::{Reference, talk},
};
use crate::config::AclUser;

/// An answer in which names of single commands, whose order is that of a hash table in the reference, are sorted.
fn in_order(answer: &str) -> String {
    let is_single = |word: &str| {
        let word = word.trim_start_matches("\\n");
        word.starts_with(['+', '-']) && !word.starts_with("+@") && !word.starts_with("-@")
    };
    let mut words: Vec<&str> = Vec::new();
    let mut ends: Vec<(usize, &str)> = Vec::new();
    for (at, word) in answer.split(' ').enumerate() {
        // What follows a name on the wire stays where it is.
        let end = word.find(['\\', ')']).filter(|_| is_single(word)).unwrap_or(word.len());
        words.push(&word[..end]);
        ends.push((at, &word[end..]));
    }
    let mut from = 0;
    while from < words.len() {
        let mut to = from;
        while to < words.len() && is_single(words[to]) {
            to += 1;
            if !ends[to - 1].1.is_empty() {
                break;
            }
        }
        words[from..to].sort_unstable();
        from = to.max(from + 1);
    }
    let whole = words.iter().zip(&ends).map(|(word, (_, end))| format!("{word}{end}"));
    whole.collect::<Vec<_>>().join(" ")
}

#[test]
fn only_names_of_single_commands_are_sorted() {
    let answer = r"$9\r\n-@all +@slow -b +a|x -a)\r\n$3\r\non +b";
    assert_eq!(in_order(answer), r"$9\r\n-@all +@slow +a|x -a -b)\r\n$3\r\non +b");
}

#[track_caller]
fn compare(port: &Port, reference: &Reference, requests: impl IntoIterator<Item = String>) {
    let mut different = Vec::new();
    for lines in requests {
        let (expected, got) = (talk(reference.address, &lines), talk(port.address, &lines));
        if in_order(&expected) != in_order(&got) {
            different.push(format!("{lines}\n  reference: {expected}\n  ours:      {got}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Conversations, each on one connection, all with the same users.
const CONVERSATIONS: &str = r#"
ACL SETUSER u +ping +@connection / ACL LIST / ACL USERS / ACL GETUSER u / ACL SETUSER u reset / ACL GETUSER u
HELLO 3 / ACL SETUSER g on >a >b >a +@all &a ~x (+ping) (%R~y &b) / ACL GETUSER g / ACL GETUSER nobody / ACL LIST
ACL GETUSER nobody / ACL GETUSER / ACL SETUSER / ACL DELUSER / ACL DRYRUN u / ACL LIST x / ACL USERS x / ACL SAVE x
ACL SETUSER v on nopass ~* +@all -sentinel|reset -@pubsub / ACL GETUSER v / ACL SETUSER v +@pubsub / ACL LIST
ACL SETUSER w on >a +sentinel|masters +subscribe &+switch-* (+ping ~x %R~y) (&foo +publish) / ACL LIST / ACL GETUSER w
ACL SETUSER w >b / ACL SETUSER w <a / ACL SETUSER w <a / ACL SETUSER w resetpass nopass / ACL LIST
ACL SETUSER x ( / ACL SETUSER x ( +ping / ACL SETUSER x () / ACL SETUSER x ) / ACL SETUSER x (on) / ACL LIST
ACL SETUSER x "(+ping (+role))" / ACL SETUSER x "(+ping \"+ro le\" )" / ACL SETUSER x ( +ping ) +info / ACL LIST
ACL SETUSER x +auth|foo +ping|a +ping|b|c / ACL SETUSER x +ping|a +ping|A +ping|b / ACL SETUSER x -ping|a / ACL LIST
ACL SETUSER x +acl|cat|foo / ACL SETUSER x +acl| / ACL SETUSER x +| / ACL SETUSER x + / ACL SETUSER x - / ACL SETUSER x +ping|
ACL SETUSER x +quit / ACL SETUSER x +reset / ACL SETUSER x +get / ACL SETUSER x +@foo / ACL SETUSER x +@ / ACL SETUSER x -@
ACL SETUSER x %RW~a %R~b %W~b %r~d %w~e ~ & / ACL SETUSER x %~c / ACL SETUSER x %X~ / ACL SETUSER x %RR~a / ACL LIST
ACL SETUSER p %R / ACL SETUSER q % / ACL SETUSER r %RW / ACL LIST / ACL DELUSER p q r
ACL SETUSER x allkeys ~a / ACL SETUSER x allchannels &b / ACL SETUSER x &* ~* resetkeys ~a resetchannels &b &b / ACL LIST
ACL SETUSER x "a b" / ACL SETUSER x "~a b" / ACL SETUSER x "&a\tb" / ACL SETUSER x foo / ACL SETUSER x "" / ACL SETUSER x ""  on
ACL SETUSER "a b" on / ACL SETUSER "" on / ACL GETUSER "" / ACL DELUSER "" / ACL SETUSER "a\x00b" on
ACL SETUSER x <nope / ACL SETUSER x #abc / ACL SETUSER x !abc / ACL SETUSER x > / ACL SETUSER x < / ACL SETUSER x <
ACL SETUSER x #AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA on / ACL GETUSER x
ACL SETUSER x #aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa on / ACL GETUSER x
ACL SETUSER x !aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa OFF NoPass / ACL GETUSER x
ACL SETUSER x skip-sanitize-payload / ACL LIST / ACL SETUSER x sanitize-payload clearselectors / ACL LIST
ACL SETUSER x allcommands / ACL LIST / ACL SETUSER x -ping / ACL LIST / ACL SETUSER x +ping / ACL LIST / ACL SETUSER x nocommands / ACL LIST
ACL SETUSER x reset +@all -@dangerous +info +role +client|list / ACL LIST / ACL SETUSER x -client +client|id / ACL LIST
ACL SETUSER x reset +info|foo +sentinel / ACL LIST / ACL SETUSER x -sentinel +sentinel|help / ACL LIST / ACL SETUSER x +@SLOW -@Admin / ACL LIST
ACL SETUSER d reset +ping|a +subscribe &foo (+subscribe +publish &b*) (+psubscribe &n*) (+role) / ACL DRYRUN d ping / ACL DRYRUN d ping A
ACL DRYRUN d subscribe foo / ACL DRYRUN d subscribe foo bar / ACL DRYRUN d subscribe bar boo / ACL DRYRUN d subscribe a b / ACL DRYRUN d subscribe
ACL DRYRUN d psubscribe n* / ACL DRYRUN d psubscribe news / ACL DRYRUN d publish bar x / ACL DRYRUN d publish foo x / ACL DRYRUN d role
ACL DRYRUN d unsubscribe foo / ACL DRYRUN d hello / ACL DRYRUN d auth x / ACL DRYRUN d sentinel masters / ACL DRYRUN d SENTINEL Master m
ACL DRYRUN nobody ping / ACL DRYRUN d GET / ACL DRYRUN d sentinel foo / ACL DRYRUN d sentinel / ACL DRYRUN d role x / ACL DRYRUN default role
ACL GENPASS 0 / ACL GENPASS 4097 / ACL GENPASS -1 / ACL GENPASS x / ACL GENPASS 1 2 / ACL LOG foo / ACL LOG 1 2 / ACL SAVE / ACL LOAD
ACL DELUSER default / ACL DELUSER nobody / ACL DELUSER u default v / ACL USERS / ACL DELUSER u v g / ACL USERS
ACL SETUSER w reset on >a +sentinel|masters +subscribe &+switch-* +ping|x +client|id / AUTH w b / AUTH w a / ACL WHOAMI / ROLE / PING / PING x
AUTH w a / SENTINEL master m / SUBSCRIBE foo / SUBSCRIBE +switch-master foo / PSUBSCRIBE * / PUBLISH foo bar / foo / SENTINEL foo / ROLE x
AUTH w a / SUBSCRIBE +switch-master / PSUBSCRIBE x / ROLE / PING x
HELLO 3 AUTH w a SETNAME x / CLIENT GETNAME / HELLO 2 AUTH w b / ROLE / AUTH default x / ACL WHOAMI / AUTH nobody x
AUTH w a / HELLO 3 / HELLO 2 SETNAME y / AUTH x / CLIENT LIST / COMMAND / SHUTDOWN
CLIENT KILL USER w / CLIENT KILL USER nobody / CLIENT KILL USER default ID 9999
ACL SETUSER o on >a +@all / AUTH o a / ACL SETUSER o off / PING / AUTH o a / ACL WHOAMI / ACL SETUSER o on -ping / PING / ACL LIST
ACL SETUSER default >pw / PING / AUTH x / AUTH pw / ACL LIST
PING / AUTH w a / PING x / HELLO 3 AUTH default pw / ACL SETUSER default nopass / PING
AUTH x / PING / ACL SETUSER default -@dangerous / ROLE / PING / ACL LIST
"#;

#[test]
fn users_are_changed_and_described_as_by_the_reference() {
    let (port, reference) = (Port::open(), Reference::with(""));
    let conversations = CONVERSATIONS.lines().filter(|lines| !lines.is_empty()).map(str::to_owned);
    compare(&port, &reference, conversations);
}

/// Rules of all kinds, for sequences made by chance.
const RULES: &[&str] = &[
    "on",
    "off",
    "nopass",
    "resetpass",
    ">a",
    ">b",
    "<a",
    "~x",
    "%R~x",
    "%W~y",
    "allkeys",
    "resetkeys",
    "&a",
    "&+switch-*",
    "allchannels",
    "resetchannels",
    "+@all",
    "-@all",
    "+@admin",
    "-@admin",
    "+@slow",
    "-@slow",
    "+@fast",
    "-@fast",
    "+@dangerous",
    "-@dangerous",
    "+@connection",
    "-@connection",
    "+@pubsub",
    "-@pubsub",
    "+@read",
    "-@scripting",
    "+sentinel",
    "-sentinel",
    "+sentinel|masters",
    "-sentinel|reset",
    "+sentinel|help",
    "+client",
    "-client",
    "+client|list",
    "-client|kill",
    "+acl",
    "-acl|setuser",
    "+acl|whoami",
    "+command",
    "-command|docs",
    "+ping",
    "-ping",
    "+ping|x",
    "+role",
    "-info",
    "+info|server",
    "+subscribe",
    "-publish",
    "+shutdown",
    "-psubscribe",
    "+hello",
    "-auth",
    "clearselectors",
    "(+@all)",
    "(~k +ping &b)",
    "(%R~z resetchannels +@slow -sentinel|set)",
    "( +role )",
];

#[test]
fn rules_in_any_order_mean_what_they_mean_to_the_reference() {
    let (port, reference) = (Port::open(), Reference::with(""));
    // The same numbers at each run, spread well enough for words and lengths.
    let mut state: u64 = 7;
    let mut below = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or_default() % most
    };
    let sequences = (0..200).map(|_| {
        let mut lines = vec!["ACL SETUSER u reset".to_owned()];
        for _ in 0..2 {
            let rules: Vec<&str> = (0..=below(8)).map(|_| RULES[below(RULES.len())]).collect();
            lines.push(format!("ACL SETUSER u {}", rules.join(" ")));
            lines.push("ACL GETUSER u / ACL LIST".to_owned());
        }
        for request in [
            "ping x",
            "role",
            "sentinel masters",
            "subscribe a +switch-master",
            "psubscribe a",
            "client kill x",
            "acl whoami",
        ] {
            lines.push(format!("ACL DRYRUN u {request}"));
        }
        lines.join(" / ")
    });
    let sequences: Vec<String> = sequences.collect();
    compare(&port, &reference, sequences);
}

/// The entries of ACL LOG without what differs from run to run.
fn logged(peer: &mut Peer, count: usize) -> Vec<String> {
    peer.ask("ACL LOG 100").expect(format!("*{count}\r\n"));
    let entry = |_| {
        peer.expect("*14\r\n$5\r\ncount\r\n");
        let count = peer.line();
        let mut facts = vec![count];
        for _ in 0..4 {
            let name = peer.text();
            facts.push(format!("{name}={}", peer.text()));
        }
        assert_eq!(peer.text(), "age-seconds");
        let age: f64 = peer.text().parse().expect("seconds");
        assert!((0.0..1_000.0).contains(&age), "{age}");
        assert_eq!(peer.text(), "client-info");
        let client = peer.text();
        let told = |field: &str| client.split(' ').find(|word| word.starts_with(field)).unwrap_or_default().to_owned();
        facts.extend([told("cmd="), told("user=")]);
        facts.join(" ")
    };
    (0..count).map(entry).collect()
}

#[test]
fn refusals_are_logged_as_by_the_reference() {
    let (port, reference) = (Port::open(), Reference::with(""));
    let told = [port.address, reference.address].map(|address| {
        let mut peer = Peer::connect(address);
        peer.ask("ACL SETUSER w reset on >a +sentinel|masters +subscribe &+switch-* +acl|log").expect("+OK\r\n");
        let refused = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        for attempt in ["AUTH w b", "AUTH nobody b", "auth w b", "HELLO 3 AUTH w b", "AUTH w b"] {
            peer.ask(attempt).expect(refused);
        }
        peer.ask("AUTH w a").expect("+OK\r\n");
        for refused in ["ROLE", "SENTINEL master m", "SUBSCRIBE foo", "SUBSCRIBE +switch-x foo", "role"] {
            let answer = peer.ask(refused).line();
            assert!(answer.starts_with("-NOPERM "), "{answer}");
        }
        logged(&mut peer, 7)
    });
    assert_eq!(told[0], told[1]);
    let mut peer = port.connect();
    peer.ask("ACL LOG RESET").expect("+OK\r\n").ask("ACL LOG").expect("*0\r\n");
    peer.ask("HELLO 3 AUTH w x").expect("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    peer.ask("HELLO 3").until(b"modules\r\n*0\r\n");
    peer.ask("ACL LOG 1").expect("*1\r\n%7\r\n$5\r\ncount\r\n:1\r\n");
}

#[test]
fn who_is_removed_or_loses_a_channel_is_cut_off() {
    let port = Port::open();
    let mut admin = port.connect();
    let mut client = |rules: &str| {
        admin.ask(&format!("ACL SETUSER k {rules}")).expect("+OK\r\n");
    };
    client("on >a +@all &foo &p*");
    let (mut quiet, mut literal, mut pattern) = (port.connect(), port.connect(), port.connect());
    for peer in [&mut quiet, &mut literal, &mut pattern] {
        peer.ask("AUTH k a").expect("+OK\r\n");
    }
    literal.ask("SUBSCRIBE foo").expect("*3\r\n$9\r\nsubscribe\r\n$3\r\nfoo\r\n:1\r\n");
    pattern.ask("PSUBSCRIBE p*").expect("*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:1\r\n");
    client("&more");
    literal.ask("PING").expect("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    client("resetchannels &p*");
    literal.closed();
    pattern.ask("PING").expect("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    quiet.ask("PING").expect("+PONG\r\n");
    client("resetchannels &p?");
    pattern.closed();
    quiet.ask("ACL DELUSER k").expect(":1\r\n").closed();
    admin.ask("ACL USERS").expect("*1\r\n$7\r\ndefault\r\n");
}

#[test]
fn another_spelling_is_no_way_around_a_rule() {
    let port = Port::open();
    let mut peer = port.connect();
    peer.ask("ACL SETUSER s on nopass +@all -sentinel|masters").expect("+OK\r\n").ask("AUTH s x").expect("+OK\r\n");
    let refused = "-NOPERM this user has no permissions to run the 'sentinel|primaries' command\r\n";
    peer.ask("SENTINEL primaries").expect(refused);
}

#[test]
fn users_of_the_configuration_are_there_from_the_first_connection() {
    let user = |name: &str, rules: &str| AclUser {
        name: name.to_owned(),
        rules: rules.split(' ').map(str::to_owned).collect(),
    };
    let lines = [
        ("default", "off"),
        ("watch", "on >secret resetchannels &+switch-master +subscribe +ping ( +sentinel|masters )"),
    ];
    let port = Port::with(
        |settings| settings.acl.users = lines.iter().map(|(name, rules)| user(name, rules)).collect(),
        Some("of no use"),
    );
    let text = lines.map(|(name, rules)| format!("user {name} {rules}\n")).concat();
    let reference = Reference::with(&format!("requirepass \"of no use\"\n{text}"));
    let conversations = [
        "PING / AUTH x / AUTH \"of no use\" / AUTH default x / HELLO 3 / AUTH watch wrong / AUTH watch secret / PING / ROLE",
        "HELLO 3 AUTH watch secret / SUBSCRIBE +switch-master / SUBSCRIBE +sdown / PING / CLIENT GETNAME",
    ];
    compare(&port, &reference, conversations.map(str::to_owned));
}

#[test]
fn the_acl_file_is_loaded_saved_and_loaded_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("users.acl");
    std::fs::write(&path, "user a on >a +ping +acl|whoami\n\n  user b on nopass +ping \r\n")
        .expect("a writable folder");
    let port = Port::with(|settings| settings.acl.file = Some(path.clone()), Some("ignored"));
    let (mut admin, mut a, mut b) = (port.connect(), port.connect(), port.connect());
    a.ask("AUTH a a").expect("+OK\r\n");
    b.ask("AUTH b x").expect("+OK\r\n");
    admin.ask("ACL SETUSER c on >c (+role ~x)").expect("+OK\r\n").ask("ACL SAVE").expect("+OK\r\n");
    let saved = std::fs::read_to_string(&path).expect("the saved file");
    let lines: Vec<&str> = saved.lines().collect();
    assert_eq!(lines.len(), 4, "{saved}");
    assert_eq!(lines[1], "user b on nopass resetchannels -@all +ping");
    assert_eq!(lines[3], "user default on nopass ~* &* +@all");

    let changed = saved.replace(lines[1], "user b on nopass resetchannels -@all +role");
    std::fs::write(&path, format!("{changed}user d off\nuser x (+ping\nuser y\tz on\nnonsense\n")).expect("writable");
    let shown = path.display();
    admin.ask("ACL LOAD").expect(format!(
        "-ERR {shown}:6: Unmatched parenthesis in selector definition. {shown}:7: username 'y\tz' contains invalid \
         characters. {shown}:8 should start with user keyword followed by the username. WARNING: ACL errors detected, \
         no change to the previously active ACL rules was performed\r\n"
    ));
    b.ask("PING").expect("+PONG\r\n");

    std::fs::write(&path, changed).expect("writable");
    admin.ask("ACL LOAD").expect("+OK\r\n");
    b.closed();
    a.ask("ACL WHOAMI").expect("$1\r\na\r\n");
    std::fs::write(&path, "user default on nopass +@all\n").expect("writable");
    admin.ask("ACL LOAD").expect("+OK\r\n").ask("ACL USERS").expect("*1\r\n$7\r\ndefault\r\n");
    a.closed();

    std::fs::remove_file(&path).expect("a file");
    admin
        .ask("ACL LOAD")
        .expect(format!("-ERR Error loading ACLs, opening file '{shown}': No such file or directory\r\n"));
}
