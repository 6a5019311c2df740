//! An application that writes while masters come and go, and remembers what it was promised.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Connection, RedisResult};

use crate::node::{DataNode, connect_with};
use crate::wait::eventually;

/// How often the Sentinels are asked for the address while all goes well.
const ASK_EVERY: Duration = Duration::from_millis(5);
/// How long an answer is waited for, from a node or a Sentinel.
const PATIENCE: Duration = Duration::from_millis(100);

/// A write that a master has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    /// The number that was written, as `written:<number>`.
    pub number: u64,
    /// When the acknowledgement arrived.
    pub at: Instant,
    /// The port of the node that gave it.
    pub port: u16,
}

/// Writes numbered values to the master that the Sentinels name, or to a load balancer.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    acknowledged: Mutex<Vec<Acknowledged>>,
    stop: AtomicBool,
}

impl Shared {
    fn acknowledged(&self) -> MutexGuard<'_, Vec<Acknowledged>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writer {
    /// Starts writing to the master `name`, one value every `pace`, asking the Sentinels on these ports in turn. Returns
    /// after the first acknowledgement.
    pub fn start(sentinels: &[u16], name: &str, pace: Duration) -> Self {
        let sentinels = sentinels.iter().map(|port| Link::new(*port)).collect();
        let guide = Guide { name: name.to_owned(), sentinels, next: 0, asked: None };
        Self::launch(Application { guide: Some(guide), node: None }, pace)
    }

    /// Starts writing to one port, one value every `pace`: a load balancer's. Returns after the first acknowledgement.
    pub fn through(port: u16, pace: Duration) -> Self {
        Self::launch(Application { guide: None, node: Some(Link::new(port)) }, pace)
    }

    fn launch(mut application: Application, pace: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    let mut number = 0;
                    while !shared.stop.load(Ordering::Relaxed) {
                        if let Some(port) = application.write(number) {
                            shared.acknowledged().push(Acknowledged { number, at: Instant::now(), port });
                        }
                        // A number whose outcome is unknown is never used again.
                        number += 1;
                        std::thread::sleep(pace);
                    }
                }
            })
            .expect("a thread can be started");
        let writer = Self { shared, thread: Some(thread) };
        eventually("a first write is accepted", Duration::from_secs(10), || {
            if writer.shared.acknowledged().is_empty() { Err("none yet".to_owned()) } else { Ok(()) }
        });
        writer
    }

    /// Waits for the first write that the node on `port` accepted after `since`.
    ///
    /// # Panics
    /// When there is none `within` that time.
    #[track_caller]
    pub fn wait_for_write(&self, port: u16, since: Instant, within: Duration) -> Acknowledged {
        eventually(&format!("a write is accepted by port {port}"), within, || {
            let acknowledged = self.shared.acknowledged();
            let from = acknowledged.partition_point(|write| write.at < since);
            acknowledged[from..]
                .iter()
                .find(|write| write.port == port)
                .copied()
                .ok_or_else(|| format!("last accepted: {:?}", acknowledged.last()))
        })
    }

    /// Stops writing.
    pub fn finish(mut self) -> WriterReport {
        self.stop();
        WriterReport { acknowledged: std::mem::take(&mut *self.shared.acknowledged()) }
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the writer has panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What was promised to the application.
#[derive(Debug, Clone)]
pub struct WriterReport {
    /// Every acknowledged write, in the order of acknowledgement.
    pub acknowledged: Vec<Acknowledged>,
}

impl WriterReport {
    /// The longest time between two acknowledgements.
    pub fn longest_gap(&self) -> Duration {
        self.acknowledged.windows(2).map(|pair| pair[1].at - pair[0].at).max().unwrap_or_default()
    }

    /// The acknowledged writes that `node` does not have.
    pub fn missing_from(&self, node: &DataNode) -> Vec<Acknowledged> {
        let present =
            written_numbers(node).unwrap_or_else(|error| panic!("{}: cannot be searched: {error}", node.label()));
        self.acknowledged.iter().filter(|write| !present.contains(&write.number)).copied().collect()
    }
}

fn written_numbers(node: &DataNode) -> RedisResult<BTreeSet<u64>> {
    let keys: Vec<String> = node.command(&["KEYS", "written:*"])?;
    Ok(keys.iter().filter_map(|key| key.strip_prefix("written:")?.parse().ok()).collect())
}

/// A port and the connection to it, while there is one.
struct Link {
    port: u16,
    connection: Option<Connection>,
}

impl Link {
    fn new(port: u16) -> Self {
        Self { port, connection: None }
    }

    /// One command; after an error the next one begins with a new connection.
    fn command<T: redis::FromRedisValue>(&mut self, command: &redis::Cmd) -> RedisResult<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect_with(self.port, PATIENCE)?,
        };
        let value = command.query(&mut connection)?;
        self.connection = Some(connection);
        Ok(value)
    }
}

/// Who is asked where the master is.
struct Guide {
    name: String,
    sentinels: Vec<Link>,
    next: usize,
    asked: Option<Instant>,
}

impl Guide {
    /// The port of the master, asked of the next Sentinel. None: that one does not say.
    fn ask(&mut self) -> Option<u16> {
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let count = self.sentinels.len();
        let sentinel = &mut self.sentinels[self.next % count];
        self.next += 1;
        let (_, port) = sentinel.command::<Option<(String, u16)>>(&question).ok()??;
        self.asked = Some(Instant::now());
        Some(port)
    }
}

struct Application {
    /// Without one it writes to the same port for ever.
    guide: Option<Guide>,
    node: Option<Link>,
}

impl Application {
    /// Tries one write; the port of the node that acknowledged it.
    fn write(&mut self, number: u64) -> Option<u16> {
        if let Some(guide) = &mut self.guide
            && guide.asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY)
            && let Some(port) = guide.ask()
            && self.node.as_ref().is_none_or(|link| link.port != port)
        {
            self.node = Some(Link::new(port));
        }
        let node = self.node.as_mut()?;
        let mut set = redis::cmd("SET");
        set.arg(format!("written:{number}")).arg(number);
        if node.command::<()>(&set).is_ok() {
            return Some(node.port);
        }
        if let Some(guide) = &mut self.guide {
            guide.asked = None;
        }
        None
    }
}
