//! Whether a file can be run as a script, asked before SENTINEL SET takes its path.

use std::path::Path;

use rustix::fs::{Access, access};
use sentinel_core::command::{Change, MasterSetting, SetOption, errors};
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
        script(option).filter(|(path, _)| !is_executable(&path_of(path))).map(|(_, error)| (at, error))
    });
    match unusable {
        Some((at, refusal)) => {
            options.truncate(at);
            (options, Some(refusal()))
        }
        None => (options, error),
    }
}

/// Makes the answer to a path that is of no use.
type Refusal = fn() -> Reply;

/// The path that an option sets, and the answer if it is of no use.
fn script(option: &SetOption) -> Option<(&str, Refusal)> {
    match &option.setting {
        MasterSetting::NotificationScript(path) => Some((path.as_deref()?, errors::notification_script_unusable)),
        MasterSetting::ClientReconfigScript(path) => Some((path.as_deref()?, errors::client_reconfig_script_unusable)),
        _ => None,
    }
}

/// Whether this process may execute the file, as the system says: bits of the mode say it for nobody in particular.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
