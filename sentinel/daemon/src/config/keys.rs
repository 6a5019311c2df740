//! Every key of the TOML form: what it means, how it is written, and the directive that it stands for.

use std::{borrow::Cow, sync::LazyLock};

use sentinel_core::settings::{
    GlobalSettings,
    master::MASTER,
    row::{self as setting, Row, Value},
    sentinel::SENTINEL,
};

use super::{
    directives::{OWN, is_extension},
    settings,
};

/// How the value of a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is secret. The same key with `-file` names a file that holds it, with `-env` an environment variable.
    Secret,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A time such as `"5s"`, `"1m 30s"` or `"250ms"`, in whole milliseconds.
    Milliseconds,
    /// A time in whole seconds.
    Seconds,
    /// A number of bytes, or a text with a unit such as `"64mb"`.
    Bytes,
    /// A list of texts.
    List,
    /// A list of texts, each of which is a line of its own.
    Lines,
    /// A table from one text to another.
    Pairs,
    /// `{ hard = "32mb", soft = "8mb", for = "60s" }`
    Limit,
    /// `"host:port"`
    Address,
}

impl Kind {
    /// What a value is called in the classic grammar.
    const fn value(self) -> &'static str {
        match self {
            Kind::Text => "TEXT",
            Kind::Secret => "PASSWORD",
            Kind::Number => "NUMBER",
            Kind::Switch => "yes|no",
            Kind::Milliseconds => "MILLISECONDS",
            Kind::Seconds => "SECONDS",
            Kind::Bytes => "BYTES",
            Kind::List => "ADDRESS...",
            Kind::Lines => "NAME RULE...",
            Kind::Pairs => "COMMAND OTHER-NAME",
            Kind::Limit => "HARD SOFT SECONDS",
            Kind::Address => "HOST PORT",
        }
    }

    /// How a value is written in TOML.
    pub const fn toml(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Secret => "text, or from elsewhere with -file or -env",
            Kind::Number => "whole number",
            Kind::Switch => "true or false",
            Kind::Milliseconds => "time in whole milliseconds",
            Kind::Seconds => "time in whole seconds",
            Kind::Bytes => "number of bytes, or text with a unit",
            Kind::List => "list of texts",
            Kind::Lines => "list of texts, or from elsewhere with -file or -env",
            Kind::Pairs => "table from text to text",
            Kind::Limit => "table of hard, soft and for",
            Kind::Address => "text \"host:port\"",
        }
    }
}

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// The table it stands in; empty for the top.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// What counts without it, as it would be written; empty where there is nothing then.
    pub default: Cow<'static, str>,
    /// What it means.
    pub doc: &'static str,
    /// The classic directive, and words that stand before the value.
    pub(super) directive: &'static str,
}

impl Key {
    /// The classic line that says the same, with words in capitals where values stand.
    pub fn classic(&self) -> String {
        match (self.section, self.name) {
            ("master", "name" | "address" | "quorum") => "sentinel monitor NAME HOST PORT QUORUM".to_owned(),
            ("master", "rename-command") => format!("sentinel {} NAME COMMAND OTHER-NAME", self.directive),
            ("master", _) => format!("sentinel {} NAME {}", self.directive, self.kind.value()),
            ("" | "sentinel", _) => format!("sentinel {} {}", self.directive, self.kind.value()),
            _ => format!("{} {}", self.directive, self.kind.value()),
        }
    }

    /// Whether redis-sentinel does not know it.
    pub fn is_ours(&self) -> bool {
        let sentinel = matches!(self.section, "" | "sentinel" | "master");
        if sentinel { is_extension(self.directive) } else { OWN.contains(&self.directive) }
    }

    /// Whether the same key with `-file` or `-env` says where the value stands.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret || self.kind == Kind::Lines
    }
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    directive: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { section, name, kind, default: Cow::Borrowed(default), doc, directive }
}

/// All keys, by section, in the order in which they take effect. Those of a master and of the Sentinel itself follow from the
/// tables of the core.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let sentinel = SENTINEL.iter().map(|row| of_row("sentinel", row, &row.value(&GlobalSettings::default())));
    let master = MASTER.iter().map(|row| of_row("master", row, &row.value(&settings::unconfigured())));
    PROCESS
        .iter()
        .map(|key| Key { default: key.default.clone(), ..*key })
        .chain(sentinel)
        .chain(MASTER_IDENTITY)
        .chain(master)
        .chain([RENAME_COMMAND])
        .collect()
});

