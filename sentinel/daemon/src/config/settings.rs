//! What a snapshot holds, as the words of directives, from the tables of the core: from here both forms are written.

use std::sync::LazyLock;

use sentinel_core::{
    settings::{
        GlobalSettings, MasterSettings,
        master::{self, MASTER},
        row::{Changed, Kind, Row},
        sentinel::{self, SENTINEL},
    },
    types::Quorum,
};

use super::lexer;

/// One setting in the words of the classic grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The `sentinel` directive.
    pub(super) directive: &'static str,
    /// Its value. Empty or 0: not set.
    pub(super) value: String,
    /// What counts where no line stands.
    pub(super) default: &'static str,
    /// Whether the value is a password.
    pub(super) secret: bool,
}

impl Setting {
    fn new<S>(row: &Row<S>, settings: &S, default: &'static str) -> Self {
        let secret = row.kind == Kind::Secret;
        Setting { directive: row.name, value: row.value(settings).to_string(), default, secret }
    }

    const fn combined(directive: &'static str, value: String) -> Self {
        Setting { directive, value, default: "", secret: false }
    }

    /// Whether the value is the one that counts where no line stands.
    pub(super) fn is_default(&self) -> bool {
        self.value == self.default
    }
}

/// The default of each row, as files have it.
static MASTER_DEFAULTS: LazyLock<Vec<String>> = LazyLock::new(|| defaults(MASTER, &unconfigured()));
static SENTINEL_DEFAULTS: LazyLock<Vec<String>> = LazyLock::new(|| defaults(SENTINEL, &GlobalSettings::default()));

fn defaults<S>(rows: &[&Row<S>], settings: &S) -> Vec<String> {
    rows.iter().map(|row| row.value(settings).to_string()).collect()
}

/// The settings of one master with a directive of their own, in the order in which they are written.
pub(super) fn of_master(settings: &MasterSettings) -> Vec<Setting> {
    let rows = MASTER.iter().zip(&*MASTER_DEFAULTS);
    rows.map(|(row, default)| Setting::new(row, settings, default)).collect()
}

/// The settings of the Sentinel whose lines are written, in the reference's order.
pub(super) fn of_sentinel(globals: &GlobalSettings) -> Vec<Setting> {
    let rows = SENTINEL.iter().zip(&*SENTINEL_DEFAULTS).filter(|(row, _)| is_written(row));
    rows.map(|(row, default)| Setting::new(row, globals, default)).collect()
}

fn is_written(row: &Row<GlobalSettings>) -> bool {
    row.changed != Changed::InFile
}

/// The settings that have no value of their own in the classic grammar: the quorum stands in the `monitor` line, and a
/// renamed command is a line of its own. The kept state needs them as values.
pub(super) fn of_master_combined(settings: &MasterSettings) -> [Setting; 2] {
    let renamed = settings.rename_commands.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
    [
        Setting::combined("quorum", settings.quorum.to_string()),
        Setting::combined("rename-command", lexer::join(renamed)),
    ]
}

/// Whether a directive is one of [`of_sentinel`].
pub(super) fn is_of_sentinel(directive: &str) -> bool {
    sentinel::of_sentinel(directive).is_some_and(is_written)
}

/// Whether a directive is one of [`of_master`].
pub(super) fn is_of_master(directive: &str) -> bool {
    master::of_master(directive).is_some()
}

/// The present name of a directive that has several.
pub(super) fn present_name(directive: &str) -> &str {
    match directive {
        "known-slave" => "known-replica",
        directive => master::of_master(directive).map_or(directive, |row| row.name),
    }
}

/// The defaults of a master of which no configuration speaks.
pub(super) fn unconfigured() -> MasterSettings {
    MasterSettings::new(Quorum::new(1).expect("one is a quorum"))
}
