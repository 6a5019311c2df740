//! `sentinel convert`: a configuration in the other form.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::Exit;
use crate::{
    config::{Source, convert, system_text},
    terminal::complain,
};

/// Converts a file. Nothing that exists is overwritten.
pub(super) fn run(file: &Path, output: Option<&Path>, state_file: Option<&Path>) -> Exit {
    // Before anything is read: a state that is there already would be taken for this configuration's own.
    for path in [output, state_file].into_iter().flatten() {
        if path.symlink_metadata().is_ok() {
            complain!("{} exists already; name a file that does not exist yet", path.display());
            return Exit::Failure;
        }
    }
    if output.is_some() && output == state_file {
        complain!("--output and --state-file name one file; name two");
        return Exit::Failure;
    }
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
    for name in &converted.included {
        complain!("note: what `include {name}` names is a part of the result now; edits there no longer count");
    }
    let state = match (state_file, &converted.state) {
        (Some(path), Some(state)) => write_new(path, state),
        _ => Ok(()),
    };
    let kept = converted.state.is_some() && state.is_ok();
    let written = state.and_then(|()| match output {
        Some(path) => write_new(path, &converted.text),
        None => io::stdout().write_all(converted.text.as_bytes()).map_err(|error| format!("cannot write: {error}")),
    });
    match written {
        Ok(()) => Exit::Success,
        Err(text) => {
            if let (Some(path), true) = (state_file, kept) {
                // The state alone would stand in the way of the next try, which names it if it cannot be removed.
                let _ = fs::remove_file(path);
            }
            complain!("{text}");
            Exit::Failure
        }
    }
}

/// Writes a file that is not there yet, for this user alone: passwords may stand in it.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        let whole = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        // Half a file is none.
        whole.inspect_err(|_| drop(fs::remove_file(path)))
    });
    written.map_err(|error| {
        let remedy = match error.kind() {
            io::ErrorKind::NotFound => "create its folder, or name another file",
            _ => "name a file in a folder that this user may write to",
        };
        format!("{} cannot be written: {}; {remedy}", path.display(), system_text(&error))
    })
}
