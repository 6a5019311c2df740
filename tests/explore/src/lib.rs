//! All interleavings of small worlds: three real engines, and whatever order things may happen in.
//!
//! What is looked at, what is left out, and how far it reaches stands in the README beside this.

pub mod action;
mod effect;
mod ghost;
mod local;
mod node;
pub mod place;
mod promise;
pub mod scenario;
pub mod search;
mod symmetry;
mod table;
pub mod trace;
mod words;
mod world;

pub use world::{Budget, Outcome};
