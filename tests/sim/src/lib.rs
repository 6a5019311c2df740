//! A deterministic simulation of Sentinels, data nodes, applications, networks and disks.
//!
//! Real engines of `sentinel-core` run in a world with virtual time. Everything that happens follows from one seed: the
//! same seed gives the same history, byte for byte. Rules are checked throughout ([`invariants`]); a broken one is
//! reported with the seed, and one command that replays it.
//!
//! The way through the code: [`scenario`] draws a world from a seed and [`faults`] what goes wrong in it; [`world`] takes
//! one event after the other from [`physics`] (time and network) to [`sentinel`], [`node`] or [`app`]; [`run`] says how
//! it ended.

pub mod app;
pub mod faults;
pub mod guards;
pub mod invariants;
pub mod node;
pub mod packet;
pub mod physics;
pub mod rng;
pub mod run;
pub mod scenario;
pub mod sentinel;
pub mod shrink;
pub mod time;
pub mod trace;
pub mod world;
