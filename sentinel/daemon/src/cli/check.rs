//! `sentinel check`: says what configurations mean, everything that is wrong with them, and what is dangerous.

use std::path::{Path, PathBuf};

use super::{Exit, host};
use crate::{
    config::{self, Config, Loaded, Source},
    persist::{Store, Way},
    serve::Access,
    terminal::{complain, say},
    tls,
};

/// Checks configurations without starting anything. With `strict`, what is dangerous is as bad as what is wrong.
pub(super) fn run(files: &[PathBuf], strict: bool) -> Exit {
    let mut checked: Vec<(&Path, Config)> = Vec::new();
    let mut wrong = false;
    let mut dangerous = 0;
    for file in files {
        match check(file) {
            Ok((config, warnings)) => {
                dangerous += warnings;
                checked.push((file, config));
            }
            Err(faults) => {
                complain!("{}", faults.join("\n"));
                wrong = true;
            }
        }
    }
    for text in config::copied_ids(checked.iter().map(|(path, config)| (*path, config))) {
        say!("warning: {text}");
        dangerous += 1;
    }
    if wrong || strict && dangerous > 0 { Exit::Failure } else { Exit::Success }
}

/// Says what one file means, and returns how many warnings there are; or everything that is wrong with it.
fn check(file: &Path) -> Result<(Config, usize), Vec<String>> {
    let mut loaded = config::load(&Source::file(file)).map_err(|error| vec![error.to_string()])?;
    let mut faults = Vec::new();
    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();

    let server = &mut loaded.config.server;
    // Relative to the directory that a Sentinel would enter.
    if let (Some(dir), Some(file)) = (&server.dir, &mut server.acl.file) {
        *file = dir.join(&*file);
    }
    let access = Access::load(&server.acl, loaded.config.globals.requirepass.as_ref(), None);
    let open = access.as_ref().is_ok_and(Access::is_open);
    faults.extend(access.err().map(|error| loaded.places.explained(&error, error.directive(), error.remedy())));
    warnings.extend(config::dangers(&loaded, open).iter().map(ToString::to_string));

    let folder = loaded.config.server.dir.clone().unwrap_or_default();
    warnings.extend(host::missing(&loaded, &folder).iter().map(ToString::to_string));
    match tls::check(&loaded.config.server.tls, &folder) {
        Ok(known) => warnings.extend(known),
        Err(error) => {
            faults.push(loaded.places.fault(error.directive(), error.what(), error.remedy()).to_string());
        }
    }

    let line = loaded.places.state_file();
    let Loaded { config, keep, .. } = loaded;
    let mut store = Store::new(keep);
    match store.check_writable() {
        Ok(Way::Replace) => {}
        Ok(Way::InPlace(reason)) => {
            let reason = reason.clone();
            warnings.push(config::written_in_place(store.path(), &reason));
        }
        Err(error) => faults.push(error.naming(line).to_string()),
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    for warning in &warnings {
        say!("warning: {warning}");
    }
    let masters = config.masters.len();
    say!("{}: ok, {masters} master{}", file.display(), if masters == 1 { "" } else { "s" });
    for master in &config.masters {
        say!("  {} at {}, quorum {}", master.name, master.addr, master.settings.quorum);
    }
    Ok((config, warnings.len()))
}
