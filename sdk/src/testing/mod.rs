//! A deployment inside the program, for unit tests. Needs the feature `testing`.
//!
//! A [`TestDeployment`] is a Sentinel and two nodes on loopback ports, in tasks of the test's own runtime: no server is installed or
//! started. The pool is a real one. The nodes hold strings, answer as they are told, and change their roles when they are told to.
//!
//! ```
//! use redis::AsyncCommands;
//! use sentinel_sdk::Outcome;
//! use sentinel_sdk::testing::{Answer, TestDeployment};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let deployment = TestDeployment::start().await?;
//! let pool = deployment.pool().await?;
//! let mut master = pool.master();
//!
//! // Given a connection that breaks before the answer
//! deployment.on("INCRBY", |_| Some(Answer::Close));
//! let error = master.incr::<_, _, u64>("visits", 1).await.unwrap_err();
//! assert_eq!(Outcome::of(&error), Outcome::Unknown);
//!
//! // When the master is replaced
//! deployment.on("INCRBY", |_| None);
//! deployment.switch();
//!
//! // Then the application goes on
//! let visits: u64 = master.incr("visits", 1).await?;
//! assert_eq!(visits, 1);
//! assert_eq!(deployment.received().last().unwrap(), &["INCRBY", "visits", "1"]);
//! # Ok(()) }
//! ```
//!
//! What the nodes know by themselves: GET, SET (without options), DEL, EXISTS, INCRBY, PING, MULTI and EXEC. All else is answered by what
//! [`TestDeployment::on`] is given, or with an error.

mod serve;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Value;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::builder::Builder;
use crate::error::Error;
use crate::pool::SentinelPool;

/// The name under which the master is watched.
const MASTER: &str = "test";

/// What a node does about a command.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Answer {
    /// Answers with this; [`Value::ServerError`] is not among what it can say, see [`Error`](Self::Error).
    Value(Value),
    /// Answers with an error: `ERR what is wrong`.
    Error(String),
    /// Executes it as it would otherwise, and closes the connection instead of answering.
    CloseAfter,
    /// Closes the connection without executing it.
    Close,
    /// Never answers, over this connection, to this or any later command.
    Hang,
}

type Script = dyn Fn(&[String]) -> Option<Answer> + Send + Sync;

/// See [the module](self). It ends when dropped.
pub struct TestDeployment {
    state: Arc<State>,
    sentinel: u16,
    _tasks: JoinSet<()>,
}

/// What the servers have in common.
struct State {
    inner: Mutex<Inner>,
    /// Messages of the Sentinel.
    pushes: broadcast::Sender<String>,
    /// Closes the connections of a node.
    cuts: broadcast::Sender<u16>,
}

#[derive(Default)]
struct Inner {
    nodes: Vec<u16>,
    /// The position of the master.
    master: usize,
    epoch: u64,
    data: HashMap<String, String>,
    scripts: HashMap<String, Arc<Script>>,
    received: Vec<Vec<String>>,
}

impl State {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TestDeployment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.state.inner();
        f.debug_struct("TestDeployment")
            .field("sentinel", &self.sentinel)
            .field("nodes", &inner.nodes)
            .field("master", &inner.master)
            .finish_non_exhaustive()
    }
}

impl TestDeployment {
    /// Starts a Sentinel and two nodes.
    ///
    /// # Errors
    ///
    /// When no port can be listened to.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start() -> io::Result<Self> {
        let inner = Mutex::new(Inner { epoch: 1, ..Inner::default() });
        let state = Arc::new(State { inner, pushes: broadcast::Sender::new(64), cuts: broadcast::Sender::new(64) });
        let mut tasks = JoinSet::new();
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let port = listener.local_addr()?.port();
            state.inner().nodes.push(port);
            tasks.spawn(serve::node(listener, port, state.clone()));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let sentinel = listener.local_addr()?.port();
        tasks.spawn(serve::sentinel(listener, state.clone()));
        Ok(Self { state, sentinel, _tasks: tasks })
    }

    /// The URL of a pool for it.
    pub fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}?master={MASTER}", self.sentinel)
    }

    /// A pool for it, with all settings at their defaults.
    ///
    /// # Errors
    ///
    /// As for [`Builder::connect`].
    pub async fn pool(&self) -> Result<SentinelPool, Error> {
        Builder::from_url(&self.url())?.connect().await
    }

    /// What is done about this command from now on, in place of what the nodes know: called with the command and its arguments, and with `None` it
    /// is done as otherwise.
    pub fn on(&self, command: &str, answer: impl Fn(&[String]) -> Option<Answer> + Send + Sync + 'static) {
        self.state.inner().scripts.insert(command.to_ascii_uppercase(), Arc::new(answer));
    }

    /// All commands that the application sent, in the order in which they arrived at either node; those with which a pool looks after its
    /// connections are left out.
    pub fn received(&self) -> Vec<Vec<String>> {
        self.state.inner().received.clone()
    }

    /// What a key holds.
    pub fn value(&self, key: &str) -> Option<String> {
        self.state.inner().data.get(key).cloned()
    }

    /// Makes the other node the master, which has all data, and has the Sentinel tell so. The one before closes its connections.
    pub fn switch(&self) {
        let (old, new) = {
            let mut inner = self.state.inner();
            let old = inner.nodes[inner.master];
            inner.master = 1 - inner.master;
            inner.epoch += 1;
            (old, inner.nodes[inner.master])
        };
        // Nobody may listen.
        let payload = format!("{MASTER} 127.0.0.1 {old} 127.0.0.1 {new}");
        let _ = self.state.pushes.send(serve::message("+switch-master", &payload));
        let _ = self.state.cuts.send(old);
    }

    /// The port of the node that is the master now.
    pub fn master_port(&self) -> u16 {
        let inner = self.state.inner();
        inner.nodes[inner.master]
    }
}
