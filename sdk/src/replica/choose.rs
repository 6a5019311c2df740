//! Which of several replicas is read from. Pure.

/// How reads are shared among the replicas.
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
}

/// Where reads go when no replica can be read from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadPreference {
    /// To the master.
    #[default]
    ReplicaPreferred,
    /// Nowhere: they wait, and fail after the time of the [`RetryPolicy`](crate::RetryPolicy).
    ReplicaOnly,
}

/// The position of the replica to read from, given the commands under way at each; `turn` grows by one with each call.
pub(super) fn choose(balance: Balance, loads: &[usize], turn: usize, random: usize) -> Option<usize> {
    let count = loads.len();
    if count == 0 {
        return None;
    }
    match balance {
        Balance::RoundRobin => Some(turn % count),
        Balance::Random => Some(random % count),
        Balance::LeastInFlight => (0..count).map(|step| (turn + step) % count).min_by_key(|position| loads[*position]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(balance: Balance, loads: &[usize]) -> Vec<usize> {
        (0..4).filter_map(|turn| choose(balance, loads, turn, turn * 3)).collect()
    }

    #[test]
    fn each_way_shares_as_it_says() {
        assert_eq!(chosen(Balance::RoundRobin, &[9, 0, 0]), [0, 1, 2, 0]);
        assert_eq!(chosen(Balance::Random, &[9, 0]), [0, 1, 0, 1]);
        assert_eq!(chosen(Balance::LeastInFlight, &[1, 0, 0]), [1, 1, 2, 1]);
        assert_eq!(chosen(Balance::LeastInFlight, &[0, 0]), [0, 1, 0, 1]);
        assert_eq!(chosen(Balance::LeastInFlight, &[]), []);
    }
}
