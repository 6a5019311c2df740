//! INFO's `# Sentinel` section, ROLE, and INFO-CACHE.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use bytes::Bytes;
use sentinel_resp::Reply;

use super::query::find;
use crate::{
    time::{Instant, Now},
    view::{MasterView, NodeView, ScriptState, View},
};

/// The section `# Sentinel` of INFO, lines ended by CR LF, masters in the order of their names.
pub fn info_section(view: &View, now: Now) -> String {
    let tilt_seconds = view.tilt_since.map_or_else(|| "-1".to_owned(), |at| now.mono.since(at).as_secs().to_string());
    let mut text = format!(
        "# Sentinel\r\n\
         sentinel_masters:{masters}\r\n\
         sentinel_tilt:{tilt}\r\n\
         sentinel_tilt_since_seconds:{tilt_seconds}\r\n\
         sentinel_running_scripts:{running}\r\n\
         sentinel_scripts_queue_length:{scripts}\r\n\
         sentinel_simulate_failure_flags:{simulated}\r\n",
        masters = view.masters.len(),
        tilt = u8::from(view.tilt_since.is_some()),
        running = view.scripts.iter().filter(|script| matches!(script.state, ScriptState::Running { .. })).count(),
        scripts = view.scripts.len(),
        simulated = view.simulated.bits(),
    );
    // What the reference does not have: where there is a key.
    if view.globals.hello_auth_key.is_some() {
        let _ = write!(text, "sentinel_refused_vote_requests:{}\r\n", view.refused_requests);
    }
    for (number, master) in view.masters.values().enumerate() {
        let addr = &master.node.addr;
        // Writing to a String never fails.
        let _ = write!(
            text,
            "master{number}:name={},status={},address={}:{},slaves={},sentinels={}\r\n",
            master.name,
            status(master),
            addr.host,
            addr.port,
            master.replicas.len(),
            master.peers.len() + 1,
        );
    }
    text
}

/// The answer to ROLE: the word `sentinel` and the names of the monitored masters.
pub fn role(view: &View) -> Reply {
    let names = view.masters.keys().map(Reply::display).collect();
    Reply::Array(vec![Reply::from("sentinel"), Reply::Array(names)])
}

const fn status(master: &MasterView) -> &'static str {
    if master.odown_since.is_some() {
        "odown"
    } else if master.node.sdown_since.is_some() {
        "sdown"
    } else {
        "ok"
    }
}

/// For each master found its name and an array of `[age in ms, INFO]`, its own first, then its replicas'.
///
/// Unknown names are left out, repeated ones answered once, masters in the order in which they were first named. The
/// reference prints an age of 0 for replicas as long as it never read their master; here each age is its own.
pub(super) fn cache(view: &View, names: &[Bytes], now: Instant) -> Reply {
    let mut shown = BTreeSet::new();
    let mut items = Vec::new();
    for master in names.iter().filter_map(|name| find(view, name)) {
        if !shown.insert(&master.name) {
            continue;
        }
        let replicas = master.replicas.iter().map(|replica| &replica.node);
        let nodes = std::iter::once(&master.node).chain(replicas);
        items.push(Reply::display(&master.name));
        items.push(Reply::Array(nodes.map(|node| cached(node, now)).collect()));
    }
    Reply::Array(items)
}

fn cached(node: &NodeView, now: Instant) -> Reply {
    let age = node.info_at.map_or(Duration::ZERO, |at| now.since(at));
    let info = node.info.as_ref().map_or(Reply::Null, Reply::display);
    Reply::Array(vec![Reply::Integer(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)), info])
}
