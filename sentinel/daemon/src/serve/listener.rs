//! Sockets that clients connect to.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _},
    os::fd::OwnedFd,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::{Mode, OFlags, fstat, open};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use crate::{
    config::{BindAddress, system_text},
    tls,
};

/// Sockets that are bound and listen. Connections wait in them until [`run`](super::run) serves them.
#[derive(Debug, Default)]
pub struct Listeners {
    doors: Vec<Door>,
}

/// One socket, and how it is spoken on.
#[derive(Debug)]
pub(super) enum Door {
    /// TCP.
    Plain(TcpListener),
    /// TLS over TCP.
    Encrypted(TcpListener, Arc<tls::Incoming>),
    /// A Unix socket, and its path as configured.
    Local(UnixListener, PathBuf),
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address} port {port}: {source}; free the port, or change `{directive}` or `bind`")]
    Port {
        /// As it stands in the configuration.
        address: String,
        /// The port.
        port: u16,
        /// `port`, `tls-port` or `http-listen`.
        directive: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The Unix socket cannot be made.
    #[error("Failed opening Unix socket: {what}: {}; change `unixsocket`, or {}", system_text(.source), remedy_of_socket(.path, .source))]
    Local {
        /// Its path.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

fn remedy_of_socket(path: &Path, error: &io::Error) -> String {
    match path.parent() {
        Some(folder) if error.kind() == io::ErrorKind::NotFound => format!("create the folder {}", folder.display()),
        _ if error.kind() == io::ErrorKind::PermissionDenied => "make its folder writable for this user".to_owned(),
        _ => format!("remove what is at {}", path.display()),
    }
}

/// The file of a Unix socket.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// The file itself, so that no later one can get its number as long as this exists.
    file: Option<OwnedFd>,
}

impl SocketFile {
    /// Removes it, unless another process has put its own there meanwhile.
    pub fn remove(&self) {
        let ours = self.file.as_ref().and_then(|file| fstat(file).ok()).map(|ours| (ours.st_dev, ours.st_ino));
        let found = fs::symlink_metadata(&self.path).ok().map(|found| (found.dev(), found.ino()));
        if ours.is_none() || ours != found {
            return;
        }
        tracing::info!("Removing the unix socket file.");
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("the Unix socket {} cannot be removed: {error}", self.path.display());
        }
    }
}

impl Listeners {
    /// Binds every address, all on the same port, and begins to listen. Port 0 lets the system choose one.
    ///
    /// A name is resolved, which may block: this belongs into the start of a process.
    ///
    /// # Errors
    ///
    /// When an address that is not optional cannot be bound, or none at all can.
    pub fn bind(addresses: &[BindAddress], port: u16, backlog: u32) -> Result<Self, ListenError> {
        let mut listeners = Self::default();
        listeners.add_port(addresses, port, backlog)?;
        Ok(listeners)
    }

