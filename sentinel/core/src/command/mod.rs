//! What clients ask of a Sentinel: `SENTINEL ...`, ROLE, INFO's sentinel section, and hellos by PUBLISH.
//!
//! A request is parsed completely, to the last word, before anything is done. What comes out is either a [`Query`],
//! answered from a [`View`](crate::View) by whoever holds the client, or a [`Change`], which goes to the engine.

mod argument;
mod change;
mod config;
mod debug;
pub mod errors;
mod failover;
mod failure;
mod forget;
pub mod glob;
mod help;
mod history;
mod info;
mod instances;
mod monitor;
mod pause;
mod problems;
mod query;
mod quorum;
#[cfg(test)]
pub(crate) mod sample;
mod scripts;
mod set;
mod table;
mod vote;

use bytes::Bytes;
use sentinel_resp::Reply;

pub use change::{Change, GlobalOption, MasterSetting, NewMaster, SetOption, SimulatedFailures, TimingParameter};
pub use info::{info_section, role};
pub use query::{Query, serving};
pub use table::{SUBCOMMANDS, Subcommand, check_shape};

use table::Verb;

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
    /// Understands a request whose first word is `SENTINEL` (in any case; it is not looked at).
    ///
    /// The error is the reply for the client. Words that are wrong only because of the state — an unknown master, a
    /// host name while names are off — pass; they are the business of whoever knows the state.
    pub fn parse(args: &[Bytes]) -> Result<Command, Reply> {
        let subcommand = table::find(args)?;
        let words = args.get(2..).unwrap_or_default();
        if let Some(query) = query::parse(subcommand.verb, words) {
            return Ok(Command::Query(query));
        }
        let change = match (subcommand.verb, words) {
            (Verb::Config, [verb, words @ ..]) => return config::parse(verb, words),
            (Verb::Debug, words) => debug::parse(words),
            (Verb::IsMasterDown, [host, port, epoch, candidate]) => vote::parse(host, port, epoch, candidate)?,
            (Verb::RequestVote, words) => vote::parse_signed(words).ok_or_else(|| table::wrong_arity(subcommand))??,
            (Verb::Failover, [name]) => Change::Failover { name: argument::known_name(name) },
            (Verb::Failover, [name, options @ ..]) => match failover::parse(name, options)? {
                Some(change) => change,
                None => return Err(table::wrong_arity(subcommand)),
            },
            (Verb::Candidates, [name]) => Change::Candidates { name: argument::known_name(name) },
            (Verb::Explain, [name]) => Change::Explain { name: argument::known_name(name) },
            (Verb::Consensus, [name]) => Change::Consensus { name: argument::known_name(name) },
            (Verb::Pause, [name, words @ ..]) => {
                pause::pause(name, words)?.ok_or_else(|| table::wrong_arity(subcommand))?
            }
            (Verb::Resume, [name, words @ ..]) => {
                pause::resume(name, words).ok_or_else(|| table::wrong_arity(subcommand))?
            }
            (Verb::Forget, [name, id]) => forget::sentinel(name, id)?,
            (Verb::ForgetReplica, [name, host, port]) => forget::replica(name, host, port)?,
            (Verb::FlushConfig, []) => Change::FlushConfig,
            (Verb::Reload, []) => return Ok(Command::Reload),
            (Verb::Monitor, [name, host, port, quorum]) => monitor::parse(name, host, port, quorum)?,
            (Verb::Remove, [name]) => Change::Remove { name: argument::known_name(name) },
            (Verb::Reset, [pattern]) => Change::Reset { pattern: argument::text(pattern).into_owned() },
            (Verb::Set, [name, options @ ..]) => set::parse(name, options),
            (Verb::SimulateFailure, flags) => failure::parse(flags),

            // The table has counted the words; if the two ever disagree, the client hears it.
            _ => return Err(table::wrong_arity(subcommand)),
        };
        Ok(Command::Change(change))
    }
}

#[cfg(test)]
mod tests;
