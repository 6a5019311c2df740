//! From the classic grammar to TOML and back, with every comment beside what it comments.
//!
//! Both grammars are read into the same list of directives with their comments, and written from it. What is learnt is no
//! directive: it goes where the other form keeps it, which is the `[state]` section, the `sentinel` lines at the end, or a
//! state file. The result is loaded, and must mean what the original means.

use std::path::{Path, PathBuf};

use sentinel_core::{
    snapshot::Snapshot,
    types::{Epoch, SentinelId},
};

use super::{Config, ConfigError, Keep, Loaded, Renderer, Source, is_toml, load, redo, state};
use listing::Listing;

mod from_classic;
mod from_toml;
mod listing;
mod to_classic;
mod to_toml;

/// A configuration in the other form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Converted {
    /// The whole text.
    pub text: String,
    /// What was learnt, if it was asked to stand apart.
    pub state: Option<String>,
    /// What could not be said in the other form, and stands there as a comment.
    pub left_out: Vec<String>,
    /// The files that the original includes: what they say has become a part of the result.
    pub included: Vec<String>,
}

/// Why a configuration was not converted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// It does not load.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It keeps what it learns in a file of its own already.
    #[error("{} is its state file already, and holds for both forms: convert without --state-file", .0.display())]
    HasStateFile(PathBuf),
    /// A state file needs an identity.
    #[error("{} has no `sentinel myid` yet: start it once, or convert without --state-file", .0.display())]
    NoIdentity(PathBuf),
    /// A defect: the text would not mean the same.
    #[error(
        "the converted text would not mean the same, so it is withheld ({0}): please report this file, without its passwords"
    )]
    Differs(String),
}

/// Converts a configuration to the other form. With `state_file`, what was learnt is to be kept there from now on.
pub fn convert(source: &Source, state_file: Option<&Path>) -> Result<Converted, ConvertError> {
    let path = source.directory.join(&source.path);
    let unread = |error| ConfigError::Open { path: source.path.clone(), error, named: None };
    let bytes = source.files.read(&path).map_err(unread)?;
    let bytes = redo::meaning(&bytes);
    let original = load(source)?;
    let to_toml = !is_toml(&path);
    if original.keep.is_separate() && state_file.is_some() {
        return Err(ConvertError::HasStateFile(original.keep.path().to_owned()));
    }
    let mut listing =
        if to_toml { from_classic::read(source, &bytes)? } else { from_toml::read(&String::from_utf8_lossy(&bytes)) };
    // Users that commands changed stand in what was learnt, which has no place for them in the classic grammar.
    if let Some(lines) = original.keep.kept_users.as_ref().filter(|_| !original.keep.is_separate()) {
        listing.replace_users(lines);
    }
    listing.rescue_comments(&String::from_utf8_lossy(&bytes));

    let included = std::mem::take(&mut listing.included);
    let other = Form { source, to_toml };
    let (text, left_out) = other.write(&listing);
    let whole = other.with_state(&text, &original, None)?;
    other.compare(&whole, &original.config)?;
    let Some(state_file) = state_file else { return Ok(Converted { text: whole, state: None, left_out, included }) };

    listing.keep_apart(state_file);
    let (text, left_out) = other.write(&listing);
    let state = other.with_state(&text, &original, Some(state_file))?;
    Ok(Converted { text, state: Some(state), left_out, included })
}

/// The form to convert to.
struct Form<'a> {
    source: &'a Source,
    to_toml: bool,
}

impl Form<'_> {
    fn write(&self, listing: &Listing) -> (String, Vec<String>) {
        if self.to_toml { to_toml::write(listing) } else { (to_classic::write(listing), Vec::new()) }
    }

    /// Loads a text as if it stood beside the original.
    fn load(&self, text: &str) -> Result<Loaded, ConvertError> {
        let name = if self.to_toml { "converted.toml" } else { "converted.conf" };
        let path = self.source.directory.join(&self.source.path).with_file_name(name);
        let source = Source { path: path.clone(), ..self.source.clone() };
        load::read(&source, &path, text.as_bytes()).map_err(|error| ConvertError::Differs(error.to_string()))
    }

    /// The text with what was learnt; or only what was learnt, for a file of its own.
    fn with_state(&self, text: &str, original: &Loaded, apart: Option<&Path>) -> Result<String, ConvertError> {
        if original.keep.is_separate() || apart.is_none() && !has_learnt(&original.config) {
            return Ok(text.to_owned());
        }
        let Some(id) = &original.config.id else {
            if apart.is_some() {
                return Err(ConvertError::NoIdentity(self.source.path.clone()));
            }
            return self.without_identity(text, original);
        };
        let keep = self.load(text)?.keep;
        Ok(rendered(keep, text, &original.config.snapshot(id.clone())))
    }

    /// What was learnt before there was an identity: rendered with one, which is then taken out again.
    fn without_identity(&self, text: &str, original: &Loaded) -> Result<String, ConvertError> {
        let id = SentinelId::new(&"0".repeat(40)).expect("40 hex digits are an id");
        let whole = rendered(self.load(text)?.keep, text, &original.config.snapshot(id.clone()));
        let is_id = |line: &&str| line.contains("myid") && line.contains(id.as_str());
        Ok(whole.split_inclusive('\n').filter(|line| !is_id(line)).collect())
    }

    fn compare(&self, text: &str, original: &Config) -> Result<(), ConvertError> {
        let converted = self.load(text)?.config;
        let differs = |what: &str| Err(ConvertError::Differs(what.to_owned()));
        if converted.server != original.server {
            return differs("the directives of the process");
        }
        if converted.globals != original.globals {
            return differs("the directives of the Sentinel");
        }
        if converted.masters != original.masters {
            return differs("the masters");
        }
        if (&converted.id, converted.current_epoch) != (&original.id, original.current_epoch) {
            return differs("what was learnt");
        }
        Ok(())
    }
}

fn rendered(keep: Keep, text: &str, snapshot: &Snapshot) -> String {
    let mut renderer = Renderer::new(keep);
    renderer.reread(text.as_bytes());
    String::from_utf8_lossy(&renderer.render(snapshot)).into_owned()
}

fn has_learnt(config: &Config) -> bool {
    config.id.is_some()
        || config.current_epoch > Epoch::ZERO
        || config.masters.iter().any(|master| {
            let epochs = master.config_epoch.max(master.leader_epoch) > Epoch::ZERO;
            epochs || !master.replicas.is_empty() || !master.peers.is_empty()
        })
}

/// Whether a comment was written by a program, and will be written again where it is needed.
fn is_generated(comment: &str) -> bool {
    comment == "# Generated by CONFIG REWRITE" || state::is_comment(comment)
}
