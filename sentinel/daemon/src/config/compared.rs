//! What several configurations together do wrong, each of which may be right for itself.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sentinel_core::{settings::MasterSettings, snapshot::MasterSnapshot, types::SentinelId};

use super::Config;

/// A setting that all Sentinels of a master should have alike.
struct Alike {
    /// Its directive.
    name: &'static str,
    /// Its value, as it is compared.
    value: fn(&MasterSettings) -> String,
    /// Whether the value is left out of messages.
    secret: bool,
    /// What comes of it when they differ, and what to do.
    because: &'static str,
}

/// All of them.
const ALIKE: [Alike; 6] = [
    Alike {
        name: "monitor",
        value: |settings| settings.quorum.get().to_string(),
        secret: false,
        because: "whether a failover begins depends on which Sentinel notices. Write the same quorum into all of them",
    },
    Alike {
        name: "auth-pass",
        value: |settings| format!("{:?}", settings.auth_pass.as_ref().map(|pass| pass.expose().to_owned())),
        secret: true,
        because: "with the wrong one a Sentinel sees nothing of the master. Write the master's password into all of them",
    },
    Alike {
        name: "auth-user",
        value: |settings| settings.auth_user.clone().unwrap_or_else(|| "none".to_owned()),
        secret: false,
        because: "one of the users may be wrong, or have fewer rights. Write the same one into all of them",
    },
    Alike {
        name: "down-after-milliseconds",
        value: |settings| settings.down_after.as_millis().to_string(),
        secret: false,
        because: "the slowest of them decides when the quorum is reached. Write the same time into all of them",
    },
    Alike {
        name: "failover-timeout",
        value: |settings| settings.failover_timeout.as_millis().to_string(),
        secret: false,
        because: "how soon a failover is tried again depends on who leads. Write the same time into all of them",
    },
    Alike {
        name: "parallel-syncs",
        value: |settings| settings.parallel_syncs.to_string(),
        secret: false,
        because: "how many replicas are away at once depends on who leads. Write the same number into all of them",
    },
];

/// Everything that these files together do wrong. A file that is named twice counts once.
pub fn compared<'a>(files: impl IntoIterator<Item = (&'a Path, &'a Config)>) -> Vec<String> {
    let mut distinct: Vec<(PathBuf, &Path, &Config)> = Vec::new();
    for (path, config) in files {
        let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if !distinct.iter().any(|(known, ..)| *known == real) {
            distinct.push((real, path, config));
        }
    }
    let files: Vec<(&Path, &Config)> = distinct.iter().map(|(_, path, config)| (*path, *config)).collect();
    let mut found = copied_ids(&files);
    found.extend(masters(&files));
    found.extend(locked_out(&files));
    found
}

/// The ids that several of the files have: the Sentinels would take each other for themselves.
fn copied_ids(files: &[(&Path, &Config)]) -> Vec<String> {
    let mut owners: BTreeMap<&SentinelId, Vec<&Path>> = BTreeMap::new();
    for (path, config) in files {
        if let Some(id) = &config.id {
            owners.entry(id).or_default().push(path);
        }
    }
    let shared = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
    shared
        .map(|(id, owners)| {
            format!(
                "{}: sentinel myid: {id} stands in all of them: they would be counted as one Sentinel. Remove the line from all \
                 but one",
                listed(&owners)
            )
        })
        .collect()
}

/// Settings of one master that differ.
fn masters(files: &[(&Path, &Config)]) -> Vec<String> {
    let mut named: BTreeMap<&str, Vec<(&Path, &MasterSnapshot)>> = BTreeMap::new();
    for (path, config) in files {
        for master in &config.masters {
            named.entry(master.name.as_str()).or_default().push((path, master));
        }
    }
    let mut found = Vec::new();
    for (name, owners) in named {
        for Alike { name: directive, value, secret, because } in &ALIKE {
            let mut values: BTreeMap<String, Vec<&Path>> = BTreeMap::new();
            for (path, master) in &owners {
                values.entry(value(&master.settings)).or_default().push(path);
            }
            if values.len() < 2 {
                continue;
            }
            let one = |(value, paths): (&String, &Vec<&Path>)| {
                if *secret { listed(paths) } else { format!("{value} in {}", listed(paths)) }
            };
            let each = values.iter().map(one).collect::<Vec<_>>();
            let (each, how) =
                if *secret { (each.join(" and "), "its passwords differ") } else { (each.join(", "), "it differs") };
            found.push(format!("sentinel {directive}: `{name}`: {how}: {each}: {because}"));
        }
    }
    found
}

/// Sentinels of one master that would be refused by each other.
fn locked_out(files: &[(&Path, &Config)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, config) in files {
        // A user's rights and passwords are in the other's access rules: they are not judged here.
        if config.globals.sentinel_user.is_some() {
            continue;
        }
        let shown = config.globals.sentinel_pass.as_ref().or(config.globals.requirepass.as_ref());
        let refusing = |(other, _): &&(&Path, &Config)| other != path;
        let refusing = files.iter().filter(refusing).filter(|(_, other)| {
            let wanted = &other.globals.requirepass;
            share_a_master(config, other) && wanted.is_some() && wanted.as_ref() != shown
        });
        let refusing: Vec<&Path> = refusing.map(|(other, _)| *other).collect();
        if refusing.is_empty() {
            continue;
        }
        let directive = if config.globals.sentinel_pass.is_some() { "sentinel sentinel-pass" } else { "requirepass" };
        let what = if shown.is_some() { "is not the requirepass of" } else { "is missing, and one is demanded by" };
        found.push(format!(
            "{}: {directive}: {what} {}: this Sentinel is refused there, gets no vote, and counts as one that cannot be reached. \
             Write the same requirepass into all of them, or the one that is demanded behind sentinel sentinel-pass",
            path.display(),
            listed(&refusing)
        ));
    }
    found
}

fn share_a_master(one: &Config, other: &Config) -> bool {
    one.masters.iter().any(|master| other.masters.iter().any(|it| it.name == master.name))
}

fn listed(paths: &[&Path]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}
