//! What is learnt, and what is set at run time, kept apart from what the operator wrote: the `[state]` section of a TOML
//! configuration, or a state file.
//!
//! A value that was changed at run time is kept together with the configured value that it replaced. It holds until the
//! operator edits that configured value: then the edit counts.

use std::{collections::BTreeMap, path::Path};

use sentinel_core::{
    snapshot::{MasterSnapshot, Snapshot},
    types::{Epoch, HostPort, MasterName, Quorum, SentinelId},
};
use serde::{Deserialize, de};
use sha2::{Digest as _, Sha256};
use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::{
    ConfigError,
    build::{Builder, Directive, Origin},
    fault::{Place, Refusal},
    keep::Base,
    last_good, lexer, redo,
    sentinel::MasterDraft,
    settings::{self, Setting},
};

/// First line of a state file and of the `[state]` section.
pub(super) const MARKER: &str =
    "# ---- written by sentinel: what was learnt, and what commands changed; do not edit below ----";

/// Begins the last line of a state file: the SHA-256 of all lines before it, or `none`.
const CHECKSUM: &str = "# sha256: ";

const EXPLANATION: &str = "# A value changed by a command holds until the configured one (`was`) is edited.";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct State {
    myid: Option<String>,
    #[serde(default)]
    current_epoch: Number,
    #[serde(default)]
    changed: BTreeMap<String, Change>,
    /// Masters that the configuration names but a command removed, with the address they had there.
    #[serde(default)]
    removed: BTreeMap<String, String>,
    /// The users as commands left them, and a fingerprint of the configured ones.
    users: Option<KeptUsers>,
    #[serde(default)]
    master: BTreeMap<String, MasterState>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptUsers {
    was: String,
    /// Whole lines: `user alice on ...`.
    now: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct MasterState {
    address: String,
    /// The address in the configuration. None: a command added the master.
    configured: Option<String>,
    #[serde(default)]
    config_epoch: Number,
    #[serde(default)]
    leader_epoch: Number,
    #[serde(default)]
    changed: BTreeMap<String, Change>,
    #[serde(default)]
    replicas: Vec<String>,
    #[serde(default)]
    sentinels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    was: String,
    now: String,
}

/// An epoch: a number, or text beyond the range of numbers in TOML.
#[derive(Clone, Copy, Debug, Default)]
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Number(number)),
            Either::Text(text) => {
                text.parse().map(Number).map_err(|_| de::Error::custom(format!("`{text}` is no epoch")))
            }
        }
    }
}

/// Applies a state file. A missing one is the first start.
pub(super) fn take_file(builder: &mut Builder, path: &Path) -> Result<(), ConfigError> {
    let bytes = match builder.files.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let named = builder.places.named("state-config-file");
            return Err(ConfigError::Open { path: path.to_owned(), error, named });
        }
    };
    builder.warnings.extend(last_good::truncation(&*builder.files, path, &bytes)?);
    let bytes = redo::meaning(&bytes);
    let text = String::from_utf8_lossy(&bytes);
    if let Err(what) = verify(&text) {
        builder.refuse(&damaged(path, text.lines().count(), None), Refusal::new(what, RESTORE));
        return Ok(());
    }
    match toml::from_str::<State>(&text) {
        Ok(state) => apply(builder, &Site { path, text: &text, prefix: "" }, &state),
        Err(error) => refuse(builder, path, &text, &error),
    }
    Ok(())
}

/// Applies the `[state]` section of a TOML configuration whose other parts were taken already.
pub(super) fn take_section(builder: &mut Builder, path: &Path, bytes: &[u8]) {
    #[derive(Deserialize)]
    struct Whole {
        #[serde(default)]
        state: State,
    }
    let text = String::from_utf8_lossy(bytes);
    match toml::from_str::<Whole>(&text) {
        Ok(whole) => apply(builder, &Site { path, text: &text, prefix: "state." }, &whole.state),
        // A file that is not TOML at all was reported before.
        Err(_) if text.parse::<toml::Table>().is_err() => {}
        Err(error) => refuse(builder, path, &text, &error),
    }
}

fn refuse(builder: &mut Builder, path: &Path, text: &str, error: &toml::de::Error) {
    let (line, column) = error.span().map_or((1, 1), |span| super::toml_form::line_and_column(text, span.start));
    let directive = damaged(path, line, Some(column));
    builder.refuse(&directive, Refusal::new(error.message().to_owned(), RESTORE));
}

const RESTORE: &str =
    "restore what sentinel wrote here. Removing it is the last resort: the votes given are forgotten with it";

