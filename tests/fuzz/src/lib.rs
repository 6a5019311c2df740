//! The bodies of the fuzz targets. Each takes any bytes, and panics when something does not hold that must hold of all
//! bytes.
//!
//! `make fuzz` runs them with libFuzzer, which follows the coverage (`fuzz/`); an ordinary test runs them over the committed corpus
//! and over mutations of it, with the stable toolchain and nothing else.

#![allow(clippy::missing_panics_doc, reason = "a target reports by panicking")]

mod configuration;
mod engine;
mod files;
mod hello;
mod http;
mod info;
mod reader;
mod replies;
mod requests;

pub use configuration::{classic, toml};
pub use engine::engine;
pub use hello::hello;
pub use http::http;
pub use info::info;
pub use replies::replies;
pub use requests::requests;

/// A target: its name, which is that of its corpus, and what it does with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("requests", requests),
    ("classic", classic),
    ("toml", toml),
    ("info", info),
    ("hello", hello),
    ("replies", replies),
    ("engine", engine),
    ("http", http),
];
