//! The state of a classic configuration as it is written: see [`classic`](super::classic).

use sentinel_core::{
    snapshot::{MasterSnapshot, Snapshot},
    types::HostPort,
};

use super::{
    super::{
        directives::HIDDEN,
        keep::Base,
        lexer,
        settings::{self, Setting},
    },
    MARKER,
    classic::{CONFIGURED, REMOVED, USERS, WAS, is_shown},
    sealed, told,
};

const EXPLANATION: &str = "# A value changed by a command holds until the configured one (`#@ was`) is edited.";

/// Writes the state as a whole file.
///
/// `users`: whole lines, if a command has changed them.
pub(in crate::config) fn render(snapshot: &Snapshot, base: &Base, users: Option<&[String]>) -> String {
    let mut lines = Lines(format!("{MARKER}\n{EXPLANATION}\n"));
    lines.add("", &["sentinel", "myid", snapshot.id.as_str()]);
    lines.changes(None, &settings::of_sentinel(&base.globals), &settings::of_sentinel(&snapshot.globals));
    lines.add("", &["sentinel", "current-epoch", &snapshot.current_epoch.to_string()]);
    for (name, (addr, _)) in &base.masters {
        if snapshot.masters.binary_search_by(|master| master.name.cmp(name)).is_err() {
            lines.address(HIDDEN, &[REMOVED, name.as_str()], addr, &[]);
        }
    }
    if let Some(users) = users {
        lines.add(HIDDEN, &[USERS, &base.users]);
        for user in users {
            lines.0.extend([HIDDEN, &lexer::join_user(user.split(' ')), "\n"]);
        }
    }
    for master in &snapshot.masters {
        master_lines(&mut lines, master, base);
    }
    sealed(&lines.0)
}

fn master_lines(lines: &mut Lines, master: &MasterSnapshot, base: &Base) {
    let name = master.name.as_str();
    let configured = base.masters.get(name);
    let unconfigured = settings::unconfigured();
    let before = configured.map_or(&unconfigured, |(_, settings)| settings);
    lines.address("", &["sentinel", "monitor", name], &master.addr, &[&master.settings.quorum.to_string()]);
    if let Some((addr, _)) = configured {
        lines.address(HIDDEN, &[CONFIGURED, name], addr, &[]);
    }
    lines.changes(Some(name), &settings::of_master(before), &settings::of_master(&master.settings));
    let combined = [settings::of_master_combined(before), settings::of_master_combined(&master.settings)];
    for (before, now) in combined[0].iter().zip(&combined[1]).filter(|(before, now)| before.value != now.value) {
        if now.directive == "rename-command" {
            for (from, to) in &master.settings.rename_commands {
                lines.add("", &["sentinel", now.directive, name, from, to]);
            }
        }
        lines.add(HIDDEN, &[WAS, now.directive, name, &told(before)]);
    }
    lines.add("", &["sentinel", "config-epoch", name, &master.config_epoch.to_string()]);
    lines.add("", &["sentinel", "leader-epoch", name, &master.leader_epoch.to_string()]);
    for replica in &master.replicas {
        lines.address("", &["sentinel", "known-replica", name], replica, &[]);
    }
    for (node, keys) in &master.in_sync {
        lines.address(HIDDEN, &["sentinel", "in-sync", name], node, &[&keys.to_string()]);
    }
    for (id, peer) in &master.peers {
        lines.address("", &["sentinel", "known-sentinel", name], peer, &[id.as_str()]);
    }
}

struct Lines(String);

impl Lines {
    fn add(&mut self, before: &str, words: &[&str]) {
        self.0 += before;
        self.0 += &lexer::join(words.iter().copied());
        self.0.push('\n');
    }

    fn address(&mut self, before: &str, words: &[&str], addr: &HostPort, after: &[&str]) {
        let (host, port) = (addr.host.to_string(), addr.port.to_string());
        self.add(before, &[words, &[&host, &port], after].concat());
    }

    fn changes(&mut self, master: Option<&str>, before: &[Setting], now: &[Setting]) {
        for (before, now) in before.iter().zip(now).filter(|(before, now)| before.value != now.value) {
            let of = [now.directive].into_iter().chain(master);
            let hidden = if is_shown(now.directive, &now.value) { "" } else { HIDDEN };
            if !now.value.is_empty() {
                let words: Vec<&str> = ["sentinel"].into_iter().chain(of.clone()).chain([now.value.as_str()]).collect();
                self.add(hidden, &words);
            }
            let words = [WAS].into_iter().chain(of);
            self.add(HIDDEN, &words.chain([told(before).as_str()]).collect::<Vec<_>>());
        }
    }
}
