//! A path to a real server, longer or with a part that is held up.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Passes connections on to a server on this machine; it ends when dropped.
pub(crate) struct Relay {
    pub(crate) port: u16,
    path: Path,
    _listener: JoinSet<()>,
}

#[derive(Clone, Default)]
struct Path {
    /// What each piece sent to the server waits before it is passed on, in milliseconds.
    delay: Arc<AtomicU64>,
    /// The port of the replica that receives nothing for now.
    held: watch::Sender<Option<u16>>,
}

impl Relay {
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let path = Path::default();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let path = path.clone();
            async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    connections.spawn(pass(client, SocketAddr::from(([127, 0, 0, 1], server)), path.clone()));
                }
            }
        });
        Self { port, path, _listener: tasks }
    }

    /// The way to the server takes this long from now on.
    pub(crate) fn delay(&self, delay: Duration) {
        self.path.delay.store(delay.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }

    /// What the server sends to its replica at this port waits; all else is passed on.
    pub(crate) fn hold(&self, replica: Option<u16>) {
        self.path.held.send_replace(replica);
    }
}

async fn pass(client: TcpStream, server: SocketAddr, path: Path) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let replica = Mutex::new(None);
    tokio::select! {
        _ = up(from_client, to_server, &path, &replica) => {}
        _ = down(from_server, to_client, &path, &replica) => {}
    }
}

async fn up(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    path: &Path,
    replica: &Mutex<Option<u16>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 65536];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if let Some(port) = replica_port(&buffer[..count]) {
            *replica.lock().unwrap() = Some(port);
        }
        let delay = path.delay.load(Ordering::SeqCst);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        server.write_all(&buffer[..count]).await?;
    }
}

async fn down(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    path: &Path,
    replica: &Mutex<Option<u16>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 65536];
    let mut held = path.held.subscribe();
    loop {
        let count = server.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let is_free = |held: &Option<u16>| held.is_none() || *held != *replica.lock().unwrap();
        // The sender lives as long as this connection does.
        let _ = held.wait_for(is_free).await;
        client.write_all(&buffer[..count]).await?;
    }
}

/// What a replica says of itself before it asks for the data: `REPLCONF listening-port 6380`.
fn replica_port(bytes: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().skip_while(|line| *line != "listening-port");
    lines.nth(2)?.trim().parse().ok()
}
