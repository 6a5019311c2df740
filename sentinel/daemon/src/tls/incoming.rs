//! Clients that connect over TLS.

use std::{
    collections::VecDeque,
    fmt::Display,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use super::{
    explain::{self, Side},
    stream::Stream,
};
use crate::complaints::Complaints;

/// A client that takes longer for its handshake is closed; the reference waits as long as `timeout` says, for ever
/// without one.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many handshakes may be under way. One more, and the oldest makes room: who connects and says nothing keeps nobody
/// else out, since an honest handshake takes a few milliseconds.
const MOST: usize = 256;

/// Lets clients in.
#[derive(Debug)]
pub struct Incoming {
    config: ArcSwap<ServerConfig>,
    under_way: Crowd,
    complaints: Complaints,
}

impl Incoming {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        Incoming { config: ArcSwap::new(config), under_way: Crowd::default(), complaints: Complaints::default() }
    }

    pub(super) fn replace(&self, config: Arc<ServerConfig>) {
        self.config.store(config);
    }

    /// Does the handshake with a client. None: it failed, was too slow, or too many others came meanwhile; the log says so.
    pub(crate) async fn accept<S>(&self, stream: S, client: &impl Display) -> Option<Stream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let place = self.under_way.enter();
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let failure = tokio::select! {
            () = place.pushed_out() => "too many handshakes at once".to_owned(),
            outcome = tokio::time::timeout(PATIENCE, acceptor.accept(stream)) => match outcome {
                Ok(Ok(stream)) => return Some(Stream::new(tokio_rustls::TlsStream::from(stream), Side::Accepting)),
                Ok(Err(error)) if is_a_probe(&error) => {
                    tracing::debug!(%client, "it connected to the TLS port and left");
                    return None;
                }
                Ok(Err(error)) => explain::handshake(&error, Side::Accepting),
                Err(_) => format!("no TLS handshake within {} s", PATIENCE.as_secs()),
            },
        };
        if let Some(unsaid) = self.complaints.next(Instant::now()) {
            let others =
                if unsaid > 0 { format!(" ({unsaid} more of such since the last line)") } else { String::new() };
            tracing::warn!(%client, "Error accepting a client connection from {client}: {failure}{others}");
        }
        None
    }
}

/// Whether a connection was closed without a byte: load balancers look after ports so.
fn is_a_probe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionReset
}

/// The handshakes that are under way, the oldest first.
#[derive(Debug, Default)]
struct Crowd(Mutex<Places>);

#[derive(Debug, Default)]
struct Places {
    last: u64,
    taken: VecDeque<(u64, Arc<Notify>)>,
}

struct Place<'a> {
    crowd: &'a Crowd,
    number: u64,
    pushed_out: Arc<Notify>,
}

impl Crowd {
    fn enter(&self) -> Place<'_> {
        let pushed_out = Arc::new(Notify::new());
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.taken.len() >= MOST
            && let Some((_, oldest)) = places.taken.pop_front()
        {
            oldest.notify_one();
        }
        places.last += 1;
        let number = places.last;
        places.taken.push_back((number, Arc::clone(&pushed_out)));
        Place { crowd: self, number, pushed_out }
    }
}

impl Place<'_> {
    async fn pushed_out(&self) {
        self.pushed_out.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.crowd.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.taken.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let crowd = Crowd::default();
        let oldest = crowd.enter();
        let others: Vec<_> = (1..MOST).map(|_| crowd.enter()).collect();
        assert!(oldest.pushed_out().now_or_never().is_none());
        let newest = crowd.enter();
        assert!(oldest.pushed_out().now_or_never().is_some());
        assert!(newest.pushed_out().now_or_never().is_none());
        drop((oldest, others, newest));
        assert!(crowd.0.lock().unwrap().taken.is_empty());
    }
}
