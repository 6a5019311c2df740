//! What is wrong, found once: every surface shows this list, none computes its own.
//!
//! A problem is computed from the state by a pure function ([`find`]), and is listed as long as it is found. That it appears and
//! that it ends are events. No decision depends on it.

mod book;
mod code;
mod find;
mod look;

use std::{fmt, sync::Arc};

use crate::{
    time::Instant,
    types::{HostPort, MasterName, SentinelId},
};

pub(crate) use book::Book;
pub use code::{Code, Severity};

pub(crate) use find::{is_usable, why_unusable};

/// What a problem is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// This process.
    Process,
    /// Another Sentinel, whichever masters it watches.
    Peer {
        /// Its id.
        id: SentinelId,
        /// Where it is known to be.
        addr: HostPort,
    },
    /// A master.
    Master {
        /// Its name.
        name: MasterName,
        /// Its address.
        addr: HostPort,
    },
    /// A data node of a master.
    Node {
        /// The master's name.
        master: MasterName,
        /// Its address.
        addr: HostPort,
    },
}

impl Scope {
    /// The word for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Scope::Process => "process",
            Scope::Peer { .. } => "sentinel",
            Scope::Master { .. } => "master",
            Scope::Node { .. } => "node",
        }
    }

    /// The master concerned, if it is one alone.
    pub const fn master(&self) -> Option<&MasterName> {
        match self {
            Scope::Master { name, .. } | Scope::Node { master: name, .. } => Some(name),
            Scope::Process | Scope::Peer { .. } => None,
        }
    }

    /// The address of what it is about.
    pub const fn addr(&self) -> Option<&HostPort> {
        match self {
            Scope::Process => None,
            Scope::Peer { addr, .. } | Scope::Master { addr, .. } | Scope::Node { addr, .. } => Some(addr),
        }
    }

    /// The id of the Sentinel that it is about.
    pub const fn id(&self) -> Option<&SentinelId> {
        match self {
            Scope::Peer { id, .. } => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Process => f.write_str("process"),
            Scope::Peer { id, addr } => write!(f, "sentinel {id} {} {}", addr.host, addr.port),
            Scope::Master { name, addr } => write!(f, "master {name} {} {}", addr.host, addr.port),
            Scope::Node { master, addr } => write!(f, "node {addr} {} {} @ {master}", addr.host, addr.port),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    /// What it is.
    pub code: Code,
    /// How bad it is; a code may be worse at some times than at others.
    pub severity: Severity,
    /// What it is about.
    pub scope: Scope,
    /// Since when.
    pub since: Instant,
    /// One sentence.
    pub sentence: String,
    /// The command or the setting that mends it.
    pub remedy: String,
}

/// What became of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It has appeared.
    Raised,
    /// It is still there, as is said again from time to time.
    Lasts,
    /// It is over.
    Cleared,
}

impl Turn {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Turn::Raised => "raised",
            Turn::Lasts => "lasts",
            Turn::Cleared => "cleared",
        }
    }
}

/// Problems as readers see them.
pub(crate) type List = Arc<[Arc<Problem>]>;
