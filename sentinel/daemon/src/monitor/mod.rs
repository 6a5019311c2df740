//! The engine at work: its loop, its clock, and the links to the instances it watches.

mod clock;
mod connection;
mod dial;
mod handshake;
mod heartbeat;
mod inbox;
mod link;
#[cfg(test)]
mod link_tests;
mod links;
mod other_protocol;
mod pubsub;
mod resolve;
mod run;
#[cfg(test)]
mod run_tests;
#[cfg(test)]
mod testing;
mod traffic;
mod value;
mod wire;
mod writer;

pub use clock::Clock;
pub use dial::Dialer;
pub use heartbeat::Heartbeat;
pub(crate) use resolve::Resolver;
pub use resolve::before_start;
pub use run::{Handle, Happened, Running, Setup, start};
