//! `sentinel convert`: a configuration in the other form.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::Exit;
use crate::{
    config::{Source, convert},
    terminal::complain,
};

/// Converts a file. Nothing that exists is overwritten.
pub(super) fn run(file: &Path, output: Option<&Path>, state_file: Option<&Path>) -> Exit {
    let converted = match convert(&Source::file(file), state_file) {
        Ok(converted) => converted,
        Err(error) => {
            complain!("{error}");
            return Exit::Failure;
        }
    };
    for name in &converted.left_out {
        complain!("warning: `{name}` has no TOML key: it stands in a comment");
    }
    let state = match (state_file, &converted.state) {
        (Some(path), Some(state)) => write_new(path, state),
        _ => Ok(()),
    };
    let written = state.and_then(|()| match output {
        Some(path) => write_new(path, &converted.text),
        None => io::stdout().write_all(converted.text.as_bytes()).map_err(|error| format!("cannot write: {error}")),
    });
    match written {
        Ok(()) => Exit::Success,
        Err(text) => {
            complain!("{text}");
            Exit::Failure
        }
    }
}

/// Writes a file that is not there yet, for this user alone: passwords may stand in it.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|error| format!("{} cannot be written: {error}; name a file that does not exist yet", path.display()))
}
