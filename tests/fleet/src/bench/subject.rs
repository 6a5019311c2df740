//! The Sentinel that is measured.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use bytes::BytesMut;
use sentinel_fleet::{Fleet, clock::Micros};
use sentinel_resp::{Protocol, Reply, ReplyDecoder, encode};
use sentinel_tests::{Kind, ServerProcess, free_port};

/// How long an answer may take before it counts as none. The reference answers nobody while it starts.
const PATIENCE: Duration = Duration::from_secs(300);

/// One running Sentinel with a folder of its own. It is killed when dropped.
pub(crate) struct Subject {
    process: ServerProcess,
    _folder: tempfile::TempDir,
    pub(crate) port: u16,
    /// When it was started.
    pub(crate) started: Micros,
}

/// What a process uses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time, in microseconds.
    pub(crate) cpu: f64,
    at: Micros,
}

impl Usage {
    /// Of all threads of a process so far.
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread that ends meanwhile is a short one.
            let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Usage { cpu: nanos as f64 / 1e3, at: Micros::now() })
    }

    /// Percent of one core since an earlier reading.
    pub(crate) fn percent_since(&self, earlier: &Usage) -> f64 {
        (self.cpu - earlier.cpu) / self.at.since(earlier.at).max(1) as f64 * 100.0
    }
}

impl Subject {
    /// Starts a Sentinel that watches the groups of a fleet.
    pub(crate) fn start(kind: Kind, fleet: &Fleet, groups: usize, quorum: usize, lines: &[&str]) -> io::Result<Self> {
        Self::start_with(kind, fleet, groups, quorum, lines, &[])
    }

    /// The same with further lines of its configuration, which are not of a master.
    pub(crate) fn start_with(
        kind: Kind,
        fleet: &Fleet,
        groups: usize,
        quorum: usize,
        lines: &[&str],
        own: &[String],
    ) -> io::Result<Self> {
        let mut config = String::new();
        for line in own {
            let _ = writeln!(config, "{line}");
        }
        for group in 0..groups {
            let addr = fleet.addr(fleet.node(group, 0));
            let _ = writeln!(config, "sentinel monitor m{group} {} {} {quorum}", addr.ip(), addr.port());
            for line in lines {
                let (directive, value) = line.split_once(' ').unwrap_or((line, ""));
                let _ = writeln!(config, "sentinel {directive} m{group} {value}");
            }
        }
        let folder = tempfile::tempdir()?;
        let port = free_port();
        let file = folder.path().join("sentinel.conf");
        fs::write(&file, format!("port {port}\nbind 127.0.0.1\ndir {}\n{config}", folder.path().display()))?;
        let (program, arguments) = kind.command(&file);
        let started = Micros::now();
        let process = ServerProcess::start(kind.name(), &program, &arguments, folder.path());
        Ok(Subject { process, _folder: folder, port, started })
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Where clients connect.
    pub(crate) fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// A connection; waits until the port is open.
    pub(crate) fn client(&self) -> io::Result<Client> {
        let begun = Micros::now();
        loop {
            match TcpStream::connect(self.addr()) {
                Ok(stream) => return Client::new(stream),
                Err(error) if Micros::now().since(begun) > 30_000_000 => {
                    let log = self.process.last_output(10);
                    return Err(io::Error::other(format!("the Sentinel does not listen: {error}\n{log}")));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Processor time used so far by all threads.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        Usage::of(self.process.pid())
    }

    /// Resident memory in MB.
    pub(crate) fn resident(&self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()))?;
        let kilobytes =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse().ok());
        kilobytes.map(|kb: f64| kb / 1024.0).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// How often it has said that an instance is subjectively down.
    pub(crate) fn held_for_down(&self) -> usize {
        self.process.last_output(usize::MAX).matches(" +sdown ").count()
    }

    /// Open descriptors.
    pub(crate) fn descriptors(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.process.pid()))?.count())
    }

    /// Waits until it is not in TILT, and says since when it runs.
    pub(crate) fn wait_until_it_acts(&self, limit: Duration) -> io::Result<Option<Micros>> {
        let mut client = self.client()?;
        loop {
            let info = client.ask(&["INFO", "sentinel"])?;
            if info.as_text().is_some_and(|text| text.contains("sentinel_tilt:0")) {
                return Ok(Some(Micros::now()));
            }
            if Micros::now().since(self.started) > limit.as_micros() as u64 {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The size of a program without its symbols, in MB, as `strip` would leave it or as it is.
pub(crate) fn program_size(program: &Path) -> io::Result<f64> {
    Ok(fs::metadata(fs::canonicalize(program)?)?.len() as f64 / 1e6)
}

/// A blocking client.
pub(crate) struct Client {
    stream: TcpStream,
    replies: ReplyDecoder,
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client { stream, replies: ReplyDecoder::new(64 << 20) })
    }

    /// Sends one command and waits for its answer.
    pub(crate) fn ask(&mut self, words: &[&str]) -> io::Result<Reply> {
        self.stream.write_all(&packed(words))?;
        self.next()
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next answer.
    pub(crate) fn next(&mut self) -> io::Result<Reply> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if let Some(reply) = self.replies.next_reply().map_err(io::Error::other)? {
                return Ok(reply);
            }
            match self.stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => self.replies.feed(&buffer[..length]),
            }
        }
    }
}

/// A command as it is sent.
pub(crate) fn packed(words: &[&str]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(
        &Reply::Array(words.iter().map(|word| Reply::bulk(word.as_bytes().to_vec())).collect()),
        Protocol::Resp2,
        &mut bytes,
    );
    bytes.to_vec()
}
