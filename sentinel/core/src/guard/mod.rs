//! Guards against the loss of data that is not ours to lose.

mod history;
mod operator;

pub(crate) use history::{History, Lineage};
