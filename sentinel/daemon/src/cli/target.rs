//! Which Sentinel a command talks to, as whom, and how its answer is printed.

use std::{
    env,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use redis::{Cmd, RedisError, Value};
use sentinel_sdk::{Builder, Credentials};
use tokio_rustls::rustls::ClientConfig;

use super::{
    Exit,
    conversation::{self, Conversation, Unanswered},
};
use crate::{config::system_text, terminal::complain};

/// Where redis-sentinel listens.
const PORT: u16 = 26379;

/// Of several Sentinels each has so long for the connection before the next one is tried.
const BRIEFLY: Duration = Duration::from_millis(300);

/// Which Sentinel to talk to.
#[derive(Args, Clone, Debug)]
#[command(disable_help_flag = true)]
pub(super) struct Target {
    /// Its host
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,

    /// Its port
    #[arg(short, long, default_value_t = PORT)]
    port: u16,

    /// Several Sentinels, host:port,...: the first that answers serves
    #[arg(short, long, value_name = "ADDRS", env = "SENTINEL_ADDRS", value_delimiter = ',')]
    sentinels: Vec<String>,

    /// One Sentinel as redis://user:password@host:port, or rediss:// with TLS
    #[arg(short, long, value_name = "URI", conflicts_with = "sentinels")]
    uri: Option<String>,

    /// Its ACL user
    #[arg(long, env = "SENTINEL_USER")]
    user: Option<String>,

    /// Its password; better given in `SENTINEL_PASSWORD` or `REDISCLI_AUTH`, where other users do not see it
    #[arg(short = 'a', long, visible_alias = "pass", env = "SENTINEL_PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// Longest wait for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    timeout: u64,

    #[command(flatten)]
    tls: Tls,

    #[command(flatten)]
    printed: Printed,

    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// How the data nodes are reached.
#[derive(Args, Clone, Debug)]
pub(super) struct Nodes {
    /// ACL user at the data nodes
    #[arg(
        id = "node-user",
        long = "node-user",
        value_name = "USER",
        env = "SENTINEL_NODE_USER",
        requires = "node-password"
    )]
    pub(super) user: Option<String>,

    /// Password at the data nodes; better given in `SENTINEL_NODE_PASSWORD`, where other users do not see it
    #[arg(
        id = "node-password",
        long = "node-password",
        value_name = "PASSWORD",
        env = "SENTINEL_NODE_PASSWORD",
        hide_env_values = true
    )]
    pub(super) password: Option<String>,

    /// Speak TLS to the data nodes, with the certificates of the options below
    #[arg(id = "node-tls", long = "node-tls")]
    pub(super) tls: bool,
}

/// In which form a command prints.
#[derive(Args, Clone, Debug)]
pub(super) struct Printed {
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl Printed {
    /// The form that was asked for.
    pub(super) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Aligned columns, or sentences
    Table,
    /// One JSON value with all fields, numbers as numbers; errors too
    Json,
    /// The columns of the table, separated by tabs
    Tsv,
}

/// How a connection is encrypted, in the words of redis-cli.
#[derive(Args, Clone, Debug)]
pub(super) struct Tls {
    /// Speak TLS
    #[arg(id = "tls", long = "tls")]
    wanted: bool,

    /// File with the authorities that are trusted; without it those of the system
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub(super) cacert: Option<PathBuf>,

    /// Directory with the authorities that are trusted, under hashed names
    #[arg(long, value_name = "DIR", requires = "tls")]
    pub(super) cacertdir: Option<PathBuf>,

    /// Certificate to show
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    pub(super) cert: Option<PathBuf>,

    /// Key of the certificate
    #[arg(long, value_name = "FILE", requires_all = ["tls", "cert"])]
    pub(super) key: Option<PathBuf>,

    /// Trust whoever answers
    #[arg(long, requires = "tls", conflicts_with_all = ["cacert", "cacertdir"])]
    pub(super) insecure: bool,
}

/// A Sentinel's address.
pub(super) type Place = (String, u16);

/// What a URI says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Uri {
    place: Place,
    tls: bool,
    user: Option<String>,
    password: Option<String>,
}

/// How to speak to the Sentinels of a command line.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) places: Vec<Place>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// AUTH, if there is a password.
    pub(super) login: Option<Cmd>,
    pub(super) patience: Duration,
}

