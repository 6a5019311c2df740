//! `sentinel proxy` in front of real nodes, as clients see it that know no Sentinel.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{RedisResult, Value};
use sentinel_tests::http::{Http, metric};
use sentinel_tests::{Authority, Deployment, ProxyProcess, Writer, eventually, programs};

use crate::given::SOON;

/// What an idle machine stays under stands in the benchmarks; a loaded one may take longer.
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// A proxy, and where it tells its metrics.
struct Proxy {
    running: ProxyProcess,
    metrics: u16,
}

impl Proxy {
    /// Starts one for the Sentinels of a deployment.
    fn start(deployment: &Deployment, options: &[&str]) -> Self {
        Self::measured(|metrics| ProxyProcess::of(deployment, &[metrics, options].concat()))
    }

    fn launch(listen: &str, sentinels: &str, options: &[&str]) -> Self {
        Self::measured(|metrics| ProxyProcess::start(listen, sentinels, &[metrics, options].concat()))
    }

    fn measured(start: impl FnOnce(&[&str]) -> ProxyProcess) -> Self {
        let running = start(&["--metrics", "127.0.0.1:0"]);
        Self { metrics: running.metrics(), running }
    }

    fn client(&self) -> Client {
        Client::of(TcpStream::connect(("127.0.0.1", self.running.port)).expect("a connection"))
    }

    fn command<T: redis::FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.running.port))?;
        let mut connection = client.get_connection_with_timeout(SOON)?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(*word);
        }
        command.query(&mut connection)
    }

    /// Which port the node has that a new client comes to.
    fn node(&self) -> u16 {
        let answer: Vec<String> = self.command(&["CONFIG", "GET", "port"]).expect("it is served");
        answer[1].parse().expect("a port")
    }

    fn wait_until_it_leads_to(&self, port: u16) {
        eventually("the proxy leads to the node", SOON, || match self.node() {
            at if at == port => Ok(()),
            other => Err(format!("{other}, not {port}\n{}", self.running.process.last_output(20))),
        });
    }

    fn count(&self, name: &str) -> u64 {
        let page = Http::at(self.metrics).get("/metrics").body;
        let value = metric(&page, &format!("sentinel_proxy_{name}")).unwrap_or_else(|| panic!("{name} in\n{page}"));
        // They are all counts of a few.
        value.to_string().parse().expect("a whole number")
    }
}

/// A client that sees the bytes.
struct Client(TcpStream);

impl Client {
    fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        Self(stream)
    }

    fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).expect("it is sent");
    }

    /// The next line; empty at the end of the connection.
    fn line(&mut self) -> String {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            match self.0.read(&mut byte) {
                Ok(0) => break,
                Ok(_) => line.extend(byte),
                Err(error) => panic!("{error} behind {:?}", String::from_utf8_lossy(&line)),
            }
        }
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }
}

#[test]
fn writes_go_on_through_a_forced_failover_and_a_death_and_none_is_lost() {
    // Given an application that knows the proxy alone
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let proxy = Proxy::start(&deployment, &[]);
    proxy.wait_until_it_leads_to(group.master().port());

    // When an operator has the master replaced while it writes
    let writer = Writer::through(proxy.running.port, Duration::from_millis(2));
    let old = group.master();
    deployment.sentinels()[0].failover("mymaster");
    let new = deployment.wait_for_switch("mymaster", old.port());
    writer.wait_for_write(proxy.running.port, Instant::now(), SOON);
    let report = writer.finish();

    // Then it goes on with the new one, and what was acknowledged is there
    let gap = report.longest_gap();
    println!("longest write gap of a forced failover through the proxy: {} ms", gap.as_millis());
    assert!(gap < LONGEST_GAP, "{gap:?}");
    assert_eq!(report.missing_from(new).len(), 0, "acknowledged and lost: {:?}", report.missing_from(new));
    proxy.wait_until_it_leads_to(new.port());

    // And when that one dies, so it does again
    group.wait_until_linked(new);
    deployment.wait_until_discovered();
    let writer = Writer::through(proxy.running.port, Duration::from_millis(2));
    new.kill();
    let third = deployment.wait_for_switch("mymaster", new.port());
    writer.wait_for_write(proxy.running.port, Instant::now(), SOON);
    drop(writer);
    proxy.wait_until_it_leads_to(third.port());
    assert!(proxy.count("switches_total") >= 3);
}

