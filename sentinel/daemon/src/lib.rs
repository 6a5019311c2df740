//! The daemon around the engine: configuration, links, server, persistence and command line.

pub mod app;
mod bell;
pub mod cli;
mod commands;
pub mod compatible;
mod complaints;
pub mod config;
pub mod demo;
mod descriptors;
pub mod http;
pub mod log;
pub mod meters;
pub mod monitor;
mod open_files;
pub mod persist;
mod proxy;
mod random;
mod scripts;
pub mod serve;
mod terminal;
pub mod tls;
mod webhook;
