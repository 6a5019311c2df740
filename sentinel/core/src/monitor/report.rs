use super::condition::Told;
use crate::{
    canonical::Remembered,
    guard::{History, Holdings},
    state::Names,
    types::{Host, HostPort, RunId},
    view::Role,
};

/// What [`InfoReport::link_down_ms`] is for a process that was never linked: it tells -1 s.
pub(crate) const NEVER_LINKED: i64 = -1_000;

/// What one INFO of a data node says, as far as decisions need it.
///
/// Fields that belong to a replica are read only when `role:slave` came before them, as the reference does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InfoReport {
    /// The first two numbers of `redis_version`, which Valkey tells, too: that of the Redis it came from.
    pub(crate) version: Option<(u16, u16)>,
    pub(crate) run_id: Option<RunId>,
    pub(crate) role: Option<Role>,
    /// Whom it replicates from, as it says.
    pub(crate) source: Option<(String, u16)>,
    pub(crate) link_up: bool,
    /// 0 while the link is up, [`NEVER_LINKED`] if it never was. See [`crate::state::Node::doubt_link_age`].
    pub(crate) link_down_ms: i64,
    pub(crate) priority: u32,
    /// Of a replica its `slave_repl_offset`, of a master its `master_repl_offset`.
    pub(crate) offset: u64,
    pub(crate) announced: bool,
    pub(crate) history: History,
    pub(crate) holdings: Holdings,
    /// `master_failover_state`
    pub(crate) handover: HandoverState,
    /// Moves while a synchronisation makes progress.
    pub(crate) sync_progress: u64,
    /// What only problems are made of.
    pub(crate) told: Remembered<Told>,
    /// The replicas that a master lists.
    pub(crate) replicas: Vec<HostPort>,
}

/// How far a `FAILOVER` of this node has come, as it says. Servers before 6.2 say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum HandoverState {
    /// None is under way.
    #[default]
    None,
    /// Writes are paused until the replica has everything.
    WaitingForSync,
    /// It follows the replica already, and wants it to take over. Without an answer this lasts for ever.
    InProgress,
}

impl HandoverState {
    fn read(value: &str) -> Self {
        match value {
            "waiting-for-sync" => HandoverState::WaitingForSync,
            "failover-in-progress" => HandoverState::InProgress,
            _ => HandoverState::None,
        }
    }

    /// Whether writes, and what is published, wait.
    pub(crate) const fn is_under_way(self) -> bool {
        !matches!(self, HandoverState::None)
    }
}

impl Default for InfoReport {
    fn default() -> Self {
        InfoReport {
            version: None,
            run_id: None,
            role: None,
            source: None,
            link_up: false,
            link_down_ms: 0,
            priority: 100,
            offset: 0,
            announced: true,
            history: History::default(),
            holdings: Holdings::default(),
            handover: HandoverState::default(),
            sync_progress: 0,
            told: Remembered(Told::default()),
            replicas: Vec::new(),
        }
    }
}

impl InfoReport {
    /// Replicas read from one INFO; a master that lists more has them left out. A bound on what a hostile node can
    /// make us remember.
    pub(crate) const MAX_REPLICAS: usize = 1_024;

