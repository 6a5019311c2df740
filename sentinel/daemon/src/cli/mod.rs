//! The command line: one definition from which parsing, help, the man page and completions are made.

mod ask;
mod check;
mod conversation;
mod convert;
mod host;
mod launch;
mod reply;

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, CommandFactory, Parser, Subcommand};

pub use self::launch::Launch;
use crate::{app, config::text_of, demo, serve::Compatible, terminal::say};

/// How the program ends. The numbers are part of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; for a Sentinel: stopped in order.
    Success = 0,
    /// It could not be started, or the configuration is wrong.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The Sentinel does not know that master.
    UnknownMaster = 3,
    /// The Sentinel answered with an error.
    Refused = 4,
    /// No Sentinel could be reached, or it did not answer in time.
    Unreachable = 5,
    /// A defect in this program ended it.
    Defect = 70,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// What `--help` and the man page say below the options.
const AFTER_HELP: &str = "\
Running: everything behind CONFIG is read as further lines of it, as redis-sentinel does: \
`--port 26380 --loglevel debug`. A `-` as first or last word reads further lines from standard input. \
A CONFIG that ends in .toml is TOML, any other one is a sentinel.conf.

Signals: TERM and INT stop it in order, HUP opens the log file anew and reads certificates and keys again.

Exit status: 0 done, 1 cannot start or configuration wrong, 2 command line wrong, 3 unknown master, \
4 refused by the Sentinel, 5 no Sentinel reached, 70 a defect.";

/// Watches Redis and Valkey masters and replaces one that dies by its best replica.
///
/// A drop-in replacement for redis-sentinel: the same configuration file, the same protocol, the same command line.
#[derive(Debug, Parser)]
#[command(
    name = "sentinel",
    version,
    disable_version_flag = true,
    override_usage = "sentinel CONFIG [--DIRECTIVE VALUE]...\n       sentinel COMMAND",
    after_help = AFTER_HELP
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Print the version
    #[arg(short, long, action = clap::ArgAction::Version)]
    version: Option<bool>,

    /// The configuration file, then directives that are read after it; `--log-format json` gives JSON lines
    #[arg(value_name = "CONFIG", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the current address of a master
    GetMasterAddrByName {
        /// The master's name
        name: String,
        #[command(flatten)]
        sentinel: Sentinel,
    },
    /// List the monitored masters
    Masters {
        #[command(flatten)]
        sentinel: Sentinel,
    },
    /// Replace a master by its best replica now, without asking the other Sentinels
    Failover {
        /// The master's name
        name: String,
        #[command(flatten)]
        sentinel: Sentinel,
    },
    /// Check configuration files: say everything that is wrong with them, and warn of what is dangerous
    ///
    /// Several files are compared: two Sentinels must not have one id. Exit status: 0 all load, with or without warnings;
    /// 1 something is wrong, or with --strict dangerous.
    Check {
        /// The configuration files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Fail on warnings, too
        #[arg(long)]
        strict: bool,
    },
    /// Turn a classic configuration into TOML, or TOML into a classic one, with all comments
    ///
    /// What was learnt (the id, epochs, known replicas and Sentinels) goes to the end of the result: to the [state] section of
    /// TOML, to `sentinel` lines of a classic file. With --state-file it goes there instead. What the file includes becomes
    /// a part of the result, since TOML includes nothing. Exit status: 0 done, 1 it does not load, or a file exists already.
    Convert {
        /// The configuration file; one that ends in .toml is TOML
        file: PathBuf,
        /// Write the result to this new file instead of standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Keep what is learnt in this new file from now on, and never write the configuration
        #[arg(long, value_name = "FILE")]
        state_file: Option<PathBuf>,
    },
    /// Kill a real master and watch the failover, on this machine, in a minute
    Demo(demo::Options),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which Sentinel to talk to.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
struct Sentinel {
    /// Its host
    #[arg(short = 'h', long, default_value = "127.0.0.1")]
    host: String,

    /// Its port
    #[arg(short, long, default_value_t = 26379)]
    port: u16,

    /// Its ACL user
    #[arg(long, env = "SENTINEL_USER")]
    user: Option<String>,

    /// Its password; better given in the environment, where other users do not see it
    #[arg(long, env = "SENTINEL_PASSWORD", hide_env_values = true)]
    password: Option<String>,

    /// Longest wait for an answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    timeout: u64,

    #[command(flatten)]
    tls: Tls,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Print help
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// How a connection is encrypted, in the words of redis-cli.
#[derive(Args, Debug)]
struct Tls {
    /// Speak TLS
    #[arg(id = "tls", long = "tls")]
    wanted: bool,

    /// File with the authorities that are trusted; without it those of the system
    #[arg(long, value_name = "FILE", requires = "tls")]
    cacert: Option<PathBuf>,

    /// Directory with the authorities that are trusted, under hashed names
    #[arg(long, value_name = "DIR", requires = "tls")]
    cacertdir: Option<PathBuf>,

