//! How the fixtures themselves reach a server whose port speaks TLS only: by its Unix socket.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static DOORS: Mutex<BTreeMap<u16, PathBuf>> = Mutex::new(BTreeMap::new());

/// From now on what is asked of this port is asked at this socket.
pub(crate) fn register(port: u16, socket: PathBuf) {
    DOORS.lock().unwrap_or_else(PoisonError::into_inner).insert(port, socket);
}

/// The socket beside this port.
pub(crate) fn of(port: u16) -> Option<PathBuf> {
    DOORS.lock().unwrap_or_else(PoisonError::into_inner).get(&port).cloned()
}

/// Makes a server that would listen on `port` listen with TLS there, and with a socket in its folder.
pub(crate) fn lines(port: u16, folder: &Path) -> Vec<String> {
    let socket = folder.join("door");
    let lines = vec!["port 0".to_owned(), format!("tls-port {port}"), format!("unixsocket {}", socket.display())];
    register(port, socket);
    lines
}
