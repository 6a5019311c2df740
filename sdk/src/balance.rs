//! Which of several replicas is read from. Pure.

use std::time::Duration;

use crate::address::Address;
use crate::keys::tag;

/// How reads are shared among the replicas that can be read from.
///
/// Those that are not linked to the master, or too far behind it ([`Builder::max_lag`](crate::Builder::max_lag)), are never among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Balance {
    /// To the one with the fewest commands of this pool under way, in turn among equals: a slow one gets less.
    #[default]
    LeastInFlight,
    /// In turn.
    RoundRobin,
    /// At random.
    Random,
    /// To the one with the lowest latency and to those whose latency is at most `tolerance` longer; among these as with
    /// [`LeastInFlight`](Self::LeastInFlight). For replicas at different distances: those in other zones are read from only when those nearby
    /// cannot be.
    ///
    /// The latency is what the question for the role takes, over the very connection that is read from; it is put as often as Sentinels
    /// are pinged ([`Builder::sentinel_ping_interval`](crate::Builder::sentinel_ping_interval)), and the median of the last five
    /// answers counts: a single slow one changes nothing, and a replica that becomes slow is known after three.
    /// [`SentinelPool::replicas`](crate::SentinelPool::replicas) shows it.
    LowestLatency {
        /// How much longer the latency of a replica may be to be held for as near as the nearest. With zero only the nearest one is read from,
        /// and which one that is changes with every whim of the network. One millisecond tells zones from each other.
        tolerance: Duration,
    },
    /// Reads of one key to the same replica for as long as it can be read from: what was seen of a key does not go back in time meanwhile, and
    /// what a replica has in its caches is used well. When a replica leaves or comes, only the keys move that were read there, or will
    /// be.
    ///
    /// The first key of a command or pipeline counts, and of a key with a part in braces (`user:{17}:name`) that part alone, as in Redis
    /// Cluster. Commands without a key go where they would with [`LeastInFlight`](Self::LeastInFlight). All pools that reach the
    /// replicas at the same addresses choose the same one.
    ByKey,
}

/// Where the reads of [`SentinelPool::replica`](crate::SentinelPool::replica) go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadPreference {
    /// To replicas, and to the master when none can be read from.
    #[default]
    ReplicaPreferred,
    /// To the master, as long as the pool has a connection to it: replicas are read from only while it has none. What is read is then as fresh as it
    /// can be, and reads go on through a failover; one that is under way when the master is lost waits for the next.
    MasterPreferred,
    /// To the master and replicas alike, as the [`Balance`] has it: the master is one more node to read from, with its own latency and its own
    /// commands under way. While one of them is missing the others serve; what is under way at the master when that is lost waits for the next.
    Any,
    /// To replicas alone: while there is none they wait, and fail after the time of the [`RetryPolicy`](crate::RetryPolicy).
    ReplicaOnly,
}

/// What is known of a node that can be read from.
#[derive(Debug, Clone)]
pub(crate) struct Contender<'a> {
    pub(crate) address: &'a Address,
    /// Commands under way.
    pub(crate) load: usize,
    pub(crate) latency: Duration,
}

/// What changes from one choice to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draw<'a> {
    /// Grows by one with each.
    pub(crate) turn: usize,
    pub(crate) random: usize,
    /// What is to be read, where it has a key.
    pub(crate) key: Option<&'a [u8]>,
}

