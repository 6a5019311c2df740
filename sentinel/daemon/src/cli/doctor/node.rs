//! Whether each data node answers, lets Sentinels in, and keeps what it holds.

use std::collections::BTreeMap;

use super::{
    Hit,
    facts::{Deployment, Inside, Silence, is_cut_off, is_loopback, shown},
};
use crate::cli::target::Place;

/// The nodes that do not answer, why, and whether a Sentinel has no way to them either.
fn silent<'a>(of: &Deployment<'a>) -> Vec<(&'a Place, &'a str, bool)> {
    let unreached = of.nodes.iter().filter_map(|node| match &node.inside {
        Err(Silence::Unreached(why)) => Some((&node.place, why.as_str())),
        _ => None,
    });
    unreached.map(|(place, why)| (place, why, of.flags(place).iter().any(|(_, flags)| is_cut_off(flags)))).collect()
}

fn down(of: &Deployment<'_>, is_master: bool) -> Vec<Hit> {
    let silent = silent(of).into_iter().filter(|(place, _, down)| *down && (**place == of.master) == is_master);
    silent.map(|(place, why, _)| Hit::new(format!("it does not answer: {why}")).at(place)).collect()
}

pub(super) fn master_down(of: &Deployment<'_>) -> Vec<Hit> {
    down(of, true)
}

pub(super) fn replica_down(of: &Deployment<'_>) -> Vec<Hit> {
    down(of, false)
}

pub(super) fn unreached(of: &Deployment<'_>) -> Vec<Hit> {
    let silent = silent(of).into_iter().filter(|(.., down)| !down);
    silent.map(|(place, why, _)| Hit::new(format!("it does not answer here: {why}")).at(place)).collect()
}

pub(super) fn refuses(of: &Deployment<'_>) -> Vec<Hit> {
    let refusing = of.nodes.iter().filter_map(|node| match &node.inside {
        Err(Silence::Refused(why)) => Some((&node.place, why)),
        _ => None,
    });
    refusing.map(|(place, why)| Hit::new(format!("it answers {}", why.trim())).at(place)).collect()
}

pub(super) fn locked(of: &Deployment<'_>) -> Vec<Hit> {
    let answering = of.nodes.iter().filter(|node| !matches!(node.inside, Err(Silence::Unreached(_))));
    let hit = |place: &Place| {
        let cut: Vec<&Place> =
            of.flags(place).into_iter().filter(|(_, flags)| is_cut_off(flags)).map(|(from, _)| from).collect();
        let (host, port) = cut.first()?;
        let from: Vec<String> = cut.iter().map(|place| shown(place)).collect();
        let text = format!("it answers here, and the Sentinel {} has no way to it", from.join(", "));
        Some(Hit::new(text).at(place).naming(format!("{host} -p {port}")))
    };
    answering.filter_map(|node| hit(&node.place)).collect()
}

pub(super) fn missing_permissions(of: &Deployment<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for (place, inside) in of.answering() {
        let mut users: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (user, command) in &inside.denied {
            users.entry(user).or_default().push(command);
        }
        for (user, commands) in users {
            let text = format!("Sentinels are the user {user} there, who may not {}", commands.join(", "));
            let rules: Vec<String> = commands.iter().map(|command| format!("+{command}")).collect();
            // PUBLISH and SUBSCRIBE are refused for the channel as well.
            let channels = commands.iter().any(|it| matches!(*it, "publish" | "subscribe"));
            let channels = if channels { "&__sentinel__:hello " } else { "" };
            hits.push(Hit::new(text).at(place).naming(format!("{user} {channels}{}", rules.join(" "))));
        }
    }
    hits
}

pub(super) fn no_persistence(of: &Deployment<'_>) -> Vec<Hit> {
    let keeps_nothing = |inside: &Inside| {
        let off = inside.config.get("appendonly").is_some_and(|it| it == "no");
        off && inside.config.get("save").is_some_and(String::is_empty)
    };
    let text = "it keeps nothing on disk: started again before it is found down it is empty, and so are its replicas"
        .to_owned();
    let empty = of.head().is_some_and(|head| !of.nodes.is_empty() && keeps_nothing(head));
    empty.then(|| Hit::new(text).at(&of.master)).into_iter().collect()
}

pub(super) fn open_port(of: &Deployment<'_>) -> Vec<Hit> {
    let is_open = |inside: &Inside| {
        let unprotected = inside.config.get("protected-mode").is_some_and(|it| it == "no");
        let listened = inside.config.get("bind").map(String::as_str).unwrap_or_default();
        let elsewhere =
            listened.is_empty() || listened.split(' ').any(|host| !is_loopback(host.trim_start_matches('-')));
        let default = inside.users.iter().find(|line| line.starts_with("user default "));
        let passes = default.map_or_else(
            || inside.config.get("requirepass").is_some_and(String::is_empty),
            |rules| rules.split(' ').any(|word| word == "nopass") && rules.split(' ').any(|word| word == "on"),
        );
        unprotected && elsewhere && passes
    };
    let open = of.answering().filter(|(_, inside)| is_open(inside));
    let text =
        "whoever reaches its port may read, write and delete everything: no password, no protected mode".to_owned();
    open.map(|(place, _)| Hit::new(text.clone()).at(place)).collect()
}
