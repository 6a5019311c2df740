//! The scripts that operators name, as processes. Who is called, when and how often is the engine's decision.

mod check;
mod run;

pub(crate) use check::{is_executable, refuse_unusable};
pub(crate) use run::Runner;
