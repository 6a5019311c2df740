//! What one client can say, and what comes back.

use std::{
    net::TcpStream,
    time::{Duration, Instant},
};

use sentinel_core::command::Change;
use sentinel_resp::Reply;

use super::harness::{PATIENCE, Port};
use crate::serve::Stopped;

#[test]
fn a_pipeline_is_answered_in_order() {
    let port = Port::open();
    let mut client = port.connect();
    let (mut requests, mut answers) = (String::new(), String::new());
    for round in 0..20_000 {
        let text = round.to_string();
        requests.extend(["PING ", &text, "\r\n"]);
        answers.extend(["$", &text.len().to_string(), "\r\n", &text, "\r\n"]);
    }
    client.send(requests).expect(answers);
}

#[test]
fn a_client_that_has_said_everything_still_gets_its_answers() {
    let port = Port::open();
    port.connect().ask("PING").ask("PING x").finish_sending().expect("+PONG\r\n$1\r\nx\r\n").closed();
}

#[test]
fn quit_says_goodbye_and_reset_forgets() {
    let port = Port::open();
    port.connect().ask("QUIT").ask("PING").expect("+OK\r\n").closed();
    let mut client = port.connect();
    client.ask("HELLO 3 SETNAME x").until(b"modules\r\n*0\r\n");
    client.ask("SUBSCRIBE a").expect(">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    client.ask("RESET").expect("+RESET\r\n");
    client.ask("CLIENT GETNAME").expect("$-1\r\n");
    client.ask("ROLE").expect("*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n");
}

#[test]
fn a_stranger_learns_nothing_but_what_it_did_wrong() {
    let port = Port::with(|_| {}, Some("secret"));
    let mut client = port.connect();
    client.ask("PING").expect("-NOAUTH Authentication required.\r\n");
    client.ask("foo").expect("-ERR unknown command 'foo', with args beginning with: \r\n");
    client.ask("SENTINEL foo").expect("-ERR unknown subcommand 'foo'. Try SENTINEL HELP.\r\n");
    client.ask("SENTINEL MASTER").expect("-ERR wrong number of arguments for 'sentinel|master' command\r\n");
    client.ask("HELLO 3").expect(
        "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
         option can be used to authenticate the client and select the RESP protocol version at the same time\r\n",
    );
    client.ask("AUTH wrong").expect("-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    client.ask("AUTH secret").expect("+OK\r\n");
    client.ask("PING").expect("+PONG\r\n");
    client.ask("RESET").expect("+RESET\r\n");
    client.ask("PING").expect("-NOAUTH Authentication required.\r\n");
    client.ask("AUTH default secret").expect("+OK\r\n");
    port.connect().send("*11\r\n").expect("-ERR Protocol error: unauthenticated multibulk length\r\n").closed();
    port.connect()
        .send("*2\r\n$4\r\nAUTH\r\n$16385\r\n")
        .expect("-ERR Protocol error: unauthenticated bulk length\r\n")
        .closed();
    port.connect()
        .send("AUTH secret\r\n*11\r\n")
        .expect("+OK\r\n")
        .ask("x")
        .expect("-ERR Protocol error: expected '$', got 'x'\r\n")
        .closed();
}

#[test]
fn a_browser_is_shown_the_door() {
    let port = Port::open();
    port.connect().send("POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n").closed();
}

#[test]
fn what_changes_something_is_answered_by_the_monitor_and_holds_only_its_own_client() {
    let mut port = Port::open();
    let (mut first, mut second) = (port.connect(), port.connect());
    first.ask("SENTINEL FAILOVER mymaster").ask("PING");
    let ask = port.asked();
    assert!(matches!(&ask.change, Change::Failover { name } if name == "mymaster"), "{:?}", ask.change);
    // The other client is served while the first one waits.
    second.ask("PING").expect("+PONG\r\n");
    ask.reply.send(Reply::error("NOGOODSLAVE No suitable replica to promote")).expect("a client that waits");
    first.expect("-NOGOODSLAVE No suitable replica to promote\r\n+PONG\r\n");
}

#[test]
fn a_hello_of_another_sentinel_reaches_the_monitor() {
    let mut port = Port::open();
    let mut peer = port.connect();
    peer.ask("PUBLISH __sentinel__:hello 127.0.0.1,26379");
    let ask = port.asked();
    assert!(matches!(&ask.change, Change::Hello(payload) if payload == "127.0.0.1,26379"), "{:?}", ask.change);
    ask.reply.send(Reply::Integer(1)).expect("a client that waits");
    peer.expect(":1\r\n");
    peer.ask("PUBLISH other x").expect("-ERR Only HELLO messages are accepted by Sentinel instances.\r\n");
}

#[test]
fn a_client_hears_when_the_monitor_is_gone() {
    let mut port = Port::open();
    let mut client = port.connect();
    client.ask("SENTINEL RESET *");
    drop(port.asked());
    client.expect("-ERR this Sentinel is stopping\r\n");
    port.asks.close();
    client.ask("SENTINEL RESET *").expect("-ERR this Sentinel is stopping\r\n");
}

#[test]
fn reading_needs_no_monitor() {
    let mut port = Port::open();
    port.asks.close();
    let mut client = port.connect();
    client.ask("SENTINEL get-master-addr-by-name mymaster").expect("*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6390\r\n");
    client.ask("SENTINEL get-master-addr-by-name other").expect("*-1\r\n");
    client.ask("SENTINEL myid").expect(format!("$40\r\n{}\r\n", "c".repeat(40)));
    client.ask("INFO sentinel");
    assert!(client.text().contains("master0:name=mymaster,status=ok,address=127.0.0.1:6390,slaves=0,sentinels=1\r\n"));
}

#[test]
fn info_shows_the_sections_asked_for_in_their_order() {
    let port = Port::open();
    let mut client = port.connect();
    client.ask("INFO");
    let info = client.text();
    let at = |title: &str| info.find(title).unwrap_or_else(|| panic!("no {title} in {info}"));
    assert!(at("# Server\r\n") < at("\r\n\r\n# Clients\r\n"));
    assert!(at("# Clients\r\n") < at("\r\n\r\n# Stats\r\n"));
    assert!(at("# Stats\r\n") < at("\r\n\r\n# CPU\r\n"));
    assert!(at("# CPU\r\n") < at("\r\n\r\n# Sentinel\r\n"));
    for field in
        ["redis_version:7.0.15\r\n", "redis_mode:sentinel\r\n", "connected_clients:1\r\n", "maxclients:10000\r\n"]
    {
        assert!(info.contains(field), "{field} in {info}");
    }
    assert!(info.contains(&format!("tcp_port:{}\r\n", port.address.port())), "{info}");
    client.ask("INFO replication").expect("$0\r\n\r\n");
    client.ask("INFO SENTINEL server");
    assert!(client.text().starts_with("# Server\r\n"));
}

#[test]
fn clients_are_listed_and_killed() {
    let port = Port::open();
    let (mut admin, mut victim) = (port.connect(), port.connect());
    admin.ask("PING").expect("+PONG\r\n");
    victim.ask("CLIENT SETNAME victim").expect("+OK\r\n");
    victim.ask("CLIENT SETINFO LIB-NAME lib").expect("+OK\r\n");
    victim.ask("SUBSCRIBE +sdown").expect("*3\r\n$9\r\nsubscribe\r\n$6\r\n+sdown\r\n:1\r\n");
    admin.ask("CLIENT LIST TYPE pubsub");
    let list = admin.text();
    let start = format!("id=2 addr={} laddr={} fd=", victim.local(), port.address);
    assert!(list.starts_with(&start) && list.ends_with('\n'), "{list}");
    for field in [" name=victim ", " flags=P ", " sub=1 ", " cmd=subscribe ", " user=default ", " resp=2 lib-name=lib "]
    {
        assert!(list.contains(field), "{field:?} in {list}");
    }
    admin.ask(&format!("CLIENT KILL ADDR {}", victim.local())).expect(":1\r\n");
    victim.closed();
    admin.ask("CLIENT LIST TYPE pubsub").expect("$0\r\n\r\n");
    admin.ask("CLIENT KILL ID 1").expect(":0\r\n");
    admin.ask("CLIENT KILL ID 1 SKIPME no").ask("PING").expect(":1\r\n").closed();
}

#[test]
fn a_client_may_kill_itself_by_its_address() {
    let port = Port::open();
    let mut client = port.connect();
    let own = client.local();
    client.ask(&format!("CLIENT KILL {own}")).expect("+OK\r\n").closed();
}

#[test]
fn answers_can_be_switched_off() {
    let mut port = Port::open();
    let mut client = port.connect();
    client.ask("CLIENT REPLY OFF").ask("SUBSCRIBE a").ask("PING").ask("UNSUBSCRIBE").ask("CLIENT REPLY ON");
    client.expect("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    client.expect("*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n+OK\r\n");
    client.ask("CLIENT REPLY OFF").ask("PING").ask("foo").ask("CLIENT REPLY ON").expect("+OK\r\n");
    client.ask("CLIENT REPLY SKIP").ask("PING 1").ask("PING 2").expect("$1\r\n2\r\n");
    // Also the answer that comes later.
    client.ask("CLIENT REPLY SKIP").ask("SENTINEL RESET x").ask("PING 3");
    port.asked().reply.send(Reply::Integer(0)).expect("a client that waits");
    client.expect("$1\r\n3\r\n");
}

#[test]
fn shutdown_ends_serving_without_an_answer() {
    let port = Port::open();
    let mut client = port.connect();
    client.ask("SHUTDOWN foo").expect("-ERR syntax error\r\n");
    client.ask("SHUTDOWN ABORT").expect("-ERR No shutdown in progress.\r\n");
    client.ask("SHUTDOWN NOSAVE").closed();
    assert_eq!(port.ended(), Stopped::ByClient);
}

#[test]
fn who_waits_for_an_answer_gets_it_before_serving_ends_and_nobody_else_is_let_in() {
    let mut port = Port::open();
    let (mut client, mut idle) = (port.connect(), port.connect());
    idle.ask("PING").expect("+PONG\r\n");
    client.ask("SENTINEL FLUSHCONFIG");
    let ask = port.asked();
    port.stop();
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(port.address).is_ok() {
        assert!(Instant::now() < deadline, "clients are let in still");
        std::thread::sleep(Duration::from_millis(1));
    }
    ask.reply.send(Reply::ok()).expect("a client that waits");
    client.expect("+OK\r\n");
    assert_eq!(port.ended(), Stopped::ByProcess);
}

#[test]
fn an_answer_that_never_comes_holds_up_the_end_for_a_second() {
    let mut port = Port::open();
    let mut client = port.connect();
    client.ask("SENTINEL FLUSHCONFIG");
    let ask = port.asked();
    let began = Instant::now();
    port.stop();
    assert_eq!(port.ended(), Stopped::ByProcess);
    assert!(began.elapsed() >= Duration::from_millis(900), "{:?}", began.elapsed());
    drop(ask);
}
