//! What a configuration asks of its host and this one does not have: found by `sentinel check`, where a start would fail or
//! go without it. They are warnings, since a configuration may be checked on another host.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{TcpListener, UdpSocket},
    os::unix::fs::FileTypeExt as _,
    path::Path,
};

use crate::config::{Loaded, Warning, system_text};

/// All of it. Relative paths are under `folder`.
pub(super) fn missing(loaded: &Loaded, folder: &Path) -> Vec<Warning> {
    let config = &loaded.config;
    let server = &config.server;
    let mut warnings = Vec::new();
    let mut warn = |directive: &str, text: String| {
        let place = loaded.places.of(None, directive);
        warnings.push(Warning { place, directive: directive.to_owned(), text });
    };
    let ports = config.globals.port != 0 || server.tls.port.is_some();
    if server.unix_socket.is_none() && (!ports || server.bind.is_empty()) {
        let text =
            "nothing is listened on: a start fails. Write a port or a unixsocket, and an address to bind".to_owned();
        warn(if ports { "bind" } else { "port" }, text);
    }
    if ports {
        for bind in server.bind.iter().filter(|bind| !bind.optional) {
            if let Err(error) = listens(&bind.address) {
                let text = format!(
                    "{} is no address of this host ({}): there a start fails. Name one that is, or write -{} where it may be absent",
                    bind.address,
                    system_text(&error),
                    bind.address
                );
                warn("bind", text);
            }
        }
    }
    if let Some(source) = &server.bind_source
        && let Err(error) = source.resolve().and_then(UdpSocket::bind)
    {
        let text = format!(
            "{source} is no address of this host ({}): no instance can be reached from it",
            system_text(&error)
        );
        warn("bind-source-addr", text);
    }
    if let Some(path) = &server.unix_socket
        && let Err(text) = socket_fits(&folder.join(path))
    {
        warn("unixsocket", format!("{text}: a start fails"));
    }
    if let Some(path) = &server.pid_file
        && let Err(text) = file_fits(&folder.join(path))
    {
        warn("pidfile", format!("{text}: there will be no pid file"));
    }
    warnings
}

/// Whether a socket could listen there, on any port.
fn listens(address: &str) -> io::Result<()> {
    // All addresses, of one family or of both, are always there.
    if address == "*" || address == "::*" {
        return Ok(());
    }
    TcpListener::bind((address, 0)).map(drop)
}

/// Whether a Unix socket could be made there: nothing is there, or a socket that somebody left behind.
fn socket_fits(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(()),
        Ok(_) => Err(format!("{} is no socket; remove it, or name another path", path.display())),
        Err(_) => folder_exists(path),
    }
}

/// Whether a file could be there.
fn file_fits(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err(format!("{} is a folder; name a file", path.display()));
    }
    folder_exists(path)
}

fn folder_exists(path: &Path) -> Result<(), String> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    // There a service manager makes the folder at the start, as under Debian's unit.
    if folder.starts_with("/run") || folder.starts_with("/var/run") {
        return Ok(());
    }
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(format!("{} is no folder; name another path", folder.display())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("there is no folder {}; create it, or name another path", folder.display()))
        }
        Err(error) => Err(format!("{}: {}", folder.display(), system_text(&error))),
    }
}
