//! One validation for both grammars: directives go in, a [`Config`] and every fault come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

use sentinel_core::types::MasterName;
use sentinel_resp::text;

use super::{
    Files, Source,
    fault::{Fault, Place, Refusal, Warning},
    model::Config,
    options::OptionLine,
    places::Places,
    reference::Reference,
    sentinel::MasterDraft,
};

/// Which part of the whole text a directive comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file itself.
    Main,
    /// A file named by `include`.
    Included,
    /// The command line or the standard input.
    Appended,
    /// What was learnt and set at run time, kept beside the configuration.
    State,
}

/// One directive, from whichever grammar.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    /// Name and arguments in the classic form.
    pub(super) words: Vec<String>,
    /// Where it stands.
    pub(super) place: Place,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// How its author calls it: `port`, `sentinel monitor`, `master.quorum`.
    pub(super) called: String,
    /// The line as it stands, trimmed, secrets masked.
    pub(super) shown: String,
}

impl Directive {
    pub(super) fn fault(&self, refusal: Refusal) -> Fault {
        Fault {
            place: self.place.clone(),
            directive: self.called.clone(),
            line: self.shown.clone(),
            what: refusal.what,
            remedy: refusal.remedy,
        }
    }
}

/// A configuration in the making.
pub(super) struct Builder {
    pub(super) config: Config,
    pub(super) masters: BTreeMap<MasterName, MasterDraft>,
    /// Names whose `monitor` was refused: their other lines are not to blame.
    pub(super) refused_masters: BTreeSet<String>,
    /// `sentinel` lines wait for the end, since their order is another one.
    pub(super) sentinel_lines: Vec<Directive>,
    /// Where `state-file` or `sentinel state-config-file` leads to.
    pub(super) state_file: Option<PathBuf>,
    /// Whether a `user` line stands elsewhere than in the main file, so that they cannot be written back there.
    pub(super) users_elsewhere: bool,
    /// The users of the kept state, which stand in the place of the configured ones.
    pub(super) kept_users: Option<Vec<String>>,
    /// The directory that relative paths are under, so far.
    pub(super) directory: PathBuf,
    /// Where secrets named in the configuration come from.
    pub(super) environment: fn(&str) -> Option<String>,
    /// Where the files come from that are named in it.
    pub(super) files: Arc<dyn Files>,
    /// The lines that name a secret instead of holding it, with the line that holds it.
    pub(super) references: Vec<Reference>,
    /// The generic lines of the command line, which are to be saved.
    pub(super) options: Vec<OptionLine>,
    /// Where everything was said last.
    pub(super) places: Places,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Warning>,
}

impl Builder {
    pub(super) fn new(source: &Source) -> Self {
        Builder::at(source.directory.clone(), source.environment, source.files.clone())
    }

    /// An empty one that finds the same files.
    pub(super) fn beside(other: &Builder) -> Self {
        Builder::at(other.directory.clone(), other.environment, other.files.clone())
    }

    fn at(directory: PathBuf, environment: fn(&str) -> Option<String>, files: Arc<dyn Files>) -> Self {
        Builder {
            config: Config::default(),
            masters: BTreeMap::new(),
            refused_masters: BTreeSet::new(),
            sentinel_lines: Vec::new(),
            state_file: None,
            users_elsewhere: false,
            kept_users: None,
            directory,
            environment,
            files,
            references: Vec::new(),
            options: Vec::new(),
            places: Places::default(),
            faults: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Takes one directive. Generic ones take effect at once, `sentinel` ones in [`Builder::finish`].
    pub(super) fn take(&mut self, mut directive: Directive) {
        let Some(name) = directive.words.first_mut() else { return };
        name.make_ascii_lowercase();
        if name == "sentinel" {
            if directive.words.len() > 1 {
                self.sentinel_lines.push(directive);
            }
            return;
        }
        self.places.put(None, &directive.words[0], &directive);
        let mut taken = self.generic(&directive);
        if taken.is_ok() && directive.origin == Origin::Appended {
            taken = self.note_option(&directive);
        }
        if let Err(refusal) = taken {
            self.refuse(&directive, refusal);
        }
    }

    /// Applies what waited, in the reference's three groups, and closes the list of masters.
    pub(super) fn apply_sentinel_lines(&mut self) {
        let mut lines = std::mem::take(&mut self.sentinel_lines);
        for line in &mut lines {
            line.words[1].make_ascii_lowercase();
        }
        lines.sort_by_key(|line| super::sentinel::group(&line.words[1]));
        for line in &lines {
            let of_master = super::sentinel::group(&line.words[1]) > 1;
            self.places.put(line.words.get(2).filter(|_| of_master), &line.words[1], line);
            if let Err(refusal) = self.sentinel(line) {
                self.refuse(line, refusal);
            }
        }
    }

    /// The whole, with the masters in the order of their names.
    pub(super) fn close_masters(&mut self) {
        let masters = std::mem::take(&mut self.masters);
        for (_, draft) in masters {
            if let Some((addr, _)) = self.config.id.as_ref().and_then(|id| draft.peers.get(id)) {
                self.warnings.push(Warning {
                    place: self.places.of(Some(draft.name.as_str()), "known-sentinel"),
                    directive: "sentinel myid".into(),
                    text: format!(
                        "the Sentinel known at {addr} for `{}` has the id of this one: if that is not this one under another \
                         address, its file was copied, and the two cannot be told apart. Remove `sentinel myid` from one of them",
                        draft.name
                    ),
                });
            }
            let snapshot = draft.close(self.config.id.as_ref());
            self.config.masters.push(snapshot);
        }
    }

    pub(super) fn refuse(&mut self, directive: &Directive, refusal: Refusal) {
        self.faults.push(directive.fault(refusal));
    }

    pub(super) fn warn(&mut self, directive: &Directive, text: impl Into<String>) {
        self.warnings.push(Warning {
            place: directive.place.clone(),
            directive: directive.called.clone(),
            text: text::shown(&text.into()).into_owned(),
        });
    }

    /// A path as it counts at this line: relative ones are under `dir`.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.directory.join(super::path_of(path))
    }
}
