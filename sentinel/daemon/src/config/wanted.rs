//! The `sentinel` lines that a snapshot asks for, in the reference's order.

use sentinel_core::{
    settings::{
        master,
        row::{self, Changed, Kind},
        sentinel,
    },
    snapshot::{MasterSnapshot, Snapshot},
    types::{Host, HostPort},
};

use super::{
    reference::Reference,
    settings::{self, Setting},
    value,
};

/// What a line is about: two lines with the same slot cannot both stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot<'a> {
    /// The directive under its present name.
    pub(super) directive: &'a str,
    /// The master, for directives of one.
    pub(super) master: Option<&'a str>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// Everything after the word `sentinel`, with the directive under its present name.
    pub(super) words: Vec<String>,
    /// Whether it concerns one master, whose name is the second word.
    of_master: bool,
}

impl Statement {
    pub(super) fn slot(&self) -> Slot<'_> {
        let word = |at: usize| self.words.get(at).map(String::as_str);
        Slot { directive: word(0).unwrap_or_default(), master: word(1).filter(|_| self.of_master) }
    }
}

/// One line that is to stand in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) says: Statement,
    pub(super) need: Need,
}

/// When a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Always.
    Always,
    /// It says what counts anyway: only where such a line stands, or where an included file says something else.
    WherePresent,
    /// It says "not set": only where an included file says something else; lines that stand are removed.
    Unset,
    /// The reference would refuse a file with it: where no such line stands, it is written as a comment there.
    Extension,
    /// The same for what counts anyway: only where such a line stands, or where an included file says something else.
    ExtensionWherePresent,
}

impl Need {
    /// Whether the line is written as one that the reference takes for a comment.
    pub(super) const fn is_hidden(self) -> bool {
        matches!(self, Need::Extension | Need::ExtensionWherePresent)
    }
}

/// All lines for a snapshot, one group after the other. No slot is in two groups, so that nobody needs to hold the lines
/// of thousands of masters at once.
pub(super) fn groups(snapshot: &Snapshot) -> impl Iterator<Item = Vec<Wanted>> {
    let sentinel = settings::of_sentinel(&snapshot.globals);
    let (before, after) = sentinel.split_at(3);
    let before = std::iter::once(global("myid", snapshot.id.as_str(), Need::Always))
        .chain(before.iter().map(global_setting))
        .collect();
    let after = std::iter::once(global("current-epoch", &snapshot.current_epoch.to_string(), Need::Always))
        .chain(after.iter().map(global_setting))
        .collect();
    std::iter::once(before).chain(snapshot.masters.iter().map(|master| of_master(master))).chain(std::iter::once(after))
}

fn of_master(master: &MasterSnapshot) -> Vec<Wanted> {
    let mut lines = Vec::new();
    let name = master.name.as_str();
    let line = |directive: &str, rest: &[&str], need| {
        let words = [directive, name].iter().chain(rest).map(|word| (*word).to_owned()).collect();
        Wanted { says: Statement { words, of_master: true }, need }
    };
    let addr = |addr: &HostPort| (addr.host.to_string(), addr.port.to_string());
    let (host, port) = addr(&master.addr);
    lines.push(line("monitor", &[&host, &port, &master.settings.quorum.to_string()], Need::Always));
    for setting in settings::of_master(&master.settings) {
        lines.push(line(setting.directive, &[&setting.value], need(&setting)));
    }
    lines.push(line("config-epoch", &[&master.config_epoch.to_string()], Need::Always));
    lines.push(line("leader-epoch", &[&master.leader_epoch.to_string()], Need::Always));
    for replica in &master.replicas {
        let (host, port) = addr(replica);
        lines.push(line("known-replica", &[&host, &port], Need::Always));
    }
    for (node, keys) in &master.in_sync {
        let (host, port) = addr(node);
        lines.push(line("in-sync", &[&host, &port, &keys.to_string()], Need::Extension));
    }
    for (id, peer) in &master.peers {
        let (host, port) = addr(peer);
        lines.push(line("known-sentinel", &[&host, &port, id.as_str()], Need::Always));
    }
    for (from, to) in &master.settings.rename_commands {
        lines.push(line("rename-command", &[from, to], Need::Always));
    }
    lines
}