/// The first Sentinel that answered.
pub(super) struct First<'a> {
    pub(super) place: &'a Place,
    /// The connection to it, for more.
    pub(super) conversation: Conversation,
    /// The answer to the last command.
    pub(super) answer: Value,
}

/// Why none answered.
pub(super) enum Unserved {
    /// The first one that did answered with an error.
    Refused(RedisError),
    /// What is wrong with each.
    Unreached(String),
}

impl Line {
    /// Logs in at the first Sentinel that can be reached and says commands to it. One that refuses them has answered.
    pub(super) fn say_to_first(&self, commands: &[Cmd]) -> Result<First<'_>, Unserved> {
        let commands: Vec<Cmd> = self.login.iter().chain(commands).cloned().collect();
        let mut troubles = vec![String::new(); self.places.len()];
        let mut left: Vec<(usize, &Place)> = self.places.iter().enumerate().collect();
        // One that swallows every packet must not keep the others from being asked: it has its whole time at the end.
        let briefly = (self.places.len() > 1).then_some(self.patience.min(BRIEFLY));
        for patience in briefly.into_iter().chain([self.patience]) {
            for (at, place) in std::mem::take(&mut left) {
                let begun = Conversation::begin(self.tls.clone(), place, patience);
                if patience < self.patience && matches!(&begun, Err(Unanswered::Lost(error)) if is_timeout(error)) {
                    left.push((at, place));
                    continue;
                }
                let answered = begun.and_then(|mut conversation| {
                    let answer = conversation.say(&commands, self.patience)?;
                    Ok(First { place, conversation, answer })
                });
                match answered {
                    Ok(first) => return Ok(first),
                    Err(Unanswered::Refused(error)) => return Err(Unserved::Refused(error)),
                    Err(why) => troubles[at] = trouble(place, &reason(&why, self.patience)),
                }
            }
        }
        Err(Unserved::Unreached(troubles.join("; ")))
    }
}

impl Target {
    /// How the answer is to be printed.
    pub(super) fn format(&self) -> Format {
        self.printed.format()
    }

    /// The Sentinels, the first to be asked first.
    pub(super) fn places(&self) -> Result<Vec<Place>, String> {
        if let Some(uri) = &self.uri {
            return Ok(vec![parse_uri(uri)?.place]);
        }
        let given = self.sentinels.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
        let places = given.map(parse_place).collect::<Result<Vec<_>, _>>()?;
        // An empty variable is none.
        if places.is_empty() && self.sentinels.len() > 1 {
            return Err(format!("`{}` names no Sentinel: write host:port,...", self.sentinels.join(",")));
        }
        Ok(if places.is_empty() { vec![(self.host.clone(), self.port)] } else { places })
    }

    /// How to speak to them. What is wrong was told on standard error.
    pub(super) fn line(&self) -> Result<Line, Exit> {
        self.try_line().map_err(|(exit, text)| {
            self.complain(exit, &text);
            exit
        })
    }

    fn try_line(&self) -> Result<Line, (Exit, String)> {
        let wrong = |text| (Exit::Usage, text);
        let places = self.places().map_err(wrong)?;
        let uri = self.uri.as_deref().map(parse_uri).transpose().map_err(wrong)?.unwrap_or_default();
        let tls = (self.tls.wanted || uri.tls).then(|| self.tls.config()).transpose();
        let tls = tls.map_err(|error| (Exit::Failure, error.to_string()))?;
        let login = self.credentials(uri).map(|(user, password)| {
            let mut login = redis::cmd("AUTH");
            login.arg(user).arg(password);
            login
        });
        Ok(Line { places, tls, login, patience: Duration::from_millis(self.timeout.max(1)) })
    }

    /// User and password, if there is one.
    fn credentials(&self, uri: Uri) -> Option<(Option<String>, String)> {
        let user = self.user.clone().or(uri.user);
        let password = self.password.clone().or(uri.password).or_else(|| env::var("REDISCLI_AUTH").ok())?;
        Some((user, password))
    }

