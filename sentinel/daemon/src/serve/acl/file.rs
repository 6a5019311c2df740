//! The ACL file: one `user` line for each user.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use super::{
    rules::{RuleError, Rules, joined},
    selector::has_spaces,
};
use crate::persist::{Disk as _, RealDisk};

/// Why an ACL file cannot be used. The texts are the reference's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read.
    #[error("Error loading ACLs, opening file '{}': {}", .path.display(), crate::config::system_text(.error))]
    Read { path: PathBuf, error: io::Error },
    /// Some of its lines are wrong; all that is wrong is said at once.
    #[error("{0}WARNING: ACL errors detected, no change to the previously active ACL rules was performed")]
    Lines(String),
}

/// Reads the users in a file.
pub(crate) fn load(path: &Path, all_channels: bool) -> Result<BTreeMap<Bytes, Rules>, FileError> {
    let text = crate::config::read_file(path).map_err(|error| FileError::Read { path: path.to_owned(), error })?;
    parse(&text, &path.display().to_string(), all_channels).map_err(FileError::Lines)
}

/// The users in the text of a file, or everything that is wrong with it.
pub(super) fn parse(text: &[u8], path: &str, all_channels: bool) -> Result<BTreeMap<Bytes, Rules>, String> {
    let mut users = BTreeMap::new();
    let mut wrong = Vec::new();
    for (line, number) in text.split(|&byte| byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        // Without quotes: a blank ends a word whatever stands around it.
        let words: Vec<Bytes> = line.split(|&byte| byte == b' ').map(Bytes::copy_from_slice).collect();
        let [keyword, name, rules @ ..] = &words[..] else {
            wrong.push(format!("{path}:{number} should start with user keyword followed by the username. "));
            continue;
        };
        let shown = String::from_utf8_lossy(name);
        if keyword != "user" {
            wrong.push(format!("{path}:{number} should start with user keyword followed by the username. "));
        } else if has_spaces(name) {
            wrong.push(format!("{path}:{number}: username '{shown}' contains invalid characters. "));
        } else if users.contains_key(name) {
            wrong.push(format!("WARNING: Duplicate user '{shown}' found on line {number}. "));
        } else {
            let mut user = Rules::new(all_channels);
            for complaint in apply(&mut user, rules, all_channels) {
                wrong.push(format!("{path}:{number}: {complaint}. "));
            }
            users.insert(name.clone(), user);
        }
    }
    if wrong.is_empty() { Ok(users) } else { Err(wrong.concat()) }
}

/// Applies the rules of one line. Names that are unknown are all told; of other faults only the first, which may be the
/// reason of the next, and without the rule, which may be a password.
fn apply(user: &mut Rules, words: &[Bytes], all_channels: bool) -> Vec<String> {
    let Ok(rules) = joined(words) else { return vec!["Unmatched parenthesis in selector definition".to_owned()] };
    let mut complaints = Vec::new();
    let mut told = false;
    for rule in rules {
        let rule = rule.trim_ascii();
        let Err(error) = user.apply(rule, all_channels) else { continue };
        if error == RuleError::Unknown {
            complaints.push(format!("Error in applying operation '{}': {error}", String::from_utf8_lossy(rule)));
        } else if !told {
            complaints.push(error.to_string());
            told = true;
        }
    }
    complaints
}

/// Writes users to a file, which is the old or the new one at any time.
///
/// # Errors
///
/// What the disk says; or that the users could not be read again, which some odd patterns in selectors cause. The
/// reference writes them, and does not start again.
pub(crate) fn save(path: &Path, lines: &[Bytes], all_channels: bool) -> io::Result<()> {
    let mut text: Vec<u8> = lines.join(&b'\n');
    text.push(b'\n');
    let again = parse(&text, "line", all_channels).map_err(io::Error::other)?;
    let described: Vec<Bytes> = again.values().map(Rules::description).collect();
    if !described.iter().zip(lines).all(|(again, line)| line.ends_with(again)) {
        return Err(io::Error::other("some users would not be the same when they are read again"));
    }
    let mut disk = RealDisk;
    let target = disk.resolve(path)?;
    let replaced = disk.stamp(&target)?;
    let mut file = disk.create(&target, replaced.as_ref(), true)?;
    disk.write(&mut file, &text)?;
    disk.sync_file(&file)?;
    disk.rename(file, &target)?;
    disk.sync_folder(&target)
}