/// A place in the state.
fn damaged(path: &Path, line: usize, column: Option<usize>) -> Directive {
    Directive {
        words: Vec::new(),
        place: Place::File { path: path.into(), line, column },
        origin: Origin::State,
        called: "the kept state".into(),
        shown: String::new(),
    }
}

/// Whether a line is a comment that is written with the state.
pub(super) fn is_comment(line: &str) -> bool {
    line == MARKER || line == EXPLANATION || line.starts_with(CHECKSUM)
}

/// Whether the bytes are a whole state file that means something.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    !text.trim().is_empty() && verify(&text).is_ok() && toml::from_str::<State>(&text).is_ok()
}

/// Whether a state file is all that was written, as its last line tells.
fn verify(text: &str) -> Result<(), String> {
    let Some(at) = text.rfind(CHECKSUM) else {
        return if text.starts_with(MARKER) {
            Err("its end is missing: it has been cut off".to_owned())
        } else {
            Ok(())
        };
    };
    let said = text[at + CHECKSUM.len()..].trim_end();
    if said == "none" || said == super::hex(&Sha256::digest(&text.as_bytes()[..at])) {
        return Ok(());
    }
    Err(format!(
        "its content is not what was written there. If it was edited on purpose, let its last line be `{CHECKSUM}none`"
    ))
}

/// Where the state was read.
struct Site<'a> {
    path: &'a Path,
    text: &'a str,
    prefix: &'a str,
}

impl Site<'_> {
    /// A directive as if it stood under the header of a master, or at the top.
    fn directive(&self, master: Option<&str>, called: &str, words: &[&str]) -> Directive {
        let header = master.map(|name| format!("[{}master.{}]", self.prefix, toml_edit::Key::new(name).display_repr()));
        let line = header.and_then(|header| self.text.lines().position(|line| line.trim() == header)).unwrap_or(0) + 1;
        Directive {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            place: Place::File { path: self.path.into(), line, column: None },
            origin: Origin::State,
            called: format!("{}{called}", self.prefix),
            shown: String::new(),
        }
    }
}

fn apply(builder: &mut Builder, site: &Site<'_>, state: &State) {
    let base = Base::of(builder);
    for setting in settings::of_sentinel(&base.globals) {
        if let Some(change) = state.changed.get(setting.directive) {
            take_change(builder, site, None, &setting, change);
        }
    }
    if let Some(id) = &state.myid {
        take(builder, &site.directive(None, "myid", &["sentinel", "myid", id]));
    }
    builder.config.current_epoch = builder.config.current_epoch.max(Epoch::new(state.current_epoch.0));
    if let Some(users) = &state.users {
        apply_users(builder, site, users);
    }
    for (name, address) in &state.removed {
        let removed = builder.masters.get(name.as_str()).is_some_and(|draft| draft.addr.to_string() == *address);
        if removed {
            builder.masters.remove(name.as_str());
            builder.warn(
                &site.directive(None, "removed", &[]),
                format!(
                    "master `{name}` stands in the configuration, but SENTINEL REMOVE removed it: it is not monitored"
                ),
            );
        }
    }
    for (name, master) in &state.master {
        apply_master(builder, site, name, master);
    }
}

fn apply_users(builder: &mut Builder, site: &Site<'_>, users: &KeptUsers) {
    let note = site.directive(None, "users", &[]);
    if users.was != users_print(builder) {
        builder.warn(&note, "the configured users were edited after a command had changed them: the edited ones count");
        return;
    }
    builder.config.server.acl.users.clear();
    for line in &users.now {
        let words = lexer::split(line.as_bytes()).unwrap_or_default();
        let words: Vec<String> =
            words.into_iter().skip(1).map(|word| String::from_utf8_lossy(&word).into_owned()).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Err(refusal) = builder.user(&words) {
            builder.refuse(&note, refusal);
        }
    }
    builder.kept_users = Some(users.now.clone());
}

/// What tells the configured users from others. They may hold passwords, so that only a digest of them is kept.
pub(super) fn users_print(builder: &Builder) -> String {
    let mut digest = Sha256::new();
    if let Some(password) = &builder.config.globals.requirepass {
        digest.update(password.expose().as_bytes());
    }
    for user in &builder.config.server.acl.users {
        for word in std::iter::once(&user.name).chain(&user.rules) {
            digest.update(b"\0");
            digest.update(word.as_bytes());
        }
        digest.update(b"\n");
    }
    format!("sha256:{}", super::hex(&digest.finalize()))
}

