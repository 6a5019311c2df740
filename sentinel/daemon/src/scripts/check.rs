//! Whether a file can be run as a script, asked before SENTINEL SET takes its path.

use std::path::Path;

use rustix::fs::{Access, access};
use sentinel_core::command::{Change, SetOption, errors};
use sentinel_resp::Reply;

use crate::config::path_of;

/// Cuts a SENTINEL SET at the first script that cannot be executed: what stands before it counts, and its error is
/// the answer, as if it had been a bad word. Everything else passes.
///
/// Looking at files may take long, so it is done on a thread of its own.
pub(crate) async fn refuse_unusable(change: Change) -> Change {
    let Change::Set { name, options, error } = change else { return change };
    if !options.iter().any(|option| script(option).is_some()) {
        return Change::Set { name, options, error };
    }
    let (untouched, cause) = (options.clone(), error.clone());
    let looked = tokio::task::spawn_blocking(move || cut(options, error)).await;
    // The look can only fail when the process stops.
    let (options, error) = looked.unwrap_or((untouched, cause));
    Change::Set { name, options, error }
}

fn cut(mut options: Vec<SetOption>, error: Option<Reply>) -> (Vec<SetOption>, Option<Reply>) {
    let unusable = options.iter().enumerate().find_map(|(at, option)| {
        script(option).filter(|(path, _)| !is_executable(&path_of(path))).map(|(_, called)| (at, called))
    });
    match unusable {
        Some((at, called)) => {
            options.truncate(at);
            (options, Some(errors::script_unusable(called)))
        }
        None => (options, error),
    }
}

/// The path that an option sets, and what the reference calls such a script.
fn script(option: &SetOption) -> Option<(&str, &'static str)> {
    option.setting.script().and_then(|(path, called)| path.map(|path| (path, called)))
}

/// Whether this process may execute the file, as the system says: bits of the mode say it for nobody in particular.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
