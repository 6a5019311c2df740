//! The configuration: read from the classic grammar or from TOML into one model, checked once, and written back.
//!
//! A file whose name ends in `.toml` is TOML, anything else is the classic grammar of `sentinel.conf`. [`load`] returns
//! a complete [`Config`], warnings about what loads but does not do what it may seem to, and the [`Keep`] that says
//! where and how [`persist`](crate::persist) writes back what is learnt. Everything that is wrong is reported at once.

use std::{path::PathBuf, sync::Arc};

mod build;
mod classic;
mod compared;
mod convert;
mod dangers;
mod directives;
mod fault;
mod files;
mod generic;
mod keep;
pub mod keys;
mod last_good;
pub(crate) mod lexer;
mod load;
mod model;
mod options;
mod places;
pub(crate) mod redo;
mod reference;
mod render;
mod rewrite;
mod sentinel;
mod setting;
mod settings;
mod source;
mod state;
mod toml_form;
mod value;
mod wanted;
mod webhook;

pub use compared::compared;
pub use convert::{ConvertError, Converted, convert};
pub use dangers::{alarms, dangers};
pub(crate) use directives::nearest;
pub(crate) use fault::system_text;
pub use fault::{ConfigError, Fault, Faults, Named, Place, Warning};
pub(crate) use files::read_file;
pub use files::{Disk, Files};
pub use keep::{Keep, Renewal, UserLines};
pub use last_good::{LastGood, copy_path};
pub use load::{is_toml, load};
pub use model::{
    Acl, AclUser, BindAddress, ClientCertificates, Config, Http, HttpAddress, Log, LogLevel, OutputLimit, OutputLimits,
    Server, Supervised, SyslogFacility, Tls, UserField,
};
pub use render::Renderer;
pub use source::SourceAddress;
pub(crate) use value::{scope_dropped, without_scope};
pub use webhook::{Webhook, WebhookUrl};

/// The path that a text names, which may hold bytes that are no UTF-8.
pub(crate) fn path_of(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;

    std::ffi::OsString::from_vec(sentinel_resp::text::bytes(text).into_owned()).into()
}

/// The text that a word of the system stands for, which may hold bytes that are no UTF-8.
pub(crate) fn text_of(word: &std::ffi::OsStr) -> String {
    use std::os::unix::ffi::OsStrExt as _;

    sentinel_resp::text::of(word.as_bytes()).into_owned()
}

/// A text as TOML has it: characters that stand for bytes are written as `\U0010FFE4`.
fn toml_text(text: &str) -> toml_edit::Value {
    use std::fmt::Write as _;

    if !sentinel_resp::text::has_stand_ins(text) {
        return text.into();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        if c == '"' || c == '\\' || c.is_control() || sentinel_resp::text::byte_of(c).is_some() {
            // Writing to a string does not fail.
            let _ = write!(quoted, "\\U{:08X}", u32::from(c));
        } else {
            quoted.push(c);
        }
    }
    quoted.push('"');
    quoted.parse().unwrap_or_else(|_| text.into())
}

/// The same for a key.
fn toml_key(text: &str) -> toml_edit::Key {
    let written = sentinel_resp::text::has_stand_ins(text).then(|| toml_text(text).to_string().parse().ok());
    written.flatten().unwrap_or_else(|| toml_edit::Key::new(text))
}

/// The words of a line, as text.
fn words(line: &[u8]) -> Result<Vec<String>, lexer::Unbalanced> {
    Ok(lexer::split(line)?.into_iter().map(sentinel_resp::text::of_vec).collect())
}

/// Whether a password stands in the text of a configuration.
fn holds_secrets(path: &std::path::Path, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::trim).filter(|line| !line.starts_with('#')).any(|line| {
        let masked = if is_toml(path) { toml_form::mask(line) } else { classic::mask(line) };
        // A digest of a password, or the name of a file that holds one, is no secret.
        masked.ends_with("******") && (!line.trim_start().starts_with("user") || line.contains('>'))
    })
}

/// What an operator should know about a file that can be written but not replaced.
pub(crate) fn written_in_place(path: &std::path::Path, reason: &str) -> String {
    format!(
        "{} cannot be replaced ({reason}): it is written in place, with a redo record at its end meanwhile, which only \
         this program understands; mount its folder instead, or keep what is learnt elsewhere with `state-file` (TOML) \
         or `sentinel state-config-file PATH`",
        path.display()
    )
}

/// What is to be loaded.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// What stands after the file on the command line: `--port 26380 ...`. Read after the file, so it wins.
    pub options: Vec<String>,
    /// What came on the standard input, if `-` was given. Read after the file and before the options.
    pub stdin: Option<Vec<u8>>,
    /// The directory that relative paths are under, until a `dir` line names another one.
    pub directory: PathBuf,
    /// Where secrets named in the configuration (`auth-pass-env`) come from.
    pub environment: fn(&str) -> Option<String>,
    /// Where all files come from, this one and those that it names.
    pub files: Arc<dyn Files>,
}

impl Source {
    /// A file alone, with the process's own directory and environment.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Source {
            path: path.into(),
            options: Vec::new(),
            stdin: None,
            // Without a current directory only absolute paths can be found, and each of the others is reported.
            directory: std::env::current_dir().unwrap_or_default(),
            environment: |name| std::env::var_os(name).map(|value| text_of(&value)),
            files: Arc::new(Disk),
        }
    }
}

/// A configuration, and all that goes with it.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration with what was learnt before.
    pub config: Config,
    /// What loads, but does not do what it may seem to. To be logged at the start.
    pub warnings: Vec<Warning>,
    /// Where and how what is learnt is written back.
    pub keep: Keep,
    /// Where each thing was said.
    pub(crate) places: places::Places,
}
