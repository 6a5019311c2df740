//! Opening connections whose end is noticed at once, and whose tasks can be stopped and joined.
//!
//! The socket and the task that drives it are made here rather than by the `redis` crate's `Client`: the end of that task is
//! the earliest sign that the peer is gone, with RESP2 as with RESP3, and a switch or a shutdown can cut the socket although clones
//! of the connection are still held somewhere.

use std::any::Any;
use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, Abortable};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

use crate::access::Access;
use crate::address::Address;
use crate::config::Timeouts;
use crate::counters::Counters;
use crate::drive::drive;
use crate::measure::Recorder;
use crate::stall::within;
use crate::trouble::Trouble;
use crate::users::Users;
use crate::watched::{Pulse, Watched};

/// A request for a connection that is not answered for this time gets company. The kernel repeats a lost one only after a second: too late
/// where an outage ends just behind it, or where many packets are lost.
const NEXT_REQUEST_AFTER: Duration = Duration::from_millis(250);
const MOST_REQUESTS: usize = 4;
/// Of a name that has more addresses the rest are not tried.
const MOST_ADDRESSES: usize = 16;
/// A silent link is probed after this time, and every [`KEEPALIVE_INTERVAL`] from then on.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Data that the peer's kernel does not acknowledge for this time ends the connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// Words with which a login is refused for good: the user is the same in a moment.
const LASTING: [&str; 6] =
    ["WRONGPASS", "NOAUTH", "NOPERM", "ERR invalid password", "ERR AUTH", "ERR Client sent AUTH"];
/// Commands that wait to be written; more callers wait for room.
const WRITE_QUEUE: usize = 256;

/// Opens connections for one pool.
#[derive(Debug, Clone)]
pub(crate) struct Dialer {
    pub(crate) tasks: TaskTracker,
    /// Around everything that happens in the tasks.
    pub(crate) span: Span,
    /// Ends every connection at once.
    pub(crate) stop: CancellationToken,
    pub(crate) timeouts: Timeouts,
    pub(crate) counters: Arc<Counters>,
    pub(crate) metrics: Recorder,
    /// Whose commands go over the connections that are shared.
    pub(crate) users: Arc<Users>,
}

struct EndOnDrop(Pulse);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How a connection ends other than by its peer or by its last clone being dropped.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// Closes the connection...
    pub(crate) closed: CancellationToken,
    /// ...this much later, so that answers that are already under way still arrive.
    pub(crate) grace: Duration,
}

/// Why there is no connection. The text is shown, never decided upon.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct DialError {
    reason: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    /// The server knows no HELLO: only RESP2 is left.
    pub(crate) lacks_resp3: bool,
    /// The server refused the login: it will not do otherwise in a moment.
    lasting: bool,
}

impl From<DialError> for Trouble {
    fn from(error: DialError) -> Self {
        Self { text: error.reason, lasting: error.lasting, source: error.source }
    }
}

impl DialError {
    fn new(reason: String) -> Self {
        Self { reason, source: None, lacks_resp3: false, lasting: false }
    }
}

/// An open connection.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) address: Address,
    pub(crate) connection: MultiplexedConnection,
    pub(crate) pulse: Pulse,
}

impl Link {
    /// Whether the connection is over, for whatever reason.
    pub(crate) fn has_ended(&self) -> bool {
        self.pulse.has_ended()
    }

    /// Waits until it is over.
    pub(crate) async fn ended(&self) {
        self.pulse.ended().await;
    }
}

