//! A served port, and clients that say exactly what bytes they expect.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use sentinel_core::{
    View,
    command::SimulatedFailures,
    events::Event,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant as Moment, Now, WallTime},
    types::{Epoch, HostPort, MasterName, Quorum, Secret, SentinelId},
    view::{MasterView, NodeView, Role},
};
use sentinel_resp::Reply;
use tokio::sync::{mpsc, oneshot};

use crate::{
    config::{self, BindAddress},
    serve::{Access, Ask, Identity, Listeners, Monitor, Stopped, run},
};

/// How long a test waits for anything before it fails.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A served port on the loopback.
pub(super) struct Port {
    pub(super) address: SocketAddr,
    pub(super) events: mpsc::UnboundedSender<Event>,
    /// What clients ask the monitor. Nobody answers but the test.
    pub(super) asks: mpsc::Receiver<Ask>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Stopped>>,
}

impl Port {
    pub(super) fn open() -> Self {
        Self::with(|_| {}, None)
    }

    pub(super) fn with(adjust: impl FnOnce(&mut config::Server), password: Option<&str>) -> Self {
        let mut settings = config::Server::default();
        adjust(&mut settings);
        let password = password.map(Secret::new);
        let access = Access::load(&settings.acl, password.as_ref(), None).expect("users without a fault");
        let bind = BindAddress { address: "127.0.0.1".into(), optional: false };
        let listeners = Listeners::bind(&[bind], 0, 511).expect("a free port on the loopback");
        let address = listeners.addresses()[0];
        let (events, received) = mpsc::unbounded_channel();
        let (changes, asks) = mpsc::channel(16);
        let (stop, stopped) = oneshot::channel();
        let serving = std::thread::spawn(move || {
            let monitor = Monitor {
                view: Arc::new(ArcSwap::from_pointee(view())),
                changes,
                events: received,
                meters: Arc::default(),
                clock: Box::new(|| Now { mono: Moment::from_micros(60_000_000), wall: WallTime(1_800_000_000_000) }),
                reload: Box::new(|| Box::pin(async { Reply::err("no configuration is held here") })),
            };
            let stop = async {
                // A test that ends drops its half.
                let _ = stopped.await;
            };
            let serving = run(listeners, settings, access, identity(), monitor, stop);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serving).expect("listening sockets")
        });
        Self { address, events, asks, stop: Some(stop), serving: Some(serving) }
    }

    pub(super) fn connect(&self) -> Peer {
        Peer::connect(self.address)
    }

    /// Tells it to stop.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until serving ended by itself.
    pub(super) fn ended(mut self) -> Stopped {
        let serving = self.serving.take().expect("serving since the test began");
        let deadline = Instant::now() + PATIENCE;
        while !serving.is_finished() {
            assert!(Instant::now() < deadline, "still serving");
            std::thread::sleep(Duration::from_millis(5));
        }
        serving.join().expect("no panic while serving")
    }

    /// The next thing that a client asks of the monitor.
    pub(super) fn asked(&mut self) -> Ask {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.asks.try_recv() {
                Ok(ask) => return ask,
                Err(error) => assert!(Instant::now() < deadline, "the monitor was asked nothing: {error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop();
        if let Some(serving) = self.serving.take() {
            let ended = serving.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a panic while serving");
        }
    }
}

/// A client.
pub(super) struct Peer {
    stream: TcpStream,
    pending: Vec<u8>,
}

impl Peer {
    pub(super) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a served port");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self { stream, pending: Vec::new() }
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket")
    }

    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream.write_all(bytes.as_ref()).expect("a connection that takes requests");
        self
    }

    /// Sends an inline request.
    pub(super) fn ask(&mut self, line: &str) -> &mut Self {
        self.send(format!("{line}\r\n"))
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub(super) fn expect(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let expected = bytes.as_ref();
        while self.pending.len() < expected.len() && expected.starts_with(&self.pending) {
            if let Some(trouble) = self.receive() {
                panic!(
                    "{trouble} after {:?}, not {:?}",
                    self.pending.escape_ascii().to_string(),
                    expected.escape_ascii().to_string()
                );
            }
        }
        let got: Vec<u8> = self.pending.drain(..expected.len().min(self.pending.len())).collect();
        assert_eq!(got.escape_ascii().to_string(), expected.escape_ascii().to_string());
        self
    }

    /// Reads a bulk string or a verbatim text.
    #[track_caller]
    pub(super) fn text(&mut self) -> String {
        let header = self.line();
        let length: usize =
            header.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("no text: {header:?}"));
        while self.pending.len() < length + 2 {
            if let Some(trouble) = self.receive() {
                panic!("{trouble} within a text of {length}");
            }
        }
        let text: Vec<u8> = self.pending.drain(..length + 2).collect();
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// Reads up to a line end.
    #[track_caller]
    pub(super) fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=at).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            if let Some(trouble) = self.receive() {
                panic!("{trouble} within a line: {:?}", self.pending.escape_ascii().to_string());
            }
        }
    }

    /// Reads until the other side closes; what comes before is returned.
    #[track_caller]
    pub(super) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.receive() {
                None => {}
                Some("timeout") => panic!("still open after {:?}", self.pending.escape_ascii().to_string()),
                Some(_) => return std::mem::take(&mut self.pending),
            }
        }
    }

    /// The other side closes without another word.
    #[track_caller]
    pub(super) fn closed(&mut self) {
        let rest = self.rest();
        assert_eq!(rest.escape_ascii().to_string(), "");
    }

    /// Everything up to these bytes, or to the end of the connection.
    pub(super) fn until(&mut self, end: &[u8]) -> Vec<u8> {
        while !self.pending.ends_with(end) {
            match self.receive() {
                None => {}
                Some("timeout") => panic!("still silent after {:?}", self.pending.escape_ascii().to_string()),
                Some(_) => {
                    self.pending.extend_from_slice(b"<closed>");
                    break;
                }
            }
        }
        std::mem::take(&mut self.pending)
    }

    /// One request and its one-line answer, whatever becomes of either.
    pub(super) fn ask_quietly(&mut self, line: &str) -> Vec<u8> {
        let _ = self.stream.write_all(format!("{line}\r\n").as_bytes());
        self.until(b"\r\n")
    }

    /// Says that nothing more comes. A connection that is gone already needs no such end.
    pub(super) fn finish_sending(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Reads some bytes, or says why not.
    fn receive(&mut self) -> Option<&'static str> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => Some("closed"),
            Ok(read) => {
                self.pending.extend_from_slice(&bytes[..read]);
                None
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some("timeout"),
            Err(_) => Some("reset"),
        }
    }
}

