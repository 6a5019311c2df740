//! Measurements as text for Prometheus.

use std::fmt::{self, Write};

use super::{Distribution, Metrics};
use crate::counters::escaped;

impl Metrics {
    /// The text format of Prometheus, version 0.0.4; the names are in the table of [the module](crate::metrics).
    pub fn to_prometheus(&self) -> String {
        let mut text = String::new();
        // Nothing is written to but memory.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let master = escaped(&self.master);
        let name = "db_client_operation_duration_seconds";
        head(text, name, "histogram", "How long commands, pipelines and transactions take, as their callers see it.")?;
        for operation in &self.operations {
            let failure = match operation.failure {
                Some(failure) => format!(",error_type=\"{}\"", failure.as_str()),
                None => String::new(),
            };
            let labels = format!(
                "db_system_name=\"redis\",db_namespace=\"{}\",db_operation_name=\"{}\"{failure},sentinel_master=\"{master}\"",
                self.database, operation.name
            );
            histogram(text, name, &labels, &operation.durations)?;
        }
        let pool = format!("db_system_name=\"redis\",db_client_connection_pool_name=\"{master}\"");
        for (step, meaning, durations) in [
            ("create", "How long it takes to open an exclusive connection.", &self.connection_create),
            ("wait", "How long exclusive connections are waited for.", &self.connection_wait),
            ("use", "How long exclusive connections are kept by their users.", &self.connection_use),
        ] {
            let name = format!("db_client_connection_{step}_time_seconds");
            head(text, &name, "histogram", meaning)?;
            histogram(text, &name, &pool, durations)?;
        }
        let idle = self.statistics.connections_idle;
        let used = self.statistics.connections_open.saturating_sub(idle);
        let name = "db_client_connection_count";
        head(text, name, "gauge", "Exclusive connections that are open.")?;
        for (state, number) in [("idle", idle), ("used", used)] {
            writeln!(text, "{name}{{{pool},db_client_connection_state=\"{state}\"}} {number}")?;
        }
        for (name, kind, meaning, number) in [
            ("max", "gauge", "The largest number of exclusive connections.", self.connections_max),
            ("pending_requests", "gauge", "Callers that wait.", self.statistics.waiters),
            (
                "timeouts_total",
                "counter",
                "Callers that got no exclusive connection in time.",
                self.connection_timeouts,
            ),
        ] {
            let name = format!("db_client_connection_{name}");
            head(text, &name, kind, meaning)?;
            writeln!(text, "{name}{{{pool}}} {number}")?;
        }
        let name = "sentinel_sdk_without_master_seconds";
        head(text, name, "histogram", "From the loss of a master to the next verified one.")?;
        histogram(text, name, &format!("master=\"{master}\""), &self.without_master)
    }
}

fn head(text: &mut String, name: &str, kind: &str, meaning: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {meaning}\n# TYPE {name} {kind}")
}

fn histogram(text: &mut String, name: &str, labels: &str, durations: &Distribution) -> fmt::Result {
    for (bound, count) in durations.buckets() {
        let bound = bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
        writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
    }
    writeln!(text, "{name}_sum{{{labels}}} {}", durations.sum().as_secs_f64())?;
    writeln!(text, "{name}_count{{{labels}}} {}", durations.count())
}
