//! From what was kept back into the configuration: what was learnt, and what was changed where the operator has not edited
//! it since.

use std::path::Path;

use sentinel_core::types::{Epoch, HostPort, MasterName, Quorum, SentinelId};
use sentinel_resp::text;

use super::{
    super::{
        build::{Builder, Directive, Origin},
        fault::{Place, Refusal},
        keep::Base,
        lexer,
        sentinel::MasterDraft,
        settings::{self, Setting},
        toml_key, words,
    },
    form::{Change, KeptUsers, MasterState, State},
    told, users_print,
};

/// Where the state was read.
pub(super) struct Site<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) prefix: &'a str,
    /// Whether it is in the classic form.
    pub(super) classic: bool,
}

impl Site<'_> {
    /// A directive as if it stood under the header of a master, or at the top.
    fn directive(&self, master: Option<&str>, called: &str, words: &[&str]) -> Directive {
        let header = master.map(|name| {
            if self.classic {
                lexer::join(["sentinel", "monitor", name]) + " "
            } else {
                format!("[{}master.{}]", self.prefix, toml_key(name).display_repr())
            }
        });
        let is = |line: &str, header: &str| if self.classic { line.starts_with(header) } else { line.trim() == header };
        let line = header.and_then(|header| self.text.lines().position(|line| is(line, &header))).unwrap_or(0) + 1;
        Directive {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            place: Place::File { path: self.path.into(), line, column: None },
            origin: Origin::State,
            called: format!("{}{called}", self.prefix),
            shown: String::new(),
        }
    }
}

pub(super) fn apply(builder: &mut Builder, site: &Site<'_>, state: &State) {
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
        // No word of a user has a blank in it, and none is quoted.
        let rules: Vec<&str> = line.split(' ').skip(1).collect();
        if let Err(refusal) = builder.user(&rules) {
            builder.refuse(&note, refusal);
        }
    }
    builder.kept_users = Some(users.now.clone());
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
    let before_it = state.configured.as_deref().unwrap_or(if state.foreign { &configured } else { &state.address });
    let moved = draft.origin != Origin::State && before_it != configured;
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
    draft.in_sync.clear();
    for (holder, keys) in state.in_sync.iter().filter(|_| !moved) {
        match holder.parse::<HostPort>() {
            Ok(parsed) => drop(draft.in_sync.insert(parsed, *keys)),
            Err(error) => {
                builder.refuse(&note, Refusal::new(format!("`{holder}`: {error}"), "restore what sentinel wrote here"));
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
    if change.was.as_ref().is_some_and(|was| *was != told(configured)) {
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
        "rename-command" => match words(&text::bytes(&change.now)) {
            Ok(words) if words.len() % 2 == 0 => {
                settings.rename_commands =
                    words.chunks_exact(2).map(|pair| (pair[0].to_ascii_uppercase(), pair[1].clone())).collect();
            }
            _ => builder
                .refuse(&directive, Refusal::new("these are no pairs of commands", "restore what sentinel wrote here")),
        },
        _ => take(builder, &directive),
    }
}

fn take(builder: &mut Builder, directive: &Directive) {
    if let Err(refusal) = builder.sentinel(directive) {
        builder.refuse(directive, refusal);
    }
}
