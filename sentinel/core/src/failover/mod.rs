//! Leading a failover, from the nomination to the last replica that follows the new master.

mod abort;
mod candidates;
mod coordinated;
mod fencing;
mod left_behind;
mod older;
mod orders;
mod phase;
mod promote;
mod promotion;
mod reconfigure;
mod reinstate;
mod replace;
mod start;
mod switch;
mod undo;
mod witness;

pub use coordinated::NotLossless;
pub(crate) use phase::{Cause, Failover, Phase};
pub use promotion::Promotion;
pub use replace::CandidateLost;
pub(crate) use witness::Witness;
