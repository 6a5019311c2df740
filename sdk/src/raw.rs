//! Connections at which nobody has logged in, for programs that pass the bytes of others on.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep, timeout_at};

use crate::address::Address;
use crate::balance::ReadPreference;
use crate::dial::Wire;
use crate::error::Error;
use crate::generation::Generation;
use crate::pool::SentinelPool;
use crate::readers::{Line, Picked, UnderWay};
use crate::retry::Backoff;
use crate::shared::Shared;
use crate::users::LongUser;

/// A connection to a node of the deployment, after the TLS handshake if there is one, and before any login: for a proxy, or a program that
/// speaks the protocol itself.
///
/// The pool has verified the node's role over a connection of its own, and goes on to watch it; what becomes of this connection is up to its
/// holder, who closes it when [`over`](Self::over) says so.
pub struct RawConnection {
    wire: Wire,
    address: Address,
    node: Node,
    _user: LongUser,
}

/// What the node is taken for.
enum Node {
    Master(Arc<Generation>, Arc<Shared>),
    /// The line is the pool's own connection to it; the guard counts this one among what is under way there.
    Replica(Arc<Line>, Arc<Shared>, #[expect(dead_code, reason = "it counts for as long as it lives")] UnderWay),
}

impl RawConnection {
    /// The node.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Completes when the node is no longer what the connection was opened to: the pool follows another master, the master says that it is
    /// none, the replica is not read from any more, or the pool has stopped. It stays valid when the connection is gone.
    /// What happened before the call is not seen: call it as soon as the connection is there.
    pub fn over(&self) -> impl Future<Output = ()> + Send + 'static {
        let node = match &self.node {
            Node::Master(generation, _) => Ok((generation.closed.clone(), generation.denied.subscribe())),
            Node::Replica(line, shared, _) => Err((line.clone(), shared.clone())),
        };
        async move {
            match node {
                Ok((closed, mut denied)) => tokio::select! {
                    () = closed.cancelled() => {}
                    _ = denied.changed() => {}
                },
                Err((line, shared)) => no_longer_read_from(&line, &shared).await,
            }
        }
    }

    /// Says that the node has refused what a master does not refuse (READONLY): the pool asks it for its role, and the Sentinels. However often
    /// it is said, that is done four times a second at most.
    pub fn suspect(&self) {
        if let Node::Master(generation, shared) = &self.node {
            shared.suspect(generation);
        }
    }
}

async fn no_longer_read_from(line: &Line, shared: &Shared) {
    let mut changes = shared.readers.changes();
    loop {
        changes.borrow_and_update();
        if !shared.readers.has(line) {
            return;
        }
        tokio::select! {
            () = line.link.ended() => return,
            () = shared.dialer.stop.cancelled() => return,
            change = changes.changed() => if change.is_err() { return },
        }
    }
}

