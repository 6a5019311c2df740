//! Links to real servers, and to a fake one that is older than any real one at hand.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use sentinel_core::{LinkFault, Message, Omitted, Target, TargetKind, types::Secret};
use sentinel_resp::{Limits, Protocol, Reply, RequestDecoder, encode};
use sentinel_tests::free_port;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    testing::{Bench, PATIENCE, RedisServer, node, with_password},
    wire::Renames,
};

fn hello(text: &str) -> Message {
    Message::Hello { payload: Arc::from(text) }
}

#[tokio::test]
async fn one_connection_to_a_modern_server_carries_commands_and_hellos() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    bench.connect(1, node(server.port));
    assert_eq!(bench.up(1).await, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(bench.ask(1, Message::Ping).await, Reply::status("PONG"));
    let published = bench.ask(1, hello("127.0.0.1,5000,a,0,m,127.0.0.1,6379,0")).await;
    assert_eq!(published, Reply::Integer(1), "subscribed before the first command");
    assert_eq!(bench.hello(1).await, "127.0.0.1,5000,a,0,m,127.0.0.1,6379,0");
    let info = bench.ask(1, Message::Info).await;
    assert!(info.as_text().is_some_and(|info| info.contains("role:master")), "{info:?}");
    let clients = server.tell("CLIENT LIST");
    let own: Vec<_> = clients.lines().filter(|line| line.contains("name=sentinel-0badcafe")).collect();
    assert!(own.len() == 1 && own[0].contains("name=sentinel-0badcafe-cmd") && own[0].contains("resp=3"), "{own:?}");
}

#[tokio::test]
async fn requests_in_flight_are_answered_in_order() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    bench.connect(1, node(server.port));
    bench.up(1).await;
    let requests: Vec<_> = (0..50)
        .map(|number| if number % 2 == 0 { bench.send(1, Message::Ping) } else { bench.send(1, Message::Info) })
        .collect();
    for (number, request) in requests.into_iter().enumerate() {
        let reply = bench.answer(request).await;
        assert_eq!(reply == Reply::status("PONG"), number % 2 == 0, "{number}: {reply:?}");
    }
}

#[tokio::test]
async fn a_password_and_a_user_are_sent() {
    let server = RedisServer::start(&["--requirepass", "opensesame"]);
    let mut bench = Bench::new();
    bench.connect(1, with_password(node(server.port), None, "opensesame"));
    bench.up(1).await;
    assert_eq!(bench.ask(1, Message::Ping).await, Reply::status("PONG"));
    bench.connect(2, with_password(node(server.port), Some("default"), "opensesame"));
    bench.up(2).await;
    let peer = Target { kind: TargetKind::Peer, ..with_password(node(server.port), None, "opensesame") };
    bench.connect(3, peer);
    bench.up(3).await;
    assert_eq!(bench.ask(3, Message::Ping).await, Reply::status("PONG"));
}

#[tokio::test]
async fn a_password_that_nobody_asked_for_does_no_harm() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    let target = with_password(node(server.port), None, "x");
    bench.connect(1, target.clone());
    bench.connect(2, Target { kind: TargetKind::Peer, ..target });
    bench.up(1).await;
    bench.up(2).await;
    assert_eq!(bench.ask(2, Message::Ping).await, Reply::status("PONG"));
}

