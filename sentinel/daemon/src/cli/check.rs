//! `sentinel check`: says what configurations mean, everything that is wrong with them, and what is dangerous.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::{
    Exit, host,
    reply::{self, Column},
    target::Format,
};
use crate::{
    config::{self, Config, ConfigError, Fault, Loaded, Place, Source, Warning},
    persist::{Store, Way},
    serve::Access,
    terminal::{complain, say},
    tls, webhook,
};

const COLUMNS: &[Column] = &[
    ("SEVERITY", "severity"),
    ("FILE", "file"),
    ("LINE", "line"),
    ("DIRECTIVE", "directive"),
    ("TEXT", "text"),
    ("REMEDY", "remedy"),
];

/// One thing that is said of a file, or of several together.
struct Said {
    /// The whole of it, for people.
    shown: String,
    file: String,
    line: Option<usize>,
    directive: String,
    text: String,
    remedy: String,
}

impl Said {
    fn new(file: &Path, shown: String) -> Self {
        let text = shown.clone();
        Said {
            shown,
            file: file.display().to_string(),
            line: None,
            directive: String::new(),
            text,
            remedy: String::new(),
        }
    }

    fn at(place: &Place, file: &Path, shown: String) -> Self {
        let file = match place {
            Place::File { path, .. } | Place::Whole { path } => path,
            _ => file,
        };
        Said { line: place.line(), ..Said::new(file, shown) }
    }

    fn of_warning(file: &Path, warning: &Warning) -> Self {
        let (directive, text) = (warning.directive.clone(), warning.text.clone());
        Said { directive, text, ..Said::at(&warning.place, file, warning.to_string()) }
    }

    fn of_fault(file: &Path, fault: &Fault) -> Self {
        let (directive, text, remedy) = (fault.directive.clone(), fault.what.clone(), fault.remedy.clone());
        Said { directive, text, remedy, ..Said::at(&fault.place, file, fault.to_string()) }
    }

    /// Everything that an error says, one by one; as a whole it is shown with the first.
    fn of_error(file: &Path, error: &ConfigError) -> Vec<Self> {
        let ConfigError::Faults(faults) = error else { return vec![Said::new(file, error.to_string())] };
        let mut said: Vec<Said> = faults.sorted().into_iter().map(|fault| Said::of_fault(file, fault)).collect();
        for (index, one) in said.iter_mut().enumerate() {
            one.shown = if index == 0 { error.to_string() } else { String::new() };
        }
        said
    }

    fn json(&self, severity: &str) -> Json {
        json!({
            "severity": severity, "file": self.file, "line": self.line, "directive": self.directive, "text": self.text,
            "remedy": self.remedy,
        })
    }
}

/// What a file means, and what is dangerous in it.
struct Meaning {
    config: Config,
    warnings: Vec<Said>,
}

/// Checks configurations without starting anything. With `strict`, what is dangerous is as bad as what is wrong.
pub(super) fn run(files: &[PathBuf], strict: bool, format: Format) -> Exit {
    let checked: Vec<(&PathBuf, Result<Meaning, Vec<Said>>)> = files.iter().map(|file| (file, check(file))).collect();
    let meant = checked.iter().filter_map(|(file, it)| Some((file.as_path(), &it.as_ref().ok()?.config)));
    let together = config::compared(meant);
    let wrong = checked.iter().any(|(_, it)| it.is_err());
    let dangerous = !together.is_empty() || checked.iter().flat_map(|(_, it)| it).any(|it| !it.warnings.is_empty());
    let ok = !(wrong || strict && dangerous);
    let mut all = Vec::new();
    for (_, outcome) in &checked {
        match outcome {
            Ok(meaning) => all.extend(meaning.warnings.iter().map(|it| it.json("warning"))),
            Err(faults) => all.extend(faults.iter().map(|it| it.json("fault"))),
        }
    }
    all.extend(together.iter().map(|text| json!({ "severity": "warning", "text": text })));
    match format {
        Format::Table => {
            for (file, outcome) in &checked {
                print(file, outcome);
            }
            for text in &together {
                say!("warning: {text}");
            }
        }
        Format::Tsv => say!("{}", reply::tabbed(COLUMNS, &all).trim_end()),
        Format::Json => {
            let files: Vec<Json> = checked.iter().map(|(file, outcome)| summary(file, outcome)).collect();
            say!("{}", json!({ "ok": ok, "files": files, "found": all }));
        }
    }
    if ok { Exit::Success } else { Exit::Failure }
}

