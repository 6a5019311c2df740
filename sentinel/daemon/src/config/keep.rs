//! Where and how what is learnt is written back.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sentinel_core::{
    settings::{GlobalSettings, MasterSettings},
    types::{HostPort, MasterName},
};

use super::build::Builder;

/// Where what is learnt is kept, and in which form.
#[derive(Clone, Debug)]
pub struct Keep {
    pub(super) path: PathBuf,
    pub(super) form: Form,
}

impl Keep {
    /// The file that is written: the configuration itself, or the state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the configuration itself stays as its author wrote it.
    pub const fn is_separate(&self) -> bool {
        matches!(self.form, Form::State(_))
    }
}

/// The form of the file that is written.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// The classic configuration itself. With the `sentinel` lines of included files, which must not be repeated in it.
    Classic(Vec<Vec<String>>),
    /// The TOML configuration itself, in its `[state]` section.
    Toml(Base),
    /// A file of its own beside a configuration that is never written.
    State(Base),
}

/// What the configuration says without anything learnt: what differs from it was changed at run time.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) globals: GlobalSettings,
    pub(super) masters: BTreeMap<MasterName, (HostPort, MasterSettings)>,
}

impl Base {
    pub(super) fn of(builder: &Builder) -> Self {
        let masters = builder
            .masters
            .iter()
            .map(|(name, draft)| (name.clone(), (draft.addr.clone(), draft.settings.clone())))
            .collect();
        Base { globals: builder.config.globals.clone(), masters }
    }
}
