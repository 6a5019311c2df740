//! From a file, and what the command line adds, to a configuration.

use std::path::Path;

use super::{
    ConfigError, Faults, Keep, Loaded, Source,
    build::{Builder, Directive, Origin},
    classic,
    fault::Place,
    keep::{Base, Form, UserLines},
    last_good,
    places::Places,
    redo, state, toml_form,
};

/// Reads a configuration and what was learnt, checks everything, and reports all faults at once.
///
/// Nothing is created, written or changed, not even the current directory: `dir` is for the caller to enter. Where the
/// file or the state is damaged and a good copy lies beside it, the error names that copy.
pub fn load(source: &Source) -> Result<Loaded, ConfigError> {
    let path = source.directory.join(&source.path);
    let outcome = source
        .files
        .read(&path)
        .map_err(|error| ConfigError::Open { path: source.path.clone(), error, named: None })
        .and_then(|bytes| {
            let truncation = last_good::truncation(&*source.files, &path, &bytes)?;
            let mut loaded = read(source, &path, &redo::meaning(&bytes))?;
            loaded.warnings.extend(truncation);
            Ok(loaded)
        });
    outcome.map_err(|error| last_good::offer(source, &path, error))
}

/// Reads what a file, which need not be there, would say if these were its bytes.
pub(super) fn read(source: &Source, path: &Path, bytes: &[u8]) -> Result<Loaded, ConfigError> {
    let is_toml = is_toml(path);
    let mut builder = Builder::new(source);
    builder.places = Places::within(&source.path);

    let mut included = Vec::new();
    if is_toml {
        toml_form::take(&mut builder, source, bytes);
    } else {
        included = classic::take_main(&mut builder, &source.path, bytes)?;
    }
    classic::take_appended(&mut builder, source)?;
    builder.apply_sentinel_lines();
    builder.check_included(&included);
    builder.check_generic(&end_of(source, bytes));

    let base = Base::of(&builder);
    let form = match (builder.state_file.take(), is_toml) {
        (Some(file), _) if is_same(&file, path) => {
            let fault = builder.places.fault(
                "state-config-file",
                "what is learnt cannot be kept in the configuration itself and beside it",
                "name another file, or remove the line: without it the configuration is rewritten",
            );
            builder.faults.push(fault);
            return Err(ConfigError::Faults(Faults { faults: builder.faults, classic: !is_toml }));
        }
        (Some(file), _) => {
            state::take_file(&mut builder, &file)?;
            builder.close(is_toml)?;
            let keep = Keep { path: file, form: Form::State { base, toml: is_toml }, users: None, kept_users: None };
            return Ok(finish(builder, keep));
        }
        (None, true) => {
            state::take_section(&mut builder, &source.path, bytes);
            Form::Toml(base)
        }
        (None, false) => Form::Classic {
            included: included.into_iter().map(|line| line.words).collect(),
            references: std::mem::take(&mut builder.references),
            options: std::mem::take(&mut builder.options),
        },
    };
    builder.close(is_toml)?;
    Ok(finish(builder, Keep { path: path.to_owned(), form, users: None, kept_users: None }))
}

/// Whether two paths lead to one file, as far as that can be seen: also by a link.
fn is_same(one: &Path, other: &Path) -> bool {
    let canonical = || Some(one.canonicalize().ok()? == other.canonicalize().ok()?);
    one.components().eq(other.components()) || canonical().unwrap_or(false)
}

/// Whether a file is TOML, by its name.
pub fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

impl Builder {
    fn close(&mut self, is_toml: bool) -> Result<(), ConfigError> {
        if self.faults.is_empty() {
            self.close_masters();
            return Ok(());
        }
        Err(ConfigError::Faults(Faults { faults: std::mem::take(&mut self.faults), classic: !is_toml }))
    }
}

fn finish(builder: Builder, mut keep: Keep) -> Loaded {
    // The lines of a classic configuration are changed where they stand; the kept state holds users from anywhere.
    let here = !matches!(keep.form, Form::Classic { .. }) || !builder.users_elsewhere;
    keep.users = (here && builder.config.server.acl.file.is_none()).then(UserLines::default);
    keep.kept_users = builder.kept_users;
    Loaded { config: builder.config, warnings: builder.warnings, keep, places: builder.places }
}

/// Where faults belong that concern several lines.
fn end_of(source: &Source, bytes: &[u8]) -> Directive {
    let line = bytes.split(|b| *b == b'\n').count();
    Directive {
        words: Vec::new(),
        place: Place::File { path: source.path.as_path().into(), line, column: None },
        origin: Origin::Main,
        called: "the whole file".into(),
        shown: String::new(),
    }
}
