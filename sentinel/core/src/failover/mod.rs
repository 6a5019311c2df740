//! Leading a failover, from the nomination to the last replica that follows the new master.

mod abort;
mod phase;
mod promote;
mod reconfigure;
mod start;
mod switch;

pub(crate) use phase::{Failover, Phase};