/// The key of a setting.
fn of_row<S>(section: &'static str, row: &'static Row<S>, default: &Value) -> Key {
    let kind = match row.kind {
        setting::Kind::Milliseconds { .. } => Kind::Milliseconds,
        setting::Kind::Count { .. } | setting::Kind::Port => Kind::Number,
        setting::Kind::Bytes => Kind::Bytes,
        setting::Kind::Switch => Kind::Switch,
        setting::Kind::Secret => Kind::Secret,
        setting::Kind::Text | setting::Kind::Script { .. } | setting::Kind::Host => Kind::Text,
    };
    let default = match default {
        Value::Time(time) => format!("\"{}\"", humantime::format_duration(*time)),
        Value::Switch(on) => on.to_string(),
        other => other.to_string(),
    };
    Key { section, name: row.key, kind, default: default.into(), doc: row.doc, directive: row.name }
}

/// What stands in the line that names a master.
const MASTER_IDENTITY: [Key; 3] = [
    key("master", "name", Kind::Text, "", "", "Name under which clients ask for this master. Required."),
    key(
        "master",
        "address",
        Kind::Address,
        "",
        "",
        "Where the master was first; later the known state tells. Required.",
    ),
    key("master", "quorum", Kind::Number, "", "", "How many Sentinels must agree that it is down. Required."),
];

const RENAME_COMMAND: Key = key(
    "master",
    "rename-command",
    Kind::Pairs,
    "rename-command",
    "{}",
    "Commands that the data nodes know under another name, such as { CONFIG = \"x7\" }.",
);

