//! A Sentinel that runs in a folder of its own, on a Unix socket: no port is taken.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use redis::{Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo as _};
use sentinel_tests::{ServerProcess, eventually};

const SOON: Duration = Duration::from_secs(20);

/// Killed when dropped.
pub(crate) struct Running {
    process: ServerProcess,
    socket: PathBuf,
}

impl Running {
    /// Starts it there. Its configuration says `unixsocket s.sock`.
    pub(crate) fn start(folder: &Path, configuration: &str) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_sentinel"));
        let process = ServerProcess::start("a Sentinel", program, &[configuration.into()], folder);
        let mut running = Self { process, socket: folder.join("s.sock") };
        eventually("it answers", SOON, || {
            if let Some(status) = running.process.exit_status() {
                return Err(format!("{status}: {}", running.process.last_output(20)));
            }
            running.connect().map(drop).map_err(|error| error.to_string())
        });
        running
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let client = redis::Client::open(ConnectionAddr::Unix(self.socket.clone()).into_connection_info()?)?;
        client.get_connection()
    }

    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let answer =
            self.connect().and_then(|mut connection| redis::cmd(words[0]).arg(&words[1..]).query(&mut connection));
        answer.unwrap_or_else(|error| panic!("{words:?}: {error}\n{}", self.process.last_output(20)))
    }

    /// SIGTERM: it saves and ends.
    pub(crate) fn terminate(self) {
        assert!(self.process.terminate(SOON).success());
    }

    /// What it says of that master, and of itself: everything that does not change by itself.
    pub(crate) fn answers(&self, name: &str) -> BTreeMap<String, String> {
        const OF_THE_MOMENT: [&str; 12] = [
            "flags",
            "info-refresh",
            "last-ok-ping-reply",
            "last-ping-reply",
            "last-ping-sent",
            "link-pending-commands",
            "link-refcount",
            "role-reported",
            "role-reported-time",
            "runid",
            "s-down-time",
            "o-down-time",
        ];
        let mut fields: BTreeMap<String, String> = self.ask(&["SENTINEL", "MASTER", name]);
        fields.retain(|field, _| !OF_THE_MOMENT.contains(&field.as_str()));
        for (question, field) in [("REPLICAS", "name"), ("SENTINELS", "runid")] {
            let known: Vec<BTreeMap<String, String>> = self.ask(&["SENTINEL", question, name]);
            let mut known: Vec<String> =
                known.iter().map(|it| format!("{} at {}:{}", it[field], it["ip"], it["port"])).collect();
            known.sort();
            fields.insert(question.to_owned(), known.join(", "));
        }
        let users: Vec<String> = self.ask(&["ACL", "LIST"]);
        // A user that is read from a file is told with the flag that everybody has.
        fields.insert("ACL".to_owned(), users.join(", ").replace(" sanitize-payload", ""));
        for setting in ["announce-ip", "announce-port", "sentinel-user", "sentinel-pass"] {
            let value: BTreeMap<String, String> = self.ask(&["SENTINEL", "CONFIG", "GET", setting]);
            fields.extend(value);
        }
        fields
    }
}