    /// Certificate to show
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    cert: Option<PathBuf>,

    /// Key of the certificate
    #[arg(long, value_name = "FILE", requires_all = ["tls", "cert"])]
    key: Option<PathBuf>,

    /// Trust whoever answers
    #[arg(long, requires = "tls", conflicts_with_all = ["cacert", "cacertdir"])]
    insecure: bool,
}

/// The definition of the command line, for the man page.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Does what the command line says. The first word is the name under which the program was called.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given: Vec<OsString> = words.into_iter().collect();
    let words: Vec<String> = given.iter().map(|word| text_of(word)).collect();
    if is_drop_in(words.first().map_or("", String::as_str)) && !asks_for_help(&words) {
        return app::run(&Launch::new(words.into_iter().skip(1)));
    }
    if is_drop_in(words.first().map_or("", String::as_str)) && asks_for_version(&words) {
        say!("{}", version_line(words.first().map_or("", String::as_str)));
        return Exit::Success.into();
    }
    let cli = match Cli::try_parse_from(given) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output, errors to standard error; neither can fail usefully.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() };
        }
    };
    match cli.command {
        None => app::run(&Launch::new(cli.words.iter().map(|word| text_of(word)))),
        Some(Command::GetMasterAddrByName { name, sentinel }) => ask::address(&sentinel, &name).into(),
        Some(Command::Masters { sentinel }) => ask::masters(&sentinel).into(),
        Some(Command::Failover { name, sentinel }) => ask::failover(&sentinel, &name).into(),
        Some(Command::Check { files, strict }) => check::run(&files, strict).into(),
        Some(Command::Convert { file, output, state_file }) => {
            convert::run(&file, output.as_deref(), state_file.as_deref()).into()
        }
        Some(Command::Demo(options)) => demo::run(&options),
        Some(Command::Completions { shell }) => {
            // Into memory: what generates them panics where it cannot write.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut definition(), "sentinel", &mut text);
            say!("{}", String::from_utf8_lossy(&text).trim_end());
            Exit::Success.into()
        }
    }
}

/// Whether the program was called by a name of the reference: then no word is a command of ours.
fn is_drop_in(program: &str) -> bool {
    let name = std::path::Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    name.contains("redis-sentinel") || name.contains("valkey-sentinel")
}

/// The version in the shape that programs read of `redis-sentinel --version`.
fn version_line(program: &str) -> String {
    let name = std::path::Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let look = if name.contains("valkey") { Compatible::Valkey91 } else { Compatible::default() };
    format!(
        "{} server v={} sha=00000000:0 malloc=libc bits={} build={}",
        look.product(),
        look.version(),
        usize::BITS,
        env!("CARGO_PKG_VERSION")
    )
}

fn asks_for_version(words: &[String]) -> bool {
    words.get(1).is_some_and(|word| ["-v", "--version"].contains(&word.as_str()))
}

fn asks_for_help(words: &[String]) -> bool {
    words.get(1).is_some_and(|word| ["-h", "--help", "-v", "--version"].contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        definition().debug_assert();
    }

    #[test]
    fn a_file_and_its_directives_are_no_command() {
        let cli = Cli::try_parse_from(["sentinel", "my.conf", "--port", "1", "--json", "-"]).unwrap();
        assert!(cli.command.is_none());
        assert_eq!(cli.words, ["my.conf", "--port", "1", "--json", "-"]);
        let cli = Cli::try_parse_from(["sentinel", "--sentinel", "my.conf"]).unwrap();
        assert_eq!(cli.words, ["--sentinel", "my.conf"]);
        let cli = Cli::try_parse_from(["sentinel", "-", "my.conf"]).unwrap();
        assert_eq!(cli.words, ["-", "my.conf"]);
    }

    #[test]
    fn commands_take_host_and_port_like_redis_cli() {
        let cli = Cli::try_parse_from(["sentinel", "failover", "m", "-h", "::1", "-p", "5000", "--json"]).unwrap();
        let Some(Command::Failover { name, sentinel }) = cli.command else { panic!("a command") };
        assert_eq!((name.as_str(), sentinel.host.as_str(), sentinel.port, sentinel.json), ("m", "::1", 5000, true));
    }

    #[test]
    fn the_name_of_the_reference_is_recognised() {
        assert!(is_drop_in("/usr/bin/redis-sentinel"));
        assert!(is_drop_in("valkey-sentinel"));
        assert!(!is_drop_in("/redis-sentinel/sentinel"));
    }

    #[test]
    fn the_version_has_the_shape_of_the_program_that_it_stands_for() {
        assert!(version_line("/usr/bin/redis-sentinel").starts_with("Redis server v=7.0.15 sha=00000000:0 malloc="));
        assert!(version_line("valkey-sentinel").starts_with("Valkey server v=9.1.2 sha=00000000:0 malloc="));
    }
}
