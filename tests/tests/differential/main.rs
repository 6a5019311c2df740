//! Ours and redis-sentinel side by side: what a client, a subscriber and the reader of a configuration file see of both is the
//! same, but for what is masked with a reason and what the tables of departures say.
//!
//! `REDIS_SENTINEL` is redis-sentinel 7.0 or 8.0, or valkey-sentinel 8.0, 8.1 or 9.1; ours is started with the look of it
//! (`compatible-version`). What is so with later versions only is in [`newer`].

mod acl_commands;
mod command_table;
mod commands;
mod departures;
mod failover_events;
mod files;
mod looks;
mod masks;
mod monitoring_events;
mod newer;
mod pair;
mod rules;
mod script;
mod sentinel_commands;
mod stream;
mod version;
mod way;
mod wire;
mod world;
