//! The state as it is written.

use sentinel_core::{
    snapshot::{MasterSnapshot, Snapshot},
    types::Epoch,
};
use toml_edit::{Array, InlineTable, Item, Table, Value};

use super::{
    super::{
        keep::Base,
        settings::{self, Setting},
        toml_key, toml_text,
    },
    EXPLANATION, MARKER, sealed, told,
};

/// Writes the state: under `[state]`, or as a whole file.
///
/// `users`: whole lines, if a command has changed them.
pub(in crate::config) fn render(
    snapshot: &Snapshot,
    base: &Base,
    users: Option<&[String]>,
    as_section: bool,
) -> String {
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
        kept.insert("now", Item::Value(Value::Array(users.iter().map(|line| toml_text(line)).collect())));
        root.insert("users", Item::Table(kept));
    }
    let mut removed = Table::new();
    for (name, (addr, _)) in &base.masters {
        if snapshot.masters.binary_search_by(|master| master.name.cmp(name)).is_err() {
            removed.insert_formatted(&toml_key(name.as_str()), text(&addr.to_string()));
        }
    }
    if !removed.is_empty() {
        root.insert("removed", Item::Table(removed));
    }
    let mut masters = Table::new();
    masters.set_implicit(true);
    for master in &snapshot.masters {
        masters.insert_formatted(&toml_key(master.name.as_str()), Item::Table(master_table(master, base)));
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
    if as_section { text } else { sealed(&text) }
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
    if !master.in_sync.is_empty() {
        let mut in_sync = toml_edit::InlineTable::new();
        for (addr, keys) in &master.in_sync {
            in_sync.insert(addr.to_string(), Value::from(i64::try_from(*keys).unwrap_or(i64::MAX)));
        }
        table.insert("in-sync", Item::Value(Value::InlineTable(in_sync)));
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
            change.insert("was", toml_text(&told(before)));
            change.insert("now", toml_text(&now.value));
            table.insert(now.directive, Item::Value(Value::InlineTable(change)));
        }
    }
    table
}

fn text(text: &str) -> Item {
    Item::Value(toml_text(text))
}

fn epoch(epoch: Epoch) -> Item {
    Item::Value(i64::try_from(epoch.get()).map_or_else(|_| epoch.to_string().into(), Value::from))
}
