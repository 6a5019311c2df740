//! Connections to data nodes and other Sentinels.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use arc_swap::ArcSwap;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::ClientConfig, rustls::pki_types::ServerName};

use super::{
    TlsError,
    explain::{Failure, Side},
    stream::Stream,
};

/// Encrypts connections that were opened.
///
/// Signing and verifying take up to some milliseconds each. A thread of its own does it, so that a hundred nodes that
/// come back together do not keep the monitor from its deadlines.
#[derive(Debug)]
pub struct Outgoing {
    pub(super) config: ArcSwap<ClientConfig>,
    handshakes: Handle,
    /// Its end ends the thread.
    _alive: oneshot::Sender<()>,
}

impl Outgoing {
    pub(super) fn start(config: Arc<ClientConfig>) -> Result<Self, TlsError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TlsError::Thread)?;
        let handshakes = runtime.handle().clone();
        let (alive, ended) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("tls".to_owned())
            .spawn(move || {
                // The error is the end that is waited for.
                let _ = runtime.block_on(ended);
            })
            .map_err(TlsError::Thread)?;
        Ok(Outgoing { config: ArcSwap::new(config), handshakes, _alive: alive })
    }

    pub(super) fn replace(&self, config: Arc<ClientConfig>) {
        self.config.store(config);
    }

    /// Does the handshake over an open connection. An error says what is wrong, and what to do. The caller bounds the time.
    pub(crate) async fn connect(&self, stream: TcpStream, ip: IpAddr) -> Result<Stream<Movable>, Failure> {
        let connector = TlsConnector::from(self.config.load_full());
        let encrypt = async move {
            // Not sent, as in the reference, and not compared with the certificate.
            let name = ServerName::IpAddress(ip.into());
            let mut stream = connector.connect(name, Movable::leaving(stream)?.arrived()?).await?;
            stream.get_mut().0.leave()?;
            io::Result::Ok(stream)
        };
        let outcome: io::Result<TlsStream<Movable>> = match OwnTask(self.handshakes.spawn(encrypt)).finished().await {
            Ok(outcome) => outcome,
            Err(error) => return Err(Failure::Broken(error.to_string())),
        };
        let arrived = outcome.and_then(|mut stream| {
            stream.get_mut().0.arrive()?;
            Ok(stream)
        });
        match arrived {
            Ok(stream) => Ok(Stream::new(tokio_rustls::TlsStream::from(stream), Side::Connecting)),
            Err(error) => Err(Failure::of_handshake(&error, Side::Connecting)),
        }
    }
}

/// A task that ends with the one that waits for it.
struct OwnTask<T>(JoinHandle<T>);

impl<T> OwnTask<T> {
    async fn finished(mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for OwnTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection that can go from one thread's runtime to another's.
#[derive(Debug)]
pub(crate) struct Movable {
    place: Place,
    /// Whether a failure to write is kept for the reading that follows. Who refuses a certificate says so and closes, while
    /// we are still writing the rest of our part: what it said is the reason, not the closed connection.
    in_handshake: bool,
}

#[derive(Debug)]
enum Place {
    /// In use by the runtime that it arrived in.
    Here(TcpStream),
    /// In use by none.
    Between(std::net::TcpStream),
    /// It was lost on the way.
    Lost,
}

impl Movable {
    /// On its way to the runtime that does the handshake.
    fn leaving(stream: TcpStream) -> io::Result<Self> {
        Ok(Movable { place: Place::Between(stream.into_std()?), in_handshake: true })
    }

    fn arrived(mut self) -> io::Result<Self> {
        self.arrive()?;
        Ok(self)
    }

    /// After the handshake.
    fn leave(&mut self) -> io::Result<()> {
        self.in_handshake = false;
        if let Place::Here(stream) = std::mem::replace(&mut self.place, Place::Lost) {
            self.place = Place::Between(stream.into_std()?);
        }
        Ok(())
    }

    fn arrive(&mut self) -> io::Result<()> {
        if let Place::Between(stream) = std::mem::replace(&mut self.place, Place::Lost) {
            self.place = Place::Here(TcpStream::from_std(stream)?);
        }
        Ok(())
    }

    fn here(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        match &mut self.place {
            Place::Here(stream) => Ok(Pin::new(stream)),
            Place::Between(_) | Place::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl AsyncRead for Movable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Movable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match ready!(self.here()?.poll_write(cx, bytes)) {
            Err(_) if self.in_handshake => Poll::Ready(Ok(bytes.len())),
            outcome => Poll::Ready(outcome),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.here()?.poll_shutdown(cx)
    }
}