impl Dialer {
    /// Connects and logs in.
    pub(crate) async fn dial(
        &self,
        address: &Address,
        access: &Access,
        ending: Ending,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Link, DialError> {
        // Its one user has one command under way at a time.
        self.dial_for(Arc::default(), address, access, ending, pushes).await
    }

    /// The same for a connection that all handles share.
    pub(crate) async fn dial_shared(
        &self,
        address: &Address,
        access: &Access,
        ending: Ending,
    ) -> Result<Link, DialError> {
        self.dial_for(self.users.clone(), address, access, ending, no_pushes()).await
    }

    async fn dial_for(
        &self,
        users: Arc<Users>,
        address: &Address,
        access: &Access,
        ending: Ending,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Link, DialError> {
        let login = self.login(access).await.inspect_err(|_| self.counters.dials_failed.add_one())?;
        let opened = async {
            let stream = self.reach(address, access).await?;
            self.log_in(stream, &login, pushes).await
        };
        let opened = opened.await;
        match &opened {
            Ok(_) => self.counters.dials.add_one(),
            Err(_) => self.counters.dials_failed.add_one(),
        }
        let (connection, pulse, driver) = opened?;
        let (cut, uncut) = AbortHandle::new_pair();
        let watched = pulse.clone();
        self.spawn(async move {
            let driver = pin!(driver);
            // Dropped first: the flag is up before those who wait for an answer are told.
            let _end = EndOnDrop(watched.clone());
            let _ = Abortable::new(drive(driver, &watched, &users), uncut).await;
        });
        // A task of its own: looking at these with every answer would cost as much as the answer.
        let (stop, ended) = (self.stop.clone(), pulse.clone());
        self.spawn(async move {
            let closed = async {
                ending.closed.cancelled().await;
                tokio::time::sleep(ending.grace).await;
            };
            tokio::select! {
                () = ended.ended() => {}
                () = closed => {}
                () = stop.cancelled() => {}
            }
            cut.abort();
        });
        Ok(Link { address: address.clone(), connection, pulse })
    }

    /// Begins a task that a shutdown joins. It has to end at `stop`. If it panics, the log says so.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawn_supervised(task, || ());
    }

    /// The same for a task without which others wait in vain: `panicked` is called when it ends by a panic.
    pub(crate) fn spawn_supervised(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
        panicked: impl FnOnce() + Send + 'static,
    ) {
        let task = async move {
            if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                tracing::error!(panic = cause_of(&*panic), "a task of the pool panicked");
                panicked();
            }
        };
        self.tasks.spawn(task.instrument(self.span.clone()));
    }

    /// Connects without logging in.
    pub(crate) async fn reach(&self, address: &Address, access: &Access) -> Result<Wire, DialError> {
        let stream = within(self.timeouts.connect, connect(address))
            .await
            .map_err(|_| DialError::new(format!("no connection within {:?}", self.timeouts.connect)))?
            .map_err(|error| {
                let reason = format!("cannot connect: {error}");
                DialError { source: Some(Arc::new(error)), ..DialError::new(reason) }
            })?;
        // A socket that refuses an option still works, only less promptly.
        if let Err(error) = tune(&stream) {
            tracing::debug!(%address, %error, "socket options were refused");
        }
        self.secured(stream, address, access).await
    }

    /// Who logs in now.
    async fn login(&self, access: &Access) -> Result<RedisConnectionInfo, DialError> {
        let login = access.login.clone();
        let Some(provider) = &access.provider else { return Ok(login) };
        let credentials = timeout(self.timeouts.handshake, provider.ask())
            .await
            .map_err(|_| DialError::new(format!("no credentials within {:?}", self.timeouts.handshake)))?
            .map_err(|error| DialError::new(format!("no credentials: {error}")))?;
        Ok(credentials.apply(login))
    }

    /// The connection, the signs of its life, and what has to run for as long as it is to last.
    async fn log_in(
        &self,
        stream: Wire,
        login: &RedisConnectionInfo,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<(MultiplexedConnection, Pulse, impl Future<Output = ()> + Send + 'static), DialError> {
        // Each command has its own deadline where it is sent: one for all would break blocking commands.
        let mut config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE);
        if let Some(pushes) = pushes {
            config = config.set_push_sender(pushes);
        }
        let pulse = Pulse::default();
        let (connection, driver) = within(
            self.timeouts.handshake,
            MultiplexedConnection::new_with_config(login, Watched::new(stream, pulse.clone()), config),
        )
        .await
        .map_err(|_| DialError::new(format!("no login within {:?}", self.timeouts.handshake)))?
        .map_err(|error| DialError {
            reason: match pulse.first_error() {
                Some(words) => format!("login failed: {words}"),
                None => format!("login failed: {error}"),
            },
            lacks_resp3: error.kind() == ErrorKind::RESP3NotSupported,
            lasting: error.kind() == ErrorKind::AuthenticationFailed
                // "DB index is out of range": the server has fewer databases.
                || error.detail().is_some_and(|detail| detail.contains("DB index"))
                || pulse.first_error().is_some_and(|words| LASTING.iter().any(|refusal| words.starts_with(refusal))),
            source: Some(Arc::new(error)),
        })?;
        Ok((connection, pulse, driver))
    }

    /// The stream on which the servers' protocol is spoken.
    #[cfg(feature = "tls")]
    async fn secured(&self, stream: TcpStream, address: &Address, access: &Access) -> Result<Wire, DialError> {
        let Some(tls) = &access.tls else { return Ok(Box::new(stream)) };
        let stream = within(self.timeouts.handshake, tls.connect(stream, address))
            .await
            .map_err(|_| DialError::new(format!("no TLS handshake within {:?}", self.timeouts.handshake)))?
            .map_err(|refused| DialError { lasting: refused.lasting, ..DialError::new(refused.reason) })?;
        Ok(Box::new(stream))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "the same as with TLS for who calls it")]
    async fn secured(&self, stream: TcpStream, _: &Address, _: &Access) -> Result<Wire, DialError> {
        Ok(Box::new(stream))
    }
}