#[test]
fn who_waits_for_a_reply_is_told_that_its_outcome_is_unknown_and_who_comes_meanwhile_waits() {
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let proxy = Proxy::start(&deployment, &[]);
    proxy.wait_until_it_leads_to(group.master().port());
    // Given one client whose request has no reply, and one that has all it asked for
    let (mut waits, mut rests) = (proxy.client(), proxy.client());
    assert_eq!(rests.ask("SET key value"), "+OK");
    waits.send("BLPOP nothing 0");
    eventually("the request is at the node", SOON, || match group.master().info("blocked_clients") {
        Some(count) if count == "1" => Ok(()),
        other => Err(format!("{other:?}")),
    });

    // When the master dies
    let old = group.master();
    old.kill();

    // Then the one is told, the other one is not told anything, and both are cut
    let told = waits.line();
    assert!(told.starts_with("-SWITCHED the connection to 127.0.0.1:") && told.contains("not known"), "{told}");
    assert_eq!(waits.line(), "", "the end of the connection");
    assert_eq!(rests.line(), "", "the end of the connection");

    // And a client that comes before there is a new master is served by that
    let mut early = proxy.client();
    assert_eq!(early.ask("SET key again"), "+OK");
    let new = deployment.wait_for_switch("mymaster", old.port());
    assert_eq!(new.command::<String>(&["GET", "key"]).as_deref(), Ok("again"));
    assert!(proxy.count("outcomes_unknown_total") >= 1);
}

#[test]
fn clients_of_replicas_are_spread_and_come_to_the_master_only_while_there_is_none() {
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let proxy = Proxy::start(&deployment, &["--replica", "--balance", "least"]);
    let replicas = || group.nodes().iter().filter(|it| it.port() != group.master().port());
    // Given clients that stay: each replica has its share
    let mut kept = Vec::new();
    eventually("both replicas are read from", SOON, || {
        let ports: std::collections::BTreeSet<_> = (0..4).map(|_| proxy.node()).collect();
        if ports.contains(&group.master().port()) { Err(format!("{ports:?}")) } else { Ok(()) }
    });
    for _ in 0..8 {
        let mut client = proxy.client();
        client.send("CONFIG GET port");
        let lines: Vec<_> = (0..5).map(|_| client.line()).collect();
        kept.push((lines[4].parse::<u16>().expect("a port"), client));
    }
    for replica in replicas() {
        let share = kept.iter().filter(|(port, _)| *port == replica.port()).count();
        assert_eq!(share, 4, "of {:?}", kept.iter().map(|(port, _)| port).collect::<Vec<_>>());
    }

    // When one replica dies, then its clients are cut, and come to the other one
    let dead = replicas().next().expect("a replica").port();
    group.node(dead).kill();
    for (port, client) in &mut kept {
        if *port == dead {
            assert_eq!(client.line(), "", "the end of the connection");
        } else {
            assert_eq!(client.ask("PING"), "+PONG");
        }
    }
    let other = replicas().find(|it| it.port() != dead).expect("another one").port();
    assert_eq!(proxy.node(), other);

    // And when none is left, to the master; unless that was ruled out
    group.node(other).kill();
    proxy.wait_until_it_leads_to(group.master().port());
    let strict = Proxy::start(&deployment, &["--replica", "--replica-only", "--wait", "300"]);
    let told = strict.client().line();
    assert!(told.starts_with("-NOREPLICA no replica of `mymaster` to read from"), "{told}");
    assert_eq!(strict.count("clients_unserved_total"), 1);
}