    /// Reads the text. Unknown and malformed lines are passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let mut report = InfoReport::default();
        let (mut host, mut port) = (None, None);
        for line in lines(text) {
            let Some(colon) = memchr::memchr(b':', line.as_bytes()) else {
                report.holdings.read_heading(line);
                continue;
            };
            let (field, value) = (&line[..colon], &line[colon + 1..]);
            report.holdings.read(field, value);
            report.told.read(field, value);
            match field {
                // Of a replica that reads its master's data without a file only the latter moves.
                "master_sync_read_bytes"
                | "slave_read_repl_offset"
                | "loading"
                | "async_loading"
                | "loading_loaded_bytes" => {
                    report.sync_progress = report.sync_progress.wrapping_add(value.parse().unwrap_or(0));
                }
                "master_replid" => report.history.id = History::read_id(value),
                "master_replid2" => report.history.former_id = History::read_id(value),
                "second_repl_offset" => {
                    report.history.former_end = value.parse::<u64>().ok().and_then(|offset| offset.checked_sub(1));
                }
                "repl_backlog_active" => report.history.has_backlog = value == "1",
                "redis_version" => report.version = version(value),
                "run_id" => report.run_id = RunId::new(value).ok(),
                "master_failover_state" => report.handover = HandoverState::read(value),
                "role" => {
                    report.role = match value {
                        "master" => Some(Role::Master),
                        "slave" => Some(Role::Replica),
                        _ => None,
                    }
                }
                "master_repl_offset" if report.role == Some(Role::Master) => {
                    report.offset = value.parse().unwrap_or(0);
                }
                _ if field.starts_with("slave")
                    && field.as_bytes().get(5).is_some_and(u8::is_ascii_digit)
                    && report.replicas.len() < Self::MAX_REPLICAS =>
                {
                    report.replicas.extend(listed_replica(value));
                }
                _ if report.role == Some(Role::Replica) => match field {
                    "master_host" => host = Some(value.to_owned()),
                    "master_port" => port = value.parse().ok(),
                    "master_link_status" => report.link_up = value == "up",
                    "master_link_down_since_seconds" => {
                        report.link_down_ms = value.parse::<i64>().unwrap_or(0).saturating_mul(1000);
                    }
                    "slave_priority" => report.priority = value.parse().unwrap_or(100),
                    "slave_repl_offset" => report.offset = value.parse().unwrap_or(0),
                    "replica_announced" => report.announced = value != "0",
                    _ => {}
                },
                _ => {}
            }
        }
        report.source = host.zip(port);
        report
    }

    /// Whether the link to its master is up, or was in the life of this process.
    pub(crate) const fn was_linked(&self) -> bool {
        // Less than nothing is told by a clock that was set back.
        self.link_up || self.link_down_ms != NEVER_LINKED
    }

    /// Whether this is a replica that does not know how far it has come: it has never had a copy, or has read its
    /// data from an append-only file, or was interrupted while it received them. One restarted from an RDB file knows
    /// its offset.
    ///
    /// Redis shows 1 for an offset that is not known. 0 is one where nothing has been written yet.
    pub(crate) fn has_no_offset(&self) -> bool {
        let unknown = self.offset == 1 || self.offset == 0 && !self.was_linked();
        self.role == Some(Role::Replica) && !self.link_up && unknown
    }

    /// Whether this is a master that began without data, and that nobody has followed since: what keys it has, if
    /// any, are none of its group's. Only proof counts.
    pub(crate) fn is_empty_master(&self) -> bool {
        self.is_unfollowed_master() && self.holdings.began_empty() == Some(true)
    }

    /// Takes over what an earlier report of the same process proved. With an append-only file later ones do not: what
    /// was written might as well have been loaded.
    pub(crate) fn remember_beginning(&mut self, before: &Self) {
        if self.is_unfollowed_master() && before.is_empty_master() {
            self.holdings.was_seen_empty();
        }
    }

    fn is_unfollowed_master(&self) -> bool {
        self.role == Some(Role::Master) && self.offset <= 1
    }

    /// What differs from an earlier report, apart from what grows by itself. None: nothing.
    pub(crate) fn news_since(&self, before: &Self) -> Option<String> {
        let same = self.role == before.role
            && self.source == before.source
            && self.link_up == before.link_up
            && self.priority == before.priority
            && self.announced == before.announced
            && self.run_id == before.run_id;
        if same {
            return None;
        }
        let shown = |report: &Self| {
            let role = report.role.map_or("?", Role::as_str);
            let source =
                report.source.as_ref().map_or_else(|| "none".to_owned(), |(host, port)| format!("{host}:{port}"));
            let link = if report.link_up { "up" } else { "down" };
            let run_id = report.run_id.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
            let (priority, announced) = (report.priority.to_string(), report.announced.to_string());
            [role.to_owned(), source, link.to_owned(), priority, announced, run_id]
        };
        let names = ["role", "master", "link to it", "priority", "announced", "run id"];
        let (now, then) = (shown(self), shown(before));
        let news = names.iter().zip(then.iter().zip(&now)).filter(|(_, (then, now))| then != now);
        let news: Vec<_> = news.map(|(name, (then, now))| format!("{name} {then} -> {now}")).collect();
        (!news.is_empty()).then(|| news.join(", "))
    }

    /// Whether it replicates from this address.
    pub(crate) fn follows(&self, addr: &HostPort, names: &Names) -> bool {
        self.source_addr().is_some_and(|source| names.same(&source, addr))
    }

    /// Whom it replicates from, if that is a usable address.
    pub(crate) fn source_addr(&self) -> Option<HostPort> {
        let (host, port) = self.source.as_ref()?;
        Some(HostPort::new(Host::new(host).ok()?, *port))
    }
}

/// Reads `7.0.15`.
/// The lines of INFO that may begin what is read here: of a hundred and more, less than half.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain(std::iter::once(text.len()));
    let mut begin = 0;
    ends.filter_map(move |end| {
        let line = &text[begin..end];
        begin = (end + 1).min(text.len());
        let read = matches!(line.as_bytes().first(), Some(b'#' | b'a' | b'd' | b'l' | b'm' | b'r' | b's'));
        read.then(|| line.strip_suffix('\r').unwrap_or(line))
    })
}

fn version(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    numbers.next()?.zip(numbers.next()?)
}