impl SentinelPool {
    /// Opens a connection to the current master without logging in. It waits for a verified master, and while writes are
    /// [held](crate::Builder::hold_writes).
    ///
    /// ```no_run
    /// # async fn example(pool: sentinel_sdk::SentinelPool, mut client: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut master = pool.dial_master().await?;
    /// let over = master.over();
    /// tokio::select! {
    ///     copied = tokio::io::copy_bidirectional(&mut client, &mut master) => drop(copied?),
    ///     // The client connects anew, and comes to the new master.
    ///     () = over => {}
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMaster`], [`Error::TooManyWaiters`] and [`Error::Node`] when there was none within
    /// [`Timeouts::wait`](crate::Timeouts::wait), [`Error::Shutdown`] after a shutdown.
    pub async fn dial_master(&self) -> Result<RawConnection, Error> {
        let shared = self.shared();
        let deadline = Instant::now() + shared.config.timeouts.wait;
        let user = shared.users.enter_for_long()?;
        dial_master(shared, deadline, user).await
    }

    /// The same to a node to read from, as [`Builder::read_preference`](crate::Builder::read_preference) and
    /// [`Builder::balance`](crate::Builder::balance) say: connections count there as commands under way do elsewhere, and no connection
    /// has a key.
    ///
    /// # Errors
    ///
    /// As for [`dial_master`](Self::dial_master), and [`Error::NoReplica`] when the master is not to be read from.
    pub async fn dial_replica(&self) -> Result<RawConnection, Error> {
        // Has replicas looked for.
        let _handle = self.replica();
        let shared = self.shared();
        let (preference, balance) = (shared.config.read_preference, shared.config.balance);
        let began = Instant::now();
        let deadline = began + shared.config.timeouts.wait;
        let user = shared.users.enter_for_long()?;
        let mut backoff = backoff(shared);
        let mut tried = Vec::new();
        loop {
            let known = shared.usable_link();
            if preference == ReadPreference::MasterPreferred && known.is_some() {
                return dial_master(shared, deadline, user).await;
            }
            let with_master = known.as_ref().filter(|_| preference == ReadPreference::Any);
            let master = with_master.map(|it| (&it.generation.address, 0));
            match shared.readers.pick(balance, None, &tried, master) {
                Some(Picked::Replica(line)) => {
                    let under_way = line.enter();
                    let address = line.address().clone();
                    match timeout_at(deadline, shared.dialer.reach(&address, &shared.config.node_access())).await {
                        Ok(Ok(wire)) if shared.readers.has(&line) => {
                            let node = Node::Replica(line, shared.clone(), under_way);
                            return Ok(RawConnection { wire, address, node, _user: user });
                        }
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) if Instant::now() >= deadline => {
                            return Err(Error::Node { address, reason: error.to_string() });
                        }
                        Ok(Err(_)) => tried.push(address),
                        Err(_) => return Err(shared.no_replica(began.elapsed())),
                    }
                }
                Some(Picked::Master) => return dial_master(shared, deadline, user).await,
                None if !tried.is_empty() => {
                    tried.clear();
                    sleep(backoff.pause()).await;
                    if Instant::now() >= deadline {
                        return Err(shared.no_replica(began.elapsed()));
                    }
                }
                None if preference != ReadPreference::ReplicaOnly => return dial_master(shared, deadline, user).await,
                None => {
                    let _waiter = shared.waiter()?;
                    let mut changes = shared.readers.changes();
                    if shared.readers.any() {
                        continue;
                    }
                    tokio::select! {
                        change = timeout_at(deadline, changes.changed()) => if change.is_err() {
                            return Err(shared.no_replica(began.elapsed()));
                        },
                        () = shared.dialer.stop.cancelled() => return Err(Error::Shutdown),
                    }
                }
            }
        }
    }
}

async fn dial_master(shared: &Arc<Shared>, deadline: Instant, user: LongUser) -> Result<RawConnection, Error> {
    let mut backoff = backoff(shared);
    loop {
        shared.released(deadline).await?;
        let generation = shared.link(deadline).await?.generation.clone();
        let address = generation.address.clone();
        let opened = timeout_at(deadline, shared.dialer.reach(&address, &shared.config.node_access())).await;
        let reason = match opened {
            // While it was dialled the pool may have come to doubt that master, or moved.
            Ok(Ok(wire)) if shared.usable_link().is_some_and(|link| link.generation.number == generation.number) => {
                return Ok(RawConnection {
                    wire,
                    address,
                    node: Node::Master(generation, shared.clone()),
                    _user: user,
                });
            }
            Ok(Ok(_)) => continue,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no connection in time".to_owned(),
        };
        shared.suspect(&generation);
        let pause = backoff.pause();
        if Instant::now() + pause >= deadline {
            return Err(Error::Node { address, reason });
        }
        sleep(pause).await;
    }
}

fn backoff(shared: &Shared) -> Backoff {
    Backoff::new(shared.config.retry.first_pause, shared.config.retry.longest_pause)
}

impl AsyncRead for RawConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for RawConnection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}

impl fmt::Debug for RawConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawConnection").field("address", &self.address).finish_non_exhaustive()
    }
}
