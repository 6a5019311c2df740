//! Where and how what is learnt is written back.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use sentinel_core::{
    settings::{GlobalSettings, MasterSettings},
    types::{HostPort, MasterName},
};

use super::{build::Builder, options::OptionLine, reference::Reference};

/// Where what is learnt is kept, and in which form.
#[derive(Clone, Debug)]
pub struct Keep {
    pub(super) path: PathBuf,
    pub(super) form: Form,
    /// The `user` lines, if they are kept in that file and nowhere else.
    pub(super) users: Option<UserLines>,
    /// The users that stand in the kept state, as it was loaded.
    pub(super) kept_users: Option<Vec<String>>,
}

/// The `user` lines that are to stand in the configuration from its next save on.
///
/// Shared between who changes users and who writes the file. Nothing is said until the first change, so that lines that
/// nobody changed stay as they were written.
#[derive(Clone, Default)]
pub struct UserLines(Arc<ArcSwapOption<Vec<(String, String)>>>);

impl UserLines {
    /// Says which users there are: their names, and their whole lines.
    pub fn set(&self, lines: Vec<(String, String)>) {
        self.0.store(Some(Arc::new(lines)));
    }

    /// Whether users were changed since the start.
    pub fn is_changed(&self) -> bool {
        self.0.load().is_some()
    }

    /// What was said last.
    pub(super) fn get(&self) -> Option<Arc<Vec<(String, String)>>> {
        self.0.load_full()
    }
}

/// The lines hold digests of passwords.
impl std::fmt::Debug for UserLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserLines").finish_non_exhaustive()
    }
}

impl Keep {
    /// Takes the `user` lines as they are changed. None where they cannot be written back: they are kept elsewhere, in
    /// an ACL file, or for a classic configuration in an included file or on the command line.
    pub fn user_lines(&self) -> Option<UserLines> {
        self.users.clone()
    }

    /// The file that is written: the configuration itself, or the state file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the configuration itself stays as its author wrote it.
    pub const fn is_separate(&self) -> bool {
        matches!(self.form, Form::State { .. })
    }
}

/// Takes the newer [`Keep`] of a configuration that was read again, until the next text is rendered.
///
/// Shared between who reads the file and who writes it.
#[derive(Clone, Debug, Default)]
pub struct Renewal(Arc<ArcSwapOption<Keep>>);

impl Renewal {
    /// What was read now.
    pub fn set(&self, keep: Keep) {
        self.0.store(Some(Arc::new(keep)));
    }

    pub(super) fn take(&self) -> Option<Keep> {
        self.0.swap(None).map(Arc::unwrap_or_clone)
    }
}

impl Keep {
    /// What a configuration that was read again says, as far as it counts without a restart.
    ///
    /// Users are those of the start, also to the kept state. So are masters that came or went in the file alone: whether they
    /// are monitored is said by commands, and the next start must find what the file says of them.
    pub(super) fn renew(&mut self, newer: Keep, is_monitored: impl Fn(&MasterName) -> bool) -> bool {
        if self.path != newer.path {
            return false;
        }
        match (&mut self.form, newer.form) {
            (
                Form::Classic { included, references, .. },
                Form::Classic { included: newer, references: newer_references, .. },
            ) => {
                *included = newer;
                *references = newer_references;
            }
            (Form::Toml(base), Form::Toml(newer)) => base.renew(newer, is_monitored),
            (Form::State { base, toml }, Form::State { base: newer, toml: newer_toml }) if *toml == newer_toml => {
                base.renew(newer, is_monitored);
            }
            _ => return false,
        }
        true
    }
}

/// The form of the file that is written.
#[derive(Clone, Debug)]
pub(super) enum Form {
    /// The classic configuration itself.
    Classic {
        /// The `sentinel` lines of included files, which must not be repeated in it.
        included: Vec<Vec<String>>,
        /// The lines that name secrets, which must not be written into it.
        references: Vec<Reference>,
        /// The generic lines of the command line, which are written into it once.
        options: Vec<OptionLine>,
    },
    /// The TOML configuration itself, in its `[state]` section.
    Toml(Base),
    /// A file of its own beside a configuration that is never written, in the form of that one.
    State { base: Base, toml: bool },
}

/// What the configuration says without anything learnt: what differs from it was changed at run time.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) globals: GlobalSettings,
    pub(super) masters: BTreeMap<MasterName, (HostPort, MasterSettings)>,
    /// What tells the configured users from others.
    pub(super) users: String,
}

impl Base {
    fn renew(&mut self, newer: Base, is_monitored: impl Fn(&MasterName) -> bool) {
        self.globals = newer.globals;
        for (name, master) in newer.masters {
            if is_monitored(&name) || self.masters.contains_key(&name) {
                self.masters.insert(name, master);
            }
        }
    }

    pub(super) fn of(builder: &Builder) -> Self {
        let masters = builder
            .masters
            .iter()
            .map(|(name, draft)| (name.clone(), (draft.addr.clone(), draft.settings.clone())))
            .collect();
        Base { globals: builder.config.globals.clone(), masters, users: super::state::users_print(builder) }
    }
}
