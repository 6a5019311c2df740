//! The `sentinel` directives: masters, what is known of them, and the Sentinel itself.

use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::{
    settings::{
        MasterSettings,
        master::{self, MASTER},
        sentinel::{self, SENTINEL},
    },
    snapshot::MasterSnapshot,
    types::{AddressError, Epoch, Host, HostPort, MasterName, Quorum, SentinelId},
};

use super::{
    build::{Builder, Directive, Origin},
    directives::did_you_mean,
    fault::Refusal,
    reference, value,
};

/// A master in the making.
pub(super) struct MasterDraft {
    pub(super) name: MasterName,
    pub(super) addr: HostPort,
    pub(super) settings: MasterSettings,
    pub(super) config_epoch: Epoch,
    pub(super) leader_epoch: Epoch,
    /// With the directive that brought each, since a twin under the other name is no fault.
    pub(super) replicas: BTreeMap<HostPort, String>,
    pub(super) in_sync: BTreeMap<HostPort, u64>,
    pub(super) peers: BTreeMap<SentinelId, (HostPort, Origin)>,
    pub(super) origin: Origin,
}

impl MasterDraft {
    pub(super) fn new(name: MasterName, addr: HostPort, quorum: Quorum, origin: Origin) -> Self {
        MasterDraft {
            name,
            addr,
            settings: MasterSettings::new(quorum),
            config_epoch: Epoch::ZERO,
            leader_epoch: Epoch::ZERO,
            replicas: BTreeMap::new(),
            in_sync: BTreeMap::new(),
            peers: BTreeMap::new(),
            origin,
        }
    }

    /// The finished master. Itself is none of its replicas, and this Sentinel none of its peers.
    pub(super) fn close(self, own: Option<&SentinelId>) -> MasterSnapshot {
        let addr = self.addr;
        MasterSnapshot {
            replicas: self.replicas.into_keys().filter(|replica| *replica != addr).collect(),
            in_sync: self.in_sync.into_iter().collect(),
            peers: self.peers.into_iter().filter(|(id, _)| Some(id) != own).map(|(id, (addr, _))| (id, addr)).collect(),
            name: self.name,
            addr,
            settings: self.settings.into(),
            config_epoch: self.config_epoch,
            leader_epoch: self.leader_epoch,
        }
    }
}

/// Directives of the Sentinel itself that are no settings.
const GLOBAL: &[&str] = &["current-epoch", "myid", "state-config-file"];

/// Directives of one master that are no settings with one value, with their number of arguments after the name.
const OF_MASTER: &[(&str, usize)] = &[
    ("rename-command", 2),
    ("config-epoch", 1),
    ("leader-epoch", 1),
    ("known-replica", 2),
    ("known-slave", 2),
    ("known-sentinel", 3),
    ("in-sync", 3),
];

/// The number of arguments of a directive of one master, after the name.
fn arity_of_master(name: &str) -> Option<usize> {
    let other = OF_MASTER.iter().find(|(known, _)| *known == name).map(|(_, arity)| *arity);
    other.or_else(|| master::of_master(name).map(|_| 1))
}

fn is_global(name: &str) -> bool {
    GLOBAL.contains(&name) || sentinel::of_sentinel(name).is_some()
}

/// When a directive is applied: 1 globals, 2 `monitor`, 3 the rest.
pub(super) fn group(name: &str) -> u8 {
    match name {
        "monitor" => 2,
        name => {
            let name = reference::of_directive(name, true).map_or(name, |(stem, _)| stem);
            if is_global(name) { 1 } else { 3 }
        }
    }
}

/// Whether there is a `sentinel` directive of that name.
pub(super) fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// All names, for "did you mean".
fn names() -> impl Iterator<Item = &'static str> {
    let of_master = MASTER.iter().flat_map(|row| [row.name].into_iter().chain(row.aliases.iter().copied()));
    let others = OF_MASTER.iter().map(|(name, _)| *name).chain(GLOBAL.iter().copied()).chain(["monitor"]);
    SENTINEL.iter().map(|row| row.name).chain(of_master).chain(others)
}