    /// The Sentinels, and how they are spoken to, as the SDK has it. What is wrong was told on standard error.
    pub(super) fn begin_with(&self, mut pool: Builder) -> Result<Builder, Exit> {
        let wrong = |text: String| {
            self.complain(Exit::Usage, &text);
            Exit::Usage
        };
        for place in self.places().map_err(wrong)? {
            pool = pool.sentinel(&shown(&place)).map_err(|error| wrong(error.to_string()))?;
        }
        let uri = self.uri.as_deref().map(parse_uri).transpose().map_err(wrong)?.unwrap_or_default();
        if self.tls.wanted || uri.tls {
            pool = pool.sentinel_tls(sentinel_sdk::Tls::from_config(self.tls_config()?));
        }
        Ok(match self.credentials(uri) {
            Some((user, password)) => pool.sentinel_credentials(as_credentials(user, password)),
            None => pool,
        })
    }

    /// Sends one `SENTINEL` command to the first Sentinel that answers, all within `patience`, and tells nobody of a
    /// failure.
    pub(super) fn ask_quietly(&self, words: &[&str], patience: Duration) -> Option<Value> {
        let (line, deadline) = (self.try_line().ok()?, Instant::now() + patience);
        let mut command = redis::cmd("SENTINEL");
        command.arg(words);
        let commands: Vec<Cmd> = line.login.iter().cloned().chain([command]).collect();
        line.places.iter().find_map(|place| {
            let left = deadline.saturating_duration_since(Instant::now()).min(line.patience);
            conversation::query(line.tls.clone(), place, &commands, left).ok()
        })
    }

    /// What the options of TLS say. What is wrong was told on standard error.
    pub(super) fn tls_config(&self) -> Result<Arc<ClientConfig>, Exit> {
        self.tls.config().map_err(|error| {
            self.complain(Exit::Failure, &error.to_string());
            Exit::Failure
        })
    }

    /// Sends one `SENTINEL` command to the first Sentinel that answers. A failure was told on standard error.
    pub(super) fn ask(&self, words: &[&str]) -> Result<Value, Exit> {
        self.try_ask(words)?.map_err(|error| {
            let (exit, text) = refused(&error);
            self.complain(exit, &text);
            exit
        })
    }

    /// The same, with an error that the Sentinel answers as a value.
    pub(super) fn try_ask(&self, words: &[&str]) -> Result<Result<Value, RedisError>, Exit> {
        let mut command = redis::cmd("SENTINEL");
        command.arg(words);
        match self.line()?.say_to_first(&[command]) {
            Ok(first) => Ok(Ok(first.answer)),
            Err(Unserved::Refused(error)) => Ok(Err(error)),
            Err(Unserved::Unreached(text)) => {
                self.complain(Exit::Unreachable, &text);
                Err(Exit::Unreachable)
            }
        }
    }

    /// Tells what is wrong, in the form that was asked for.
    pub(super) fn complain(&self, exit: Exit, text: &str) {
        if self.format() == Format::Json {
            complain!("{}", serde_json::json!({ "error": text, "status": exit as u8 }));
        } else {
            complain!("{text}");
        }
    }

    /// The options that name the same Sentinel in another command, for hints.
    pub(super) fn same_place(&self) -> String {
        if self.uri.is_some() {
            return " -u URI".to_owned();
        }
        if !self.sentinels.is_empty() {
            return format!(" -s {}", self.sentinels.join(","));
        }
        let host = if self.host == "127.0.0.1" { String::new() } else { format!(" -h {}", self.host) };
        let port = if self.port == PORT { String::new() } else { format!(" -p {}", self.port) };
        format!("{host}{port}")
    }
}

/// A login in the words of the SDK.
pub(super) fn as_credentials(user: Option<String>, password: String) -> Credentials {
    match user {
        Some(user) => Credentials::user(user, password),
        None => Credentials::password(password),
    }
}

/// What kept one Sentinel from answering.
pub(super) fn trouble(place: &Place, why: &str) -> String {
    format!("the Sentinel at {}: {why}", shown(place))
}

/// An address as it is written.
pub(super) fn shown((host, port): &Place) -> String {
    address(host, port)
}

