//! What a client that misbehaves costs: itself.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use sentinel_core::{
    events::{Event, Subject},
    types::{HostPort, MasterName, Secret},
};

use super::harness::{PATIENCE, Peer, Port};
use crate::{
    config::{self, OutputLimit},
    serve::{Access, acl::Users, guest::Address, is_protected_from},
};

/// The number behind `field=` in a line of CLIENT LIST.
fn number(line: &str, field: &str) -> usize {
    let text = line.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('='));
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {field} in {line}"))
}

fn long_event() -> Event {
    let name = MasterName::new(&"m".repeat(900)).expect("a name");
    let addr = HostPort::from_words("127.0.0.1", "6390").expect("an address");
    Event::SubjectivelyDown { subject: Subject::Master { name, addr }, cause: sentinel_core::DownCause::Refused }
}

#[track_caller]
fn subscribe(client: &mut Peer) {
    client.ask("SUBSCRIBE +sdown").expect("*3\r\n$9\r\nsubscribe\r\n$6\r\n+sdown\r\n:1\r\n");
}

#[test]
fn a_subscriber_that_does_not_read_is_cut_and_the_others_miss_nothing() {
    let limit = OutputLimit { hard: 1024 * 1024, soft: 0, soft_for: Duration::ZERO };
    let port = Port::with(|settings| settings.output_limits.pubsub = limit, None);
    let (mut lazy, mut eager, mut admin) = (port.connect(), port.connect(), port.connect());
    subscribe(&mut lazy);
    subscribe(&mut eager);
    let message = {
        let payload = long_event().payload();
        format!("*3\r\n$7\r\nmessage\r\n$6\r\n+sdown\r\n${}\r\n{payload}\r\n", payload.len())
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        for _ in 0..100 {
            port.events.send(long_event()).expect("a port that listens");
        }
        eager.expect(message.repeat(100));
        admin.ask("CLIENT LIST ID 1");
        let list = admin.text();
        if list.is_empty() {
            break;
        }
        assert!(number(&list, "omem") <= 1024 * 1024, "{list}");
        assert!(Instant::now() < deadline, "never cut: {list}");
    }
    eager.ask("PING").expect("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn a_subscriber_too_far_behind_for_too_long_is_cut_without_another_event() {
    let limit = OutputLimit { hard: 0, soft: 100_000, soft_for: Duration::from_millis(200) };
    let port = Port::with(|settings| settings.output_limits.pubsub = limit, None);
    let (mut lazy, mut admin) = (port.connect(), port.connect());
    subscribe(&mut lazy);
    admin.ask("CLIENT LIST ID 1");
    let mut list = admin.text();
    let deadline = Instant::now() + PATIENCE;
    // Until the sockets between are full, which may go on for a while, and the rest piles up here. Once it does, nothing
    // more is sent.
    while !list.is_empty() {
        assert!(Instant::now() < deadline, "never cut: {list}");
        let room = if number(&list, "omem") <= 100_000 { 500 } else { 0 };
        for _ in 0..room {
            port.events.send(long_event()).expect("a port that listens");
        }
        admin.ask("CLIENT LIST ID 1");
        list = admin.text();
    }
}

#[test]
fn a_client_that_asks_without_reading_is_slowed_down_by_its_own_socket() {
    let port = Port::open();
    let mut admin = port.connect();
    let mut flooder = std::net::TcpStream::connect(port.address).expect("a served port");
    flooder.set_nonblocking(true).expect("a socket");
    let request = format!("PING {}\r\n", "x".repeat(4_000)).repeat(16);
    let deadline = Instant::now() + PATIENCE;
    let mut stuck_since = Instant::now();
    let mut sent = 0;
    // Until the port has taken nothing for a while.
    while stuck_since.elapsed() < Duration::from_millis(500) {
        assert!(Instant::now() < deadline, "still reading after {sent} bytes");
        match std::io::Write::write(&mut flooder, &request.as_bytes()[sent % request.len()..]) {
            Ok(taken) => {
                sent += taken;
                stuck_since = Instant::now();
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    admin.ask("CLIENT LIST ID 2");
    let list = admin.text();
    let waiting = number(&list, "omem");
    assert!((1024 * 1024..1_200_000).contains(&waiting), "{list}");
    assert!(number(&list, "qbuf") < 200_000, "{list}");
}

#[test]
fn the_last_places_are_refused_politely() {
    let port = Port::with(|settings| settings.max_clients = 2, None);
    let (mut first, mut second) = (port.connect(), port.connect());
    first.ask("PING").expect("+PONG\r\n");
    second.ask("PING").expect("+PONG\r\n");
    port.connect().expect("-ERR max number of clients reached\r\n").closed();
    first.ask("INFO stats");
    let info = first.text();
    assert!(info.contains("rejected_connections:1\r\n"), "{info}");
    assert!(info.contains("total_connections_received:3\r\n"), "{info}");
    second.ask("QUIT").expect("+OK\r\n").closed();
    // The place is free as soon as the port has noticed.
    let deadline = Instant::now() + PATIENCE;
    while port.connect().ask_quietly("PING") != b"+PONG\r\n" {
        assert!(Instant::now() < deadline, "the place stays taken");
    }
}

#[test]
fn an_idle_client_is_closed_and_a_subscriber_is_not() {
    let timeout = Some(Duration::from_millis(1_500));
    let port = Port::with(|settings| settings.idle_timeout = timeout, None);
    let mut subscriber = port.connect();
    subscribe(&mut subscriber);
    // Connects later than the subscriber fell silent, so that its end proves the subscriber's right.
    port.connect().closed();
    subscriber.ask("PING").expect("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn an_answer_that_takes_long_is_waited_for_beyond_the_idle_timeout() {
    let timeout = Some(Duration::from_millis(1_500));
    let mut port = Port::with(|settings| settings.idle_timeout = timeout, None);
    let mut waiting = port.connect();
    waiting.ask("SENTINEL RESET *");
    let ask = port.asked();
    port.connect().closed();
    ask.reply.send(sentinel_resp::Reply::Integer(1)).expect("a client that waits");
    waiting.expect(":1\r\n");
}

#[test]
fn a_request_beyond_all_bounds_closes_its_connection_only() {
    let port = Port::open();
    let mut other = port.connect();
    port.connect().send("*1\r\n$2000000\r\n").expect("-ERR Protocol error: too big request\r\n").closed();
    other.ask("PING").expect("+PONG\r\n");
}

#[test]
fn protected_mode_lets_this_host_in_and_others_only_with_a_password() {
    let on = config::Server { protected_mode: true, ..config::Server::default() };
    let (open, locked) =
        (Users::new(Access::with_password(None)), Users::new(Access::with_password(Some(&Secret::new("x")))));
    let ip = |text: &str| Address::Ip(SocketAddr::new(text.parse().expect("an address"), 1));
    for own in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
        assert!(!is_protected_from(&ip(own), &on, &open), "{own}");
    }
    for other in ["192.0.2.1", "2001:db8::1", "0.0.0.0"] {
        assert!(is_protected_from(&ip(other), &on, &open), "{other}");
        assert!(!is_protected_from(&ip(other), &on, &locked), "{other}");
        assert!(!is_protected_from(&ip(other), &config::Server::default(), &open), "{other}");
    }
    assert!(!is_protected_from(&Address::Local("/run/s.sock".into()), &on, &open));
}

/// Words that mean something somewhere, and bytes that mean nothing.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "PING",
        "HELLO",
        "3",
        "AUTH",
        "CLIENT",
        "LIST",
        "KILL",
        "ID",
        "REPLY",
        "off",
        "skip",
        "INFO",
        "SENTINEL",
        "masters",
        "SUBSCRIBE",
        "PSUBSCRIBE",
        "UNSUBSCRIBE",
        "*",
        "[",
        "COMMAND",
        "DOCS",
        "ROLE",
        "ACL",
        "CAT",
        "RESET",
        "\r\n",
        "*3\r\n",
        "$4\r\n",
        "$-1\r\n",
        "\"",
        "'",
        "\0",
    ]);
    let piece = prop_oneof![
        4 => words.prop_map(|word| [word.as_bytes(), b" "].concat()),
        2 => Just(b"\r\n".to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn noise_ends_at_most_its_own_connection(noises in prop::collection::vec(noise(), 1..8)) {
        noise_is_survived(&noises);
    }
}

fn noise_is_survived(noises: &[Vec<u8>]) {
    let mut port = Port::open();
    // Noise may be a change by chance: it is answered, as if the process were stopping.
    port.asks.close();
    let mut other = port.connect();
    for noise in noises {
        let mut noisy = port.connect();
        noisy.send(noise);
        noisy.finish_sending().rest();
    }
    other.ask("PING").expect("+PONG\r\n");
}

#[test]
fn noise_that_is_a_change_is_answered_like_one() {
    noise_is_survived(&[b"CAT $-1\r\n \r\nACL \r\noff ROLE $4\r\n\r\nSENTINEL RESET $-1\r\n $4\r\n".to_vec()]);
}

/// The length of the array that answers a request.
fn length(port: &Port, request: &str) -> usize {
    let mut client = port.connect();
    let header = client.ask(request).line();
    header.strip_prefix('*').and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{request}: {header}"))
}

#[test]
fn every_table_that_clients_fill_has_a_bound() {
    let port = Port::with(|settings| settings.max_clients = 50, None);
    let mut admin = port.connect();
    let info = |admin: &mut Peer, field: &str| -> usize {
        let text = admin.ask("INFO").text();
        let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {field} in {text}"))
    };

    let mut subscriber = port.connect();
    for hundred in 0..110 {
        let names: Vec<String> = (0..100).map(|one| format!("{hundred}-{one}")).collect();
        for name in &names {
            subscriber.ask(&format!("SUBSCRIBE {name}"));
        }
        // A confirmation has six lines, a refusal one.
        for _ in &names {
            if subscriber.line().starts_with('*') {
                (0..5).for_each(|_| drop(subscriber.line()));
            }
        }
    }
    for user in 0..1_100 {
        admin.ask(&format!("ACL SETUSER u{user}")).line();
    }
    for stranger in 0..300 {
        admin.ask(&format!("AUTH stranger{stranger} x")).line();
    }
    let channels = info(&mut admin, "pubsub_channels");
    let (users, refusals) = (length(&port, "ACL USERS"), length(&port, "ACL LOG 1000"));
    let mut crowd: Vec<Peer> = (0..100).map(|_| port.connect()).collect();
    // Each has its place, or was refused it.
    for peer in &mut crowd {
        peer.ask_quietly("PING");
    }
    let clients = info(&mut admin, "connected_clients");
    drop(crowd);
    // What, how much there is, and the most that may be.
    for (what, is, most) in [
        ("channels of one client", channels, 10_000),
        ("users", users, 1_000),
        ("refusals that are remembered", refusals, 128),
        ("clients", clients, 50),
    ] {
        assert_eq!(is, most, "{what}: the flood comes to the bound and not beyond");
    }
}