/// Reads `ip=127.0.0.1,port=6380,state=online,...` or the old `127.0.0.1,6380,online`.
///
/// With dual channel replication a replica that is being synchronised is listed twice: its second connection, which
/// brings the data set, is `type=rdb-channel`, ends with it, and is no replica.
fn listed_replica(value: &str) -> Option<HostPort> {
    let mut words = value.split(',');
    if value.contains("ip=") {
        let mut host = None;
        let mut port = None;
        for word in words {
            match word.split_once('=') {
                Some(("ip", it)) => host = Some(it),
                Some(("port", it)) => port = Some(it),
                Some(("type", "rdb-channel")) => return None,
                _ => {}
            }
        }
        HostPort::from_words(host?, port?).ok()
    } else {
        HostPort::from_words(words.next()?, words.next()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: &str = "# Server\r\nrun_id:5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d5d\r\n\r\n# Replication\r\nrole:slave\r\n\
        master_host:127.0.0.1\r\nmaster_port:36001\r\nmaster_link_status:up\r\nslave_repl_offset:8544\r\n\
        slave_priority:90\r\nreplica_announced:1\r\nmaster_repl_offset:77\r\n";

    #[test]
    fn a_replicas_fields_are_read() {
        let report = InfoReport::parse(REPLICA);
        assert_eq!(report.role, Some(Role::Replica));
        assert_eq!((report.offset, report.priority, report.link_up, report.link_down_ms), (8544, 90, true, 0));
        assert!(report.follows(&"127.0.0.1:36001".parse().unwrap(), &Names::default()));
        assert!(!report.follows(&"127.0.0.1:36002".parse().unwrap(), &Names::default()));
        assert!(report.was_linked() && !report.has_no_offset());
    }

    #[test]
    fn a_masters_replicas_are_read_in_both_forms() {
        let report = InfoReport::parse(
            "role:master\r\nconnected_slaves:2\r\nslave0:ip=127.0.0.1,port=6380,state=online,offset=1,lag=0\r\n\
             slave1:127.0.0.1,6381,online\r\nslave2:ip=,port=1\r\nslave_priority:5\r\nmaster_repl_offset:12\r\n",
        );
        let ports: Vec<_> = report.replicas.iter().map(|it| it.port).collect();
        assert_eq!((ports, report.priority, report.offset), (vec![6380, 6381], 100, 12));
    }

    #[test]
    fn the_second_connection_of_a_replica_is_no_replica() {
        let report = InfoReport::parse(
            "role:master\r\nconnected_slaves:2\r\n\
             slave0:ip=127.0.0.1,port=6380,state=bg_transfer,offset=0,lag=0,type=main-channel\r\n\
             slave1:ip=127.0.0.1,port=0,state=send_bulk,offset=0,lag=0,type=rdb-channel\r\n\
             slave2:ip=127.0.0.1,port=6381,state=online,offset=7,lag=0,type=replica\r\n",
        );
        let ports: Vec<_> = report.replicas.iter().map(|it| it.port).collect();
        assert_eq!(ports, [6380, 6381]);
    }

    #[test]
    fn a_replica_that_never_linked_is_told_from_one_restarted_with_its_data() {
        let text = |offset| {
            format!(
                "role:slave\r\nmaster_link_status:down\r\nslave_repl_offset:{offset}\r\nmaster_link_down_since_seconds:-1\r\n"
            )
        };
        assert!(InfoReport::parse(&text(0)).has_no_offset());
        assert!(!InfoReport::parse(&text(5000)).has_no_offset());
    }

    #[test]
    fn that_a_master_began_with_nothing_is_remembered_while_it_is_one_that_nobody_follows() {
        let mut last = InfoReport::default();
        let mut told = |rebooted: bool, role: &str, offset: u64, keys: u64| {
            let mut report = InfoReport::parse(&format!(
                "role:{role}\r\nmaster_repl_offset:{offset}\r\nslave_repl_offset:{offset}\r\naof_enabled:1\r\n\
                 rdb_changes_since_last_save:{keys}\r\nrdb_last_load_keys_loaded:0\r\n# Keyspace\r\n{}",
                if keys > 0 { format!("db0:keys={keys},expires=0\r\n") } else { String::new() }
            ));
            if !rebooted {
                report.remember_beginning(&last);
            }
            last = report;
            last.is_empty_master()
        };
        assert!(!told(false, "master", 0, 40), "they may have been loaded");
        assert!(told(true, "master", 0, 0));
        assert!(told(false, "master", 0, 40) && told(false, "master", 0, 41), "it began with none");
        assert!(!told(true, "master", 0, 40), "another process");
        assert!(told(true, "master", 0, 0));
        assert!(!told(false, "slave", 0, 40) && !told(false, "master", 0, 40), "it may have got others");
    }
}
