//! What is learnt, and what is set at run time, kept apart from what the operator wrote: the `[state]` section of a TOML
//! configuration, or a state file: in the form of the configuration, TOML or classic. Either is read beside either.
//!
//! A value that was changed at run time is kept together with the configured value that it replaced. It holds until the
//! operator edits that configured value: then the edit counts.

use std::path::Path;

use sentinel_resp::text;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    ConfigError,
    build::{Builder, Directive, Origin},
    fault::{Place, Refusal},
    last_good, redo,
    settings::Setting,
};
use apply::{Site, apply};
use form::State;

mod apply;
mod classic;
mod form;
mod write;
mod write_classic;

pub(super) use write::render;
pub(super) use write_classic::render as render_classic;

/// First line of a state file and of the `[state]` section.
pub(super) const MARKER: &str =
    "# ---- written by sentinel: what was learnt, and what commands changed; do not edit below ----";

/// Begins the last line of a state file: the SHA-256 of all lines before it, or `none`.
const CHECKSUM: &str = "# sha256: ";

const EXPLANATION: &str = "# A value changed by a command holds until the configured one (`was`) is edited.";

/// Applies a state file, in either form. A missing one is the first start.
pub(super) fn take_file(builder: &mut Builder, path: &Path) -> Result<(), ConfigError> {
    let bytes = match builder.files.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let named = builder.places.state_file();
            return Err(ConfigError::Open { path: path.to_owned(), error, named });
        }
    };
    builder.warnings.extend(last_good::truncation(&*builder.files, path, &bytes)?);
    let bytes = redo::meaning(&bytes);
    let text = String::from_utf8_lossy(&bytes);
    if let Err(what) = verify(&bytes) {
        builder.refuse(&damaged(path, text.lines().count(), None), Refusal::new(what, RESTORE));
        return Ok(());
    }
    if classic::is_classic(&text) {
        let text = text::of(&bytes);
        let site = Site { path, text: &text, prefix: "", classic: true };
        match classic::parse(&text) {
            Ok(state) => apply(builder, &site, &state),
            Err(wrong) => builder.refuse(&damaged(path, wrong.line, None), Refusal::new(wrong.what, RESTORE)),
        }
        return Ok(());
    }
    match toml::from_str::<State>(&text) {
        Ok(state) => apply(builder, &Site { path, text: &text, prefix: "", classic: false }, &state),
        Err(error) => refuse(builder, path, &text, &error),
    }
    Ok(())
}

/// Applies the `[state]` section of a TOML configuration whose other parts were taken already.
pub(super) fn take_section(builder: &mut Builder, path: &Path, bytes: &[u8]) {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(default)]
        state: State,
    }
    let text = String::from_utf8_lossy(bytes);
    match toml::from_str::<Whole>(&text) {
        Ok(whole) => apply(builder, &Site { path, text: &text, prefix: "state.", classic: false }, &whole.state),
        // A file that is not TOML at all was reported before.
        Err(_) if text.parse::<toml::Table>().is_err() => {}
        Err(error) => refuse(builder, path, &text, &error),
    }
}

fn refuse(builder: &mut Builder, path: &Path, text: &str, error: &toml::de::Error) {
    let (line, column) = error.span().map_or((1, 1), |span| super::toml_form::line_and_column(text, span.start));
    let directive = damaged(path, line, Some(column));
    builder.refuse(&directive, Refusal::new(error.message().to_owned(), RESTORE));
}

const RESTORE: &str =
    "restore what sentinel wrote here. Removing it is the last resort: the votes given are forgotten with it";

/// A place in the state.
fn damaged(path: &Path, line: usize, column: Option<usize>) -> Directive {
    Directive {
        words: Vec::new(),
        place: Place::File { path: path.into(), line, column },
        origin: Origin::State,
        called: "the kept state".into(),
        shown: String::new(),
    }
}

/// Whether a line is a comment that is written with the state.
pub(super) fn is_comment(line: &str) -> bool {
    line == MARKER || line == EXPLANATION || line.starts_with(CHECKSUM)
}

/// Whether the bytes are a whole state file that means something.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let parses = || {
        if classic::is_classic(&text) {
            classic::parse(&text::of(bytes)).is_ok()
        } else {
            toml::from_str::<State>(&text).is_ok()
        }
    };
    !text.trim().is_empty() && verify(bytes).is_ok() && parses()
}

/// Whether a state file is all that was written, as its last line tells.
fn verify(bytes: &[u8]) -> Result<(), String> {
    let checksum = CHECKSUM.as_bytes();
    let Some(at) = bytes.windows(checksum.len()).rposition(|part| part == checksum) else {
        return if bytes.starts_with(MARKER.as_bytes()) {
            Err("its end is missing: it has been cut off".to_owned())
        } else {
            Ok(())
        };
    };
    let said = bytes[at + checksum.len()..].trim_ascii_end();
    if said == b"none" || said == hex::encode(Sha256::digest(&bytes[..at])).as_bytes() {
        return Ok(());
    }
    Err(format!(
        "its content is not what was written there. If it was edited on purpose, let its last line be `{CHECKSUM}none`"
    ))
}

/// A state file with the last line that tells whether it is whole.
fn sealed(text: &str) -> String {
    format!("{text}{CHECKSUM}{}\n", hex::encode(Sha256::digest(text)))
}

/// What tells the configured users from others. They may hold passwords, so that only a digest of them is kept.
pub(super) fn users_print(builder: &Builder) -> String {
    let mut digest = Sha256::new();
    if let Some(password) = &builder.config.globals.requirepass {
        digest.update(password.expose().as_bytes());
    }
    for user in &builder.config.server.acl.users {
        for word in std::iter::once(&user.name).chain(&user.rules) {
            digest.update(b"\0");
            digest.update(word.as_bytes());
        }
        digest.update(b"\n");
    }
    format!("sha256:{}", hex::encode(digest.finalize()))
}

/// A configured value as it is remembered: a password that stands elsewhere only by its fingerprint.
fn told(setting: &Setting) -> String {
    if setting.secret && !setting.value.is_empty() {
        return format!("sha256:{}", hex::encode(Sha256::digest(&setting.value)));
    }
    setting.value.clone()
}
