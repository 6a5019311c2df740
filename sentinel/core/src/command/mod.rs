//! What clients ask of a Sentinel: `SENTINEL ...`, ROLE, INFO's sentinel section, and hellos by PUBLISH.
//!
//! A request is parsed completely, to the last word, before anything is done. What comes out is either a [`Query`],
//! answered from a [`View`](crate::View) by whoever holds the client, or a [`Change`], which goes to the engine.

#![expect(clippy::unnecessary_wraps, reason = "what rows name has one type, whether it can refuse words or not")]

mod argument;
mod change;
pub mod errors;
pub mod glob;
mod info;
mod instances;
mod query;
pub mod row;
#[cfg(test)]
pub(crate) mod sample;
pub mod syntax;
mod table;

mod auth_challenge;
mod candidates;
mod ckquorum;
mod config;
mod consensus;
mod debug;
mod explain;
mod failover;
mod flushconfig;
mod forget;
mod forget_replica;
mod get_master_addr;
mod help;
mod history;
mod info_cache;
mod is_master_down;
mod master;
mod masters;
mod monitor;
mod myid;
mod pause;
mod pending_scripts;
mod problems;
mod reload;
mod remove;
mod replicas;
mod request_vote;
mod reset;
mod resume;
mod sentinels;
mod set;
mod simulate_failure;

use bytes::Bytes;
use sentinel_resp::Reply;

pub use change::{Change, GlobalOption, MasterSetting, NewMaster, SetOption, SimulatedFailures, TimingParameter};
pub use info::{info_section, role};
pub use query::{Query, serving};
pub use table::{Answer, Does, Parse, Subcommand, check_shape};

/// Every subcommand: those of redis-sentinel 7.0, the `primary` spellings of Valkey 8, and ours. HELP tells them in this
/// order, which is the reference's.
#[rustfmt::skip]
pub static SUBCOMMANDS: &[Subcommand] = &[
    auth_challenge::ROW,
    candidates::ROW,
    ckquorum::ROW,
    config::ROW,
    consensus::ROW,
    debug::ROW,
    explain::ROW,
    get_master_addr::ROW,
    get_master_addr::PRIMARY,
    failover::ROW,
    flushconfig::ROW,
    forget::ROW,
    forget_replica::ROW,
    history::ROW,
    info_cache::ROW,
    is_master_down::ROW,
    is_master_down::PRIMARY,
    master::ROW,
    master::PRIMARY,
    masters::ROW,
    masters::PRIMARIES,
    monitor::ROW,
    myid::ROW,
    pause::ROW,
    pending_scripts::ROW,
    problems::ROW,
    reload::ROW,
    remove::ROW,
    replicas::ROW,
    replicas::SLAVES,
    request_vote::ROW,
    reset::ROW,
    resume::ROW,
    sentinels::ROW,
    set::ROW,
    simulate_failure::ROW,
    help::ROW,
];

/// One SENTINEL request, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Reads only: answer it from a view.
    Query(Query),
    /// Changes something, or votes: give it to the engine.
    Change(Change),
    /// `SENTINEL RELOAD`: whoever holds the configuration reads it again, and gives the engine a [`Change::Reload`].
    Reload,
}

impl Command {
    /// Understands a request whose first word is `SENTINEL` (in any case; it is not looked at), as
    /// [`Subcommand::parse`] does.
    pub fn parse(args: &[Bytes]) -> Result<Command, Reply> {
        table::find(args)?.parse(args.get(2..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
