//! The configuration, read again while the process runs: what of it is applied, and what is only said.
//!
//! A file is a wish of its author's, not what was learnt: addresses, epochs, votes, the identity and who is known are never
//! taken from it here. Masters appear and vanish by SENTINEL MONITOR and SENTINEL REMOVE alone.

use std::{collections::BTreeMap, sync::Arc};

use sentinel_resp::Reply;

use crate::{
    command::{GlobalOption, MasterSetting, SetOption},
    engine::Engine,
    events::Level,
    input::{ClientId, Looked},
    notice::Topic,
    settings::{
        GlobalSettings, MasterSettings,
        master::{self, MASTER},
        row::{Changed, Kind, Row},
        sentinel::SENTINEL,
    },
    state::MasterKey,
    types::{HostPort, MasterName},
};

/// So many differences are listed in one sentence.
const LISTED: usize = 12;
/// So long a sentence is, in bytes.
const LONGEST: usize = 900;

/// What a configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Configured {
    /// The settings of the Sentinel itself.
    pub globals: GlobalSettings,
    /// The least level that is logged, if that was edited; none inside: nothing is logged.
    pub log_level: Option<Option<Level>>,
    /// The masters, with their settings.
    pub masters: BTreeMap<MasterName, (HostPort, MasterSettings)>,
    /// What was edited and counts from the next start on: the names of the directives.
    pub restart: Vec<String>,
}

/// What a configuration says that is not in force.
#[derive(Debug, Default)]
struct Differences {
    globals: Vec<GlobalOption>,
    masters: Vec<(MasterKey, Vec<SetOption>)>,
    /// What the former are, in words.
    applied: Vec<String>,
    /// What is not applied, with what to do about it.
    left: Vec<String>,
}

impl Engine {
    /// Applies what a command could set, or nothing where the configuration cannot be taken.
    pub(crate) fn reload(&mut self, client: ClientId, configured: Result<Box<Configured>, String>) {
        let configured = match configured {
            Ok(configured) => configured,
            Err(why) => {
                let why = one_line(&why);
                let text = format!("the configuration was not taken, nothing of it is in force: {why}");
                self.ctx.notice(Topic::NotReloaded, None, text.clone());
                self.note_configuration(Some(format!("it cannot be taken: {why}")));
                return self.ctx.answer(client, Reply::err(text));
            }
        };
        let Differences { globals, masters, applied, left } = self.differences(&configured);
        let changed = !applied.is_empty();
        for option in globals {
            self.set_global(option);
        }
        if masters.iter().flat_map(|(_, options)| options).any(|option| option.setting.script().is_some()) {
            // What was told until now is the former script's business.
            self.notify_scripts();
        }
        let any_master = !masters.is_empty();
        for (key, options) in masters {
            self.with_master(key, |watch| {
                for option in options {
                    watch.apply(option);
                }
                watch.persist();
            });
        }
        if any_master {
            self.settings_changed();
        }
        let said = |what: &str, items: &[String]| (!items.is_empty()).then(|| format!("{what}: {}", listed(items)));
        let parts = [said("applied", &applied), said("not applied", &left)];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let text = if parts.is_empty() { "nothing in it differs".to_owned() } else { parts.join("; ") };
        self.ctx.notice(Topic::Reloaded, None, one_line(&format!("the configuration was read again: {text}")));
        self.ctx.configuration.overwritten = None;
        self.note_configuration((!left.is_empty()).then(|| format!("not in force: {}", listed(&left))));
        self.ctx.view_urgent = true;
        let applied = applied.into_iter().map(|line| format!("applied: {line}"));
        let left = left.into_iter().map(|line| format!("not applied: {line}"));
        let mut lines: Vec<Reply> = applied.chain(left).map(Reply::display).collect();
        if lines.is_empty() {
            lines.push(Reply::from("nothing differs"));
        }
        if changed {
            self.ctx.persist();
            self.ctx.answer_once_saved(client, Reply::Array(lines));
        } else {
            self.ctx.answer(client, Reply::Array(lines));
        }
    }

    /// Remembers what was found, for the list of problems.
    pub(crate) fn configuration_looked_at(&mut self, looked: Looked) {
        match looked {
            Looked::Overwritten(text) => {
                self.ctx.configuration.overwritten = Some(one_line(&text).into());
                self.ctx.process_unexamined.0 = true;
            }
            Looked::Certificate(wrong) => {
                self.ctx.configuration.certificate = wrong.map(|text| one_line(&text).into());
                self.ctx.process_unexamined.0 = true;
            }
            Looked::Changed(Err(why)) => {
                self.note_configuration(Some(format!("it cannot be taken: {}", one_line(&why))));
            }
            Looked::Changed(Ok(configured)) => {
                let Differences { applied, left, .. } = self.differences(&configured);
                let all: Vec<String> = applied.into_iter().chain(left).collect();
                self.note_configuration((!all.is_empty()).then(|| format!("not in force: {}", listed(&all))));
            }
        }
    }

