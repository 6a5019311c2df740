//! Thousands of emulated Redis nodes on loopback, good enough for a Sentinel, and cheap.
//!
//! A node answers PING, INFO (all of it), HELLO, PUBLISH and SUBSCRIBE, MULTI and EXEC, SLAVEOF, CLIENT KILL. Roles
//! change as they are told to, offsets grow, replicas follow. Each node has an address of its own, so a node that is killed
//! refuses connections. What those who watch the nodes do is counted: the longest gap between two PINGs above all.

pub mod clock;
pub mod control;
mod fleet;
mod info;
mod node;
mod server;
mod session;
pub mod worker;

pub use fleet::Fleet;
