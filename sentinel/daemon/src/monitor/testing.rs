//! Fixtures for tests of links: real servers, a fake old one, and a table of links to watch.

use std::{
    ffi::OsString,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sentinel_core::{Input, LinkId, Message, RequestId, Target, TargetKind, types::Secret};
use sentinel_resp::Reply;
use sentinel_tests::free_port;

use super::{
    dial::Dialer,
    inbox::{Fact, Inbox, inbox},
    links::Links,
    wire::Renames,
};

/// How long any test waits for anything.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A running redis-server on loopback in a folder of its own. Killed when dropped.
pub(super) struct RedisServer {
    pub(super) port: u16,
    process: Child,
    _folder: tempfile::TempDir,
}

impl RedisServer {
    /// Starts one with further options (`--name value` words) and waits until it answers.
    pub(super) fn start(options: &[&str]) -> Self {
        let program = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| OsString::from("redis-server"));
        // A free port may be taken by somebody else before the server has it: then another one is tried.
        for _ in 0..5 {
            let port = free_port();
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let config = folder.path().join("redis.conf");
            std::fs::write(&config, "").expect("a file can be written there");
            let process = Command::new(&program)
                .arg(&config)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--logfile", "log"])
                .args(["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"])
                .arg("--dir")
                .arg(folder.path())
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("{program:?} cannot be started (set REDIS_SERVER): {error}"));
            let mut server = RedisServer { port, process, _folder: folder };
            if server.answers() {
                return server;
            }
        }
        panic!("{program:?} did not come up on any of five ports");
    }

    fn answers(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.process.try_wait().expect("the process can be asked").is_some() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Sends one inline command and gives what came back of the answer so far.
    pub(super) fn tell(&self, line: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream.write_all(format!("{line}\r\n").as_bytes()).expect("the server reads");
        let mut answer = vec![0; 64 * 1024];
        let length = stream.read(&mut answer).expect("the server answers");
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).expect("a child has a pid");
        kill_process(pid, signal).expect("a child can be signalled");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where a data node without a password is.
pub(super) fn node(port: u16) -> Target {
    Target {
        addr: format!("127.0.0.1:{port}").parse().expect("an address"),
        kind: TargetKind::DataNode,
        user: None,
        pass: None,
        client_name: "sentinel-0badcafe".to_owned(),
        rename_commands: Arc::new(Renames::new()),
    }
}

/// The same with a password.
pub(super) fn with_password(target: Target, user: Option<&str>, pass: &str) -> Target {
    Target { user: user.map(str::to_owned), pass: Some(Secret::new(pass)), ..target }
}

/// A table of links, and what the engine would have been told.
pub(super) struct Bench {
    pub(super) links: Links,
    inbox: Inbox,
    seen: Vec<Input>,
    requests: u64,
}

impl Bench {
    pub(super) fn new() -> Self {
        let (outbox, inbox) = inbox();
        Bench { links: Links::new(Dialer::default(), outbox, Arc::default()), inbox, seen: Vec::new(), requests: 0 }
    }

    pub(super) fn connect(&mut self, link: u64, target: Target) {
        self.links.connect(LinkId(link), Arc::new(target));
    }

    /// Sends without waiting.
    #[allow(clippy::needless_pass_by_value, reason = "tests make the message where they send it")]
    pub(super) fn send(&mut self, link: u64, message: Message) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.links.send(LinkId(link), request, &message);
        self.links.write();
        request
    }

    /// Waits for the first input, also among those already seen, for which `find` gives something.
    pub(super) async fn until<T>(&mut self, what: &str, find: impl Fn(&Input) -> Option<T>) -> T {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            self.links.read(|input| self.seen.push(input));
            if let Some(at) = self.seen.iter().position(|input| find(input).is_some()) {
                return find(&self.seen.remove(at)).expect("it was found a line before");
            }
            let next = async {
                tokio::select! {
                    () = self.links.any_ready() => None,
                    Some(fact) = self.inbox.facts.recv() => match fact {
                        Fact::Link { link, life, news } => self.links.input(link, life, news),
                        Fact::Resolved(input) => Some(input),
                        other => panic!("links only tell news: {other:?}"),
                    },
                    Some(hello) = self.inbox.hellos.recv() => self.links.hello(hello),
                }
            };
            let Ok(input) = tokio::time::timeout_at(deadline, next).await else {
                panic!("no {what} within {PATIENCE:?}; came instead: {:#?}", self.seen);
            };
            if let Some(input) = input {
                match find(&input) {
                    Some(found) => return found,
                    None => self.seen.push(input),
                }
            }
        }
    }

    pub(super) async fn up(&mut self, id: u64) -> Option<std::net::IpAddr> {
        self.until("LinkUp", |input| match input {
            Input::LinkUp { link, local, .. } if link.0 == id => Some(*local),
            Input::LinkDown { link, fault } if link.0 == id => panic!("the link did not come up: {fault}"),
            _ => None,
        })
        .await
    }

    /// Waits until the link is used without the login; with the error that refused it.
    pub(super) async fn up_without_login(&mut self, id: u64) -> String {
        self.until("LinkUp without a login", |input| match input {
            Input::LinkUp { link, refused_login: Some(error), .. } if link.0 == id => Some(error.clone()),
            Input::LinkDown { link, fault } if link.0 == id => panic!("the link did not come up: {fault}"),
            _ => None,
        })
        .await
    }

    pub(super) async fn down(&mut self, id: u64) -> sentinel_core::LinkFault {
        self.until("LinkDown", |input| match input {
            Input::LinkDown { link, fault } if link.0 == id => Some(fault.clone()),
            _ => None,
        })
        .await
    }

    pub(super) async fn hello(&mut self, id: u64) -> String {
        self.until("Hello", |input| match input {
            Input::Hello { link, payload } if link.0 == id => Some(String::from_utf8_lossy(payload).into_owned()),
            _ => None,
        })
        .await
    }

    pub(super) async fn answer(&mut self, wanted: RequestId) -> Reply {
        self.until("Reply", |input| match input {
            Input::Reply { request, reply, .. } if *request == wanted => Some(reply.clone()),
            _ => None,
        })
        .await
    }

    /// Sends and waits for the answer.
    pub(super) async fn ask(&mut self, link: u64, message: Message) -> Reply {
        let request = self.send(link, message);
        self.answer(request).await
    }
}
