//! What was learnt of a deployment: who was asked, and what each answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, ToSocketAddrs as _},
};

use serde_json::Value as Json;

use crate::cli::target::Place;

/// Names and values as a server tells them.
pub(super) type Fields = BTreeMap<String, String>;

/// How far a clock is ahead of the one here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// In milliseconds; negative when it is behind.
    pub(super) ahead: i64,
    /// How long the answer took, in milliseconds: the clock is not known any better.
    pub(super) within: i64,
}

/// What one Sentinel knows of one master.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// Its entry of `SENTINEL MASTERS`.
    pub(super) fields: Fields,
    /// `SENTINEL SENTINELS`.
    pub(super) peers: Vec<Fields>,
    /// `SENTINEL REPLICAS`.
    pub(super) replicas: Vec<Fields>,
}

/// What a Sentinel answered.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) id: Option<String>,
    pub(super) info: Fields,
    pub(super) masters: BTreeMap<String, Watched>,
    /// Its own list of problems; none where it keeps none, as redis-sentinel.
    pub(super) problems: Option<Vec<Json>>,
    pub(super) clock: Option<Clock>,
    /// When its certificate ends, in seconds since 1970.
    pub(super) certificate_ends: Option<u64>,
}

/// A Sentinel that was named or learnt of.
#[derive(Debug)]
pub(super) struct Sentinel {
    pub(super) place: Place,
    /// Why there is no answer, else.
    pub(super) told: Result<Told, String>,
}

/// Why a data node told nothing.
#[derive(Debug)]
pub(super) enum Silence {
    /// No connection, or no answer in time.
    Unreached(String),
    /// It wants another login, or other rights.
    Refused(String),
}

/// What a data node answered.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) info: Fields,
    /// `CONFIG GET *`; empty where that is refused.
    pub(super) config: Fields,
    /// `ACL LIST`; empty where that is refused.
    pub(super) users: Vec<String>,
    /// What Sentinels would be refused: the user and the command.
    pub(super) denied: Vec<(String, String)>,
    /// Bytes that the replication stream grew by in a second, at a master.
    pub(super) written_per_second: Option<u64>,
    pub(super) clock: Option<Clock>,
    /// When its certificate ends, in seconds since 1970.
    pub(super) certificate_ends: Option<u64>,
}

impl Inside {
    /// A number out of INFO.
    pub(super) fn number(&self, field: &str) -> Option<u64> {
        self.info.get(field)?.parse().ok()
    }

    /// A field of INFO, or nothing.
    pub(super) fn text(&self, field: &str) -> &str {
        self.info.get(field).map_or("", String::as_str)
    }

    /// A setting, if it may be known and is not empty.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.config.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn is_master(&self) -> bool {
        self.text("role") == "master"
    }

    /// Whom it follows.
    pub(super) fn follows(&self) -> Option<Place> {
        let port = self.text("master_port").parse().ok()?;
        Some((self.text("master_host").to_owned(), port)).filter(|_| !self.is_master())
    }
}

/// A data node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) inside: Result<Inside, Silence>,
}

/// All that was learnt.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) nodes: BTreeMap<Place, Node>,
    /// The masters that were asked for.
    pub(super) names: BTreeSet<String>,
}

impl Facts {
    /// The Sentinels that answered.
    pub(super) fn answering(&self) -> impl Iterator<Item = (&Place, &Told)> {
        self.sentinels.iter().filter_map(|it| Some((&it.place, it.told.as_ref().ok()?)))
    }

    /// Whether all are on one host, as in a trial: what follows from that alone is not worth a word.
    pub(super) fn is_trial(&self) -> bool {
        let sentinels = self.sentinels.iter().map(|it| &it.place);
        sentinels.chain(self.nodes.keys()).all(|(host, _)| is_loopback(host))
    }

    /// Leaves one of those that are the same process, named twice or reached in two ways.
    pub(super) fn merge(&mut self) {
        let mut processes = BTreeSet::new();
        self.sentinels.retain(|it| match &it.told {
            Ok(told) => told.info.get("run_id").is_none_or(|id| processes.insert(id.clone())),
            Err(_) => true,
        });
        // Announced elsewhere than where it answers: it is no other one.
        let ids: BTreeSet<String> = self.answering().filter_map(|(_, told)| told.id.clone()).collect();
        let known: BTreeMap<Place, String> = self
            .answering()
            .flat_map(|(_, told)| told.masters.values().flat_map(|master| &master.peers))
            .filter_map(|peer| Some((place_of(peer)?, peer.get("runid")?.clone())))
            .collect();
        self.sentinels.retain(|it| it.told.is_ok() || known.get(&it.place).is_none_or(|id| !ids.contains(id)));
    }

