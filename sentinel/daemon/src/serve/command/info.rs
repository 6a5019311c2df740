//! INFO: facts and counters of the process, and the core's section on what is monitored.
//!
//! Fields that only a data node fills are there with the value that a Sentinel of the reference shows, since tools
//! read them by name.

use std::{fmt::Write as _, time::Duration};

use bytes::Bytes;
use sentinel_core::command;
use tokio::time::Instant;

use super::is;
use crate::{
    compatible::Compatible,
    serve::{Server, acl::Reason, client::Kind},
};

/// Writes one section.
type Section = fn(&Server) -> String;

/// The sections in the order in which they are shown, whatever the order in which they were asked for.
const SECTIONS: &[(&str, Section)] =
    &[("server", process), ("clients", clients), ("stats", stats), ("cpu", cpu), ("sentinel", sentinel)];

/// The sections of these names, separated by empty lines; all of them for no name.
pub(super) fn text(server: &Server, names: &[Bytes]) -> String {
    let every = names.iter().any(|name| ["default", "all", "everything"].iter().any(|all| is(name, all)));
    let wanted = |section: &str| names.is_empty() || every || names.iter().any(|name| is(name, section));
    let sections: Vec<String> =
        SECTIONS.iter().filter(|(name, _)| wanted(name)).map(|(_, section)| section(server)).collect();
    sections.join("\r\n")
}

fn process(server: &Server) -> String {
    let now = (server.clock)();
    let uptime = server.stats.started.elapsed().as_secs();
    let identity = &server.identity;
    let wall = Duration::from_millis(now.wall.0);
    let look = server.settings.compatible;
    let mut text = lines(
        look,
        "Server",
        &[
            ("redis_version", &look.redis_version()),
            ("server_name", &look.server()),
            ("valkey_version", &look.version()),
            ("valkey_release_stage", &"ga"),
            ("redis_git_sha1", &"00000000"),
            ("redis_git_dirty", &0),
            ("redis_build_id", &identity.build_id),
            ("redis_mode", &"sentinel"),
            ("server_mode", &"sentinel"),
            ("os", &identity.system),
            ("arch_bits", &usize::BITS),
            ("monotonic_clock", &"POSIX clock_gettime"),
            ("multiplexing_api", &"epoll"),
            ("process_id", &std::process::id()),
            ("process_supervised", &identity.supervised),
            ("run_id", &identity.run_id),
            ("tcp_port", &server.port),
            ("server_time_usec", &wall.as_micros()),
            ("uptime_in_seconds", &uptime),
            ("uptime_in_days", &(uptime / 86_400)),
            ("hz", &10),
            ("configured_hz", &10),
            ("clients_hz", &10),
            ("lru_clock", &(wall.as_secs() & 0x00ff_ffff)),
            ("executable", &identity.executable),
            ("config_file", &identity.config_file),
            ("io_threads_active", &0),
            ("availability_zone", &""),
        ],
    );
    if look.tells("listener0") {
        for (number, listener) in &server.listening {
            // Writing to a String never fails.
            let _ = write!(text, "listener{number}:{listener}\r\n");
        }
    }
    text
}

fn clients(server: &Server) -> String {
    let all = server.clients.all();
    let (mut input, mut output, mut subscribers) = (0, 0, 0);
    for client in &all {
        input = input.max(client.read(|state| state.unread));
        output = output.max(client.outbox().borrow().len());
        subscribers += usize::from(client.kind() == Kind::PubSub);
    }
    lines(
        server.settings.compatible,
        "Clients",
        &[
            ("connected_clients", &all.len()),
            ("cluster_connections", &0),
            ("maxclients", &server.settings.max_clients),
            ("client_recent_max_input_buffer", &input),
            ("client_recent_max_output_buffer", &output),
            ("blocked_clients", &0),
            ("tracking_clients", &0),
            ("pubsub_clients", &subscribers),
            ("watching_clients", &0),
            ("clients_in_timeout_table", &0),
            ("total_watched_keys", &0),
            ("total_blocking_keys", &0),
            ("total_blocking_keys_on_nokey", &0),
            ("paused_reason", &"none"),
            ("paused_actions", &"none"),
            ("paused_timeout_milliseconds", &0),
        ],
    )
}