fn apply_master(builder: &mut Builder, site: &Site<'_>, name: &str, state: &MasterState) {
    if builder.refused_masters.contains(name) {
        return;
    }
    let note = site.directive(Some(name), &format!("master.{name}"), &[]);
    let address = match state.address.parse::<HostPort>() {
        Ok(address) if address.host.is_ip() || builder.config.globals.resolve_hostnames => address,
        Ok(_) => {
            builder.refuse(
                &note,
                Refusal::new("Can't resolve instance hostname.", "allow names with resolve-hostnames = true"),
            );
            return;
        }
        Err(error) => {
            builder.refuse(&note, Refusal::new(error.to_string(), "restore what sentinel wrote here"));
            return;
        }
    };
    let (before, mut draft) = match builder.masters.remove(name) {
        Some(draft) => (draft.settings.clone(), draft),
        None if state.configured.is_some() => {
            builder.warn(&note, format!("master `{name}` is not in the configuration any more: forgotten"));
            return;
        }
        None => {
            let settings = settings::unconfigured();
            match MasterName::new(name) {
                Ok(known) => {
                    (settings.clone(), MasterDraft::new(known, address.clone(), settings.quorum, Origin::State))
                }
                Err(error) => {
                    builder.refuse(&note, Refusal::new(error.to_string(), "restore what sentinel wrote here"));
                    return;
                }
            }
        }
    };
    let configured = draft.addr.to_string();
    let moved = draft.origin != Origin::State && state.configured.as_deref().unwrap_or(&state.address) != configured;
    if moved {
        builder.warn(
            &note,
            format!("the configured address was edited to {configured}: it counts, and known replicas are forgotten"),
        );
    } else {
        draft.addr = address;
        draft.replicas.clear();
        for replica in &state.replicas {
            match replica.parse::<HostPort>() {
                Ok(replica) => drop(draft.replicas.insert(replica, String::new())),
                Err(error) => builder
                    .refuse(&note, Refusal::new(format!("`{replica}`: {error}"), "restore what sentinel wrote here")),
            }
        }
    }
    draft.peers.clear();
    for (id, address) in &state.sentinels {
        match (SentinelId::new(id), address.parse::<HostPort>()) {
            (Ok(id), Ok(address)) => drop(draft.peers.insert(id, (address, Origin::State))),
            _ => builder.refuse(
                &note,
                Refusal::new(format!("`{id}` at `{address}` is no Sentinel"), "restore what sentinel wrote here"),
            ),
        }
    }
    draft.config_epoch = draft.config_epoch.max(Epoch::new(state.config_epoch.0));
    draft.leader_epoch = draft.leader_epoch.max(Epoch::new(state.leader_epoch.0));
    builder.config.current_epoch = builder.config.current_epoch.max(draft.config_epoch);
    builder.masters.insert(draft.name.clone(), draft);
    for setting in settings::of_master(&before).into_iter().chain(settings::of_master_combined(&before)) {
        if let Some(change) = state.changed.get(setting.directive) {
            take_change(builder, site, Some(name), &setting, change);
        }
    }
}

/// Applies a change if the configured value is still the one that it replaced.
fn take_change(builder: &mut Builder, site: &Site<'_>, master: Option<&str>, configured: &Setting, change: &Change) {
    let called = master
        .map_or_else(|| configured.directive.to_owned(), |name| format!("master.{name}.{}", configured.directive));
    if change.was != told(configured) {
        let note = site.directive(master, &called, &[]);
        builder.warn(&note, "the configured value was edited after a command had changed it: the edited one counts");
        return;
    }
    let Some(name) = master else {
        let directive = site.directive(None, &called, &["sentinel", configured.directive, &change.now]);
        return take(builder, &directive);
    };
    let directive = site.directive(master, &called, &["sentinel", configured.directive, name, &change.now]);
    let Some(draft) = builder.masters.get_mut(name) else { return };
    let settings = &mut draft.settings;
    match configured.directive {
        "quorum" => match change.now.parse().map(Quorum::new) {
            Ok(Ok(quorum)) => settings.quorum = quorum,
            _ => builder
                .refuse(&directive, Refusal::new("Quorum must be 1 or greater.", "restore what sentinel wrote here")),
        },
        "rename-command" => {
            let words: Option<Vec<String>> = lexer::split(change.now.as_bytes())
                .ok()
                .and_then(|words| words.into_iter().map(|word| String::from_utf8(word).ok()).collect());
            match words {
                Some(words) if words.len() % 2 == 0 => {
                    settings.rename_commands =
                        words.chunks_exact(2).map(|pair| (pair[0].to_ascii_uppercase(), pair[1].clone())).collect();
                }
                _ => builder.refuse(
                    &directive,
                    Refusal::new("these are no pairs of commands", "restore what sentinel wrote here"),
                ),
            }
        }
        _ => take(builder, &directive),
    }
}

