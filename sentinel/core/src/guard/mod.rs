//! Guards against the loss of data that is not ours to lose.

mod flapping;
mod history;
mod operator;

pub use flapping::Withheld;
pub(crate) use history::{History, Lineage};
