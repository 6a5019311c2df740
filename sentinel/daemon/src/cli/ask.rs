//! Commands to a running Sentinel.

use std::{sync::Arc, time::Duration};

use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, Value};
use serde_json::json;
use tokio_rustls::rustls::ClientConfig;

use super::{Exit, Sentinel, reply};
use crate::terminal::{complain, say};

/// `sentinel get-master-addr-by-name`
pub(super) fn address(sentinel: &Sentinel, name: &str) -> Exit {
    let answer = match ask(sentinel, &["get-master-addr-by-name", name]) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    let Ok([host, port]) = <[String; 2]>::try_from(reply::texts(&answer)) else {
        complain!("the Sentinel at {} does not know a master called {name:?}", place(sentinel));
        return Exit::UnknownMaster;
    };
    if sentinel.json {
        say!("{}", json!({ "name": name, "host": host, "port": port.parse::<u16>().unwrap_or(0) }));
    } else {
        say!("{host} {port}");
    }
    Exit::Success
}

/// `sentinel masters`
pub(super) fn masters(sentinel: &Sentinel) -> Exit {
    let answer = match ask(sentinel, &["masters"]) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    let masters = reply::tables(&answer);
    if sentinel.json {
        say!("{}", serde_json::Value::from(masters));
        return Exit::Success;
    }
    let columns = [
        ("NAME", "name"),
        ("HOST", "ip"),
        ("PORT", "port"),
        ("FLAGS", "flags"),
        ("REPLICAS", "num-slaves"),
        ("SENTINELS", "num-other-sentinels"),
        ("QUORUM", "quorum"),
        ("EPOCH", "config-epoch"),
    ];
    say!("{}", reply::aligned(&columns, &masters).trim_end());
    Exit::Success
}

/// `sentinel failover`
pub(super) fn failover(sentinel: &Sentinel, name: &str) -> Exit {
    match ask(sentinel, &["failover", name]) {
        Ok(_) => {
            if sentinel.json {
                say!("{}", json!({ "name": name, "started": true }));
            } else {
                say!("failover of {name} started; `sentinel get-master-addr-by-name {name}` tells the new address");
            }
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// Sends one `SENTINEL` command. A failure was told on standard error.
fn ask(sentinel: &Sentinel, words: &[&str]) -> Result<Value, Exit> {
    let mut command = redis::cmd("SENTINEL");
    command.arg(words);
    let answer = if sentinel.tls.wanted {
        let config = sentinel.tls.config().map_err(|error| {
            complain!("{error}");
            Exit::Failure
        })?;
        encrypted(sentinel, config, command)
    } else {
        connect(sentinel).and_then(|mut connection| command.query(&mut connection))
    };
    answer.map_err(|error| {
        let exit = exit(&error);
        let text = match exit {
            Exit::Unreachable => error.to_string(),
            _ => [error.code(), error.detail()].into_iter().flatten().collect::<Vec<_>>().join(" "),
        };
        complain!("the Sentinel at {}: {text}{}", place(sentinel), remedy(error.code()));
        exit
    })
}

fn encrypted(sentinel: &Sentinel, config: Arc<ClientConfig>, command: redis::Cmd) -> Result<Value, RedisError> {
    let mut commands = Vec::new();
    if let Some(password) = &sentinel.password {
        let mut login = redis::cmd("AUTH");
        login.arg(sentinel.user.as_deref()).arg(password);
        commands.push(login);
    }
    commands.push(command);
    let patience = Duration::from_millis(sentinel.timeout.max(1));
    super::encrypted::query(config, (&sentinel.host, sentinel.port), &commands, patience)
}

fn connect(sentinel: &Sentinel) -> Result<redis::Connection, RedisError> {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = &sentinel.user {
        login = login.set_username(user);
    }
    if let Some(password) = &sentinel.password {
        login = login.set_password(password);
    }
    let info: ConnectionInfo = ConnectionAddr::Tcp(sentinel.host.clone(), sentinel.port).into_connection_info()?;
    let patience = Duration::from_millis(sentinel.timeout.max(1));
    let connection = Client::open(info.set_redis_settings(login))?.get_connection_with_timeout(patience)?;
    connection.set_read_timeout(Some(patience))?;
    Ok(connection)
}

fn exit(error: &RedisError) -> Exit {
    match error.code() {
        Some("ERR") if error.detail().is_some_and(|text| text.starts_with("No such master")) => Exit::UnknownMaster,
        Some(_) => Exit::Refused,
        None if error.kind() == redis::ErrorKind::AuthenticationFailed => Exit::Refused,
        None => Exit::Unreachable,
    }
}

fn remedy(code: Option<&str>) -> &'static str {
    match code {
        Some("NOAUTH" | "WRONGPASS") => " (give the password in SENTINEL_PASSWORD)",
        Some("NOGOODSLAVE") => " (no replica is fit to be promoted: see SENTINEL REPLICAS)",
        _ => "",
    }
}

fn place(sentinel: &Sentinel) -> String {
    if sentinel.host.contains(':') {
        format!("[{}]:{}", sentinel.host, sentinel.port)
    } else {
        format!("{}:{}", sentinel.host, sentinel.port)
    }
}
