//! INFO's `# Sentinel` section, and ROLE.

use std::fmt::Write as _;

use sentinel_resp::Reply;

use crate::{
    time::Now,
    view::{MasterView, ScriptState, View},
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
