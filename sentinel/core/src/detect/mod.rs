//! Who is down: in our own opinion, in that of a quorum, and whether we may trust our own eyes.

mod cause;
pub(crate) mod odown;
mod sdown;
mod tilt;

pub use cause::DownCause;
pub(crate) use cause::Seen;