/// Opens a TCP connection to any of the addresses that the name has now.
async fn connect(address: &Address) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((address.host(), address.port())).await?.collect();
    race(&addresses).await
}

/// The next address is tried as soon as one refuses, and beside one that does not answer. Of fewer addresses than requests each is tried again.
async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    let mut requests = FuturesUnordered::new();
    let mut refused = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    let mut next = addresses.iter().cycle().take(addresses.len().clamp(MOST_REQUESTS, MOST_ADDRESSES));
    loop {
        // An address that has refused is not asked again.
        let at = next.find(|at| !refused.contains(*at));
        if let Some(at) = at {
            requests.push(async move { (*at, TcpStream::connect(*at).await) });
        }
        let outcome = match at {
            Some(_) => timeout(NEXT_REQUEST_AFTER, requests.next()).await.ok(),
            None => Some(requests.next().await),
        };
        match outcome {
            Some(Some((_, Ok(stream)))) => return Ok(stream),
            Some(Some((at, Err(error)))) => {
                refused.push(at);
                last = error;
            }
            Some(None) => return Err(last),
            None => {}
        }
    }
}

/// What bytes go through, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub(crate) type Wire = Box<dyn Stream>;

/// What a panic said.
pub(crate) fn cause_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

/// For a connection on which nothing is subscribed to.
pub(crate) fn no_pushes() -> Option<impl AsyncPushSender> {
    None::<tokio::sync::mpsc::UnboundedSender<redis::PushInfo>>
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::net::TcpStream as Filler;

    use socket2::{Domain, Socket, Type};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// A request that the kernel has sent and that has no answer, in `/proc/net/tcp`.
    const SYN_SENT: &str = "02";
    const SOON: Duration = Duration::from_secs(10);

    /// The local ports from which this one is asked for a connection, in vain so far.
    fn unanswered_requests(port: u16) -> Vec<String> {
        let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
        let end = format!(":{port:04X}");
        let fields = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields
            .filter(|fields| fields.len() > 3 && fields[2].ends_with(&end) && fields[3] == SYN_SENT)
            .map(|fields| fields[1].to_owned())
            .collect()
    }

    /// The kernel drops every request for a connection while as many as the listener may have wait to be accepted.
    #[tokio::test]
    async fn a_request_that_is_lost_gets_company_and_the_first_answer_counts() {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let at = listener.local_addr().unwrap().as_socket().unwrap();
        // On this machine a request is answered before `connect` returns, or it was dropped.
        let mut fillers = Vec::new();
        while let Ok(filler) = Filler::connect_timeout(&at, Duration::from_millis(100)) {
            fillers.push(filler);
        }
        assert_eq!(unanswered_requests(at.port()).len(), 0, "the fillers gave up");

        let address = Address::new("127.0.0.1", at.port()).unwrap();
        let mut connected = pin!(connect(&address));
        let began = Instant::now();
        let mut requests = Vec::new();
        while requests.len() < MOST_REQUESTS {
            assert!(began.elapsed() < SOON, "only {requests:?} ask within {SOON:?}");
            tokio::select! {
                outcome = &mut connected => panic!("nothing was accepted, and yet: {outcome:?}"),
                () = sleep(Duration::from_millis(5)) => requests = unanswered_requests(at.port()),
            }
        }
        // Room again: whichever request the kernel repeats first is answered.
        for _ in &fillers {
            listener.accept().unwrap();
        }
        let stream = timeout(SOON, connected).await.expect("a connection").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at);
        assert_eq!(unanswered_requests(at.port()).len(), 0, "the others were given up");
    }

    /// A name can have an address that swallows everything (`::1` behind a firewall), and one at which nobody listens.
    #[tokio::test]
    async fn every_address_of_a_name_is_tried() {
        let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        full.listen(0).unwrap();
        let swallows = full.local_addr().unwrap().as_socket().unwrap();
        let mut fillers = Vec::new();
        while let Ok(filler) = Filler::connect_timeout(&swallows, Duration::from_millis(100)) {
            fillers.push(filler);
        }
        let nobody = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let well = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = well.local_addr().unwrap();
        let stream = timeout(SOON, race(&[swallows, nobody, at])).await.expect("a connection").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), at);
        let error = timeout(SOON, race(&[nobody])).await.expect("an error").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(race(&[]).await.is_err());
    }
}