fn summary(file: &Path, outcome: &Result<Meaning, Vec<Said>>) -> Json {
    let masters = outcome.as_ref().map_or(&[][..], |meaning| &meaning.config.masters);
    let masters = masters.iter().map(|master| {
        json!({
            "name": master.name.as_str(), "host": master.addr.host.to_string(), "port": master.addr.port,
            "quorum": master.settings.quorum.get(),
        })
    });
    json!({ "file": file.display().to_string(), "loads": outcome.is_ok(), "masters": masters.collect::<Vec<_>>() })
}

fn print(file: &Path, outcome: &Result<Meaning, Vec<Said>>) {
    let Meaning { config, warnings } = match outcome {
        Ok(meaning) => meaning,
        Err(faults) => {
            let shown = faults.iter().map(|it| it.shown.as_str()).filter(|it| !it.is_empty());
            complain!("{}", shown.collect::<Vec<_>>().join("\n"));
            return;
        }
    };
    for warning in warnings {
        say!("warning: {}", warning.shown);
    }
    let masters = config.masters.len();
    say!("{}: ok, {masters} master{}", file.display(), if masters == 1 { "" } else { "s" });
    for master in &config.masters {
        say!("  {} at {}, quorum {}", master.name, master.addr, master.settings.quorum);
    }
}

/// What one file means; or everything that is wrong with it.
fn check(file: &Path) -> Result<Meaning, Vec<Said>> {
    let mut loaded = config::load(&Source::file(file)).map_err(|error| Said::of_error(file, &error))?;
    let mut faults = Vec::new();
    let warned = |warning: &Warning| Said::of_warning(file, warning);
    let mut warnings: Vec<Said> = loaded.warnings.iter().map(warned).collect();

    let server = &mut loaded.config.server;
    // Relative to the directory that a Sentinel would enter.
    if let (Some(dir), Some(file)) = (&server.dir, &mut server.acl.file) {
        *file = dir.join(&*file);
    }
    let access = Access::load(&server.acl, loaded.config.globals.requirepass.as_ref(), None);
    let open = access.as_ref().is_ok_and(Access::is_open);
    if let Err(error) = access {
        let (directive, remedy) = (error.directive(), error.remedy());
        let shown = loaded.places.explained(&error, directive, remedy);
        faults.push(Said {
            directive: directive.to_owned(),
            text: error.to_string(),
            remedy: remedy.to_owned(),
            ..Said::at(&loaded.places.of(None, directive), file, shown)
        });
    }
    warnings.extend(config::dangers(&loaded, open).iter().map(warned));

    let folder = loaded.config.server.dir.clone().unwrap_or_default();
    warnings.extend(host::missing(&loaded, &folder).iter().map(warned));
    match tls::check(&loaded.config.server.tls, &folder) {
        Ok(known) => warnings.extend(known.into_iter().map(|text| Said::new(file, text))),
        Err(error) => {
            faults.push(Said::of_fault(file, &loaded.places.fault(error.directive(), error.what(), error.remedy())));
        }
    }

    if let Err(error) = webhook::check(&loaded.config.server.webhook, &folder) {
        faults.push(Said::of_fault(file, &loaded.places.fault(error.directive(), error.what(), error.remedy())));
    }

    let line = loaded.places.state_file();
    let Loaded { config, keep, .. } = loaded;
    let mut store = Store::new(keep);
    match store.check_writable() {
        Ok(Way::Replace) => {}
        Ok(Way::InPlace(reason)) => {
            let reason = reason.clone();
            warnings.push(Said::new(file, config::written_in_place(store.path(), &reason)));
        }
        Err(error) => faults.push(Said::new(file, error.naming(line).to_string())),
    }
    if faults.is_empty() { Ok(Meaning { config, warnings }) } else { Err(faults) }
}
