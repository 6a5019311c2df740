//! Which replica is promoted, and why the others are not.

use std::{cmp::Reverse, fmt, num::NonZeroU64, time::Duration};

use crate::{
    planted::{Bug, planted},
    state::{Node, NodeId},
    time::Instant,
    types::{HostPort, RunId},
    view::Role,
};

/// What the judgement depends on besides the replicas.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    pub(crate) ping_period: Duration,
    pub(crate) info_period: Duration,
    pub(crate) down_after: Duration,
    pub(crate) master_down_since: Option<Instant>,
    /// How long the link to the master has been down does not matter: nobody is the master.
    pub(crate) best_effort: bool,
    /// The history that the master began when it was restarted without its data.
    pub(crate) empty_history: Option<RunId>,
    /// Bytes of the stream that a candidate may lack.
    pub(crate) max_lag: Option<NonZeroU64>,
    /// How far each node of the master's history has come, as it told.
    pub(crate) told: Vec<Told>,
    /// The configured master is a replica itself, and up to date with this node.
    pub(crate) master_follows: Option<NodeId>,
}

/// How far a node had come in its stream at some time.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) history: Option<RunId>,
    pub(crate) at: Instant,
    pub(crate) offset: u64,
}

/// What others told longer after a node than this says nothing about how far it lags behind.
const COMPARABLE_WITHIN: Duration = Duration::from_secs(1);

impl Facts {
    /// How many bytes a replica lacks of what any node of the same history is known to have. Offsets of different
    /// histories cannot be compared.
    fn lag_of(&self, node: &Node) -> u64 {
        let Some(at) = node.info_at else { return 0 };
        let comparable = |told: &&Told| told.history == node.info.history.id && told.at <= at + COMPARABLE_WITHIN;
        let furthest = self.told.iter().filter(comparable).map(|told| told.offset).max();
        furthest.map_or(0, |furthest| furthest.saturating_sub(node.info.offset))
    }
}

/// The outcome.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) best: Option<NodeId>,
    pub(crate) refused: Vec<(HostPort, Refusal)>,
}

/// Why a replica is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is subjectively down.
    SubjectivelyDown,
    /// Its link is down.
    Disconnected,
    /// Its last acceptable answer to a PING is too old.
    SilentFor(Duration),
    /// Its priority is 0: never promoted.
    PriorityZero,
    /// It has not answered INFO, or too long ago.
    InfoTooOld(Option<Duration>),
    /// It lost its master long before the master went down: its data is old.
    LinkDownTooLong {
        /// How long its link to the master has been down.
        down: Duration,
        /// The longest that is accepted.
        longest: Duration,
    },
    /// It has never had a copy of the master's data.
    NeverSynced,
    /// It was started as a master, without data, and has not been a replica since: the others would throw theirs away.
    StartedEmpty,
    /// Its data are of another history than the master's: a stranger on an address that was used again.
    WrongHistory,
    /// The master was restarted without its data, and this one holds none of them any more.
    Emptied,
    /// It was the master before the present one and has not followed since: what it lacks cannot be told, and `max-lag` is set.
    LagUnknown,
    /// It lacks more of the replication stream than `max-lag` allows.
    LagsBehind {
        /// Bytes that it lacks of what is known to exist.
        lag: u64,
        /// The most that is accepted.
        most: NonZeroU64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::SubjectivelyDown => f.write_str("it is subjectively down"),
            Refusal::Disconnected => f.write_str("its link is down"),
            Refusal::SilentFor(age) => write!(f, "no acceptable answer to PING for {} ms", age.as_millis()),
            Refusal::PriorityZero => f.write_str("its priority is 0"),
            Refusal::InfoTooOld(Some(age)) => write!(f, "its last INFO is {} ms old", age.as_millis()),
            Refusal::InfoTooOld(None) => f.write_str("it has not answered INFO yet"),
            Refusal::LinkDownTooLong { down, longest } => write!(
                f,
                "its link to the master has been down for {} ms, longer than {} ms",
                down.as_millis(),
                longest.as_millis()
            ),
            Refusal::NeverSynced => f.write_str("it has never synchronised with the master"),
            Refusal::StartedEmpty => {
                f.write_str("it was started as a master, without data, and nobody has followed it")
            }
            Refusal::WrongHistory => f.write_str("its replication id shares nothing with the master's history"),
            Refusal::Emptied => f.write_str("it holds none of the data that the master has lost"),
            Refusal::LagUnknown => f.write_str(
                "it is a former master and has not followed the present one: what it lacks cannot be told, max-lag is set",
            ),
            Refusal::LagsBehind { lag, most } => write!(f, "it lacks {lag} bytes, max-lag allows {most}"),
        }
    }
}

