//! The decisions of a Sentinel: pure, deterministic, without sockets, clock or files.
//!
//! An [`Engine`] takes facts with [`Engine::handle`], gives effects with [`Engine::poll_output`], and says with
//! [`Engine::next_timeout`] when it wants to be called although nothing happened. The same inputs give the same
//! outputs, byte for byte.

pub mod command;
pub mod events;
mod input;
mod notice;
mod output;
pub mod settings;
pub mod snapshot;
pub mod time;
pub mod types;
pub mod view;

pub use input::{ClientId, Input, LinkFault, LinkId, RequestId};
pub use notice::Notice;
pub use output::{Message, Output, Target, TargetKind};
pub use snapshot::{MasterSnapshot, Seq, Snapshot};
pub use view::View;
