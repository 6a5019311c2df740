//! Bugs planted on purpose, to prove that the simulation finds such ones. Without the feature `planted-bugs`, which nothing
//! that is shipped turns on, none exists and every question after one is answered at compile time.

/// A bug. Each is one condition left out at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted-bugs"), allow(unreachable_pub, reason = "public only where they can be planted"))]
pub enum Bug {
    /// A second vote is given in the same epoch.
    VoteTwice,
    /// A vote is given without being written.
    ForgetToPersistVote,
    /// The answer to a request for a vote leaves before the vote is on disk.
    AnswerBeforeDurable,
    /// Votes of former epochs are counted.
    CountStaleVotes,
    /// One vote less than needed wins.
    OneVoteShort,
    /// Known Sentinels are not written: after a restart the majority is over fewer.
    ForgetPeers,
    /// Whoever answers where a Sentinel is known to be is taken for it.
    TrustAddresses,
    /// A lower epoch that a peer tells is adopted.
    EpochBack,
    /// A lower configuration epoch that a peer tells is adopted.
    OldConfiguration,
    /// Hellos do not wait for the disk.
    HelloBeforeDurable,
    /// A failed write counts as a write.
    TrustFailedWrites,
    /// Objectively down without asking whether the quorum agrees.
    IgnoreQuorum,
    /// Priority 0 is the best of all.
    PromotePriorityZero,
    /// A replica that is down or disconnected is a candidate.
    PromoteTheDead,
    /// A replica that never had the data is a candidate.
    PromoteUnsynced,
    /// A node that says it is a master is a candidate like any other, with the offset of its own stream.
    PromoteAnyMaster,
    /// A replica that was restarted from a file which tells no offset is no candidate.
    RefuseTheReloaded,
    /// Data of another history are taken for the master's.
    AcceptStrangers,
    /// Offsets of the first INFO decide.
    PromoteOnOldInfo,
    /// A returning old master is left alone.
    NeverFence,
    /// A replica that follows the wrong master is left alone.
    NeverFix,
    /// Peers that name another master are not believed.
    IgnoreSwitches,
    /// A promotion is announced under the epoch that was in force before.
    ReuseConfigEpoch,
    /// `max-lag` is ignored.
    IgnoreMaxLag,
    /// `failover-pause` is ignored.
    IgnorePause,
    /// A handover that nobody leads to its end is left alone.
    LeaveHandovers,
    /// `empty-master-failover` is ignored.
    FollowTheEmpty,
    /// `promote-best-effort` is ignored.
    LeaveNoMaster,
    /// For how long the link of a candidate has been down does not matter, as if nobody were the master.
    PromoteTheLost,
    /// The age of its link that a replica tells by its wall clock is believed, whatever was seen of the link.
    BelieveTheClock,
    /// A replica that an empty master has emptied is a candidate.
    PromoteTheEmptied,
    /// A data node that does not let us in is silent.
    DenialIsSilence,
    /// With `hello-auth-key` unsigned and wrongly signed hellos are believed.
    BelieveTheUnsigned,
    /// With `hello-auth-key` unsigned requests for votes are voted for.
    VoteForTheUnsigned,
}

#[cfg(feature = "planted-bugs")]
std::thread_local! {
    static PLANTED: std::cell::Cell<Option<Bug>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug into all engines of this thread, or takes it out again.
#[cfg(feature = "planted-bugs")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

#[cfg(feature = "planted-bugs")]
pub(crate) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