fn need(setting: &Setting) -> Need {
    if super::directives::is_extension(setting.directive) {
        if setting.is_default() { Need::ExtensionWherePresent } else { Need::Extension }
    } else if setting.value.is_empty() {
        Need::Unset
    } else if setting.is_default() {
        Need::WherePresent
    } else {
        Need::Always
    }
}

fn global(directive: &str, value: &str, need: Need) -> Wanted {
    Wanted { says: Statement { words: vec![directive.to_owned(), value.to_owned()], of_master: false }, need }
}

fn global_setting(setting: &Setting) -> Wanted {
    global(setting.directive, &setting.value, need(setting))
}

/// A line that stands in a file, in the words in which it would be wanted. None: not a line that is ever written.
///
/// One that names a secret is wanted in the words that hold it.
pub(super) fn recognise(words: &[String], references: &[Reference]) -> Option<Statement> {
    if let [first, named @ ..] = words
        && first.eq_ignore_ascii_case("sentinel")
        && let Some(reference) = references.iter().find(|reference| is_same(&reference.words, named))
    {
        let means = std::iter::once(first.clone()).chain(reference.means.iter().cloned()).collect::<Vec<_>>();
        return recognise(&means, &[]);
    }
    let [first, directive, arguments @ ..] = words else { return None };
    if !first.eq_ignore_ascii_case("sentinel") {
        return None;
    }
    let directive = settings::present_name(&directive.to_ascii_lowercase()).to_owned();
    let mut arguments = arguments.to_vec();
    let number = |word: &mut String| *word = value::lenient_int(word).0.to_string();
    let host = |word: &mut String| {
        if let Ok(host) = Host::new(word) {
            *word = host.to_string();
        }
    };
    let of_master = match (directive.as_str(), &mut arguments[..]) {
        ("monitor", [_, address, port, quorum]) => {
            host(address);
            number(port);
            number(quorum);
            true
        }
        ("known-replica", [_, address, port]) | ("known-sentinel", [_, address, port, ..]) => {
            host(address);
            number(port);
            true
        }
        ("in-sync", [_, address, port, keys]) => {
            host(address);
            number(port);
            number(keys);
            true
        }
        ("rename-command", [_, from, _]) => {
            from.make_ascii_uppercase();
            true
        }
        ("config-epoch" | "leader-epoch", [_, epoch]) => {
            *epoch = value::lenient_epoch(epoch).0.to_string();
            true
        }
        ("current-epoch", [epoch]) => {
            *epoch = value::lenient_epoch(epoch).0.to_string();
            false
        }
        ("myid", [_]) => false,
        (name, values) => of_table(name, values)?,
    };
    arguments.insert(0, directive);
    arguments.shrink_to_fit();
    Some(Statement { words: arguments, of_master })
}

/// Normalises the value of a line that stands in a table, and says whether it concerns one master.
fn of_table(name: &str, values: &mut [String]) -> Option<bool> {
    if let (Some(row), [_, value]) = (master::of_master(name), &mut *values) {
        normalise(row.kind, value);
        return Some(true);
    }
    match (sentinel::of_sentinel(name).filter(|row| row.changed != Changed::InFile), values) {
        (Some(row), [value]) => {
            normalise(row.kind, value);
            Some(false)
        }
        _ => None,
    }
}

/// Writes a value as a snapshot would have it.
fn normalise(kind: Kind, value: &mut String) {
    *value = match kind {
        Kind::Milliseconds { .. } | Kind::Count { .. } | Kind::Port => value::lenient_int(value).0.to_string(),
        Kind::Bytes => row::bytes(value).unwrap_or(0).to_string(),
        Kind::Switch => value.to_ascii_lowercase(),
        Kind::Host => Host::new(value).map_or_else(|_| std::mem::take(value), |host| host.to_string()),
        Kind::Text | Kind::Secret | Kind::Script { .. } => return,
    };
}

/// Whether two lines are the same, whatever the case of the directive.
fn is_same(one: &[String], other: &[String]) -> bool {
    match (one, other) {
        ([name, rest @ ..], [other, others @ ..]) => name.eq_ignore_ascii_case(other) && rest == others,
        _ => false,
    }
}
