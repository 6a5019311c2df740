//! Connections of the HTTP endpoint, and what bounds them.
//!
//! Memory and time that a client can take are bounded: so many connections, so many bytes of a head, so much time for
//! it to come and for an answer to be read. Only what changes something reads a body (`change`). One that misbehaves
//! costs only itself.

use std::{
    fmt,
    future::Future as _,
    io::{self, Write as _},
    net::SocketAddr,
    os::fd::AsRawFd as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::Sleep,
};

use crate::{
    descriptors::{self, Purpose},
    serve, tls,
};

/// How many may be connected at the same time.
const MOST: usize = 256;
/// How long the head of a request may take, from the end of the one before: so long an idle connection stays open.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of a request's head, and of an answer that is not read yet.
const BUFFER: usize = 16 * 1024;
/// Lines of a request's head.
const HEADERS: usize = 64;
/// How long a client may read nothing of an answer.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens.
pub(crate) struct HttpListener {
    socket: TcpListener,
    tls: Option<Arc<tls::Incoming>>,
}

impl HttpListener {
    pub(crate) fn open(socket: std::net::TcpListener, tls: Option<Arc<tls::Incoming>>) -> io::Result<Self> {
        Ok(HttpListener { socket: TcpListener::from_std(socket)?, tls })
    }
}

impl fmt::Display for HttpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match self.socket.local_addr() {
            Ok(address) => write!(f, "{scheme}://{address}"),
            Err(_) => f.write_str(scheme),
        }
    }
}

/// Accepts connections and serves them, until the process stops.
pub(crate) async fn serve(
    listeners: Vec<HttpListener>,
    router: Router,
    keepalive: Option<Duration>,
    stopped: watch::Receiver<()>,
) {
    let places = Arc::new(Semaphore::new(MOST));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let (router, places, stopped) = (router.clone(), Arc::clone(&places), stopped.clone());
        accepting.spawn(async move { accept(&listener, &router, &places, keepalive, &stopped).await });
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept(
    listener: &HttpListener,
    router: &Router,
    places: &Arc<Semaphore>,
    keepalive: Option<Duration>,
    stopped: &watch::Receiver<()>,
) {
    loop {
        let (stream, client) = match listener.socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept HTTP connections");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let kept = descriptors::is_kept_from(Purpose::Client, stream.as_raw_fd());
        let Some(place) = Arc::clone(places).try_acquire_owned().ok().filter(|_| !kept) else {
            reject(stream, listener.tls.is_some());
            continue;
        };
        if serve::prepare(&stream, keepalive).is_err() {
            continue; // It has left.
        }
        let (router, tls, stopped) = (router.clone(), listener.tls.clone(), stopped.clone());
        tokio::spawn(connection(stream, client, tls, router, stopped, place));
    }
}

/// Says that there is no room, as much as the fresh socket takes at once.
fn reject(stream: TcpStream, encrypted: bool) {
    tracing::debug!("an HTTP connection too many");
    if let (false, Ok(mut stream)) = (encrypted, stream.into_std()) {
        // Nobody waits for the rest.
        let _ = stream.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    tls: Option<Arc<tls::Incoming>>,
    router: Router,
    stopped: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
) {
    match tls {
        None => speak(Patient::new(stream, READ_WITHIN), router, stopped).await,
        Some(tls) => {
            if let Some(stream) = tls.accept(stream, &client).await {
                speak(Patient::new(stream, READ_WITHIN), router, stopped).await;
            }
        }
    }
}

pub(super) async fn speak<S>(stream: S, router: Router, stopped: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(BUFFER).max_headers(HEADERS);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let ended = tokio::select! {
        ended = connection => ended,
        () = super::ended(stopped) => return,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection has ended");
    }
}

/// A stream that fails when nothing can be written for too long.
struct Patient<S> {
    inner: S,
    within: Duration,
    until: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    const fn new(inner: S, within: Duration) -> Self {
        Patient { inner, within, until: None }
    }

    /// What writing came to. While it waits the time runs.
    fn watched<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.until = None;
            return outcome;
        }
        let within = self.within;
        let until = self.until.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        ready!(until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watched(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_flush(cx);
        self.watched(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watched(cx, outcome)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn who_reads_nothing_of_an_answer_is_cut_off() {
        let (ours, _theirs) = tokio::io::duplex(1024);
        let mut stream = Patient::new(ours, Duration::from_millis(20));
        let error = stream.write_all(&[0; 4096]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