fn stats(server: &Server) -> String {
    let stats = &server.stats;
    let now = Instant::now();
    // Of the last whole second, in KiB.
    let (input, output) = (kbps(stats.bytes_in.per_second(now)), kbps(stats.bytes_out.per_second(now)));
    // The clients without TLS are served by one loop. A turn reads, executes and answers.
    let (turns, micros) = (&server.turns.count, &server.turns.micros);
    let turns_per_second = turns.per_second(now);
    let micros_per_turn = micros.per_second(now).checked_div(turns_per_second).unwrap_or(0);
    let refused = |reason| server.users.log.borrow().refused(reason);
    lines(
        server.settings.compatible,
        "Stats",
        &[
            ("total_connections_received", &stats.connections.get()),
            ("total_commands_processed", &stats.commands.get()),
            ("instantaneous_ops_per_sec", &stats.commands.per_second(now)),
            ("total_net_input_bytes", &stats.bytes_in.get()),
            ("total_net_output_bytes", &stats.bytes_out.get()),
            ("total_net_repl_input_bytes", &0),
            ("total_net_repl_output_bytes", &0),
            ("total_net_cluster_slot_import_bytes", &0),
            ("total_net_cluster_slot_export_bytes", &0),
            ("instantaneous_input_kbps", &input),
            ("instantaneous_output_kbps", &output),
            ("instantaneous_input_repl_kbps", &"0.00"),
            ("instantaneous_output_repl_kbps", &"0.00"),
            ("rejected_connections", &stats.rejected.get()),
            ("sync_full", &0),
            ("sync_partial_ok", &0),
            ("sync_partial_err", &0),
            ("expired_subkeys", &0),
            ("expired_keys", &0),
            ("expired_fields", &0),
            ("expired_stale_perc", &"0.00"),
            ("expired_keys_with_volatile_items_stale_perc", &"0.00"),
            ("expired_time_cap_reached_count", &0),
            ("expire_cycle_cpu_milliseconds", &0),
            ("evicted_keys", &0),
            ("evicted_clients", &0),
            ("evicted_scripts", &0),
            ("total_eviction_exceeded_time", &0),
            ("current_eviction_exceeded_time", &0),
            ("keyspace_hits", &0),
            ("keyspace_misses", &0),
            ("pubsub_channels", &server.hub.channels()),
            ("pubsub_patterns", &server.hub.patterns()),
            ("pubsubshard_channels", &0),
            ("latest_fork_usec", &0),
            ("total_forks", &0),
            ("migrate_cached_sockets", &0),
            ("slave_expires_tracked_keys", &0),
            ("active_defrag_hits", &0),
            ("active_defrag_misses", &0),
            ("active_defrag_key_hits", &0),
            ("active_defrag_key_misses", &0),
            ("total_active_defrag_time", &0),
            ("current_active_defrag_time", &0),
            ("tracking_total_keys", &0),
            ("tracking_total_items", &0),
            ("tracking_total_prefixes", &0),
            ("unexpected_error_replies", &0),
            ("total_error_replies", &stats.errors.get()),
            ("dump_payload_sanitizations", &0),
            ("total_reads_processed", &stats.reads.get()),
            ("total_writes_processed", &stats.writes.get()),
            // Clients are read and written by the one thread that serves them, and buffers live as long as they are full.
            ("io_threaded_reads_processed", &0),
            ("io_threaded_writes_processed", &0),
            ("io_threaded_freed_objects", &0),
            ("io_threaded_accept_processed", &0),
            ("io_threaded_poll_processed", &0),
            ("io_threaded_total_prefetch_batches", &0),
            ("io_threaded_total_prefetch_entries", &0),
            ("client_query_buffer_limit_disconnections", &stats.too_long.get()),
            ("client_output_buffer_limit_disconnections", &stats.too_far_behind.get()),
            ("reply_buffer_shrinks", &0),
            ("reply_buffer_expands", &0),
            ("eventloop_cycles", &turns.get()),
            ("eventloop_duration_sum", &micros.get()),
            ("eventloop_duration_cmd_sum", &micros.get()),
            ("instantaneous_eventloop_cycles_per_sec", &turns_per_second),
            ("instantaneous_eventloop_duration_usec", &micros_per_turn),
            ("acl_access_denied_auth", &refused(Reason::Auth)),
            ("acl_access_denied_cmd", &refused(Reason::Command)),
            ("acl_access_denied_key", &0),
            ("acl_access_denied_channel", &refused(Reason::Channel)),
            ("acl_access_denied_tls_cert", &refused(Reason::Certificate)),
            ("acl_access_denied_db", &0),
        ],
    )
}

fn kbps(bytes_per_second: u64) -> String {
    // In hundredths, so that nothing is rounded twice.
    let hundredths = bytes_per_second.saturating_mul(100) / 1024;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn cpu(server: &Server) -> String {
    let times = |of: &str| {
        let stat = std::fs::read_to_string(format!("/proc/self/{of}stat")).ok();
        let times = stat.and_then(|stat| cpu_times(&stat)).unwrap_or_default();
        times.map(|seconds| format!("{seconds:.6}"))
    };
    let [user, system, children_user, children_system] = times("");
    // The main thread is the one that serves clients; its number is that of the process.
    let [main_user, main_system, ..] = times(&format!("task/{}/", std::process::id()));
    let micros = server.turns.micros.get();
    let active = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    lines(
        server.settings.compatible,
        "CPU",
        &[
            ("used_cpu_sys", &system),
            ("used_cpu_user", &user),
            ("used_cpu_sys_children", &children_system),
            ("used_cpu_user_children", &children_user),
            ("used_cpu_sys_main_thread", &main_system),
            ("used_cpu_user_main_thread", &main_user),
            ("used_active_time_main_thread", &active),
        ],
    )
}

/// User and system time of the process, then of its ended children, in seconds; from `/proc/self/stat`, whose unit
/// is a hundredth of a second on every system that has the file.
fn cpu_times(stat: &str) -> Option<[f64; 4]> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_ascii_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    let mut next = || Some(f64::from(ticks.next()??) / 100.0);
    Some([next()?, next()?, next()?, next()?])
}

fn sentinel(server: &Server) -> String {
    let text = command::info_section(&server.view.load(), (server.clock)());
    if !server.settings.compatible.tells("sentinel_total_tilt") {
        return text;
    }
    let next = "sentinel_running_scripts:";
    text.replacen(next, &format!("sentinel_total_tilt:{}\r\n{next}", server.stats.tilts.get()), 1)
}

fn lines(look: Compatible, title: &str, fields: &[(&str, &dyn std::fmt::Display)]) -> String {
    let mut text = format!("# {title}\r\n");
    for (name, value) in fields.iter().filter(|(name, _)| look.tells(name)) {
        // Writing to a String never fails.
        let _ = write!(text, "{name}:{value}\r\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_times_are_found_behind_any_program_name() {
        let stat = "17 (a) b (c)) S 1 17 17 0 -1 4194560 1 2 3 4 250 50 7 9 20 0 1 0 100 1 1";
        assert_eq!(cpu_times(stat), Some([2.5, 0.5, 0.07, 0.09]));
        assert_eq!(cpu_times("17 (x) S 1"), None);
        assert_eq!(cpu_times(""), None);
    }
}
