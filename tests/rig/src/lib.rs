//! An engine amid a small deployment: for tests in which anything may come in.
//!
//! A master, two replicas and two other Sentinels connect and answer as they should, unless a test says otherwise. Whatever comes
//! in instead, and in whatever order: the [`Rig`] panics as soon as the engine breaks one of its [promises].

#![allow(clippy::missing_panics_doc, reason = "that something does not hold is told by panicking")]

mod deployment;
pub mod promises;
mod rig;

pub use deployment::{at, id};
pub use rig::Rig;
