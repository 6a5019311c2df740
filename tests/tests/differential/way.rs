//! What a connection goes over: the port, the port with TLS, or the Unix socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sentinel_tests::Authority;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How to get to one of the two.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// Its port on 127.0.0.1.
    Plain(u16),
    /// The same, with TLS.
    Encrypted(u16, Arc<ClientConfig>),
    /// Its Unix socket.
    Local(PathBuf),
}

/// An open connection.
pub(crate) enum Stream {
    Plain(TcpStream),
    Encrypted(Box<StreamOwned<ClientConnection, TcpStream>>),
    Local(UnixStream),
}

impl Way {
    /// Connects. Reading gives up after `limit`.
    pub(crate) fn open(&self, limit: Duration) -> io::Result<Stream> {
        let tcp = |port: u16| {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_read_timeout(Some(limit))?;
            stream.set_nodelay(true)?;
            io::Result::Ok(stream)
        };
        Ok(match self {
            Way::Plain(port) => Stream::Plain(tcp(*port)?),
            Way::Encrypted(port, config) => {
                let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
                let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                Stream::Encrypted(Box::new(StreamOwned::new(session, tcp(*port)?)))
            }
            Way::Local(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(limit))?;
                Stream::Local(stream)
            }
        })
    }
}

impl Stream {
    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.shutdown(Shutdown::Write),
            Stream::Local(stream) => stream.shutdown(Shutdown::Write),
            Stream::Encrypted(stream) => {
                stream.conn.send_close_notify();
                stream.flush()?;
                stream.sock.shutdown(Shutdown::Write)
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(bytes),
            Stream::Encrypted(stream) => stream.read(bytes),
            Stream::Local(stream) => stream.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.write(bytes),
            Stream::Encrypted(stream) => stream.write(bytes),
            Stream::Local(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.flush(),
            Stream::Encrypted(stream) => stream.flush(),
            Stream::Local(stream) => stream.flush(),
        }
    }
}

/// A client with a certificate of this authority, which trusts nobody else and compares the name.
pub(crate) fn client(authority: &Authority) -> Arc<ClientConfig> {
    let pair = authority.issue("client");
    let mut trusted = RootCertStore::empty();
    let certificate = |path: &std::path::Path| CertificateDer::from_pem_file(path).expect("a certificate can be read");
    trusted.add(certificate(&authority.certificate())).expect("an authority can be trusted");
    let key = PrivateKeyDer::from_pem_file(&pair.key).expect("a key can be read");
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_root_certificates(trusted)
        .with_client_auth_cert(vec![certificate(&pair.certificate)], key)
        .expect("key and certificate are a pair");
    Arc::new(config)
}
