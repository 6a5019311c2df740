//! Ours and redis-sentinel side by side: what a client, a subscriber and the reader of a configuration file see of both is the
//! same, but for what is masked with a reason and what the tables of departures say.
//!
//! `REDIS_SENTINEL` must be redis-sentinel 7.0, since other versions word some answers differently; only what [`looks`] compares is
//! true of any version that ours can look like.

mod acl_commands;
mod command_table;
mod commands;
mod departures;
mod failover_events;
mod files;
mod looks;
mod masks;
mod monitoring_events;
mod pair;
mod rules;
mod script;
mod sentinel_commands;
mod stream;
mod way;
mod wire;
mod world;