fn identity() -> Identity {
    Identity {
        run_id: "a".repeat(40),
        build_id: "test".into(),
        system: "Test".into(),
        supervised: "no",
        executable: "/usr/bin/sentinel".into(),
        config_file: String::new(),
    }
}

/// A Sentinel that monitors `mymaster`, of which it knows nothing more.
fn view() -> View {
    let name = MasterName::new("mymaster").expect("a name");
    let addr = HostPort::from_words("127.0.0.1", "6390").expect("an address");
    let quorum = Quorum::new(2).expect("a quorum");
    let node = NodeView {
        addr: addr.clone(),
        run_id: None,
        vitals: Arc::default(),
        sdown_since: None,
        connected: true,
        link_refcount: 1,
        info_at: None,
        info: None,
        role: Role::Master,
        role_since: Moment::ZERO,
        script_kill_sent: false,
        denied: None,
        rebooted: false,
    };
    let master = MasterView {
        name,
        serving: addr,
        node,
        odown_since: None,
        failover_state: None,
        failover_forced: false,
        failover_coordinated: false,
        promotion: None,
        config_epoch: Epoch::ZERO,
        problems: Arc::new([]),
        settings: Arc::new(MasterSettings::new(quorum)),
        replicas: Vec::new(),
        peers: Vec::new(),
    };
    View {
        id: SentinelId::new(&"c".repeat(40)).expect("an id"),
        run_id: None,
        refused_requests: 0,
        current_epoch: Epoch::ZERO,
        tilt_since: None,
        globals: Arc::new(GlobalSettings::default()),
        timing: Timing::default(),
        own_id_elsewhere: None,
        history: Arc::new([]),
        problems: Arc::new([]),
        persist_error: None,
        scripts: Arc::new([]),
        simulated: SimulatedFailures::default(),
        masters: [Arc::new(master)].into_iter().collect(),
    }
}