#[test]
fn at_sigterm_what_is_under_way_is_finished_and_the_next_proxy_has_the_port_already() {
    let deployment = Deployment::of_ours(1).start();
    let proxy = Proxy::start(&deployment, &["--share-port"]);
    proxy.wait_until_it_leads_to(deployment.only_group().master().port());
    let (mut waits, mut rests) = (proxy.client(), proxy.client());
    assert_eq!(rests.ask("PING"), "+PONG");
    waits.send("BLPOP list 0");
    eventually("the request is at the node", SOON, || {
        let blocked = deployment.only_group().master().info("blocked_clients");
        if blocked.as_deref() == Some("1") { Ok(()) } else { Err(format!("{blocked:?}")) }
    });

    // When the next one has begun at the same port, and this one is told to end
    let sentinel = format!("127.0.0.1:{}", deployment.sentinels()[0].port());
    let next = Proxy::launch(&format!("127.0.0.1:{}", proxy.running.port), &sentinel, &["--share-port"]);
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(proxy.running.process.pid()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is told");

    // Then who rests is cut, who waits still has its reply, and new clients are served
    assert_eq!(rests.line(), "", "the end of the connection");
    assert_eq!(next.running.port, proxy.running.port);
    assert_eq!(next.client().ask("RPUSH list element"), ":1");
    let reply: Vec<_> = (0..5).map(|_| waits.line()).collect();
    assert_eq!(reply, ["*2", "$4", "list", "$7", "element"]);
    assert_eq!(waits.line(), "", "the end of the connection");
    let mut process = proxy.running.process;
    let status = eventually("it ends", SOON, || process.exit_status().ok_or_else(|| process.last_output(20)));
    assert!(status.success(), "{status}: {}", process.last_output(20));
}

#[test]
fn limits_and_missing_masters_are_told_in_the_protocol() {
    // Given a proxy for two clients, whose Sentinel nobody has started
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let sentinel = format!("127.0.0.1:{}", nobody.local_addr().expect("an address").port());
    drop(nobody);
    let proxy = Proxy::launch("127.0.0.1:0", &sentinel, &["--max-clients", "2", "--wait", "1000"]);
    assert_eq!(Http::at(proxy.metrics).get("/livez").status, 200);
    assert_eq!(Http::at(proxy.metrics).get("/readyz").status, 503);
    let (mut first, mut second) = (proxy.client(), proxy.client());
    eventually("both are counted", SOON, || match proxy.count("clients_waiting") {
        2 => Ok(()),
        other => Err(format!("{other}")),
    });
    let mut third = proxy.client();
    assert_eq!(third.line(), "-ERR max number of clients reached");
    assert_eq!(third.line(), "", "the end of the connection");
    for client in [&mut first, &mut second] {
        let told = client.line();
        assert!(told.starts_with("-NOMASTER no verified master `mymaster` within"), "{told}");
        assert!(told.contains(&sentinel), "it says whom it asked: {told}");
        assert_eq!(client.line(), "", "the end of the connection");
    }
    // Who leaves while it waits is waited for no longer.
    drop(proxy.client());
    eventually("nobody waits", Duration::from_millis(900), || match proxy.count("clients_waiting") {
        0 => Ok(()),
        other => Err(format!("{other}")),
    });
}

#[test]
fn both_sides_may_be_encrypted_and_the_login_is_between_client_and_node() {
    let authority = Arc::new(Authority::new("all"));
    let deployment =
        Deployment::of_ours(1).encrypted_by(&authority).data_line("user reader on >secret ~* +get +ping").start();
    let own = authority.issue("proxy");
    let (ca, certificate, key) = (authority.certificate(), &own.certificate, &own.key);
    let path = |path: &std::path::Path| path.display().to_string();
    let (ca, certificate, key) = (path(&ca), path(certificate), path(key));
    let options = [
        "--tls",
        "--node-tls",
        "--cacert",
        &ca,
        "--cert",
        &certificate,
        "--key",
        &key,
        "--listen-cert",
        &certificate,
        "--listen-key",
        &key,
        "--listen-cacert",
        &ca,
    ];
    let proxy = Proxy::start(&deployment, &options);
    let cli = |more: &[&str]| {
        let port = proxy.running.port.to_string();
        let mut words = vec!["-h", "127.0.0.1", "-p", &port, "--tls", "--cacert", &ca];
        words.extend(more);
        let output = std::process::Command::new(programs::redis_cli()).args(words).output().expect("redis-cli runs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    let shown = ["--cert", &certificate, "--key", &key];
    assert_eq!(cli(&[&shown[..], &["SET", "key", "value"]].concat()).trim(), "OK");
    let login = ["--user", "reader", "--pass", "secret", "--no-auth-warning"];
    assert_eq!(cli(&[&shown[..], &login, &["GET", "key"]].concat()).trim(), "value");
    assert!(cli(&[&shown[..], &login, &["SET", "key", "other"]].concat()).contains("NOPERM"));
    // Without a certificate nobody is let in.
    let refused = cli(&["PING"]);
    assert!(!refused.contains("PONG"), "{refused}");
}

#[test]
fn a_master_that_is_made_a_replica_behind_everybodys_back_loses_its_clients() {
    // Given a client, and Sentinels that say nothing more
    let deployment = Deployment::of_ours(1).start();
    let group = deployment.only_group();
    let proxy = Proxy::start(&deployment, &[]);
    proxy.wait_until_it_leads_to(group.master().port());
    let mut client = proxy.client();
    assert_eq!(client.ask("SET key value"), "+OK");
    deployment.sentinels()[0].hang();

    // When its node is told to be a replica, then the first write that this refuses is the last one
    let other = group.replicas()[0].port().to_string();
    let () = group.master().command(&["REPLICAOF", "127.0.0.1", &other]).expect("it obeys");
    assert!(client.ask("SET key other").starts_with("-READONLY"));
    assert_eq!(client.line(), "", "the end of the connection");
    deployment.sentinels()[0].resume();
}

#[test]
fn nothing_is_done_for_clients_that_have_left() {
    // Given a proxy whose master and Sentinel hang
    let deployment = Deployment::of_ours(1).down_after(Duration::from_secs(30)).start();
    let group = deployment.only_group();
    let proxy = Proxy::start(&deployment, &["--wait", "20000"]);
    proxy.wait_until_it_leads_to(group.master().port());
    let mut rests = proxy.client();
    assert_eq!(rests.ask("SET ghosts 0"), "+OK");
    deployment.sentinels()[0].hang();
    group.master().hang();
    rests.send("PING");
    // It notices after a second, and new clients wait.
    eventually("the master is missed", SOON, || {
        let mut client = proxy.client();
        client.send("INCR ghosts");
        std::thread::sleep(Duration::from_millis(50));
        drop(client);
        match proxy.count("clients_waiting") {
            0 => Err("nobody waits".to_owned()),
            _ => Ok(()),
        }
    });

    // When clients ask for something, and leave before they could be served, then they wait no longer
    for _ in 0..10 {
        proxy.client().send("INCR waited");
    }
    eventually("nobody waits", SOON, || match proxy.count("clients_waiting") {
        0 => Ok(()),
        other => Err(format!("{other}")),
    });

    // And nothing of it is done when the master is back
    group.master().resume();
    deployment.sentinels()[0].resume();
    proxy.wait_until_it_leads_to(group.master().port());
    assert_eq!(group.master().command::<Option<String>>(&["GET", "waited"]).expect("it answers"), None);
}

#[test]
fn what_is_no_protocol_passes_through_and_is_cut_without_a_word() {
    let deployment = Deployment::of_ours(1).start();
    let proxy = Proxy::start(&deployment, &[]);
    proxy.wait_until_it_leads_to(deployment.only_group().master().port());
    // A big value goes through whole, both ways, and so do pipelines and RESP3.
    let big = "x".repeat(8 << 20);
    let () = proxy.command(&["SET", "big", &big]).expect("it is written");
    assert!(proxy.command::<String>(&["GET", "big"]).expect("it is read") == big);
    let mut client = proxy.client();
    client.send(&vec!["PING"; 10_000].join("\r\n"));
    assert!((0..10_000).all(|_| client.line() == "+PONG"));
    let three: Value = proxy.command(&["HELLO", "3"]).expect("RESP3");
    assert!(!matches!(three, Value::Nil));
    // What is no request is answered by the node, as it would be without a proxy.
    let mut client = proxy.client();
    client.send("*1\r\n:5");
    assert!(client.line().starts_with("-ERR Protocol error"), "the node's own words");
    assert_eq!(client.line(), "", "the end of the connection");
    let mut client = proxy.client();
    client.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$600000000");
    assert!(client.line().starts_with("-ERR Protocol error"), "the node's own words");
    assert_eq!(client.line(), "", "and nothing besides");
}
