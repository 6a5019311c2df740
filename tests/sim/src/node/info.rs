//! The text of INFO, as Redis 7.0 writes it, as far as it is of any interest to anybody here.

use std::fmt::Write as _;

use crate::{
    node::{Node, Persistence, Sync},
    packet::InfoFacts,
    physics::Physics,
    time::{SEC, Time},
};

impl Node {
    /// The text, and what it was true about.
    pub(super) fn info(&self, physics: &Physics) -> (String, InfoFacts) {
        let now = physics.now();
        let mut text = String::with_capacity(1_024);
        let port = physics.hosts[self.host].port;
        let append_only = matches!(self.config.persistence, Persistence::AofAlways | Persistence::AofEverySecond);
        let _ = write!(
            text,
            "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nprocess_id:{}\r\nrun_id:{}\r\ntcp_port:{port}\r\n\
             \r\n# Persistence\r\nloading:{}\r\nrdb_changes_since_last_save:{}\r\nrdb_last_load_keys_loaded:{}\r\n\
             aof_enabled:{}\r\n\r\n# Replication\r\n",
            self.life,
            self.run_id,
            u8::from(self.is_loading()),
            self.changes(),
            self.loaded_keys(),
            u8::from(append_only),
        );
        let mut facts = InfoFacts {
            replica: false,
            priority: 100,
            offset: self.offset,
            synced: self.synced,
            link_down: 0,
            link_down_told: 0,
            foreign: self.foreign,
            stray: self.stray,
            loading: self.is_loading(),
            keys: self.data.len(),
            replid: self.replid,
            former: (self.replid2 != 0).then(|| (self.replid2, self.second_offset.saturating_sub(1))),
            blank: self.blank && self.is_master(),
            life: self.life,
            shows_empty_start: !self.is_loading()
                && self.loaded_keys() == 0
                && (self.data.is_empty() || !append_only && self.data.len() <= self.changes()),
            linked_to: None,
            handing_over: self.is_handing_over(),
        };
        if let Some(up) = &self.upstream {
            let streaming = matches!(up.sync, Sync::Streaming(_));
            let offset = if streaming || self.cached { self.offset } else { 1 };
            facts.replica = true;
            facts.priority = self.config.priority;
            facts.offset = offset;
            facts.linked_to = streaming.then(|| up.of.clone());
            let _ = write!(
                text,
                "role:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:{}\r\n\
                 master_last_io_seconds_ago:{}\r\nmaster_sync_in_progress:{}\r\nslave_read_repl_offset:{offset}\r\n\
                 slave_repl_offset:{offset}\r\n",
                up.of.host,
                up.of.port,
                if streaming { "up" } else { "down" },
                if streaming { seconds(now - up.heard_at) } else { -1 },
                u8::from(matches!(up.sync, Sync::Receiving { .. } | Sync::Loading { .. })),
            );
            if !streaming {
                facts.link_down = up.down_since.map_or(0, |lost| now - lost.at);
                let told = up.down_since.map_or(-1, |lost| {
                    // The difference of two whole seconds, as a server tells it.
                    let clock = |at: Time, ahead| {
                        let shown = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(ahead);
                        shown.div_euclid(i64::try_from(SEC).unwrap_or(i64::MAX))
                    };
                    clock(now, self.clock_ahead) - clock(lost.at, lost.ahead)
                });
                facts.link_down_told = u64::try_from(told).map_or(0, |told| told * SEC);
                let _ = write!(text, "master_link_down_since_seconds:{told}\r\n");
            }
            let _ =
                write!(text, "slave_priority:{}\r\nslave_read_only:1\r\nreplica_announced:1\r\n", self.config.priority);
        } else {
            text.push_str("role:master\r\n");
        }
        let _ = write!(text, "connected_slaves:{}\r\n", self.downstreams.len());
        for (index, down) in self.downstreams.values().enumerate() {
            let _ = write!(
                text,
                "slave{index}:ip={},port={},state={},offset={},lag={}\r\n",
                down.addr.host,
                down.addr.port,
                if down.waiting.is_some() { "wait_bgsave" } else { "online" },
                down.acked,
                seconds(now - down.acked_at),
            );
        }
        let _ = write!(
            text,
            "master_failover_state:{}\r\nmaster_replid:{:040x}\r\nmaster_replid2:{:040x}\r\n\
             master_repl_offset:{}\r\nsecond_repl_offset:{}\r\nrepl_backlog_active:{}\r\n",
            self.handover_state(),
            self.replid,
            self.replid2,
            self.offset,
            if self.replid2 == 0 { -1 } else { i64::try_from(self.second_offset).unwrap_or(-1) },
            u8::from(self.has_backlog),
        );
        text.push_str("\r\n# Keyspace\r\n");
        if !self.data.is_empty() {
            let _ = write!(text, "db0:keys={},expires=0,avg_ttl=0\r\n", self.data.len());
        }
        (text, facts)
    }
}

fn seconds(time: Time) -> i64 {
    i64::try_from(time / SEC).unwrap_or(i64::MAX)
}
