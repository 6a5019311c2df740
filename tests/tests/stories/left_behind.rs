//! A replica is away while the master moves, and follows the node of before when it is back.

use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Dataset, Deployment, eventually};

/// In the reference, and here for other replicas that follow a wrong node.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(180);

/// A deployment whose first replica was away when the master died and was replaced by the second.
fn without_one_replica() -> Deployment {
    let deployment = Deployment::of_ours(3).failover_timeout(FAILOVER_TIMEOUT).start();
    let group = deployment.only_group();
    let (old, away) = (group.master(), &group.replicas()[0]);
    away.kill();
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());
    assert_eq!(new.port(), group.replicas()[1].port());
    deployment
}

/// Starts the replica again, with the file that says whom to follow, and waits until it follows the master: how long
/// that took.
fn time_until_it_follows(away: &DataNode, master: &DataNode, at_most: Duration) -> Duration {
    away.launch_again(Dataset::Kept);
    away.wait_until_it_answers();
    let answered = Instant::now();
    eventually("the replica follows the new master", at_most, || away.follows(master));
    answered.elapsed()
}

#[test]
fn a_replica_follows_at_once_where_the_former_master_does() {
    // Given a former master that is back, and has been made a replica of the new one
    let deployment = without_one_replica();
    let group = deployment.only_group();
    let [away, new] = group.replicas() else { panic!("two replicas") };
    group.master().launch_again(Dataset::Kept);
    eventually("the former master follows", Duration::from_secs(15), || group.master().follows(new));

    // When the replica comes back, and follows the former master
    let took = time_until_it_follows(away, new, Duration::from_secs(60));

    // Then it is pointed at the new one as soon as the former one has said whom it follows itself
    assert!(took < Duration::from_secs(15), "it took {took:?}");
    assert_eq!(deployment.named_ports("mymaster"), [Some(new.port()); 3]);
}

#[test]
fn a_replica_follows_soon_where_the_former_master_is_gone() {
    // Given a former master that stays away
    let deployment = without_one_replica();
    let group = deployment.only_group();
    let [away, new] = group.replicas() else { panic!("two replicas") };

    // When the replica comes back
    let took = time_until_it_follows(away, new, Duration::from_secs(90));

    // Then it is left alone for 8 s, and for no failover-timeout
    assert!(took < Duration::from_secs(20), "it took {took:?}");
    assert_eq!(deployment.named_ports("mymaster"), [Some(new.port()); 3]);
}
