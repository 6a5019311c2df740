//! Whether the replicas follow the master, could take its place, and would lose nothing that they need not.

use sha2::{Digest as _, Sha256};

use super::{
    Hit,
    facts::{Deployment, Inside, is_cut_off, is_same, place_of, shown},
};
use crate::cli::target::Place;

/// A replica that has acknowledged nothing for so many seconds is behind.
const SILENT: u64 = 10;

fn of_address((host, port): &Place) -> String {
    format!("{host} {port}")
}

pub(super) fn two_masters(of: &Deployment<'_>) -> Vec<Hit> {
    let others = of.replicas().filter(|(_, inside)| inside.is_master());
    // While a failover is under way the promoted replica is one before the Sentinels name it.
    let under_way = of.each("flags").iter().any(|(_, flags)| flags.contains("failover_in_progress"));
    let text = format!("it says that it is a master, beside {}", shown(&of.master));
    let hit = |(place, _)| Hit::new(text.clone()).at(place).naming(of_address(&of.master));
    if under_way { Vec::new() } else { others.map(hit).collect() }
}

pub(super) fn no_eligible_replica(of: &Deployment<'_>) -> Vec<Hit> {
    let mut reasons = Vec::new();
    for entry in of.sentinels.iter().flat_map(|(.., watched)| &watched.replicas) {
        let Some(place) = place_of(entry) else { continue };
        let inside = of.replicas().find(|(it, _)| **it == place).map(|(_, inside)| inside);
        let is = |field: &str, value: &str| entry.get(field).is_some_and(|it| it == value);
        let why = if inside.map_or_else(|| is("slave-priority", "0"), |it| it.text("slave_priority") == "0") {
            "priority 0"
        } else if inside.map_or_else(|| is("master-link-status", "err"), |it| it.text("master_link_status") == "down") {
            "no link to the master"
        } else if entry.get("flags").is_some_and(|flags| is_cut_off(flags)) && inside.is_none() {
            "it does not answer"
        } else {
            return Vec::new();
        };
        let reason = format!("{}: {why}", shown(&place));
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let text = if reasons.is_empty() {
        "no replica is known: nobody could take the master's place".to_owned()
    } else {
        format!("no replica could be promoted: {}", reasons.join("; "))
    };
    vec![Hit::new(text)]
}

pub(super) fn min_replicas_unsatisfiable(of: &Deployment<'_>) -> Vec<Hit> {
    let Some(head) = of.head() else { return Vec::new() };
    let wanted = |inside: &Inside| inside.setting("min-replicas-to-write").and_then(|it| it.parse::<u64>().ok());
    let replicas = of.nodes.len().saturating_sub(1) as u64;
    let good = head.number("min_slaves_good_slaves").unwrap_or(replicas);
    if let Some(least) = wanted(head).filter(|least| *least > good) {
        let text = format!("{least} replicas must be well for a write, and {good} are: writes are refused now");
        return vec![Hit::new(text).at(&of.master).naming(good)];
    }
    // The one that is promoted has the others, without itself.
    let left = replicas.saturating_sub(1);
    let too_many = of.answering().filter(|(_, it)| replicas > 0 && wanted(it).is_some_and(|least| least > left));
    let text =
        format!("after a failover {left} replicas are left, and more must be well for a write: it would be refused");
    too_many.map(|(place, _)| Hit::new(text.clone()).at(place).naming(left)).take(1).collect()
}

pub(super) fn min_replicas_off(of: &Deployment<'_>) -> Vec<Hit> {
    // With a single replica its loss would stop all writes: nobody asks for that by accident.
    let off = of.nodes.len() > 2 && of.head().is_some_and(|it| it.setting("min-replicas-to-write") == Some("0"));
    let text = "cut off from everybody it goes on taking writes until it is found, and they are lost".to_owned();
    off.then(|| Hit::new(text).at(&of.master)).into_iter().collect()
}

pub(super) fn link_down(of: &Deployment<'_>) -> Vec<Hit> {
    let down = of.replicas().filter(|(_, it)| it.text("master_link_status") == "down");
    let hit = |(place, inside): (&Place, &Inside)| {
        let source = inside.follows().map_or_else(|| "nobody".to_owned(), |place| shown(&place));
        let mut text = match inside.number("master_link_down_since_seconds") {
            Some(seconds) => format!("its link to {source} is down for {seconds} s"),
            None => format!("its link to {source} has never been up"),
        };
        if inside.text("master_sync_in_progress") == "1" {
            text.push_str(", a full sync is under way");
        }
        Hit::new(text).at(place)
    };
    down.map(hit).collect()
}

/// Whether a login is one that a node takes; nothing where that may not be known.
fn is_taken(head: &Inside, user: &str, password: &str) -> Option<bool> {
    let digest = format!("#{}", hex::encode(Sha256::digest(password)));
    let rules = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        (words.get(1) == Some(&user))
            .then(|| words.contains(&"on") && (words.contains(&"nopass") || words.contains(&&*digest)))
    };
    if head.users.is_empty() {
        let wanted = head.config.get("requirepass")?;
        return (user == "default").then(|| wanted.is_empty() || wanted == password);
    }
    Some(head.users.iter().find_map(|line| rules(line)).unwrap_or(false))
}