    fn note_configuration(&mut self, differs: Option<String>) {
        self.ctx.configuration.differs = differs.map(|text| one_line(&text).into());
        self.ctx.process_unexamined.0 = true;
    }

    fn differences(&self, configured: &Configured) -> Differences {
        let mut found = Differences::default();
        let globals = &self.ctx.globals;
        for row in SENTINEL.iter().copied().filter(|row| row.changed != Changed::InFile) {
            if let Some(text) = differs(row, &**globals, &configured.globals) {
                found.globals.push(GlobalOption::Of(row, row.value(&configured.globals)));
                found.applied.push(text);
            }
        }
        if let Some(level) = configured.log_level {
            found.globals.push(GlobalOption::LogLevel(level));
            found.applied.push(format!("loglevel {}", level.map_or("nothing", Level::as_str)));
        }
        for (name, (addr, wanted)) in &configured.masters {
            let key = self.names.get(name.as_str()).copied();
            let Some((key, master)) = key.and_then(|key| Some((key, self.masters.get(&key)?))) else {
                found.left.push(format!(
                    "master {name} is not monitored: SENTINEL MONITOR {name} {} {} {}",
                    addr.host, addr.port, wanted.quorum
                ));
                continue;
            };
            let (options, texts) = of_master(&master.settings, wanted);
            if !options.is_empty() {
                found.applied.extend(texts.into_iter().map(|text| format!("{name} {text}")));
                found.masters.push((key, options));
            }
        }
        let gone = self.names.keys().filter(|name| !configured.masters.contains_key(*name));
        found.left.extend(gone.map(|name| format!("master {name} stands nowhere in it: SENTINEL REMOVE {name}")));
        found.left.extend(configured.restart.iter().map(|name| format!("{name} needs a restart")));
        found
    }
}

/// What differs in one master: as options, and in words.
fn of_master(now: &MasterSettings, wanted: &MasterSettings) -> (Vec<SetOption>, Vec<String>) {
    let mut options = Vec::new();
    let mut texts = Vec::new();
    let mut add = |setting, shown: String, text: String| {
        options.push(SetOption { setting, shown });
        texts.push(text);
    };
    if now.quorum != wanted.quorum {
        let text = format!("quorum {} -> {}", now.quorum, wanted.quorum);
        add(MasterSetting::Quorum(wanted.quorum), format!("quorum {}", wanted.quorum), text);
    }
    // A pause is begun and ended by commands: a file that was edited meanwhile knows nothing of it.
    let pause = [&master::PAUSED_UNTIL, &master::PAUSE_REASON];
    for row in MASTER.iter().copied().filter(|row| !pause.contains(row)) {
        if let Some(text) = differs(row, now, wanted) {
            let value = row.value(wanted);
            let shown = format!("{} {}", row.name, masked(row.kind, &value.to_string()));
            add(MasterSetting::Of(row, value), shown, text);
        }
    }
    let names = now.rename_commands.keys().chain(wanted.rename_commands.keys());
    for from in names.collect::<std::collections::BTreeSet<_>>() {
        let (before, after) = (now.rename_commands.get(from), wanted.rename_commands.get(from));
        if before != after {
            let to = after.unwrap_or(from);
            let text = format!("rename-command {from} {to}");
            add(MasterSetting::RenameCommand(from.clone(), after.cloned()), text.clone(), text);
        }
    }
    (options, texts)
}

fn differs<S>(row: &Row<S>, now: &S, wanted: &S) -> Option<String> {
    let (now, wanted) = (row.value(now), row.value(wanted));
    let shown = |value: String| match masked(row.kind, &value) {
        "" => "\"\"".to_owned(),
        text => text.to_owned(),
    };
    (now != wanted).then(|| format!("{} {} -> {}", row.name, shown(now.to_string()), shown(wanted.to_string())))
}

fn masked(kind: Kind, value: &str) -> &str {
    if kind == Kind::Secret && !value.is_empty() { "******" } else { value }
}

fn listed(items: &[String]) -> String {
    let more = items.len().saturating_sub(LISTED);
    let text = items.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{text}; and {more} more") } else { text }
}

/// A text of several lines in one, bounded.
fn one_line(text: &str) -> String {
    let mut line = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let end = (0..=line.len().min(LONGEST)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    line.truncate(end);
    line
}

/// What is known of the configuration, for the list of problems.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// What it says that is not in force.
    pub(crate) differs: Option<Arc<str>>,
    /// Lines of somebody else's that were overwritten, and where they are kept.
    pub(crate) overwritten: Option<Arc<str>>,
    /// What is wrong with the time for which the certificate is valid.
    pub(crate) certificate: Option<Arc<str>>,
}