/// Judges every replica. The best is the one with the lowest priority number, then the highest replication offset,
/// then the smallest run id (case-insensitive, none last): the reference's order.
pub(crate) fn judge_all<'a>(replicas: impl Iterator<Item = &'a Node>, facts: &Facts) -> Judgement {
    let mut refused = Vec::new();
    let mut best: Option<&Node> = None;
    for node in replicas {
        match judge(node, facts) {
            Some(refusal) => refused.push((node.addr.clone(), refusal)),
            None if best.is_none_or(|other| rank(node) < rank(other)) => best = Some(node),
            None => {}
        }
    }
    Judgement { best: best.map(|node| node.id), refused }
}

/// Every replica with its place, 1 for the one that would be promoted, or with the reason why it would not.
pub(crate) fn rank_all<'a>(
    replicas: impl Iterator<Item = &'a Node>,
    facts: &Facts,
) -> Vec<(&'a Node, Result<usize, Refusal>)> {
    let (mut fit, refused): (Vec<_>, Vec<_>) =
        replicas.map(|node| (node, judge(node, facts))).partition(|(_, refusal)| refusal.is_none());
    fit.sort_by_key(|(node, _)| rank(node));
    let ranked = fit.into_iter().enumerate().map(|(n, (node, _))| (node, Ok(n + 1)));
    let refused = refused.into_iter().filter_map(|(node, refusal)| Some((node, Err(refusal?))));
    ranked.chain(refused).collect()
}

/// A departure: a former master that has not become a replica yet comes last. Its offset counts another stream than that
/// of the others, and what it acknowledged meanwhile is lost either way. The reference does not tell them apart.
fn rank(node: &Node) -> (bool, u32, Reverse<u64>, bool, String, NodeId) {
    let run_id = node.info.run_id.as_ref().map(|id| id.as_str().to_ascii_lowercase());
    let (priority, offset) = (node.info.priority, Reverse(node.info.offset));
    (node.former_master, priority, offset, run_id.is_none(), run_id.unwrap_or_default(), node.id)
}

