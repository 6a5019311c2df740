//! Whether the other side of a link that cannot be set up speaks TLS where this side does not, or the reverse.
//!
//! A server without TLS does not answer a handshake, it waits for the end of a line; one with TLS resets a connection that
//! begins without. Neither says why, so a second connection asks in the other way. It proves nothing about who is there and
//! carries no password.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    pki_types::{IpAddr, ServerName},
};

/// How long an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// How long the first answer of a handshake is waited for before one asks without TLS.
pub(super) const SILENT_HANDSHAKE: Duration = Duration::from_millis(500);

/// The least time between two such questions of this process, whatever it has to dial.
const PACE: Duration = Duration::from_millis(250);

/// Why a link over TLS cannot be had where none is spoken.
pub(super) const NO_TLS_THERE: &str =
    "what is there does not speak TLS; configure its tls-port, or remove tls-replication here";

/// Why a link without TLS cannot be had where nothing else is spoken.
pub(super) const ONLY_TLS_THERE: &str =
    "what is there speaks only TLS on this port; set tls-replication yes here, or name its port without TLS";

/// Asks in the other way, not too often.
#[derive(Clone, Default)]
pub(super) struct OtherProtocol {
    asked_at: Arc<Mutex<Option<Instant>>>,
}

impl OtherProtocol {
    fn may_ask(&self) -> bool {
        let mut asked_at = self.asked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let may = asked_at.is_none_or(|at| now.duration_since(at) >= PACE);
        if may {
            *asked_at = Some(now);
        }
        may
    }

    /// Whether a reply of RESP comes to a command without TLS.
    pub(super) async fn is_plain(&self, connect: impl Future<Output = std::io::Result<TcpStream>>) -> bool {
        self.first_bytes(connect, b"PING\r\n").await.is_some_and(|first| matches!(first[0], b'+' | b'-'))
    }

    /// Whether a record of TLS comes to the beginning of a handshake: a `ServerHello` or an alert.
    pub(super) async fn is_tls(
        &self,
        addr: SocketAddr,
        connect: impl Future<Output = std::io::Result<TcpStream>>,
    ) -> bool {
        let Some(hello) = client_hello(addr) else { return false };
        self.first_bytes(connect, &hello).await.is_some_and(|first| matches!(first, [0x15 | 0x16, 3]))
    }

    async fn first_bytes(
        &self,
        connect: impl Future<Output = std::io::Result<TcpStream>>,
        question: &[u8],
    ) -> Option<[u8; 2]> {
        if !self.may_ask() {
            return None;
        }
        let asked = async {
            let mut stream = connect.await?;
            stream.write_all(question).await?;
            let mut first = [0; 2];
            stream.read_exact(&mut first).await?;
            std::io::Result::Ok(first)
        };
        tokio::time::timeout(ANSWER_LIMIT, asked).await.ok()?.ok()
    }
}

/// What a client of TLS says first. The handshake never ends, so nobody has to be trusted for it.
fn client_hello(addr: SocketAddr) -> Option<Vec<u8>> {
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    let name = ServerName::IpAddress(IpAddr::from(addr.ip()));
    let mut bytes = Vec::new();
    ClientConnection::new(Arc::new(config), name).ok()?.write_tls(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// One who answers the first bytes with `answer`, and hangs up.
    async fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut chunk = [0; 1024];
                let _ = stream.read(&mut chunk).await;
                let _ = stream.write_all(answer).await;
            }
        });
        addr
    }

    #[tokio::test]
    async fn each_protocol_is_known_by_its_first_answer() {
        for (answer, plain, tls) in [
            (&b"+PONG\r\n"[..], true, false),
            (b"-NOAUTH Authentication required.\r\n", true, false),
            (b"\x15\x03\x03\x00\x02\x02\x28", false, true),
            (b"\x16\x03\x03\x00\x7a", false, true),
            (b"HTTP/1.1 400 Bad Request\r\n", false, false),
            (b"+", false, false),
            (b"", false, false),
        ] {
            let addr = answering(answer).await;
            assert_eq!(OtherProtocol::default().is_plain(TcpStream::connect(addr)).await, plain, "{answer:?}");
            assert_eq!(OtherProtocol::default().is_tls(addr, TcpStream::connect(addr)).await, tls, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn the_questions_have_a_pace() {
        let addr = answering(b"+PONG\r\n").await;
        let asking = OtherProtocol::default();
        assert!(asking.is_plain(TcpStream::connect(addr)).await);
        assert!(!asking.clone().is_plain(TcpStream::connect(addr)).await, "it was asked again at once");
    }
}