impl Builder {
    /// Applies one `sentinel` directive. Both its first words are in lower case.
    pub(super) fn sentinel(&mut self, directive: &Directive) -> Result<(), Refusal> {
        if let Some((stem, elsewhere)) = reference::of_directive(&directive.words[1], true) {
            return self.sentinel_from(directive, stem, elsewhere);
        }
        let words: Vec<&str> = directive.words[1..].iter().map(String::as_str).collect();
        let (name, words) = (words[0], &words[1..]);
        if name == "monitor" {
            return self.monitor(directive, words);
        }
        if is_global(name) {
            return match words {
                [word] => self.global(directive, name, word),
                _ => Err(unrecognized(&format!("write `sentinel {name} VALUE`; a value with blanks needs \"quotes\""))),
            };
        }
        let Some(arity) = arity_of_master(name) else {
            return Err(unrecognized(&did_you_mean(name, names(), "remove the line, or put a # before it")));
        };
        let Some((master, words)) = words.split_first() else {
            return Err(unrecognized(&format!("write `sentinel {name} MASTER-NAME VALUE`")));
        };
        // A peer without an id is the form of Sentinels before 2.8: ignored, it is discovered anew.
        let old_peer = name == "known-sentinel" && words.len() == 2;
        if words.len() != arity && !old_peer {
            return Err(unrecognized(&format!(
                "write `sentinel {name} MASTER-NAME` and {arity} value{}; a value with blanks needs \"quotes\"",
                if arity == 1 { "" } else { "s" }
            )));
        }
        if self.refused_masters.contains(*master) {
            // The fault is at its `monitor` line, but the other values can be wrong all the same.
            let nowhere = HostPort::new(Host::Ip(std::net::Ipv4Addr::UNSPECIFIED.into()), 0);
            let nobody = MasterName::new("refused").expect("letters are a name");
            let mut scratch =
                MasterDraft::new(nobody, nowhere, super::settings::unconfigured().quorum, directive.origin);
            return self.of_master(directive, &mut scratch, name, words);
        }
        let Some(mut draft) = self.masters.remove(*master) else {
            let known: Vec<&str> = self.masters.keys().map(MasterName::as_str).collect();
            let otherwise = format!("add `sentinel monitor {master} HOST PORT QUORUM`, or remove the line");
            return Err(Refusal::new("No such master with specified name.", did_you_mean(master, known, &otherwise)));
        };
        let outcome = self.of_master(directive, &mut draft, name, words);
        self.masters.insert(draft.name.clone(), draft);
        outcome
    }

    fn monitor(&mut self, directive: &Directive, words: &[&str]) -> Result<(), Refusal> {
        let [name, host, port, quorum] = words else {
            return Err(unrecognized("write `sentinel monitor MASTER-NAME HOST PORT QUORUM`"));
        };
        let outcome = self.add_master(directive, name, host, port, quorum);
        if outcome.is_err() {
            self.refused_masters.insert((*name).to_owned());
        }
        outcome
    }

    fn add_master(
        &mut self,
        directive: &Directive,
        name: &str,
        host: &str,
        port: &str,
        quorum: &str,
    ) -> Result<(), Refusal> {
        let quorum = self.number(directive, quorum);
        let quorum = Quorum::new(quorum).map_err(|error| {
            Refusal::new(
                error.to_string(),
                "write how many Sentinels must agree that the master is down: 1 or more, usually the majority",
            )
        })?;
        let name =
            MasterName::new(name).map_err(|error| Refusal::new(error.to_string(), "write a name of A-z 0-9 . - _"))?;
        let addr = self.address(directive, host, port)?;
        if let Some(known) = self.masters.get_mut(name.as_str()) {
            // What the file says is what was learnt: it counts against an option that is given at each start, and
            // against an included file, which is never written.
            return match (known.origin, directive.origin) {
                (_, Origin::Appended) => {
                    let text =
                        format!("master `{name}` is in the file already: its address and quorum are taken from there");
                    self.warn(directive, text);
                    Ok(())
                }
                (Origin::Included, Origin::Main) => {
                    known.addr = addr;
                    known.settings.quorum = quorum;
                    known.origin = Origin::Main;
                    Ok(())
                }
                _ => Err(Refusal::new("Duplicate master name.", "give each master a name of its own")),
            };
        }
        self.masters.insert(name.clone(), MasterDraft::new(name, addr, quorum, directive.origin));
        Ok(())
    }

    fn global(&mut self, directive: &Directive, name: &str, word: &str) -> Result<(), Refusal> {
        match name {
            "current-epoch" => {
                let epoch = self.epoch(directive, word);
                self.config.current_epoch = self.config.current_epoch.max(epoch);
            }
            "myid" => {
                let refusal = || {
                    Refusal::new(
                        "Malformed Sentinel id in myid option.",
                        "write 40 hex digits, or remove the line to get a new identity",
                    )
                };
                if word.len() != 40 {
                    return Err(refusal());
                }
                self.config.id = Some(SentinelId::new(word).map_err(|_| refusal())?);
            }
            "state-config-file" if word.is_empty() => {
                return Err(Refusal::new("the path is empty", "name the file that keeps what is learnt"));
            }
            "state-config-file" => self.state_file = Some(self.resolve(word)),
            name => {
                if let Some(row) = sentinel::of_sentinel(name) {
                    let value = self.setting(directive, row, word)?;
                    row.set(&mut self.config.globals, value);
                }
            }
        }
        Ok(())
    }