    /// One master with all that concerns it.
    pub(super) fn deployment<'a>(&'a self, name: &'a str) -> Option<Deployment<'a>> {
        let watching = |(place, told): (&'a Place, &'a Told)| Some((place, told, told.masters.get(name)?));
        let sentinels: Vec<_> = self.answering().filter_map(watching).collect();
        // Of those that are named the one of the newest configuration.
        let epoch = |watched: &Watched| watched.fields.get("config-epoch").and_then(|it| it.parse::<u64>().ok());
        let newest = sentinels.iter().max_by_key(|(.., watched)| epoch(watched))?;
        let master = place_of(&newest.2.fields)?;
        let named = sentinels.iter().flat_map(|(.., watched)| watched.replicas.iter().chain([&watched.fields]));
        let places: BTreeSet<Place> = named.filter_map(place_of).collect();
        let nodes = self.nodes.values().filter(|node| places.contains(&node.place)).collect();
        let listed = sentinels.iter().flat_map(|(.., watched)| &watched.peers).filter_map(place_of);
        let known: BTreeSet<Place> = listed.chain(sentinels.iter().map(|(place, ..)| (*place).clone())).collect();
        let here: Vec<&Sentinel> = self.sentinels.iter().filter(|it| known.contains(&it.place)).collect();
        Some(Deployment { name, master, sentinels, nodes, here, facts: self })
    }
}

/// One master, its nodes, and the Sentinels that know it.
#[derive(Debug)]
pub(super) struct Deployment<'a> {
    pub(super) name: &'a str,
    /// Where the newest configuration has it.
    pub(super) master: Place,
    /// Those that answered, with what they know.
    pub(super) sentinels: Vec<(&'a Place, &'a Told, &'a Watched)>,
    /// The master and its replicas.
    pub(super) nodes: Vec<&'a Node>,
    /// All Sentinels that are known to watch it, whether or not they answered.
    pub(super) here: Vec<&'a Sentinel>,
    pub(super) facts: &'a Facts,
}

impl<'a> Deployment<'a> {
    /// What the master told.
    pub(super) fn head(&self) -> Option<&'a Inside> {
        self.nodes.iter().find(|node| node.place == self.master)?.inside.as_ref().ok()
    }

    /// The nodes that answered.
    pub(super) fn answering(&self) -> impl Iterator<Item = (&'a Place, &'a Inside)> {
        self.nodes.iter().filter_map(|node| Some((&node.place, node.inside.as_ref().ok()?)))
    }

    /// Those but the master.
    pub(super) fn replicas(&self) -> impl Iterator<Item = (&'a Place, &'a Inside)> {
        self.answering().filter(|(place, _)| **place != self.master)
    }

    /// A field of `SENTINEL MASTERS`, of each Sentinel that tells it.
    pub(super) fn each(&self, field: &str) -> Vec<(&'a Place, &'a str)> {
        let told = |(place, _, watched): &(&'a Place, &'a Told, &'a Watched)| {
            Some((*place, watched.fields.get(field)?.as_str()))
        };
        self.sentinels.iter().filter_map(told).collect()
    }

    /// What the Sentinels hold of a node or a Sentinel: its flags at each that lists it.
    pub(super) fn flags(&self, of: &Place) -> Vec<(&'a Place, &'a str)> {
        let mut flags = Vec::new();
        for (place, _, watched) in &self.sentinels {
            let entries = watched.replicas.iter().chain(&watched.peers).chain([&watched.fields]);
            let of = entries.into_iter().filter(|entry| place_of(entry).as_ref() == Some(of));
            flags.extend(of.filter_map(|entry| Some((*place, entry.get("flags")?.as_str()))));
        }
        flags
    }
}

/// Whether flags say that there is no way to an instance.
pub(super) fn is_cut_off(flags: &str) -> bool {
    flags.split(',').any(|flag| matches!(flag, "s_down" | "o_down" | "disconnected"))
}

/// The address in an entry of a Sentinel.
pub(super) fn place_of(entry: &Fields) -> Option<Place> {
    Some((entry.get("ip")?.clone(), entry.get("port")?.parse().ok()?))
}

/// An address as people write it.
pub(super) fn shown((host, port): &Place) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a host is reached from itself only.
pub(super) fn is_loopback(host: &str) -> bool {
    host.parse::<IpAddr>().map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}

/// Whether two addresses are the same one, also by name.
pub(super) fn is_same(one: &Place, other: &Place) -> bool {
    let addresses = |(host, port): &Place| (host.as_str(), *port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let meet = || {
        let (Ok(one), Ok(other)) = (addresses(one), addresses(other)) else { return false };
        one.iter().any(|address| other.contains(address))
    };
    one == other || one.1 == other.1 && meet()
}
