//! What is counted, and how it is told to Prometheus.

use std::{
    fmt::{Display, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use crate::complaints::Complaints;

/// A number that grows.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// How many there are now.
#[derive(Clone, Debug, Default)]
pub(super) struct Present(Arc<AtomicU64>);

impl Present {
    /// One more, until the guard is dropped.
    pub(super) fn enter(&self) -> Presence {
        self.0.fetch_add(1, Relaxed);
        Presence(self.0.clone())
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of those that are there.
#[derive(Debug)]
pub(super) struct Presence(Arc<AtomicU64>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// What a proxy counts.
#[derive(Debug, Default)]
pub(super) struct Counts {
    clients: Present,
    pub(super) waiting: Present,
    accepted: Count,
    refused: Count,
    unserved: Count,
    pub(super) cut: Count,
    pub(super) unknown: Count,
    pub(super) switches: Count,
    pub(super) to_nodes: Count,
    pub(super) to_clients: Count,
    /// How often the log tells of what clients cause.
    complaints: Complaints,
}

/// One metric: its name, kind, meaning and value.
type Row = (&'static str, &'static str, &'static str, fn(&Counts) -> u64);

const TABLE: [Row; 10] = [
    ("sentinel_proxy_clients", "gauge", "Clients that are connected.", |it| it.clients.read()),
    ("sentinel_proxy_clients_waiting", "gauge", "Of these, clients that wait for a node.", |it| it.waiting.read()),
    ("sentinel_proxy_clients_accepted_total", "counter", "Clients that have connected.", |it| it.accepted.read()),
    ("sentinel_proxy_clients_refused_total", "counter", "Clients that were turned away by a limit.", |it| {
        it.refused.read()
    }),
    ("sentinel_proxy_clients_unserved_total", "counter", "Clients for whom no node was found in time.", |it| {
        it.unserved.read()
    }),
    (
        "sentinel_proxy_clients_cut_total",
        "counter",
        "Clients that were cut since their node is not the right one any more.",
        |it| it.cut.read(),
    ),
    (
        "sentinel_proxy_outcomes_unknown_total",
        "counter",
        "Of these and of those whose node closed, clients that had a request without a reply.",
        |it| it.unknown.read(),
    ),
    ("sentinel_proxy_switches_total", "counter", "Masters that were found, the first one included.", |it| {
        it.switches.read()
    }),
    ("sentinel_proxy_bytes_to_nodes_total", "counter", "Bytes passed from clients to nodes.", |it| it.to_nodes.read()),
    ("sentinel_proxy_bytes_to_clients_total", "counter", "Bytes passed from nodes to clients.", |it| {
        it.to_clients.read()
    }),
];

impl Counts {
    /// One more client, until the guard is dropped.
    pub(super) fn enter(&self) -> Presence {
        self.accepted.add(1);
        self.clients.enter()
    }

    /// A client was turned away.
    pub(super) fn refuse(&self, why: impl Display) {
        self.refused.add(1);
        self.complain(why);
    }

    /// No node was found for a client.
    pub(super) fn leave_unserved(&self, why: impl Display) {
        self.unserved.add(1);
        self.complain(why);
    }

    /// Tells the log what clients cause, seldom.
    fn complain(&self, what: impl Display) {
        if let Some(unsaid) = self.complaints.next(Instant::now()) {
            tracing::warn!("{what} ({unsaid} more of such since the last line)");
        }
    }

    /// Clients that are connected.
    pub(super) fn clients(&self) -> usize {
        usize::try_from(self.clients.read()).unwrap_or(usize::MAX)
    }

    /// Everything in the text format of Prometheus.
    pub(super) fn to_prometheus(&self) -> String {
        let mut text = String::new();
        for (name, kind, help, value) in TABLE {
            let value = value(self);
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        text
    }
}
