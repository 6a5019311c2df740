//! Why a Sentinel does not start, and how that is said.

use crate::{
    config::{self, ConfigError},
    log,
    serve::{self, ListenError},
    terminal,
};

/// Why a Sentinel did not start. The texts that the reference has too are its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No file was named.
    #[error(
        "Sentinel needs config file on disk to save state. Exiting...\nhelp: name it first: `sentinel FILE`; \
         `sentinel --help` shows what else there is"
    )]
    NoConfig,
    /// The file cannot be read or written, or says nonsense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Standard input was to be read, and could not be.
    #[error("cannot read further directives from standard input: {0}")]
    Stdin(std::io::Error),
    /// `dir` cannot be entered.
    #[error("cannot enter the directory {}: {error}; create it, or change `dir`", .path.display())]
    Dir {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The command line asks for a log of another look.
    #[error("--log-format {0}: lines of the log are `legacy` (also called `text`), `logfmt` or `json`")]
    LogFormat(String),
    /// The log cannot be written.
    #[error("Can't open the log file: {0}")]
    Log(std::io::Error),
    /// The configured users cannot be had.
    #[error("{0}")]
    Access(String),
    /// There is no room for a single client.
    #[error(transparent)]
    TooFewFiles(#[from] crate::open_files::TooFewFiles),
    /// A socket cannot be bound.
    #[error(transparent)]
    Listen(#[from] serve::ListenError),
    /// A new identity could not be made durable.
    #[error("the identity of this Sentinel cannot be saved: {0}")]
    Identity(crate::persist::SaveError),
    /// Certificates, keys or options of TLS cannot be used.
    #[error("{0}")]
    Tls(Box<config::Fault>),
    /// Nobody could connect.
    #[error(
        "Configured to not listen anywhere, exiting. Set `port`, `tls-port` or `unixsocket`, and `bind` an address"
    )]
    NotListening,
    /// The system refused a thread, a socket, or random numbers.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        error: std::io::Error,
    },
}

pub(super) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// Says why there will be no Sentinel: faults of the file to standard error as the reference does, all else where its
/// log goes, or would go.
pub(super) fn refuse(error: &StartError, logs: bool, look: log::Format) {
    let lines = match error {
        StartError::Config(error) if error.is_content() => {
            terminal::last_err(refusal_of_content(error, look));
            return;
        }
        StartError::Listen(ListenError::Port { address, port, directive, source }) => vec![
            format!(
                "Warning: Could not create server TCP listening socket {address}:{port}: bind: {}",
                config::system_text(source)
            ),
            format!(
                "Failed listening on port {port} ({}), aborting.",
                match *directive {
                    "port" => "TCP",
                    "tls-port" => "TLS",
                    _ => "HTTP",
                }
            ),
            match source.kind() {
                std::io::ErrorKind::AddrInUse => {
                    format!("help: stop the process that has the port (`ss -ltnp` shows it), or change `{directive}`")
                }
                std::io::ErrorKind::PermissionDenied => {
                    format!("help: change `{directive}`: ports below 1024 are for privileged users")
                }
                _ => "help: name an address of this host in `bind`; with - before it, it may be absent".to_owned(),
            },
        ],
        StartError::Tls(fault) => {
            let mut lines: Vec<_> = fault.to_string().lines().map(str::to_owned).collect();
            lines.push("Failed to configure TLS. Check logs for more info.".to_owned());
            lines
        }
        error => error.to_string().lines().map(str::to_owned).collect(),
    };
    for line in lines {
        if logs {
            tracing::warn!("{line}");
        } else {
            terminal::last_out(log::plain_line(look, &line, &[]));
        }
    }
}

/// What is wrong with the file: the text for people, or one JSON object a fault.
fn refusal_of_content(error: &ConfigError, look: log::Format) -> String {
    let lines = match (look, error) {
        (log::Format::Text | log::Format::Logfmt, error) => return error.to_string(),
        (log::Format::Json, ConfigError::Faults(faults)) => {
            let line = |fault: &config::Fault| {
                let place = fault.place.to_string();
                let fields = [
                    ("place", place.as_str()),
                    ("directive", fault.directive.as_str()),
                    ("line", fault.line.as_str()),
                    ("help", fault.remedy.as_str()),
                ];
                log::plain_line(look, &fault.what, &fields)
            };
            faults.faults.iter().map(line).collect()
        }
        (log::Format::Json, ConfigError::WithCopy { error: inner, copy }) => {
            let help = format!("{}, written at {}, loads", copy.path.display(), copy.written);
            vec![refusal_of_content(inner, look), log::plain_line(look, &help, &[])]
        }
        (log::Format::Json, error) => vec![log::plain_line(look, &error.to_string(), &[])],
    };
    lines.join("\n")
}
