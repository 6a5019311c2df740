//! `sentinel doctor`: asks every Sentinel and every data node, changes nothing, and says what is wrong and what mends it.
//!
//! What Sentinels of ours list as problems is taken over; the checks of [`table`] find what no single Sentinel sees, and the
//! same where the Sentinels are not ours.

mod ask;
mod deployment;
mod facts;
mod node;
mod process;
mod replication;
mod sentinels;
mod table;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt::Display};

use clap::Args;
use serde_json::{Value as Json, json};

use self::{
    ask::Entry,
    facts::{Facts, shown},
    table::{CHECKS, Check, Find, Scope},
};
use super::{
    Exit, reply,
    target::{Format, Nodes, Place, Target},
    verbs::{self, PROBLEMS},
};
use crate::terminal::say;

/// What it is asked.
#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    which: verbs::Which,

    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    target: Target,
}

/// What a check has found.
#[derive(Clone, Debug, Default)]
pub(super) struct Hit {
    place: Option<Place>,
    text: String,
    it: String,
}

impl Hit {
    /// In one sentence.
    fn new(text: String) -> Self {
        Hit { text, ..Hit::default() }
    }

    /// About this node or Sentinel.
    fn at(self, place: &Place) -> Self {
        Hit { place: Some(place.clone()), ..self }
    }

    /// What stands for `{it}` in the remedy.
    fn naming(self, it: impl Display) -> Self {
        Hit { it: format!("{it}"), ..self }
    }
}

/// Asks, and tells what was found.
pub(super) fn run(options: &Options) -> Exit {
    let target = &options.target;
    let line = match target.line() {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    let tls = if options.nodes.tls {
        match target.tls_config() {
            Ok(config) => Some(config),
            Err(exit) => return exit,
        }
    } else {
        None
    };
    let login = options.nodes.password.as_ref().map(|password| {
        let mut login = redis::cmd("AUTH");
        login.arg(options.nodes.user.as_ref()).arg(password);
        login
    });
    let name = Some(options.which.name()).filter(|name| *name != "*");
    let facts = ask::everybody(&line, &Entry { login, tls }, name);
    if facts.answering().next().is_none() {
        let why = |it: &facts::Sentinel| Some(super::target::trouble(&it.place, it.told.as_ref().err()?));
        let troubles: Vec<String> = facts.sentinels.iter().filter_map(why).collect();
        target.complain(Exit::Unreachable, &troubles.join("; "));
        return Exit::Unreachable;
    }
    if let Some(name) = name
        && facts.names.is_empty()
    {
        target.complain(Exit::UnknownMaster, &format!("no Sentinel that answers knows a master called {name:?}"));
        return Exit::UnknownMaster;
    }
    let found = examine(&facts);
    print(target.format(), &facts, &found);
    if found.is_empty() { Exit::Success } else { Exit::Failure }
}

fn print(format: Format, facts: &Facts, found: &[Json]) {
    let nodes = facts.nodes.values().filter(|node| node.inside.is_ok()).count();
    let sentinels = facts.answering().count();
    match format {
        Format::Json => {
            let asked = json!({
                "masters": facts.names, "sentinels": facts.sentinels.len(), "sentinels-answered": sentinels,
                "nodes": facts.nodes.len(), "nodes-answered": nodes,
            });
            say!("{}", json!({ "asked": asked, "found": found }));
        }
        Format::Tsv => {
            // As `SENTINEL PROBLEMS`, and who said it.
            let columns = [PROBLEMS, &[("TOLD-BY", "told-by")]].concat();
            say!("{}", reply::tabbed(&columns, found).trim_end());
        }
        Format::Table => {
            let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
            let asked = format!(
                "{} of {} and {} of {} answered, of {}",
                sentinels,
                count(facts.sentinels.len(), "Sentinel"),
                nodes,
                count(facts.nodes.len(), "data node"),
                count(facts.names.len(), "master"),
            );
            if found.is_empty() {
                say!("nothing is wrong: {asked}");
            } else {
                say!("{}: {asked}\n\n{}", count(found.len(), "finding"), verbs::paragraphs(found));
            }
        }
    }
}

/// Everything that is wrong, the worst first.
fn examine(facts: &Facts) -> Vec<Json> {
    let mut found = listed(facts);
    let own = found.clone();
    for check in CHECKS {
        match check.find {
            Find::Once(find) => {
                found.extend(find(facts).iter().filter_map(|hit| finding(check, None, hit, &own)));
            }
            Find::Each(find) => {
                for deployment in facts.names.iter().filter_map(|name| facts.deployment(name)) {
                    let hits = find(&deployment);
                    found.extend(hits.iter().filter_map(|hit| finding(check, Some(deployment.name), hit, &own)));
                }
            }
        }
    }
    let rank = |it: &Json| ["critical", "warning"].iter().position(|severity| it["severity"] == *severity).unwrap_or(2);
    found.sort_by_key(rank);
    found
}

/// What Sentinels of ours list, each thing once, with the Sentinels that list it.
fn listed(facts: &Facts) -> Vec<Json> {
    let mut found: Vec<Json> = Vec::new();
    for (place, told) in facts.answering() {
        for problem in told.problems.iter().flatten() {
            // What concerns a process is about the Sentinel that lists it.
            let mut problem = problem.clone();
            if problem["scope"] == "process" {
                problem["address"] = shown(place).into();
            }
            let same = |other: &&mut Json| {
                ["code", "scope", "master", "address", "runid"].iter().all(|field| other[*field] == problem[*field])
            };
            if let Some(by) = found.iter_mut().find(same).and_then(|it| it["told-by"].as_array_mut()) {
                by.push(shown(place).into());
            } else {
                problem["told-by"] = json!([shown(place)]);
                found.push(problem);
            }
        }
    }
    let by = |it: &Json| {
        it["told-by"].as_array().into_iter().flatten().filter_map(Json::as_str).collect::<Vec<_>>().join(" ")
    };
    for problem in &mut found {
        problem["told-by"] = by(problem).into();
    }
    found
}

/// A hit as it is told, unless a Sentinel lists the same.
fn finding(check: &Check, master: Option<&str>, hit: &Hit, listed: &[Json]) -> Option<Json> {
    let address = hit.place.as_ref().map(shown).unwrap_or_default();
    let codes: BTreeSet<&str> = check.said_by.iter().copied().chain([check.code]).collect();
    let is_same = |problem: &&Json| {
        let of_master = master.is_none() || problem["master"] == "" || problem["master"].as_str() == master;
        let of_place = check.scope == Scope::Master || problem["address"] == address.as_str();
        problem["code"].as_str().is_some_and(|code| codes.contains(code)) && of_master && of_place
    };
    if listed.iter().any(|problem| is_same(&problem)) {
        return None;
    }
    let (host, port) = hit.place.clone().unwrap_or_default();
    let remedy = check
        .remedy
        .replace("{master}", master.unwrap_or_default())
        .replace("{host}", &host)
        .replace("{port}", &port.to_string())
        .replace("{addr}", &address)
        .replace("{it}", &hit.it);
    Some(json!({
        "severity": check.severity.as_str(), "code": check.code, "scope": check.scope.as_str(),
        "master": master.unwrap_or_default(), "address": address, "problem": hit.text, "remedy": remedy,
        "told-by": "doctor", "when": check.when,
    }))
}