/// The keys of the process, its port, access control and TLS.
const PROCESS: &[Key] = &[
    key(
        "",
        "state-file",
        Kind::Text,
        "state-config-file",
        "",
        "Keep what is learnt in this file and never write the configuration, which may then be read-only.",
    ),
    key(
        "server",
        "dir",
        Kind::Text,
        "dir",
        "",
        "Directory under which all relative paths lie. Without it the one in which the process was started.",
    ),
    key("server", "port", Kind::Number, "port", "26379", "TCP port. 0: none."),
    key(
        "server",
        "bind",
        Kind::List,
        "bind",
        r#"["*", "-::*"]"#,
        "Addresses to listen on. One with - before it may be absent on this host.",
    ),
    key(
        "server",
        "protected-mode",
        Kind::Switch,
        "protected-mode",
        "false",
        "Refuse clients from elsewhere as long as there is no password.",
    ),
    key(
        "server",
        "requirepass",
        Kind::Secret,
        "requirepass",
        "",
        "Password of clients, also shown to other Sentinels unless `sentinel-pass` is set.",
    ),
    key("server", "maxclients", Kind::Number, "maxclients", "10000", "How many clients may be connected."),
    key(
        "server",
        "timeout",
        Kind::Seconds,
        "timeout",
        r#""0s""#,
        "An idle client that is not a subscriber is closed after this. 0: never.",
    ),
    key(
        "server",
        "tcp-keepalive",
        Kind::Seconds,
        "tcp-keepalive",
        r#""300s""#,
        "Keepalive on accepted connections. 0: off.",
    ),
    key(
        "server",
        "tcp-backlog",
        Kind::Number,
        "tcp-backlog",
        "511",
        "Length of the queue of connections not yet accepted.",
    ),
    key("server", "unixsocket", Kind::Text, "unixsocket", "", "A Unix socket to listen on."),
    key(
        "server",
        "unixsocketgroup",
        Kind::Text,
        "unixsocketgroup",
        r#""""#,
        "Group of the Unix socket. Empty: that of the process.",
    ),
    key(
        "server",
        "unixsocketperm",
        Kind::Text,
        "unixsocketperm",
        r#""0""#,
        "Permissions of the Unix socket, octal, such as \"700\".",
    ),
    key(
        "server",
        "output-limit-normal",
        Kind::Limit,
        "client-output-buffer-limit normal",
        r#"{ hard = 0, soft = 0, for = "0s" }"#,
        "When an ordinary client that does not read its answers is closed.",
    ),
    key(
        "server",
        "output-limit-replica",
        Kind::Limit,
        "client-output-buffer-limit replica",
        r#"{ hard = "256mb", soft = "64mb", for = "60s" }"#,
        "The same for replicas. Without effect: a Sentinel has none.",
    ),
    key(
        "server",
        "output-limit-pubsub",
        Kind::Limit,
        "client-output-buffer-limit pubsub",
        r#"{ hard = "32mb", soft = "8mb", for = "60s" }"#,
        "When a subscriber that does not read its messages is closed.",
    ),
    key(
        "server",
        "client-query-buffer-limit",
        Kind::Bytes,
        "client-query-buffer-limit",
        r#""1gb""#,
        "Longest request not yet complete.",
    ),
    key(
        "server",
        "proto-max-bulk-len",
        Kind::Bytes,
        "proto-max-bulk-len",
        r#""512mb""#,
        "Longest single argument of a request.",
    ),
    key(
        "server",
        "compatible-version",
        Kind::Text,
        "compatible-version",
        r#""7.0.15""#,
        "Whom INFO, COMMAND, HELLO, HELP and the log look like: 7.0.15, redis-8.0, valkey-8.0, valkey-8.1 or valkey-9.1.",
    ),
    key(
        "server",
        "rename-command",
        Kind::Pairs,
        "rename-command",
        "{}",
        "Commands of this Sentinel under another name, or switched off: { SHUTDOWN = \"\" }.",
    ),
    key("server", "bind-source-addr", Kind::Text, "bind-source-addr", "", "Source address of outgoing connections."),
    key(
        "server",
        "loglevel",
        Kind::Text,
        "loglevel",
        r#""notice""#,
        "Least severity that is logged: debug, verbose, notice, warning or nothing.",
    ),
    key(
        "server",
        "log-format",
        Kind::Text,
        "log-format",
        r#""legacy""#,
        "How lines look: legacy, logfmt, or json with every part of an event as a field. `--log-format` has precedence.",
    ),
    key(
        "server",
        "log-timestamp-format",
        Kind::Text,
        "log-timestamp-format",
        r#""legacy""#,
        "How lines tell the time: legacy, iso8601 or milliseconds. JSON lines always tell it as RFC 3339 does, in UTC.",
    ),
    key("server", "logfile", Kind::Text, "logfile", r#""""#, "Log file. Empty: standard output."),
    key("server", "syslog-enabled", Kind::Switch, "syslog-enabled", "false", "Log to the system log too."),
    key("server", "syslog-ident", Kind::Text, "syslog-ident", r#""redis""#, "Name in the system log."),
    key(
        "server",
        "syslog-facility",
        Kind::Text,
        "syslog-facility",
        r#""local0""#,
        "Facility in the system log: user, or local0 to local7.",
    ),
    key(
        "server",
        "hide-user-data-from-log",
        Kind::Switch,
        "hide-user-data-from-log",
        "",
        "Whether the log is without names of clients and users, and without what a client sent that broke the protocol. \
         Not set: with the names, without what was sent.",
    ),
    key("server", "daemonize", Kind::Switch, "daemonize", "false", "Go into the background."),
    key("server", "pidfile", Kind::Text, "pidfile", "", "Where the process id is written."),
    key(
        "server",
        "supervised",
        Kind::Text,
        "supervised",
        r#""no""#,
        "Who is told about start and stop: no, upstart, systemd or auto.",
    ),
    key("acl", "users", Kind::Lines, "user", "", "Users, each as one text: name and rules."),
    key("acl", "aclfile", Kind::Text, "aclfile", "", "File with the users. Excludes `users`."),
    key("acl", "acllog-max-len", Kind::Number, "acllog-max-len", "128", "How many refusals ACL LOG remembers."),
    key(
        "acl",
        "acl-pubsub-default",
        Kind::Text,
        "acl-pubsub-default",
        r#""resetchannels""#,
        "Whether a new user may use all channels: allchannels or resetchannels.",
    ),
    key("tls", "port", Kind::Number, "tls-port", "0", "TLS port beside `server.port`. 0: none."),
    key("tls", "replication", Kind::Switch, "tls-replication", "false", "Encrypt outgoing connections."),
    key("tls", "cert-file", Kind::Text, "tls-cert-file", "", "Server certificate."),
    key("tls", "key-file", Kind::Text, "tls-key-file", "", "Key of `cert-file`."),
    key("tls", "key-file-pass", Kind::Secret, "tls-key-file-pass", "", "Password of the key."),
    key(
        "tls",
        "client-cert-file",
        Kind::Text,
        "tls-client-cert-file",
        "",
        "Certificate of outgoing connections. Without it the server's.",
    ),
    key("tls", "client-key-file", Kind::Text, "tls-client-key-file", "", "Key of `client-cert-file`."),
    key("tls", "client-key-file-pass", Kind::Secret, "tls-client-key-file-pass", "", "Password of that key."),
    key("tls", "ca-cert-file", Kind::Text, "tls-ca-cert-file", "", "Trusted authorities, in one file."),
    key("tls", "ca-cert-dir", Kind::Text, "tls-ca-cert-dir", "", "Trusted authorities, in files with hashed names."),
    key(
        "tls",
        "auth-clients",
        Kind::Text,
        "tls-auth-clients",
        r#""yes""#,
        "Whether clients must show a certificate: yes, no or optional.",
    ),
    key(
        "tls",
        "auth-clients-user",
        Kind::Text,
        "tls-auth-clients-user",
        r#""off""#,
        "What makes a client the user it names: the CN of its certificate, a URI among the other names, or off.",
    ),
    key("tls", "protocols", Kind::Text, "tls-protocols", r#""TLSv1.2 TLSv1.3""#, "Protocol versions."),
    key("tls", "ciphers", Kind::Text, "tls-ciphers", "", "Ciphers up to TLS 1.2."),
    key("tls", "ciphersuites", Kind::Text, "tls-ciphersuites", "", "Ciphers of TLS 1.3."),
    key(
        "tls",
        "prefer-server-ciphers",
        Kind::Switch,
        "tls-prefer-server-ciphers",
        "false",
        "The server's order of ciphers counts.",
    ),
    key(
        "tls",
        "session-caching",
        Kind::Switch,
        "tls-session-caching",
        "true",
        "Clients may resume their sessions, which saves most of a handshake.",
    ),
    key(
        "tls",
        "session-cache-size",
        Kind::Number,
        "tls-session-cache-size",
        "20480",
        "How many sessions are remembered.",
    ),
    key(
        "tls",
        "session-cache-timeout",
        Kind::Seconds,
        "tls-session-cache-timeout",
        r#""300s""#,
        "How long a session may be resumed.",
    ),
    key(
        "tls",
        "auto-reload-interval",
        Kind::Seconds,
        "tls-auto-reload-interval",
        r#""0s""#,
        "How often it is looked whether certificates and keys have changed, to read them again. 0: only at SIGHUP.",
    ),
    key(
        "http",
        "listen",
        Kind::Text,
        "http-listen",
        "",
        "Address and port of the HTTP endpoint, such as 127.0.0.1:26380, [::1]:26380 or *:26380. Without it there is none.",
    ),
    key(
        "http",
        "token",
        Kind::Secret,
        "http-token",
        "",
        "Bearer token that requests must carry, except those for /livez and /readyz.",
    ),
    key(
        "http",
        "tls",
        Kind::Switch,
        "http-tls",
        "false",
        "Speak TLS on it, with `cert-file`, `key-file`, `auth-clients` and the other settings of TLS.",
    ),
];

/// The keys of one section.
pub(super) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> + '_ {
    KEYS.iter().filter(move |key| key.section == section)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_explained_and_stands_once() {
        let mut seen = BTreeSet::new();
        for key in &*KEYS {
            assert!(seen.insert((key.section, key.name)), "{}.{} stands twice", key.section, key.name);
            assert!(key.doc.ends_with('.') && key.doc.len() > 8, "{}.{} needs an explanation", key.section, key.name);
            if !key.default.is_empty() {
                let value = format!("x = {}", key.default);
                assert!(value.parse::<toml::Table>().is_ok(), "{}.{}: default {}", key.section, key.name, key.default);
            }
        }
    }
}