pub(super) fn wrong_login(of: &Deployment<'_>) -> Vec<Hit> {
    let Some(head) = of.head() else { return Vec::new() };
    let hit = |(place, inside): (&Place, &Inside)| {
        let given = inside.config.get("masterauth")?;
        let user = inside.setting("masteruser").unwrap_or("default");
        if is_taken(head, user, given)? {
            return None;
        }
        let what = match (given.is_empty(), user) {
            (true, _) => "no masterauth is set, and the master wants a login".to_owned(),
            (false, "default") => "its masterauth is not what the master takes".to_owned(),
            (false, user) => format!("the master does not take its masteruser {user} with its masterauth"),
        };
        let then =
            if *place == of.master { ": it could not follow its replacement, if that takes the same" } else { "" };
        Some(Hit::new(format!("{what}{then}")).at(place).naming(user))
    };
    of.answering().filter_map(hit).collect()
}

/// The replicas that follow somebody else than the master, with whom.
fn astray<'a>(of: &Deployment<'a>) -> Vec<(&'a Place, Place, bool)> {
    let follower = |(place, inside): (&'a Place, &'a Inside)| {
        let source = inside.follows()?;
        let is_replica = || of.replicas().any(|(other, _)| is_same(other, &source));
        (!is_same(&source, &of.master)).then(|| (place, source.clone(), is_replica()))
    };
    of.replicas().filter_map(follower).collect()
}

pub(super) fn chained(of: &Deployment<'_>) -> Vec<Hit> {
    let chained = astray(of).into_iter().filter(|(.., is_replica)| *is_replica);
    let text =
        |source: &Place| format!("it follows the replica {}: it is lost with that one, and lags more", shown(source));
    chained.map(|(place, source, _)| Hit::new(text(&source)).at(place).naming(of_address(&of.master))).collect()
}

pub(super) fn follows_another(of: &Deployment<'_>) -> Vec<Hit> {
    let astray = astray(of).into_iter().filter(|(.., is_replica)| !is_replica);
    let text = |source: &Place| format!("it follows {}, which is no node of this master", shown(source));
    astray.map(|(place, source, _)| Hit::new(text(&source)).at(place).naming(of_address(&of.master))).collect()
}

pub(super) fn foreign_history(of: &Deployment<'_>) -> Vec<Hit> {
    let Some(head) = of.head().filter(|head| head.is_master()) else { return Vec::new() };
    let known = [head.text("master_replid"), head.text("master_replid2")];
    if known[0].is_empty() {
        return Vec::new();
    }
    // One that is being filled takes over the history with the data.
    let foreign = of
        .replicas()
        .filter(|(_, it)| !known.contains(&it.text("master_replid")) && it.text("master_sync_in_progress") != "1");
    let text = "it holds data of another history than the master's, and would be promoted with them".to_owned();
    foreign.map(|(place, _)| Hit::new(text.clone()).at(place).naming(of_address(&of.master))).collect()
}

/// `ip=..,port=..,state=..,offset=..,lag=..` of each replica that a master tells of.
fn acknowledged(head: &Inside) -> Vec<(Place, u64, u64)> {
    let parse = |(name, value): (&String, &String)| {
        let index = name.strip_prefix("slave")?;
        index.parse::<u32>().ok()?;
        let field = |key: &str| value.split(',').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let place = (field("ip")?.to_owned(), field("port")?.parse().ok()?);
        (field("state")? == "online").then_some((place, field("offset")?.parse().ok()?, field("lag")?.parse().ok()?))
    };
    head.info.iter().filter_map(parse).collect()
}

pub(super) fn lag(of: &Deployment<'_>) -> Vec<Hit> {
    let Some(head) = of.head() else { return Vec::new() };
    let (Some(written), Some(backlog)) = (head.number("master_repl_offset"), head.number("repl_backlog_size")) else {
        return Vec::new();
    };
    let late = acknowledged(head)
        .into_iter()
        .filter(|(_, offset, seconds)| written.saturating_sub(*offset) > backlog || *seconds >= SILENT);
    late.map(|(place, offset, seconds)| {
        let bytes = written.saturating_sub(offset);
        Hit::new(format!(
            "it is {bytes} bytes behind the master, and was heard {seconds} s ago; the backlog holds {backlog}"
        ))
        .at(&place)
        .naming(bytes.max(backlog).saturating_mul(2))
    })
    .collect()
}

pub(super) fn writable(of: &Deployment<'_>) -> Vec<Hit> {
    let writable = of.replicas().filter(|(_, it)| it.text("slave_read_only") == "0");
    let text = "clients may write to it: what they write is nowhere else, and vanishes with a full sync".to_owned();
    writable.map(|(place, _)| Hit::new(text.clone()).at(place)).collect()
}

pub(super) fn backlog_too_small(of: &Deployment<'_>) -> Vec<Hit> {
    let Some(head) = of.head() else { return Vec::new() };
    let down_after = of.each("down-after-milliseconds").iter().filter_map(|(_, text)| text.parse::<u64>().ok()).max();
    let (Some(rate), Some(backlog), Some(down_after)) =
        (head.written_per_second, head.number("repl_backlog_size"), down_after)
    else {
        return Vec::new();
    };
    let wanted = rate.saturating_mul(down_after) / 1000;
    let text = format!(
        "{rate} bytes are written a second, {wanted} within down-after ({down_after} ms), and the backlog holds {backlog}: \
         replicas that come back later need a full sync"
    );
    (wanted > backlog).then(|| Hit::new(text).at(&of.master).naming(wanted.saturating_mul(2))).into_iter().collect()
}
