//! The command line: one definition from which parsing, help, the man page and completions are made.

mod check;
mod complete;
mod conversation;
mod convert;
mod doctor;
mod failover;
mod host;
mod launch;
mod proxy;
mod reply;
mod status;
mod target;
mod top;
mod verbs;
mod watch;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};

pub use self::launch::Launch;
use crate::{
    app,
    compatible::Compatible,
    config::{nearest, text_of},
    demo,
    terminal::{complain, say},
};
use target::{Printed, Target};

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
    /// A failover that was waited for ended without another master.
    NotSwitched = 6,
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

Signals: TERM and INT stop it in order, HUP opens the log file anew and reads the configuration, certificates and keys again.

Exit status: 0 done, 1 cannot start or configuration wrong, 2 command line wrong, 3 unknown master, \
4 refused by the Sentinel, 5 no Sentinel reached, 6 a failover that was waited for did not take place, 70 a defect.";

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
    #[arg(value_name = "CONFIG", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true, value_hint = clap::ValueHint::AnyPath)]
    words: Vec<OsString>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all masters and what is wrong
    Status {
        /// Show it again each second
        #[arg(short, long)]
        watch: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Show a live screen of all masters, trouble first, and all of one
    ///
    /// Keys: Enter opens a master, / filters, s changes the order, e shows events, ? tells all keys, q leaves.
    Top {
        #[command(flatten)]
        target: Target,
    },
    /// Print events as they happen
    Watch {
        /// Events of these names only, as patterns of PSUBSCRIBE: `+switch-master`, `*problem*`
        #[arg(value_name = "EVENT")]
        events: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Print the current address of a master
    GetMasterAddrByName {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// List the monitored masters
    Masters {
        #[command(flatten)]
        target: Target,
    },
    /// List the replicas of a master
    Replicas {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// List the other Sentinels of a master
    Sentinels {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Rank the replicas as a failover would now, or say why one is refused
    Candidates {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Show what each Sentinel believes of a master
    Consensus {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Say why the master is what it is, what keeps a failover from taking place, and what would happen if it died now
    Explain {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// List outages and failovers, the newest first; with an id all that was told in one
    History {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        /// One of the list
        id: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// List what is wrong, the worst first, with what mends it
    ///
    /// Exit status: 0 nothing is wrong, 1 something is.
    Problems {
        /// Of this master only
        #[arg(add = complete::masters())]
        name: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Ask every Sentinel and every data node, change nothing, and say what is wrong and what mends it
    ///
    /// It learns of all Sentinels and nodes from those that are named, asks all at once, and waits for none longer than some
    /// seconds. Exit status: 0 nothing is wrong, 1 something is, 3 no Sentinel knows the master, 5 none answered.
    Doctor(doctor::Options),
    /// Tell whether enough Sentinels can be reached to declare a master down and to replace it
    Ckquorum {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// Replace a master by its best replica now, also without the votes of other Sentinels
    Failover(failover::Options),
    /// Hand over from a master that is well to its best replica, without losing a write, or not at all
    Switchover(failover::Options),
    /// Have no Sentinel replace a master until the time is over
    Pause {
        /// The master's name; left out with --all
        #[arg(required_unless_present = "all", add = complete::masters())]
        name: Option<String>,
        /// For how long: seconds, or 30m, 2h; 0, or nothing, is without end
        time: Option<String>,
        /// All masters
        #[arg(long)]
        all: bool,
        /// Why; it is shown wherever the pause is
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// End a pause
    Resume {
        #[command(flatten)]
        which: verbs::Which,
        #[command(flatten)]
        target: Target,
    },
    /// Change settings of a master
    Set {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        /// `quorum 2 down-after-milliseconds 5000`
        #[arg(required = true, num_args = 2.., value_names = ["OPTION", "VALUE"])]
        options: Vec<String>,
        #[command(flatten)]
        target: Target,
    },
    /// Forget a Sentinel or a replica that is gone for good
    Forget {
        /// The master's name
        #[arg(add = complete::masters())]
        name: String,
        #[command(flatten)]
        whom: verbs::Whom,
        #[command(flatten)]
        target: Target,
    },
    /// Read the configuration file again and apply what can be changed while it runs
    Reload {
        #[command(flatten)]
        target: Target,
    },
    /// Check configuration files: say everything that is wrong with them, and warn of what is dangerous
    ///
    /// Several files are taken for the Sentinels of one deployment and compared: two must not have one id, and what differs
    /// for one master (quorum, passwords, times) is told. Exit status: 0 all load, with or without warnings; 1 something
    /// is wrong, or with --strict dangerous.
    Check {
        /// The configuration files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Fail on warnings, too
        #[arg(long)]
        strict: bool,
        #[command(flatten)]
        printed: Printed,
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
    /// Let clients that know no Sentinel connect here, and reach whichever node is the master, or its replicas
    ///
    /// When the master moves, connections are closed, and clients that connect anew come to the new one; until it is found they wait. It
    /// runs until SIGTERM, at which it accepts nobody more and waits until nothing is under way. SIGHUP has
    /// the log file opened anew, and certificates for clients read again.
    Proxy(proxy::Options),
    /// Kill a real master and watch the failover, on this machine, in a minute
    Demo(demo::Options),
    /// Print the manual
    Man,
    /// Print what has a shell complete commands, options and the names of masters
    ///
    /// Names are asked of the Sentinel that the words typed so far name, or `SENTINEL_ADDRS`: bash: source <(sentinel
    /// completions bash).
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// The definition of the command line, for the man page.
pub fn definition() -> clap::Command {
    Cli::command()
}

/// Does what the command line says. The first word is the name under which the program was called.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let given: Vec<OsString> = words.into_iter().collect();
    if complete::answered(&given) {
        return Exit::Success.into();
    }
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
        None => match misspelt(&cli.words) {
            Some(text) => {
                complain!("{text}");
                Exit::Usage.into()
            }
            None => app::run(&Launch::new(cli.words.iter().map(|word| text_of(word)))),
        },
        Some(Command::Status { watch, target }) => status::run(&target, watch).into(),
        Some(Command::Top { target }) => top::run(&target).into(),
        Some(Command::Watch { events, target }) => watch::run(&target, &events).into(),
        Some(Command::GetMasterAddrByName { name, target }) => verbs::address(&target, &name).into(),
        Some(Command::Masters { target }) => verbs::masters(&target).into(),
        Some(Command::Replicas { name, target }) => verbs::replicas(&target, &name).into(),
        Some(Command::Sentinels { name, target }) => verbs::sentinels(&target, &name).into(),
        Some(Command::Candidates { name, target }) => verbs::candidates(&target, &name).into(),
        Some(Command::Consensus { name, target }) => verbs::consensus(&target, &name).into(),
        Some(Command::Explain { name, target }) => verbs::explain(&target, &name).into(),
        Some(Command::History { name, id, target }) => verbs::history(&target, &name, id).into(),
        Some(Command::Problems { name, target }) => verbs::problems(&target, name.as_deref()).into(),
        Some(Command::Ckquorum { name, target }) => verbs::told(&target, &["ckquorum", &name]).into(),
        Some(Command::Doctor(options)) => doctor::run(&options).into(),
        Some(Command::Failover(options)) => failover::run(&options, false).into(),
        Some(Command::Switchover(options)) => failover::run(&options, true).into(),
        Some(Command::Pause { name, time, all, reason, target }) => {
            verbs::pause(&target, all, [name.as_deref(), time.as_deref()], reason.as_deref()).into()
        }
        Some(Command::Resume { which, target }) => verbs::told(&target, &["resume", which.name()]).into(),
        Some(Command::Set { name, options, target }) => {
            let words = ["set", &name].into_iter().chain(options.iter().map(String::as_str));
            verbs::told(&target, &words.collect::<Vec<_>>()).into()
        }
        Some(Command::Forget { name, whom, target }) => verbs::forget(&target, &name, &whom).into(),
        Some(Command::Reload { target }) => verbs::told(&target, &["reload"]).into(),
        Some(Command::Man) => {
            say!("{}", include_str!("../../../../man/sentinel.1").trim_end());
            Exit::Success.into()
        }
        Some(Command::Check { files, strict, printed }) => check::run(&files, strict, printed.format()).into(),
        Some(Command::Convert { file, output, state_file }) => {
            convert::run(&file, output.as_deref(), state_file.as_deref()).into()
        }
        Some(Command::Proxy(options)) => proxy::run(options).into(),
        Some(Command::Demo(options)) => demo::run(&options),
        Some(Command::Completions { shell }) => match complete::script(shell) {
            Ok(text) => {
                say!("{}", String::from_utf8_lossy(&text).trim());
                Exit::Success.into()
            }
            Err(error) => {
                complain!("{shell}: {error}");
                Exit::Failure.into()
            }
        },
    }
}

/// What is said of a first word that is neither a command nor a file, but looks like a command.
fn misspelt(words: &[OsString]) -> Option<String> {
    let word = words.first()?.to_str()?;
    let is_word = word.starts_with(|it: char| it.is_ascii_alphabetic())
        && word.chars().all(|it| it.is_ascii_alphanumeric() || it == '-');
    if !is_word || Path::new(word).exists() {
        return None;
    }
    let definition = definition();
    let names: Vec<&str> = definition.get_subcommands().map(clap::Command::get_name).collect();
    let near = nearest(word, names)?;
    Some(format!(
        "there is no command and no configuration file `{word}`: did you mean `sentinel {near}`? `sentinel --help` lists the commands, a configuration file is named by its path"
    ))
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
        let Some(Command::Failover(options)) = cli.command else { panic!("a command") };
        assert_eq!(options.name, "m");
        assert_eq!(options.target.places().unwrap(), [("::1".to_owned(), 5000)]);
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
