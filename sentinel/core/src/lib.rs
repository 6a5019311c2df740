//! The decisions of a Sentinel: pure, deterministic, without sockets, clock or files.
//!
//! An [`Engine`] takes facts with [`Engine::handle`], gives effects with [`Engine::poll_output`], and says with
//! [`Engine::next_timeout`] when it wants to be called although nothing happened. The same inputs give the same
//! outputs, byte for byte.

pub mod authentication;
#[cfg(test)]
mod bounds;
mod canonical;
mod changes;
pub mod command;
mod context;
mod detect;
mod election;
mod engine;
pub mod events;
mod failover;
mod guard;
mod input;
mod master_views;
mod monitor;
mod notice;
mod output;
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
mod readers;
mod rng;
mod role_change;
mod scripts;
mod select;
pub mod settings;
pub mod snapshot;
mod state;
pub mod time;
mod timer;
pub mod types;
pub mod view;
mod watch;

pub use canonical::Canonical;
pub use engine::{Boot, Engine};
pub use failover::{CandidateLost, NotLossless, Promotion};
pub use guard::{Emptied, NoMaster, Withheld};
pub use input::{ClientId, Input, LinkFault, LinkId, RequestId};
pub use notice::Notice;
pub use output::{Message, Output, Target, TargetKind};
pub use role_change::{Omitted, Step};
pub use scripts::{JobId, ScriptEnd, ScriptFault};
pub use select::{Class, Refusal};
pub use snapshot::{MasterSnapshot, Seq, Snapshot};
pub use state::login_refusal;
pub use view::View;