    /// The same beside what there is.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn add_port(&mut self, addresses: &[BindAddress], port: u16, backlog: u32) -> Result<(), ListenError> {
        let sockets = bind_all(addresses, port, backlog, "port")?;
        self.doors.extend(sockets.into_iter().map(Door::Plain));
        Ok(())
    }

    /// The same for a port on which TLS is spoken.
    ///
    /// # Errors
    ///
    /// As for [`bind`](Self::bind).
    pub fn add_tls_port(
        &mut self,
        addresses: &[BindAddress],
        port: u16,
        backlog: u32,
        tls: &Arc<tls::Incoming>,
    ) -> Result<(), ListenError> {
        let sockets = bind_all(addresses, port, backlog, "tls-port")?;
        self.doors.extend(sockets.into_iter().map(|socket| Door::Encrypted(socket, Arc::clone(tls))));
        Ok(())
    }

    /// Makes a Unix socket and listens on it. One that a process left behind is replaced, anything else is not: there the
    /// reference removes what it finds. With mode 0 the permissions are as the umask leaves them.
    ///
    /// The file is to be removed when the process ends.
    ///
    /// # Errors
    ///
    /// When the socket cannot be made.
    pub fn add_unix_socket(
        &mut self,
        path: &Path,
        mode: u32,
        group: Option<&str>,
        backlog: u32,
    ) -> Result<SocketFile, ListenError> {
        let failed = |what| move |source| ListenError::Local { path: path.to_owned(), what, source };
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path).map_err(failed("unlink"))?,
            Ok(_) => return Err(failed("bind")(io::Error::other("there is a file that is no socket"))),
            Err(_) => {}
        }
        let bound = || {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.bind(&SockAddr::unix(path)?)?;
            socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
            io::Result::Ok(socket)
        };
        let socket = bound().map_err(failed("bind"))?;
        // Absolute, so that it is found again whatever the working directory is then.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let file = open(&absolute, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).ok();
        let file = SocketFile { path: absolute, file };
        if mode != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("chmod"))?;
        }
        if let Some(group) = group {
            let id = group_id(group).map_err(failed("unixsocketgroup"))?;
            std::os::unix::fs::chown(path, None, Some(id)).map_err(failed("chown"))?;
        }
        self.doors.push(Door::Local(socket.into(), path.to_owned()));
        Ok(file)
    }

    /// The addresses that are listened on: those of `port` before those of `tls-port`.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().filter_map(Door::address).collect()
    }

    /// What is listened on, in the words of INFO's `listener0` and its like, each kind with its number there. Sockets of one
    /// kind are one.
    pub(super) fn described(&self, bind: &[BindAddress]) -> Vec<(u8, String)> {
        let mut described: Vec<(u8, String)> = Vec::new();
        for door in &self.doors {
            let (number, name) = match door {
                Door::Plain(_) => (0, "tcp"),
                Door::Encrypted(..) => (2, "tls"),
                Door::Local(_, path) => {
                    described.push((1, format!("name=unix,bind={}", path.display())));
                    continue;
                }
            };
            let address = |it: &BindAddress| format!(",bind={}{}", if it.optional { "-" } else { "" }, it.address);
            let addresses: Vec<String> = bind.iter().map(address).collect();
            let port = door.address().map_or(0, |address| address.port());
            let text = format!("name={name}{},port={port}", addresses.concat());
            if !described.iter().any(|(_, known)| *known == text) {
                described.push((number, text));
            }
        }
        described.sort_by_key(|(number, _)| *number);
        described
    }

    /// The port, that of TLS if there is no other, 0 without any.
    pub fn port(&self) -> u16 {
        self.addresses().first().map_or(0, SocketAddr::port)
    }

    /// Whether nobody can connect.
    pub const fn is_empty(&self) -> bool {
        self.doors.is_empty()
    }

    pub(super) fn into_doors(self) -> Vec<Door> {
        self.doors
    }
}

/// The number of a group: of `/etc/group`, or the number itself.
fn group_id(name: &str) -> io::Result<u32> {
    let groups = fs::read_to_string("/etc/group")?;
    let id = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    id.or_else(|| name.parse().ok()).ok_or_else(|| io::Error::other(format!("there is no group `{name}`")))
}

impl Door {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Door::Plain(socket) | Door::Encrypted(socket, _) => socket.local_addr().ok(),
            Door::Local(..) => None,
        }
    }
}

/// Sockets that listen on all of these addresses, on one port.
pub(crate) fn bind_all(
    addresses: &[BindAddress],
    mut port: u16,
    backlog: u32,
    directive: &'static str,
) -> Result<Vec<TcpListener>, ListenError> {
    let mut sockets = Vec::new();
    let mut skipped = None;
    for bind in addresses {
        let failed = |source| ListenError::Port { address: bind.address.clone(), port, directive, source };
        let listening = resolve(&bind.address, port)
            .and_then(|addresses| addresses.into_iter().map(|address| listen(address, backlog)).collect());
        let listening: Vec<TcpListener> = match listening {
            Ok(listening) => listening,
            Err(error) if bind.optional && is_absent(&error) => {
                skipped = Some(failed(error));
                continue;
            }
            Err(error) => return Err(failed(error)),
        };
        if port == 0 {
            // What the system chose for the first address holds for all.
            port = listening.first().and_then(|socket| socket.local_addr().ok()).map_or(0, |local| local.port());
        }
        sockets.extend(listening);
    }
    match skipped {
        Some(error) if sockets.is_empty() => Err(error),
        _ => Ok(sockets),
    }
}

