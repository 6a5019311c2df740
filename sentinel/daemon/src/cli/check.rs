//! `sentinel check`: says what a configuration means, or everything that is wrong with it.

use std::path::Path;

use super::Exit;
use crate::config::{self, Source};

/// Loads a configuration without starting anything.
pub(super) fn run(file: &Path) -> Exit {
    match config::load(&Source::file(file)) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                println!("warning: {warning}");
            }
            let masters = loaded.config.masters.len();
            println!("{}: ok, {masters} master{}", file.display(), if masters == 1 { "" } else { "s" });
            for master in &loaded.config.masters {
                println!("  {} at {}, quorum {}", master.name, master.addr, master.settings.quorum);
            }
            Exit::Success
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Failure
        }
    }
}
