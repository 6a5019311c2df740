//! `sentinel check`: says what a configuration means, or everything that is wrong with it.

use std::path::Path;

use super::Exit;
use crate::{
    config::{self, Source},
    serve::Access,
};

/// Loads a configuration without starting anything.
pub(super) fn run(file: &Path) -> Exit {
    match config::load(&Source::file(file)) {
        Ok(mut loaded) => {
            let server = &mut loaded.config.server;
            // Relative to the directory that a Sentinel would enter.
            if let (Some(dir), Some(file)) = (&server.dir, &mut server.acl.file) {
                *file = dir.join(&*file);
            }
            if let Err(error) = Access::load(&server.acl, loaded.config.globals.requirepass.as_ref(), None) {
                eprintln!("{error}");
                return Exit::Failure;
            }
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