/// The same of a port that is a text, too.
pub(super) fn address(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Why a Sentinel did not answer, or what it answered instead.
pub(super) fn reason(why: &Unanswered, patience: Duration) -> String {
    match why {
        Unanswered::Refused(error) => refused(error).1,
        Unanswered::Garbled(error) => error.to_string(),
        Unanswered::Lost(error) => lost(error, patience),
    }
}

/// Its own words, and what to do.
pub(super) fn refused(error: &RedisError) -> (Exit, String) {
    let (code, detail) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    let remedy = match code {
        "NOAUTH" | "WRONGPASS" => " (give the password with -a, in SENTINEL_PASSWORD or in REDISCLI_AUTH)",
        "NOPERM" => " (give another user in SENTINEL_USER, or this one the right to it)",
        "NOGOODSLAVE" => " (`sentinel candidates` with the master's name says why)",
        "ERR" if detail.starts_with("unknown command 'SENTINEL'") => " (this is no Sentinel: give its --port)",
        "ERR" if is_unknown_subcommand(error) => " (the Sentinel there is a redis-sentinel, or an older version)",
        "ERR" if detail.starts_with("AUTH <password> called without any password") => {
            " (leave the password out: unset SENTINEL_PASSWORD and REDISCLI_AUTH)"
        }
        _ => "",
    };
    let unknown = code == "ERR" && detail.starts_with("No such master");
    let exit = if unknown { Exit::UnknownMaster } else { Exit::Refused };
    (exit, format!("the Sentinel answers {code} {}{remedy}", detail.trim_end()))
}

/// Whether the Sentinel does not have that command.
pub(super) fn is_unknown_subcommand(error: &RedisError) -> bool {
    let detail = error.detail().unwrap_or_default().to_ascii_lowercase();
    error.code() == Some("ERR") && detail.starts_with("unknown") && detail.contains("subcommand")
}

pub(super) fn lost(error: &io::Error, patience: Duration) -> String {
    match error.kind() {
        _ if is_timeout(error) => {
            format!("no answer within {} ms (--timeout)", patience.as_millis())
        }
        ErrorKind::ConnectionRefused => {
            format!("{} (does it run there? --host and --port name another place)", system_text(error))
        }
        _ => system_text(error),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
pub(super) fn parse_place(text: &str) -> Result<Place, String> {
    let wrong = || format!("`{text}` is no address: write host:port, or [address]:port for IPv6");
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong);
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
        return match rest.strip_prefix(':') {
            Some(given) => Ok((host.to_owned(), port(given)?)),
            None if rest.is_empty() => Ok((host.to_owned(), PORT)),
            None => Err(wrong()),
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Ok((text.to_owned(), PORT)),
        Some((host, given)) if !host.is_empty() => Ok((host.to_owned(), port(given)?)),
        Some(_) => Err(wrong()),
        None => Ok((text.to_owned(), PORT)),
    }
}

fn parse_uri(text: &str) -> Result<Uri, String> {
    // What stands in it may be a password: it is not repeated.
    let wrong = || "the URI is none: write redis://user:password@host:port, or rediss:// with TLS".to_owned();
    let url = redis::parse_redis_url(text).ok_or_else(wrong)?;
    let tls = match url.scheme() {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => return Err(wrong()),
    };
    let host = url.host_str().ok_or_else(wrong)?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().map(String::from).ok();
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(|user| decoded(user).ok_or_else(wrong));
    let password = url.password().map(|password| decoded(password).ok_or_else(wrong));
    Ok(Uri { place: (host, url.port().unwrap_or(PORT)), tls, user: user.transpose()?, password: password.transpose()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_in_every_form() {
        let place = |host: &str, port| Ok((host.to_owned(), port));
        assert_eq!(parse_place("s1:5000"), place("s1", 5000));
        assert_eq!(parse_place("s1"), place("s1", PORT));
        assert_eq!(parse_place("::1"), place("::1", PORT));
        assert_eq!(parse_place("[::1]:5000"), place("::1", 5000));
        for wrong in ["s1:", "s1:0", "s1:70000", ":5000", "[::1", "[::1]x", "s1:5x"] {
            assert!(parse_place(wrong).unwrap_err().contains("host:port"), "{wrong}");
        }
    }

    #[test]
    fn a_uri_names_the_place_and_the_login_and_is_never_repeated() {
        let uri = parse_uri("rediss://ops:p%40ss@s1").unwrap();
        assert_eq!((uri.place, uri.tls), (("s1".to_owned(), PORT), true));
        assert_eq!((uri.user.as_deref(), uri.password.as_deref()), (Some("ops"), Some("p@ss")));
        assert_eq!(parse_uri("redis://[::1]:5000").unwrap().place, ("::1".to_owned(), 5000));
        for wrong in ["http://:secret@s1", "secret", "redis://"] {
            assert!(!parse_uri(wrong).unwrap_err().contains("secret"), "{wrong}");
        }
    }
}