    fn of_master(
        &mut self,
        directive: &Directive,
        draft: &mut MasterDraft,
        name: &str,
        words: &[&str],
    ) -> Result<(), Refusal> {
        let word = words[0];
        match name {
            "rename-command" => {
                let settings = &mut draft.settings;
                let old = word.to_ascii_uppercase();
                // The file may say again what an included one says.
                let again = directive.origin != draft.origin
                    && settings.rename_commands.get(&old).is_some_and(|to| to == words[1]);
                if settings.rename_commands.contains_key(&old) && !again {
                    return Err(Refusal::new(
                        "Same command renamed multiple times with rename-command.",
                        format!("keep one line for {old}"),
                    ));
                }
                settings.rename_commands.insert(old, words[1].to_owned());
            }
            "config-epoch" => {
                draft.config_epoch = self.epoch(directive, word);
                self.config.current_epoch = self.config.current_epoch.max(draft.config_epoch);
            }
            "leader-epoch" => draft.leader_epoch = self.epoch(directive, word),
            "known-replica" | "known-slave" => self.known_replica(directive, draft, name, words)?,
            "known-sentinel" => self.known_peer(directive, draft, words)?,
            "in-sync" => {
                let node = self.address(directive, words[0], words[1])?;
                let keys = value::int(words[2], 0..=i64::MAX)?.unsigned_abs();
                draft.in_sync.insert(node, keys);
            }
            name => {
                if let Some(row) = master::of_master(name) {
                    let value = self.setting(directive, row, word)?;
                    row.set(&mut draft.settings, value);
                }
            }
        }
        Ok(())
    }

    fn known_replica(
        &mut self,
        directive: &Directive,
        draft: &mut MasterDraft,
        name: &str,
        words: &[&str],
    ) -> Result<(), Refusal> {
        let replica = self.address(directive, words[0], words[1])?;
        // Redis 7.0 leaves `known-slave` lines and appends `known-replica` twins; an included file may be repeated.
        let kind = format!("{name} {:?}", directive.origin);
        match draft.replicas.insert(replica, kind.clone()) {
            Some(before) if before == kind => {
                Err(Refusal::new("Duplicate hostname and port for replica.", "remove one of the two lines"))
            }
            _ => Ok(()),
        }
    }

    fn known_peer(&mut self, directive: &Directive, draft: &mut MasterDraft, words: &[&str]) -> Result<(), Refusal> {
        let [host, port, id] = words else {
            self.warn(directive, "without the id, as before Redis 2.8: ignored, the Sentinel will be discovered anew");
            return Ok(());
        };
        let id = SentinelId::new(id).map_err(|error| {
            Refusal::new(error.to_string(), "remove the line: the Sentinel will be discovered anew")
        })?;
        let addr = self.address(directive, host, port)?;
        let before = draft.peers.insert(id, (addr, directive.origin));
        if before.is_some_and(|(_, origin)| origin == directive.origin) {
            return Err(Refusal::new("Duplicate runid for sentinel.", "remove one of the two lines"));
        }
        Ok(())
    }

    /// An instance's address. Names are accepted with resolve-hostnames only.
    pub(super) fn address(&mut self, directive: &Directive, host: &str, port: &str) -> Result<HostPort, Refusal> {
        let number = self.number(directive, port);
        let port =
            u16::try_from(number).map_err(|_| Refusal::new("Invalid port number.", "write a port from 0 to 65535"))?;
        if let Some(ip) = value::without_scope(host) {
            self.warn(directive, value::scope_dropped(host, ip));
            return Ok(HostPort::new(Host::Ip(ip.into()), port));
        }
        let host = Host::new(host).map_err(|error: AddressError| {
            Refusal::new(format!("Can't resolve instance hostname. {error}"), "write an IP address")
        })?;
        if !host.is_ip() && !self.config.globals.resolve_hostnames {
            return Err(Refusal::new(
                "Can't resolve instance hostname.",
                "write an IP address, or allow names with `sentinel resolve-hostnames yes`",
            ));
        }
        Ok(HostPort::new(host, port))
    }

    /// A number as the reference reads it: leading digits, else 0. That is never what was meant, so it is said.
    pub(super) fn number(&mut self, directive: &Directive, word: &str) -> i64 {
        let (number, lost) = value::lenient_int(word);
        if lost {
            self.warn(directive, format!("`{word}` is not a number: read as {number}"));
        }
        number
    }

    fn epoch(&mut self, directive: &Directive, word: &str) -> Epoch {
        let (epoch, lost) = value::lenient_epoch(word);
        if lost {
            self.warn(directive, format!("`{word}` is not an epoch: read as {epoch}"));
        }
        Epoch::new(epoch)
    }

    /// What was given in files that are never written, but may have to change.
    pub(super) fn check_included(&mut self, included: &[Directive]) {
        let mut told = BTreeSet::new();
        for line in included {
            if line.words.get(1).is_some_and(|name| name == "monitor") && told.insert(line.place.to_string()) {
                self.warn(
                    line,
                    "an included file is never written: after a failover the new address goes to the main file, which only this \
                     program then loads, and SENTINEL REMOVE does not survive a restart",
                );
            }
        }
    }
}

fn unrecognized(remedy: &str) -> Refusal {
    Refusal::new("Unrecognized sentinel configuration statement.", remedy)
}
