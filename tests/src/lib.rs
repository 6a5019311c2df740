//! Fixtures for tests, comparisons and benchmarks on real servers.
//!
//! A test describes a [`Deployment`] (data nodes and Sentinels, ours or the reference), starts it, does harm to it and
//! waits for what must follow:
//!
//! ```no_run
//! use sentinel_tests::{Deployment, Kind};
//!
//! let deployment = Deployment::of(&[Kind::Ours, Kind::Ours, Kind::Reference]).start();
//! let group = deployment.group("mymaster");
//! group.master().kill();
//! let new_master = deployment.wait_for_switch("mymaster", group.master().port());
//! assert_ne!(new_master.port(), group.master().port());
//! ```
//!
//! Everything runs on loopback, on ports that no other test process uses, in a temporary folder. All processes end with
//! the fixture that started them, also when the test panics or its process is killed. When a test panics, the state and
//! the logs of everything in the deployment are printed.
//!
//! Which programs are run is decided by [`programs`]: `REDIS_SERVER`, `REDIS_SENTINEL` and `SENTINEL_BIN` name others
//! than those found, and `SENTINEL_UNDER_TEST=reference` runs the stories with redis-sentinel in our place.

#![allow(clippy::missing_panics_doc, reason = "a fixture reports by panicking: that is what fails the test")]

mod authority;
mod deployment;
mod doors;
mod events;
pub mod http;
mod node;
mod ports;
mod prober;
mod process;
pub mod programs;
mod proxy;
pub mod redis_py;
mod sentinel;
mod skip;
mod wait;
mod writer;

pub use authority::{Authority, Pair, lines as tls_lines, of_first_version};
pub use deployment::{Deployment, DeploymentBuilder, Group};
pub use events::{Event, EventRecorder};
pub use node::{DataNode, Dataset};
pub use ports::free_port;
pub use prober::{Outcome, Prober};
pub use process::ServerProcess;
pub use programs::Kind;
pub use proxy::ProxyProcess;
pub use sentinel::{Fields, SentinelProcess, look_like};
pub use skip::skipped;
pub use wait::{eventually, never};
pub use writer::{Acknowledged, Writer, WriterReport};