/// The reference's tests in its order, and more: another history, never synchronised, started empty, and, if asked for, too far behind.
fn judge(node: &Node, facts: &Facts) -> Option<Refusal> {
    if node.sdown_since.is_some() && !planted(Bug::PromoteTheDead) {
        return Some(Refusal::SubjectivelyDown);
    }
    if !node.link.is_up() && !planted(Bug::PromoteTheDead) {
        return Some(Refusal::Disconnected);
    }
    let silent = facts.now.since(node.link.ok_reply_at);
    if silent > 5 * facts.ping_period && !planted(Bug::PromoteTheDead) {
        return Some(Refusal::SilentFor(silent));
    }
    if node.info.priority == 0 && !planted(Bug::PromotePriorityZero) {
        return Some(Refusal::PriorityZero);
    }
    let oldest = if facts.master_down_since.is_some() { 5 * facts.ping_period } else { 3 * facts.info_period };
    match node.info_at.map(|at| facts.now.since(at)) {
        None => return Some(Refusal::InfoTooOld(None)),
        Some(age) if age > oldest => return Some(Refusal::InfoTooOld(Some(age))),
        Some(_) => {}
    }
    if node.stranger {
        return Some(Refusal::WrongHistory);
    }
    if node.info.never_synced() && !planted(Bug::PromoteUnsynced) {
        return Some(Refusal::NeverSynced);
    }
    if node.info.is_empty_master() && !planted(Bug::PromoteUnsynced) {
        return Some(Refusal::StartedEmpty);
    }
    let emptied = |id: &RunId| node.info.history.id.as_ref() == Some(id) || node.info.holdings.keys() == 0;
    if facts.empty_history.as_ref().is_some_and(emptied) && !planted(Bug::PromoteTheEmptied) {
        return Some(Refusal::Emptied);
    }
    let down = Duration::from_millis(u64::try_from(node.info.link_down_ms).unwrap_or(0));
    let longest =
        facts.master_down_since.map_or(Duration::ZERO, |since| facts.now.since(since)) + 10 * facts.down_after;
    if down > longest && !facts.best_effort && !planted(Bug::PromoteTheLost) {
        return Some(Refusal::LinkDownTooLong { down, longest });
    }
    let lag = facts.lag_of(node);
    let max_lag = facts.max_lag.filter(|_| !planted(Bug::IgnoreMaxLag));
    // It has nothing of what was written since the switch, and its own stream cannot be compared with that: without this
    // test one that lacks a little is refused, and this one, which lacks more, takes its place.
    // Where the present master has become a replica of it, it lacks nothing, and there is nobody else.
    let lags = node.former_master && node.info.role == Some(Role::Master) && facts.master_follows != Some(node.id);
    if max_lag.is_some() && lags {
        return Some(Refusal::LagUnknown);
    }
    max_lag.filter(|most| lag > most.get()).map(|most| Refusal::LagsBehind { lag, most })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        input::LinkId,
        monitor::{InfoReport, PingPeriod, node_target},
        settings::{MasterSettings, Timing},
        state::LinkState,
        types::{Quorum, RunId, SentinelId},
    };

    const NOW: u64 = 100_000;

    fn ms(at: u64) -> Instant {
        Instant::from_micros(at * 1_000)
    }

    fn facts(master_down_since: Option<u64>) -> Facts {
        Facts {
            now: ms(NOW),
            ping_period: Duration::from_secs(1),
            info_period: Duration::from_secs(10),
            down_after: Duration::from_secs(2),
            master_down_since: master_down_since.map(ms),
            best_effort: false,
            empty_history: None,
            max_lag: None,
            told: Vec::new(),
            master_follows: None,
        }
    }

    fn facts_of_a_dead_master() -> Facts {
        facts(Some(NOW - 2_000))
    }

    /// A replica without a fault: link up, PING and INFO answered just now.
    fn replica(n: u64) -> Node {
        let id = SentinelId::new(&"a".repeat(40)).unwrap();
        let addr = format!("127.0.0.1:{}", 6380 + n).parse().unwrap();
        let settings = MasterSettings::new(Quorum::new(1).unwrap());
        let target = node_target(&id, &settings, addr);
        let period = PingPeriod::of(&settings, &Timing::default());
        let mut node = Node::new(NodeId(n), target, period, Role::Replica, ms(0));
        node.link.state = LinkState::Up { link: LinkId(n), since: ms(0), local: None };
        node.link.ok_reply_at = ms(NOW);
        node.info_at = Some(ms(NOW));
        node.info.link_up = true;
        node.info.offset = 1_000;
        node
    }

    fn refusal(facts: &Facts, change: impl FnOnce(&mut Node)) -> Option<Refusal> {
        let mut node = replica(1);
        change(&mut node);
        judge(&node, facts)
    }

    fn best(nodes: &[Node]) -> Option<u64> {
        judge_all(nodes.iter(), &facts(None)).best.map(|id| id.0)
    }

    #[test]
    fn a_replica_without_a_fault_is_a_candidate() {
        assert_eq!(refusal(&facts(None), |_| {}), None);
        assert_eq!(refusal(&facts(Some(NOW - 2_000)), |_| {}), None);
    }

    #[test]
    fn each_fault_has_its_own_refusal() {
        let calm = facts(None);
        assert_eq!(refusal(&calm, |n| n.sdown_since = Some(ms(1))), Some(Refusal::SubjectivelyDown));
        assert_eq!(refusal(&calm, |n| n.link.state = LinkState::Closed), Some(Refusal::Disconnected));
        assert_eq!(refusal(&calm, |n| n.link.state = LinkState::Connecting(LinkId(1))), Some(Refusal::Disconnected));
        assert_eq!(refusal(&calm, |n| n.info.priority = 0), Some(Refusal::PriorityZero));
        assert_eq!(refusal(&calm, |n| n.info_at = None), Some(Refusal::InfoTooOld(None)));
        assert_eq!(refusal(&calm, |n| n.stranger = true), Some(Refusal::WrongHistory));
        assert_eq!(
            refusal(&calm, |n| {
                n.info.link_up = false;
                n.info.link_down_ms = -1_000;
                n.info.offset = 0;
            }),
            Some(Refusal::NeverSynced)
        );
    }

    #[test]
    fn a_master_that_came_back_with_nothing_is_no_candidate() {
        let came_back = |offset, facts: &str| {
            let text = format!("role:master\r\nmaster_repl_offset:{offset}\r\n{facts}");
            refusal(&facts_of_a_dead_master(), |node| {
                node.former_master = true;
                node.info = InfoReport::parse(&text);
            })
        };
        assert_eq!(came_back(0, "# Keyspace\r\n"), Some(Refusal::StartedEmpty));
        let written = "rdb_changes_since_last_save:2\r\nrdb_last_load_keys_loaded:0\r\naof_enabled:0\r\n";
        let keys = "# Keyspace\r\ndb0:keys=2,expires=0\r\n";
        assert_eq!(came_back(0, &format!("{written}{keys}")), Some(Refusal::StartedEmpty), "all of them are new");
        assert_eq!(came_back(0, keys), None, "they may have been there before");
        assert_eq!(came_back(0, "loading:1\r\n# Keyspace\r\n"), None, "they may be coming");
        assert_eq!(came_back(0, ""), None, "nothing is known about its keys");
        assert_eq!(came_back(5_000, "# Keyspace\r\n"), None, "somebody followed it, or it followed somebody");
    }

    #[test]
    fn silence_and_age_are_too_long_only_when_strictly_longer() {
        let age = Duration::from_millis;
        let silent = |since| refusal(&facts(None), |n| n.link.ok_reply_at = ms(NOW - since));
        assert_eq!(silent(5_000), None);
        assert_eq!(silent(5_001), Some(Refusal::SilentFor(age(5_001))));

        let info = |down, since| refusal(&facts(down), |n| n.info_at = Some(ms(NOW - since)));
        assert_eq!(info(Some(NOW - 1), 5_000), None);
        assert_eq!(info(Some(NOW - 1), 5_001), Some(Refusal::InfoTooOld(Some(age(5_001)))));
        assert_eq!(info(None, 30_000), None);
        assert_eq!(info(None, 30_001), Some(Refusal::InfoTooOld(Some(age(30_001)))));
    }

    #[test]
    fn a_link_lost_long_before_the_master_went_down_is_a_refusal() {
        let down_for = |master_down_since, link_down_ms| {
            refusal(&facts(master_down_since), |n| {
                n.info.link_up = false;
                n.info.link_down_ms = link_down_ms;
            })
        };
        assert_eq!(down_for(None, 20_000), None);
        assert!(matches!(down_for(None, 21_000), Some(Refusal::LinkDownTooLong { .. })));
        assert_eq!(down_for(Some(NOW - 5_000), 25_000), None);
        assert!(matches!(down_for(Some(NOW - 5_000), 26_000), Some(Refusal::LinkDownTooLong { .. })));
        // Restarted with its data while the master is away: "never linked", but not empty.
        assert_eq!(down_for(Some(NOW - 5_000), -1_000), None);
    }

    #[test]
    fn what_a_candidate_lacks_is_bounded_if_asked_for_and_counted_within_one_history() {
        let id = |letter: &str| RunId::new(&letter.repeat(40)).ok();
        let told = |letter: &str, at, offset| Told { history: id(letter), at: ms(at), offset };
        let of = |told: Vec<Told>| {
            let facts = Facts { max_lag: NonZeroU64::new(100), told, ..facts(None) };
            refusal(&facts, |node| node.info.history.id = id("a"))
        };
        let too_far = Refusal::LagsBehind { lag: 101, most: NonZeroU64::new(100).unwrap() };
        assert_eq!(of(Vec::new()), None);
        assert_eq!(of(vec![told("a", NOW, 900), told("a", NOW, 1_100)]), None);
        assert_eq!(of(vec![told("a", NOW, 1_101), told("a", NOW, 900)]), Some(too_far));
        assert_eq!(of(vec![told("b", NOW, 9_999)]), None, "another stream");
        assert_eq!(of(vec![told("a", NOW + 1_001, 9_999)]), None, "told long after the replica told its own");
        assert_eq!(refusal(&Facts { told: vec![told("a", NOW, 9_999)], ..facts(None) }, |_| {}), None, "not asked for");
    }

    #[test]
    fn priority_counts_before_offset_and_offset_before_run_id() {
        let with = |n, priority, offset, run_id: Option<&str>| {
            let mut node = replica(n);
            node.info.priority = priority;
            node.info.offset = offset;
            node.info.run_id = run_id.map(|letter| RunId::new(&letter.repeat(40)).unwrap());
            node
        };
        assert_eq!(best(&[with(1, 100, 9, None), with(2, 10, 1, None)]), Some(2));
        assert_eq!(best(&[with(1, 10, 1, Some("a")), with(2, 10, 9, Some("z"))]), Some(2));
        assert_eq!(best(&[with(1, 10, 9, Some("b")), with(2, 10, 9, Some("A"))]), Some(2));
        assert_eq!(best(&[with(1, 10, 9, None), with(2, 10, 9, Some("z"))]), Some(2));
        let mut former = with(1, 1, 99, None);
        former.former_master = true;
        assert_eq!(best(&[former, with(2, 100, 1, None)]), Some(2));
        // Nothing tells them apart: the one known longer, so that the same facts give the same choice.
        assert_eq!(best(&[with(2, 10, 9, None), with(1, 10, 9, None)]), Some(1));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn the_refused_are_named_and_do_not_win() {
        let mut first = replica(1);
        first.info.priority = 0;
        let judged = judge_all([first, replica(2)].iter(), &facts(None));
        assert_eq!(judged.best, Some(NodeId(2)));
        assert_eq!(judged.refused, vec![("127.0.0.1:6381".parse().unwrap(), Refusal::PriorityZero)]);
    }
}