#[tokio::test]
async fn wrong_credentials_are_denied_with_the_servers_words() {
    let server = RedisServer::start(&["--requirepass", "opensesame"]);
    let mut bench = Bench::new();
    let open = node(server.port);
    let wrong = with_password(open.clone(), None, "wrong");
    for (link, target) in [
        (1, wrong.clone()),
        (2, Target { kind: TargetKind::Peer, ..wrong }),
        (3, open.clone()),
        (4, Target { kind: TargetKind::Peer, ..open }),
    ] {
        bench.connect(link, target);
        let fault = bench.down(link).await;
        let LinkFault::Denied(why) = &fault else { panic!("{link}: {fault:?}") };
        assert!(why.starts_with("WRONGPASS") || why.starts_with("NOAUTH"), "{link}: {why}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_leaves_the_link_up_where_the_default_user_is_open() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    let node = with_password(node(server.port), Some("watcher"), "secret");
    for (link, target) in [(1, node.clone()), (2, Target { kind: TargetKind::Peer, ..node })] {
        bench.connect(link, target);
        let refused = bench.up_without_login(link).await;
        assert!(refused.starts_with("WRONGPASS"), "{link}: {refused}");
        assert_eq!(bench.ask(link, Message::Ping).await, Reply::status("PONG"));
    }
    // Tried again when the user is there, over the same connection.
    let sign_in = || Message::SignIn { user: Some("watcher".to_owned()), pass: Secret::new("secret") };
    assert!(matches!(bench.ask(1, sign_in()).await, Reply::Error(_)));
    server.tell("ACL SETUSER watcher on >secret +@all &*");
    assert_eq!(bench.ask(1, sign_in()).await, Reply::ok());
    assert!(server.tell("CLIENT LIST").lines().any(|line| line.contains(" user=watcher ") && line.contains(" resp=3")));
}

#[tokio::test]
async fn nobody_at_the_port_is_refused() {
    let mut bench = Bench::new();
    bench.connect(1, node(free_port()));
    assert_eq!(bench.down(1).await, LinkFault::Refused);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_from_a_dead_host() {
    let mut bench = Bench::new();
    bench.connect(1, Target { addr: "no-such-host.invalid:6379".parse().unwrap(), ..node(1) });
    let fault = bench.down(1).await;
    assert!(matches!(fault, LinkFault::Unresolved(_)), "{fault:?}");
}

#[tokio::test]
async fn the_death_of_a_server_is_noticed_at_once() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    bench.connect(1, node(server.port));
    bench.connect(2, Target { kind: TargetKind::Peer, ..node(server.port) });
    bench.up(1).await;
    bench.up(2).await;
    let killed = Instant::now();
    server.signal(Signal::KILL);
    assert_eq!(bench.down(1).await, LinkFault::Closed);
    assert_eq!(bench.down(2).await, LinkFault::Closed);
    assert!(killed.elapsed() < Duration::from_millis(100), "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_server_that_hangs_delays_no_other_and_is_answered_when_it_goes_on() {
    let (hanging, other) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let mut bench = Bench::new();
    bench.connect(1, node(hanging.port));
    bench.connect(2, node(other.port));
    bench.up(1).await;
    bench.up(2).await;
    hanging.signal(Signal::STOP);
    let late = bench.send(1, Message::Ping);
    bench.connect(3, node(hanging.port));
    for _ in 0..100 {
        let asked = Instant::now();
        assert_eq!(bench.ask(2, Message::Ping).await, Reply::status("PONG"));
        assert!(asked.elapsed() < Duration::from_millis(500), "{:?}", asked.elapsed());
    }
    hanging.signal(Signal::CONT);
    assert_eq!(bench.answer(late).await, Reply::status("PONG"));
    bench.up(3).await;
}

#[tokio::test]
async fn a_closed_link_says_nothing_more_and_its_socket_is_gone() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    bench.connect(1, node(server.port));
    bench.up(1).await;
    bench.send(1, Message::Ping);
    bench.links.disconnect(sentinel_core::LinkId(1));
    bench.connect(2, node(server.port));
    bench.up(2).await;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let clients = server.tell("CLIENT LIST");
        if clients.matches("name=sentinel-0badcafe-cmd").count() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{clients}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_promotion_is_confirmed_by_its_own_answer() {
    let master = RedisServer::start(&[]);
    let replica = RedisServer::start(&["--replicaof", &format!("127.0.0.1 {}", master.port)]);
    let mut bench = Bench::new();
    bench.connect(1, node(replica.port));
    bench.up(1).await;
    let before = bench.ask(1, Message::Info).await;
    assert!(before.as_text().is_some_and(|info| info.contains("role:slave")), "{before:?}");

    let reply = bench.ask(1, Message::Promote { omitted: Omitted::default() }).await;
    let answers = reply.as_items().expect("an array of all answers");
    assert_eq!(answers.len(), 7, "{answers:?}");
    assert_eq!(answers[5].as_items().and_then(<[Reply]>::first), Some(&Reply::ok()), "{answers:?}");
    assert!(answers[6].as_text().is_some_and(|info| info.contains("role:master")), "{answers:?}");

    let back = bench.ask(1, Message::Replicate { of: node(master.port).addr, omitted: Omitted::default() }).await;
    let answers = back.as_items().expect("an array of all answers");
    assert!(answers[6].as_text().is_some_and(|info| info.contains("role:slave")), "{answers:?}");
}

#[tokio::test]
async fn error_answers_keep_their_text_also_inside_a_transaction() {
    let server = RedisServer::start(&["--rename-command", "CONFIG", "GUESS"]);
    let mut bench = Bench::new();
    bench.connect(1, node(server.port));
    bench.up(1).await;
    let busy = bench.ask(1, Message::ScriptKill).await;
    assert_eq!(busy, Reply::error("NOTBUSY No scripts in execution right now."));
    let promoted = bench.ask(1, Message::Promote { omitted: Omitted::default() }).await;
    let answers = promoted.as_items().expect("an array");
    assert!(answers[2].as_text().is_some_and(|text| text.starts_with("ERR unknown command 'CONFIG'")), "{answers:?}");
    assert_eq!(answers[5].error_code(), Some("EXECABORT"), "{answers:?}");

    let renames = Renames::from([("CONFIG".to_owned(), "GUESS".to_owned())]);
    bench.connect(2, Target { rename_commands: Arc::new(renames), ..node(server.port) });
    bench.up(2).await;
    let promoted = bench.ask(2, Message::Promote { omitted: Omitted::default() }).await;
    assert_eq!(promoted.as_items().expect("an array")[2], Reply::status("QUEUED"));
}

#[tokio::test]
async fn a_flood_of_hellos_is_read_apart_so_that_answers_do_not_wait_behind_it() {
    let server = RedisServer::start(&[]);
    let mut bench = Bench::new();
    bench.connect(1, node(server.port));
    bench.up(1).await;
    let port = server.port;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let flood = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let requests = "PUBLISH __sentinel__:hello flood\r\n".repeat(1_000);
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            stream.write_all(requests.as_bytes()).unwrap();
            let (mut answers, mut buffer) = (0, [0; 4096]);
            while answers < 1_000 {
                let read = stream.read(&mut buffer).unwrap();
                assert_ne!(read, 0, "the server ends");
                answers += buffer[..read].split(|&byte| byte == b'\n').count() - 1;
            }
            // Thousands a second are enough, and the test has to look at each.
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let clients = server.tell("CLIENT LIST");
        let subscribed = |name: &str, count: &str| {
            clients.lines().any(|line| line.contains(name) && line.contains(&format!(" sub={count} ")))
        };
        if subscribed("name=sentinel-0badcafe-pubsub", "1") && subscribed("name=sentinel-0badcafe-cmd", "0") {
            break;
        }
        assert!(Instant::now() < deadline, "{clients}");
        assert_eq!(bench.ask(1, Message::Ping).await, Reply::status("PONG"));
    }
    drop(stop);
    flood.join().unwrap();
    assert_eq!(bench.ask(1, Message::Ping).await, Reply::status("PONG"));
    // Those of the flood that still wait may leave no room for the first ones.
    loop {
        bench.ask(1, hello("the-last")).await;
        if bench.hello(1).await == "the-last" {
            break;
        }
    }
}

#[tokio::test]
async fn a_refused_subscription_leaves_the_link_up_and_is_taken_when_permitted() {
    let server = RedisServer::start(&[]);
    server.tell("ACL SETUSER s on >pw resetchannels -@all +ping +publish +subscribe");
    let mut bench = Bench::new();
    bench.connect(1, with_password(node(server.port), Some("s"), "pw"));
    bench.up(1).await;
    assert_eq!(bench.ask(1, Message::Ping).await, Reply::status("PONG"));
    server.tell("ACL SETUSER s &__sentinel__:hello");
    let deadline = Instant::now() + PATIENCE;
    while !server.tell("PUBLISH __sentinel__:hello again").starts_with(":1") {
        assert!(Instant::now() < deadline, "the subscription was not asked for again");
        // The link's task runs on this thread too.
        bench.ask(1, Message::Ping).await;
    }
    assert_eq!(bench.hello(1).await, "again");
}

/// A server of the time before HELLO: RESP2, one flag for what it should do on the subscribed connection.
async fn old_server(listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        tokio::spawn(old_session(stream));
    }
}

async fn old_session(mut stream: TcpStream) {
    let mut decoder = RequestDecoder::new(Limits::default());
    let mut chunk = [0; 4096];
    let mut name = String::new();
    loop {
        while let Some(request) = decoder.next_request().expect("links send well-formed commands") {
            let words: Vec<_> = request.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let replies = match words.as_slice() {
                ["AUTH", "pw"] => vec![Reply::ok()],
                ["CLIENT", "SETNAME", given] => {
                    (*given).clone_into(&mut name);
                    vec![Reply::ok()]
                }
                ["PING"] => vec![Reply::status("PONG")],
                ["SUBSCRIBE", channel] => vec![
                    Reply::Array(vec!["subscribe".into(), (*channel).to_owned().into(), Reply::Integer(1)]),
                    Reply::Array(vec!["message".into(), (*channel).to_owned().into(), name.clone().into()]),
                ],
                [other, ..] => vec![Reply::err(format!("unknown command `{other}`, with args beginning with: "))],
                [] => vec![],
            };
            let mut out = bytes::BytesMut::new();
            for reply in replies {
                encode(&reply, Protocol::Resp2, &mut out);
            }
            if stream.write_all(&out).await.is_err() {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(length @ 1..) => decoder.feed(&chunk[..length]),
            _ => return,
        }
    }
}

#[tokio::test]
async fn an_old_server_is_served_in_resp2_over_two_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(old_server(listener));
    let mut bench = Bench::new();
    bench.connect(1, with_password(node(port), None, "pw"));
    bench.up(1).await;
    assert_eq!(bench.ask(1, Message::Ping).await, Reply::status("PONG"));
    assert_eq!(bench.hello(1).await, "sentinel-0badcafe-pubsub");
    server.abort();
}

#[tokio::test]
async fn a_server_that_connects_and_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut bench = Bench::new();
    let started = Instant::now();
    bench.connect(1, node(port));
    let LinkFault::Failed(why) = bench.down(1).await else { panic!("it was accepted") };
    assert!(why.contains("not answered within"), "{why}");
    assert!(started.elapsed() >= super::handshake::HANDSHAKE_TIMEOUT);
}