fn resolve(address: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match address {
        "*" => Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into()]),
        "::*" => Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into()]),
        literal => match literal.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![(ip, port).into()]),
            Err(_) => Ok((literal, port).to_socket_addrs()?.take(1).collect()),
        },
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `*` and `::*` stand beside each other.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Whether this host does not have the address, or not even its family.
fn is_absent(error: &io::Error) -> bool {
    // EAFNOSUPPORT, which has no kind of its own.
    const NO_SUCH_FAMILY: i32 = 97;
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

/// Sets an accepted connection up: no delay, and probes while it is silent, so that a client whose host vanished is
/// noticed. As in the reference the first comes after `keepalive`, three more after a third of it each.
pub(crate) fn prepare(stream: &tokio::net::TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(after) = keepalive {
        let probes =
            TcpKeepalive::new().with_time(after).with_interval((after / 3).max(Duration::from_secs(1))).with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, optional: bool) -> BindAddress {
        BindAddress { address: address.into(), optional }
    }

    #[test]
    fn all_addresses_share_one_port() {
        let listeners = Listeners::bind(&[at("127.0.0.1", false), at("127.0.0.2", false)], 0, 16).unwrap();
        let addresses = listeners.addresses();
        assert_eq!(addresses.len(), 2);
        assert_ne!(listeners.port(), 0);
        assert!(addresses.iter().all(|address| address.port() == listeners.port()));
    }

    #[test]
    fn an_address_of_another_host_is_skipped_only_if_it_is_optional() {
        // 192.0.2.0/24 is for documentation: no host has it.
        let listeners = Listeners::bind(&[at("192.0.2.1", true), at("127.0.0.1", false)], 0, 16).unwrap();
        assert_eq!(listeners.addresses().len(), 1);
        assert!(Listeners::bind(&[at("192.0.2.1", false), at("127.0.0.1", false)], 0, 16).is_err());
        assert!(Listeners::bind(&[at("192.0.2.1", true)], 0, 16).is_err());
    }

    #[test]
    fn a_port_in_use_is_named_in_the_error() {
        let first = Listeners::bind(&[at("127.0.0.1", false)], 0, 16).unwrap();
        let error = Listeners::bind(&[at("127.0.0.1", true)], first.port(), 16).unwrap_err();
        let ListenError::Port { source, .. } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&format!("127.0.0.1 port {}", first.port())), "{error}");
    }

    #[test]
    fn a_unix_socket_left_behind_is_replaced_and_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sock");
        // A listener that is dropped leaves its file, as a killed process does.
        let first = Listeners::default().add_unix_socket(&path, 0o700, None, 16).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let mut listeners = Listeners::default();
        let second = listeners.add_unix_socket(&path, 0, None, 16).unwrap();
        assert!(!listeners.is_empty() && listeners.port() == 0);
        first.remove();
        assert!(path.exists(), "it belongs to the second one now");
        second.remove();
        assert!(!path.exists());

        fs::write(&path, "precious").unwrap();
        let error = Listeners::default().add_unix_socket(&path, 0, None, 16).unwrap_err().to_string();
        assert!(error.starts_with("Failed opening Unix socket: bind: there is a file"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        let missing = folder.path().join("no/such.sock");
        let error = Listeners::default().add_unix_socket(&missing, 0, None, 16).unwrap_err().to_string();
        assert!(error.contains("bind: No such file or directory; change `unixsocket`"), "{error}");
    }
}