/// The position of the replica to read from.
pub(crate) fn choose(balance: Balance, contenders: &[Contender<'_>], draw: Draw<'_>) -> Option<usize> {
    let count = contenders.len();
    if count == 0 {
        return None;
    }
    let least_in_flight = |most: Duration| {
        let in_turn = (0..count).map(|step| draw.turn.wrapping_add(step) % count);
        in_turn.filter(|position| contenders[*position].latency <= most).min_by_key(|at| contenders[*at].load)
    };
    match (balance, draw.key) {
        (Balance::RoundRobin, _) => Some(draw.turn % count),
        (Balance::Random, _) => Some(draw.random % count),
        (Balance::LeastInFlight, _) | (Balance::ByKey, None) => least_in_flight(Duration::MAX),
        (Balance::LowestLatency { tolerance }, _) => {
            let lowest = contenders.iter().map(|contender| contender.latency).min()?;
            least_in_flight(lowest.saturating_add(tolerance))
        }
        (Balance::ByKey, Some(key)) => (0..count).max_by_key(|at| affinity(contenders[*at].address, tag(key))),
    }
}

/// How much a replica is drawn to a key: a number that looks random and is always the same. The highest one has it (rendezvous hashing).
fn affinity(address: &Address, key: &[u8]) -> u64 {
    // FNV-1a, and the last step of SplitMix64, without which keys that differ in their last byte alone would stay together.
    let port = address.port().to_be_bytes();
    let bytes = address.host().bytes().chain(port).chain(key.iter().copied());
    let mut hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn addresses(count: u16) -> Vec<Address> {
        (1..=count).map(|port| Address::new("10.0.0.1", port).unwrap()).collect()
    }

    /// The choices of four turns among replicas with these loads and latencies in milliseconds.
    fn chosen(balance: Balance, contenders: &[(usize, u32)]) -> Vec<usize> {
        let addresses = addresses(3);
        let contender = |(address, (load, latency))| Contender { address, load, latency: MS * latency };
        let contenders: Vec<_> = addresses.iter().zip(contenders.iter().copied()).map(contender).collect();
        (0..4).filter_map(|turn| choose(balance, &contenders, Draw { turn, random: turn * 3, key: None })).collect()
    }

    #[test]
    fn each_way_shares_as_it_says() {
        assert_eq!(chosen(Balance::RoundRobin, &[(9, 1), (0, 1), (0, 1)]), [0, 1, 2, 0]);
        assert_eq!(chosen(Balance::Random, &[(9, 1), (0, 1)]), [0, 1, 0, 1]);
        assert_eq!(chosen(Balance::LeastInFlight, &[(1, 1), (0, 9), (0, 1)]), [1, 1, 2, 1]);
        assert_eq!(chosen(Balance::LeastInFlight, &[(0, 1), (0, 9)]), [0, 1, 0, 1]);
        assert_eq!(chosen(Balance::LeastInFlight, &[]), []);
    }

    #[test]
    fn the_nearest_and_those_within_the_tolerance_share_the_reads() {
        let within = |tolerance| Balance::LowestLatency { tolerance };
        assert_eq!(chosen(within(MS * 2), &[(0, 1), (0, 9), (0, 3)]), [0, 2, 2, 0]);
        assert_eq!(chosen(within(MS * 2), &[(5, 1), (0, 9), (4, 3)]), [2, 2, 2, 2]);
        assert_eq!(chosen(within(Duration::ZERO), &[(9, 1), (0, 9), (0, 3)]), [0, 0, 0, 0]);
        assert_eq!(chosen(within(Duration::MAX), &[(0, 1), (0, 9)]), [0, 1, 0, 1]);
        assert_eq!(chosen(within(MS), &[]), []);
        // Without a key there is nothing to go by.
        assert_eq!(chosen(Balance::ByKey, &[(1, 1), (0, 9), (0, 1)]), [1, 1, 2, 1]);
    }

    /// Which of these replicas has each of a thousand keys.
    fn homes(addresses: &[Address], key: impl Fn(u32) -> String) -> Vec<&Address> {
        let contenders: Vec<_> = addresses.iter().map(|address| Contender { address, load: 0, latency: MS }).collect();
        let home = |number: u32| {
            let key = key(number);
            let draw = Draw { turn: number as usize, random: 0, key: Some(key.as_bytes()) };
            contenders[choose(Balance::ByKey, &contenders, draw).unwrap()].address
        };
        (0..1000).map(home).collect()
    }

    #[test]
    fn a_key_stays_where_it_is_when_another_replica_leaves() {
        let all = addresses(3);
        let before = homes(&all, |number| format!("user:{number}"));
        for address in &all {
            let share = before.iter().filter(|home| **home == address).count();
            assert!((250..420).contains(&share), "{address} has {share} of 1000 keys");
        }
        let after = homes(&all[..2], |number| format!("user:{number}"));
        for (before, after) in before.iter().zip(after) {
            assert!(*before == after || **before == all[2], "{before} had it, now {after}");
        }
        let tagged = homes(&all, |number| format!("{{17}}:{number}"));
        assert!(tagged.iter().all(|home| *home == tagged[0]), "one tag, several replicas");
    }
}
