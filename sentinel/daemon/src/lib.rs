//! The daemon around the engine: configuration, links, server, persistence and command line.

pub mod config;
pub mod monitor;
pub mod persist;
