//! `sentinel failover` and `sentinel switchover`.

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::{Value as Json, json};

use super::{
    Exit, complete, reply,
    target::{self, Format, Target},
    verbs,
};
use crate::terminal::say;

/// How often the Sentinel is asked what has become of it.
const PAUSE: Duration = Duration::from_millis(100);

/// What is wanted of it.
#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    /// The master's name
    #[arg(add = complete::masters())]
    pub(super) name: String,

    #[command(flatten)]
    order: Order,

    /// Wait until it has come to its end, and end with its result
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,

    /// Longest wait with --wait, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    wait_for: u64,

    /// Only if the master is at this address now; otherwise nothing is done, and that is a success
    #[arg(long, value_name = "HOST:PORT")]
    if_master: Option<String>,

    #[command(flatten)]
    pub(super) target: Target,
}

/// What the Sentinel is asked for.
#[derive(Args, Clone, Debug)]
struct Order {
    /// Promote this replica, and no other one
    #[arg(long, value_name = "HOST:PORT", add = complete::replicas())]
    to: Option<String>,

    /// Without losing a write, or not at all
    #[arg(long)]
    coordinated: bool,

    /// With --to, when the master is down: whatever that replica holds. The answer says what is lost
    #[arg(long, requires = "to")]
    force: bool,

    /// Only tell which replica it would be, what may be lost, and what the nodes do not permit
    #[arg(long)]
    dry_run: bool,

    /// Why: it stands in the log and in the history
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs it; `lossless` as `--coordinated`.
pub(super) fn run(options: &Options, lossless: bool) -> Exit {
    match attempt(options, lossless || options.order.coordinated) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn attempt(options: &Options, lossless: bool) -> Result<Exit, Exit> {
    let Options { name, target, order, .. } = options;
    let wrong = |text: String| {
        target.complain(Exit::Usage, &text);
        Exit::Usage
    };
    let to = options.order.to.as_deref().map(|text| address(text).map_err(wrong)).transpose()?;
    let before = verbs::current(target, name)?;
    if let Some(text) = &options.if_master {
        let (host, port) = address(text).map_err(wrong)?;
        if (host.as_str(), port.as_str()) != (before.0.as_str(), before.1.to_string().as_str()) {
            let text = format!("{name} is at {}:{}, not at {host}:{port}: nothing is done", before.0, before.1);
            print(target, &text, &json!({ "name": name, "started": false, "host": before.0, "port": before.1 }));
            return Ok(Exit::Success);
        }
    }
    let last = newest(target, name)?;
    let mut words = vec!["failover", name];
    if let Some((host, port)) = &to {
        words.extend(["to", host, port]);
    }
    words.extend(order.force.then_some("force"));
    words.extend(lossless.then_some("coordinated"));
    words.extend(order.dry_run.then_some("dryrun"));
    words.extend(order.reason.iter().flat_map(|reason| ["reason", reason.as_str()]));
    let answer = reply::text(&target.ask(&words)?).unwrap_or_default();
    let answer = answer.strip_prefix("OK").unwrap_or(&answer).trim();
    if order.dry_run {
        print(target, answer, &json!({ "name": name, "started": false, "would": answer }));
        return Ok(Exit::Success);
    }
    if !options.wait {
        let risk = if answer.is_empty() { String::new() } else { format!(": {answer}") };
        let same = target.same_place();
        let text = format!(
            "failover of {name} started{risk}; `sentinel get-master-addr-by-name {name}{same}` tells the new address, --wait waits for it"
        );
        print(target, &text, &json!({ "name": name, "started": true, "risk": answer }));
        return Ok(Exit::Success);
    }
    wait(options, &before, last)
}

/// Waits until the history has a newer entry, or, at a Sentinel without one, until there is another address.
fn wait(options: &Options, before: &(String, u16), last: Option<i64>) -> Result<Exit, Exit> {
    let Options { name, target, .. } = options;
    let deadline = Instant::now() + Duration::from_secs(options.wait_for);
    let began = Instant::now();
    loop {
        thread::sleep(PAUSE);
        let ended = last.is_some().then(|| newest_entry(target, name)).transpose()?.flatten();
        let ended = ended.filter(|entry| entry["id"].as_i64() > last);
        let now = verbs::current(target, name)?;
        let switched = now != *before;
        if ended.is_some() || last.is_none() && switched {
            let outcome = ended.map(|entry| reply::cell(&entry, "outcome"));
            let outcome = outcome.unwrap_or_else(|| format!("{}:{} is the master", now.0, now.1));
            let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let value = json!({
                "name": name, "started": true, "switched": switched, "outcome": outcome, "host": now.0, "port": now.1,
                "waited_ms": ms
            });
            if switched {
                print(target, &format!("{outcome} ({ms} ms)"), &value);
                return Ok(Exit::Success);
            }
            if target.format() == Format::Json {
                say!("{value}");
            } else {
                target.complain(Exit::NotSwitched, &format!("{name} stays at {}:{}: {outcome}", now.0, now.1));
            }
            return Ok(Exit::NotSwitched);
        }
        if Instant::now() >= deadline {
            let text = format!(
                "the failover of {name} has not ended within {} s (--wait-for); {name} is at {}:{}",
                options.wait_for, now.0, now.1
            );
            target.complain(Exit::NotSwitched, &text);
            return Ok(Exit::NotSwitched);
        }
    }
}

/// The id of the newest entry of the history: 0 where it is empty, none where the Sentinel keeps none.
fn newest(target: &Target, name: &str) -> Result<Option<i64>, Exit> {
    match target.try_ask(&["history", name])? {
        Ok(answer) => Ok(Some(first(&reply::tables(&answer)).and_then(|entry| entry["id"].as_i64()).unwrap_or(0))),
        Err(error) if target::is_unknown_subcommand(&error) => Ok(None),
        Err(error) => {
            let (exit, text) = target::refused(&error);
            target.complain(exit, &text);
            Err(exit)
        }
    }
}

fn newest_entry(target: &Target, name: &str) -> Result<Option<Json>, Exit> {
    Ok(first(&reply::tables(&target.ask(&["history", name])?)))
}

fn first(entries: &[Json]) -> Option<Json> {
    entries.iter().max_by_key(|entry| entry["id"].as_i64()).cloned()
}

fn print(target: &Target, text: &str, value: &Json) {
    match target.format() {
        Format::Json => say!("{value}"),
        Format::Table | Format::Tsv => say!("{text}"),
    }
}

/// Host and port, apart.
fn address(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` is no address: write host:port");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    if host.is_empty() || !is_port { Err(wrong()) } else { Ok((host.to_owned(), port.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(address("[::1]:6379").unwrap(), ("::1".to_owned(), "6379".to_owned()));
        for wrong in ["a", "a:", ":1", "a:0", "a:b"] {
            assert!(address(wrong).unwrap_err().contains("host:port"), "{wrong}");
        }
    }
}
