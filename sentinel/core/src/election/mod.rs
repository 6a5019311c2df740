//! Who may lead a failover: one vote for each epoch, first come, first served; a majority and the quorum must agree.

pub(crate) mod shortfall;
pub(crate) mod signed;
mod tally;
mod vote;
