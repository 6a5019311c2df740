//! Stories on real servers: what an operator would see. Each starts its own data nodes and Sentinels.
//!
//! `SENTINEL_UNDER_TEST=reference` tells them about redis-sentinel, to check that a story is true of what it imitates;
//! the few that are only true of ours say so.

mod access;
mod certificate_users;
mod choice_of_the_replica;
mod chosen_replica_is_lost;
mod classic_file;
mod control;
mod death_of_the_master;
mod demo;
mod doctor;
mod examples;
mod exchanged_addresses;
mod forced_failover;
mod given;
mod guards_asked_for;
mod handover_without_leader;
mod hanging_up;
mod health_checks;
mod history;
mod hostile_hellos;
mod hostnames;
mod http_changes;
mod http_endpoint;
mod http_metrics;
mod left_behind;
mod lineage;
mod load_balancer;
mod lossless_switchover;
mod mixed_quorum;
mod operators_commands;
mod paused;
mod problems;
mod proxy;
mod quorum_and_majority;
mod restart_of_a_sentinel;
mod returning_old_master;
mod scripts;
mod sdk_over_tls;
mod signed_votes;
mod tls;
mod top;
mod two_masters;
mod upgrade_guide;
mod webhooks;
mod wrong_history;
