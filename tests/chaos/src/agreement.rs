//! What must be true some time after everything has healed.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use sentinel_tests::Kind;

use crate::ask::{self, Opinion};
use crate::cast::Cast;
use crate::episode::say;
use crate::host::{Host, Role};

/// More than a redis-sentinel needs that has lost an election (twice the failover timeout), to demote an old master (10 s) and
/// to see it in INFO (10 s).
const AGREE_WITHIN: Duration = Duration::from_secs(60);
/// An application that is well writes much more often.
const WRITES_EVERY: Duration = Duration::from_secs(1);
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// Waits until all is well: how long that took, and the master's address. Otherwise what is not well.
pub(crate) fn wait(cast: &mut Cast) -> Result<(Duration, String), String> {
    let began = Instant::now();
    loop {
        match check(cast) {
            Ok(master) => return Ok((began.elapsed(), master)),
            Err(state) if began.elapsed() >= AGREE_WITHIN => return Err(state),
            Err(_) => {
                for name in cast.repair_data()? {
                    say(&format!(
                        "{name} did not start from its append-only file: mended with redis-check-aof, as its log says"
                    ));
                }
                std::thread::sleep(BETWEEN_ATTEMPTS);
            }
        }
    }
}

fn check(cast: &mut Cast) -> Result<String, String> {
    let opinion = one_opinion(cast)?;
    if opinion.flags != "master" {
        return Err(format!("the master is {}", opinion.flags));
    }
    let data: Vec<(String, String)> = cast.of(Role::Data).map(|host| (host.name.clone(), host.address())).collect();
    if opinion.replicas != (data.len() - 1).to_string() {
        return Err(format!("{} replicas are known", opinion.replicas));
    }
    for (name, address) in data {
        let replication = ask::replication(&address).map_err(|error| format!("{name}: {error}"))?;
        let wanted = if address == opinion.address { "master" } else { "slave" };
        if replication.role != wanted {
            return Err(format!("{name} is {}, and {} is told to be the master", replication.role, opinion.address));
        }
        if wanted == "slave" && replication.source != Some((opinion.address.clone(), true)) {
            return Err(format!("{name} replicates from {:?}, not from {}", replication.source, opinion.address));
        }
    }
    every_sentinel_knows_the_others(cast)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    for writes in cast.writes() {
        writes.read_on().map_err(|error| format!("{}: {error}", writes.application))?;
        if writes.last().is_none_or(|last| now.saturating_sub(last) > WRITES_EVERY) {
            return Err(format!("{} does not write", writes.application));
        }
    }
    Ok(opinion.address)
}

/// Whether each Sentinel of ours knows the others, where they are and nobody else. redis-sentinel may take itself for a peer when two
/// others have exchanged their addresses with it.
fn every_sentinel_knows_the_others(cast: &Cast) -> Result<(), String> {
    let all: BTreeSet<String> = cast.of(Role::Sentinel).map(Host::address).collect();
    for host in cast.of(Role::Sentinel).filter(|host| host.name.starts_with(Kind::Ours.name())) {
        let known = ask::other_sentinels(&host.address()).map_err(|error| format!("{}: {error}", host.name))?;
        if !known.iter().eq(all.iter().filter(|address| **address != host.address())) {
            return Err(format!("{} at {} knows {known:?} of {all:?}", host.name, host.address()));
        }
    }
    Ok(())
}

/// What all Sentinels say, if it is the same.
fn one_opinion(cast: &Cast) -> Result<Opinion, String> {
    let mut first: Option<(String, Opinion)> = None;
    for host in cast.of(Role::Sentinel) {
        let opinion = ask::opinion(&host.address()).map_err(|error| format!("{}: {error}", host.name))?;
        match &first {
            None => first = Some((host.name.clone(), opinion)),
            Some((name, other)) if *other != opinion => {
                return Err(format!("{name} says {other:?}, {} says {opinion:?}", host.name));
            }
            Some(_) => {}
        }
    }
    first.map(|(_, opinion)| opinion).ok_or_else(|| "there is no Sentinel".to_owned())
}
