//! Guards against the loss of data that is not ours to lose.

mod empty;
mod flapping;
mod history;
mod operator;
mod pause;
mod rehearsal;
mod sync;
mod vacancy;

pub use empty::Emptied;
pub(crate) use empty::{Holdings, Restart};
pub use flapping::Withheld;
pub(crate) use history::{History, Lineage};
pub(crate) use operator::Order;
pub use pause::Pause;
pub(crate) use pause::{LONGEST_REASON, Spread, ends};
pub(crate) use rehearsal::Rehearsal;
pub use rehearsal::{Part, parts};
pub use vacancy::NoMaster;
pub(crate) use vacancy::Vacancy;