fn take(builder: &mut Builder, directive: &Directive) {
    if let Err(refusal) = builder.sentinel(directive) {
        builder.refuse(directive, refusal);
    }
}

/// A configured value as it is remembered: a password that stands elsewhere only by its fingerprint.
fn told(setting: &Setting) -> String {
    if setting.secret && !setting.value.is_empty() {
        return format!("sha256:{}", super::hex(&Sha256::digest(setting.value.as_bytes())));
    }
    setting.value.clone()
}

/// Writes the state: under `[state]`, or as a whole file.
///
/// `users`: whole lines, if a command has changed them.
pub(super) fn render(snapshot: &Snapshot, base: &Base, users: Option<&[String]>, as_section: bool) -> String {
    let mut root = Table::new();
    root.insert("myid", text(snapshot.id.as_str()));
    root.insert("current-epoch", epoch(snapshot.current_epoch));
    let changed = changes(&settings::of_sentinel(&base.globals), &settings::of_sentinel(&snapshot.globals));
    if !changed.is_empty() {
        root.insert("changed", Item::Table(changed));
    }
    if let Some(users) = users {
        let mut kept = Table::new();
        kept.insert("was", text(&base.users));
        kept.insert("now", Item::Value(Value::Array(users.iter().map(String::as_str).collect())));
        root.insert("users", Item::Table(kept));
    }
    let mut removed = Table::new();
    for (name, (addr, _)) in &base.masters {
        if snapshot.masters.binary_search_by(|master| master.name.cmp(name)).is_err() {
            removed.insert(name.as_str(), text(&addr.to_string()));
        }
    }
    if !removed.is_empty() {
        root.insert("removed", Item::Table(removed));
    }
    let mut masters = Table::new();
    masters.set_implicit(true);
    for master in &snapshot.masters {
        masters.insert(master.name.as_str(), Item::Table(master_table(master, base)));
    }
    root.insert("master", Item::Table(masters));
    let body = if as_section {
        let mut whole = toml_edit::DocumentMut::new();
        whole.insert("state", Item::Table(root));
        whole.to_string()
    } else {
        toml_edit::DocumentMut::from(root).to_string()
    };
    let text = format!("{MARKER}\n{EXPLANATION}\n{}", body.trim_start());
    // A section stands among what the operator writes, and says nothing about that.
    if as_section { text } else { format!("{text}{CHECKSUM}{}\n", super::hex(&Sha256::digest(text.as_bytes()))) }
}

fn master_table(master: &MasterSnapshot, base: &Base) -> Table {
    let configured = base.masters.get(master.name.as_str());
    let unconfigured = settings::unconfigured();
    let before = configured.map_or(&unconfigured, |(_, settings)| settings);
    let mut table = Table::new();
    table.insert("address", text(&master.addr.to_string()));
    if let Some((addr, _)) = configured {
        table.insert("configured", text(&addr.to_string()));
    }
    table.insert("config-epoch", epoch(master.config_epoch));
    table.insert("leader-epoch", epoch(master.leader_epoch));
    if !master.replicas.is_empty() {
        let replicas: Array = master.replicas.iter().map(ToString::to_string).collect();
        table.insert("replicas", Item::Value(Value::Array(replicas)));
    }
    let mut changed = changes(&settings::of_master(before), &settings::of_master(&master.settings));
    let combined = changes(&settings::of_master_combined(before), &settings::of_master_combined(&master.settings));
    for (key, item) in combined {
        changed.insert(&key, item);
    }
    if !changed.is_empty() {
        table.insert("changed", Item::Table(changed));
    }
    if !master.peers.is_empty() {
        let mut sentinels = Table::new();
        for (id, addr) in &master.peers {
            sentinels.insert(id.as_str(), text(&addr.to_string()));
        }
        table.insert("sentinels", Item::Table(sentinels));
    }
    table
}

fn changes(before: &[Setting], now: &[Setting]) -> Table {
    let mut table = Table::new();
    for (before, now) in before.iter().zip(now) {
        if before.value != now.value {
            let mut change = InlineTable::new();
            change.insert("was", told(before).into());
            change.insert("now", now.value.as_str().into());
            table.insert(now.directive, Item::Value(Value::InlineTable(change)));
        }
    }
    table
}

fn text(text: &str) -> Item {
    Item::Value(text.into())
}

fn epoch(epoch: Epoch) -> Item {
    Item::Value(i64::try_from(epoch.get()).map_or_else(|_| epoch.to_string().into(), Value::from))
}
