//! Commands to a running Sentinel.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use redis::{RedisError, Value};
use serde_json::json;

use super::{
    Exit, Sentinel,
    conversation::{self, Unanswered},
    reply,
};
use crate::{
    config::system_text,
    terminal::{complain, say},
};

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
    let config = match sentinel.tls.wanted.then(|| sentinel.tls.config()).transpose() {
        Ok(config) => config,
        Err(error) => {
            complain!("{error}");
            return Err(Exit::Failure);
        }
    };
    let mut commands = Vec::new();
    if let Some(password) = &sentinel.password {
        let mut login = redis::cmd("AUTH");
        login.arg(sentinel.user.as_deref()).arg(password);
        commands.push(login);
    }
    let mut command = redis::cmd("SENTINEL");
    command.arg(words);
    commands.push(command);
    let patience = Duration::from_millis(sentinel.timeout.max(1));
    let answer = conversation::query(config, (&sentinel.host, sentinel.port), &commands, patience);
    answer.map_err(|error| {
        let (exit, text) = match &error {
            Unanswered::Refused(error) => refused(error),
            Unanswered::Garbled(error) => (Exit::Unreachable, error.to_string()),
            Unanswered::Lost(error) => (Exit::Unreachable, lost(error, patience)),
        };
        complain!("the Sentinel at {}: {text}", place(sentinel));
        exit
    })
}

/// Its own words, and what to do.
fn refused(error: &RedisError) -> (Exit, String) {
    let (code, detail) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    let remedy = match code {
        "NOAUTH" | "WRONGPASS" => " (give the password in SENTINEL_PASSWORD)",
        "NOPERM" => " (give another user in SENTINEL_USER, or this one the right to it)",
        "NOGOODSLAVE" => " (`SENTINEL CANDIDATES` with the master's name says why)",
        "ERR" if detail.starts_with("unknown command 'SENTINEL'") => " (this is no Sentinel: give its --port)",
        "ERR" if detail.starts_with("AUTH <password> called without any password") => {
            " (leave the password out: unset SENTINEL_PASSWORD)"
        }
        _ => "",
    };
    let unknown = code == "ERR" && detail.starts_with("No such master");
    let exit = if unknown { Exit::UnknownMaster } else { Exit::Refused };
    (exit, format!("{code} {}{remedy}", detail.trim_end()))
}

fn lost(error: &io::Error, patience: Duration) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => {
            format!("no answer within {} ms (--timeout)", patience.as_millis())
        }
        ErrorKind::ConnectionRefused => {
            format!("{} (does it run there? --host and --port name another place)", system_text(error))
        }
        _ => system_text(error),
    }
}

fn place(sentinel: &Sentinel) -> String {
    if sentinel.host.contains(':') {
        format!("[{}]:{}", sentinel.host, sentinel.port)
    } else {
        format!("{}:{}", sentinel.host, sentinel.port)
    }
}
