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
mod complaint;
mod context;
mod deadlines;
mod detect;
mod election;
mod engine;
pub mod events;
mod explain;
mod failover;
mod guard;
pub mod history;
mod input;
mod master_views;
mod monitor;
mod notice;
mod output;
mod pending;
#[cfg(feature = "planted-bugs")]
pub mod planted;
#[cfg(not(feature = "planted-bugs"))]
mod planted;
mod problems;
mod readers;
pub mod reload;
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
pub use detect::DownCause;
pub use engine::{Boot, Engine};
pub use failover::{CandidateLost, NotLossless, Promotion};
pub use guard::{Emptied, NoMaster, Part, Pause, Withheld, parts};
pub use input::{ClientId, Input, LinkFault, LinkId, Looked, RequestId};
pub use notice::{Notice, Topic};
pub use output::{Message, Output, Target, TargetKind};
pub use problems::{Code, Problem, Scope, Severity, Turn};
pub use role_change::{Omitted, Step};
pub use scripts::{JobId, ScriptEnd, ScriptFault};
pub use select::{Class, Refusal};
pub use snapshot::{MasterSnapshot, Seq, Snapshot};
pub use state::login_refusal;
pub use view::View;
