//! Counts of what a pool did.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($(#[doc = $doc:literal] $name:ident),+ $(,)?) => {
        /// The counters themselves; each is only ever raised.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        /// Counts since the pool was made, and the numbers of connections, waiters and replicas at this instant.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Statistics {
            $(#[doc = $doc] pub $name: u64,)+
            /// Exclusive connections that are open, checked out or idle.
            pub connections_open: u64,
            /// Exclusive connections that wait in the pool.
            pub connections_idle: u64,
            /// Callers that wait for a verified master or an exclusive connection.
            pub waiters: u64,
            /// Replicas that are read from.
            pub replicas_readable: u64,
        }

        impl Counters {
            pub(crate) fn read(&self) -> Statistics {
                Statistics {
                    $($name: self.$name.read(),)+
                    ..Statistics::default()
                }
            }
        }

        impl Statistics {
            /// Name, meaning and value of each count that only grows.
            fn counted(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), $doc, self.$name),)+].into_iter()
            }
        }
    };
}

counters! {
    /// Commands and pipelines given to the pool's handles and connections.
    commands,
    /// Repetitions of commands, after a refusal or (idempotent ones) a lost connection.
    retries,
    /// Answers that refused a command without executing it: READONLY, MASTERDOWN, LOADING and their kind.
    refusals,
    /// Commands without an answer in time.
    timeouts,
    /// Commands reported to their callers as "outcome unknown".
    outcomes_unknown,
    /// Switches to another master, the first one included.
    switches,
    /// Times the verified master was lost.
    masters_lost,
    /// Nodes that were named the master and did not answer as one.
    candidates_rejected,
    /// `+switch-master` messages that arrived.
    pushes,
    /// Questions put to Sentinels.
    questions,
    /// Questions that brought no usable answer.
    questions_failed,
    /// Connections opened, to nodes and Sentinels.
    dials,
    /// Connections that could not be opened.
    dials_failed,
}

impl Statistics {
    /// The same in the text format of Prometheus, version 0.0.4, labelled with the name of the master:
    /// `sentinel_sdk_commands_total{master="mymaster"} 17`.
    pub fn to_prometheus(&self, master: &str) -> String {
        let label = escaped(master);
        let gauges = [
            ("connections_open", "Exclusive connections that are open, checked out or idle.", self.connections_open),
            ("connections_idle", "Exclusive connections that wait in the pool.", self.connections_idle),
            ("waiters", "Callers that wait for a verified master or an exclusive connection.", self.waiters),
            ("replicas_readable", "Replicas that are read from.", self.replicas_readable),
        ];
        let counters =
            self.counted().map(|(name, meaning, value)| (format!("{name}_total"), "counter", meaning, value));
        let gauges = gauges.map(|(name, meaning, value)| (name.to_owned(), "gauge", meaning, value));
        counters.chain(gauges).fold(String::new(), |mut text, (name, kind, meaning, value)| {
            let meaning = meaning.trim().replace('`', "");
            let _ = writeln!(text, "# HELP sentinel_sdk_{name} {meaning}\n# TYPE sentinel_sdk_{name} {kind}");
            let _ = writeln!(text, "sentinel_sdk_{name}{{master=\"{label}\"}} {value}");
            text
        })
    }
}

/// The value of a label.
pub(crate) fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_is_given_every_count() {
        let statistics = Statistics { commands: 17, replicas_readable: 2, ..Statistics::default() };
        let text = statistics.to_prometheus("my\"master");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "# HELP sentinel_sdk_commands_total Commands and pipelines given to the pool's handles and connections.",
                "# TYPE sentinel_sdk_commands_total counter",
                "sentinel_sdk_commands_total{master=\"my\\\"master\"} 17",
            ]
        );
        assert_eq!(lines.last(), Some(&"sentinel_sdk_replicas_readable{master=\"my\\\"master\"} 2"));
        let fields = format!("{statistics:?}").matches(": ").count();
        assert_eq!(lines.len(), fields * 3, "a count is missing");
    }
}
