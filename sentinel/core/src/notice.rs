//! Events that say why something was, or was not, done. The reference has none like them: they are told on one channel of ours.

use std::fmt;

use crate::events::Level;

macro_rules! topics {
    ($($(#[$doc:meta])* $topic:ident $name:literal $level:ident),* $(,)?) => {
        /// What a notice is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Topic {
            $($(#[$doc])* $topic,)*
        }

        impl Topic {
            /// All of them.
            pub const ALL: &'static [Topic] = &[$(Topic::$topic),*];

            /// The name for programs: it does not change.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Topic::$topic => $name,)*
                }
            }

            /// How important it is: what an operator has to do something about, or what decides about a failover, is a warning.
            pub const fn level(self) -> Level {
                match self {
                    $(Topic::$topic => Level::$level,)*
                }
            }
        }
    };
}

topics! {
    /// A handover has come to its end without our help.
    HandoverOver "handover-over" Notice,
    /// A master that hands over to nobody is told to go on.
    MasterFreed "master-freed" Warning,
    /// The configuration was read again.
    Reloaded "reloaded" Warning,
    /// The configuration cannot be taken.
    NotReloaded "not-reloaded" Warning,
    /// A failover is not started yet.
    FailoverDelayed "failover-delayed" Warning,
    /// Nodes cannot copy from the replica that is promoted.
    OlderNodes "older-nodes" Warning,
    /// A replica cannot be promoted.
    NoCandidate "no-candidate" Notice,
    /// A replica cannot be promoted yet.
    NoCandidateYet "no-candidate-yet" Warning,
    /// The place of a candidate.
    Candidate "candidate" Debug,
    /// Clients are not paused in a handover.
    PauseRefused "pause-refused" Warning,
    /// A handover takes longer than it might.
    HasteRefused "haste-refused" Warning,
    /// The configured master is made the master again.
    Reinstated "reinstated" Warning,
    /// A failover is not needed any more.
    CalledOff "failover-called-off" Warning,
    /// A failover has been overtaken by a newer configuration.
    Overtaken "failover-overtaken" Warning,
    /// A failover is given up after this process stood still.
    GivenUp "failover-given-up" Warning,
    /// A replica does not follow the new master in time.
    InTheWay "replica-in-the-way" Warning,
    /// The new master is down.
    BegunAnew "failover-begun-anew" Warning,
    /// The state was not written.
    NotSaved "state-not-saved" Warning,
    /// This process stood still.
    StoodStill "stood-still" Warning,
    /// What a peer thinks of a master.
    Opinion "opinion" Debug,
    /// For whom a peer has voted.
    PeerVoted "peer-voted" Warning,
    /// A script was started, or has ended.
    ScriptChild "script-child" Debug,
    /// A script was not called.
    ScriptNotCalled "script-not-called" Warning,
    /// SENTINEL SIMULATE-FAILURE ends this process.
    SimulatedCrash "simulated-crash" Warning,
    /// What is new in an INFO.
    Info "info" Debug,
    /// Two addresses lead to one process.
    SameProcess "same-process" Notice,
    /// An order to change the role was refused.
    OrderRefused "order-refused" Warning,
    /// A Sentinel does not say who it is.
    PeerUnidentified "peer-unidentified" Verbose,
    /// Somebody else answers in a Sentinel's place.
    PeerElsewhere "peer-elsewhere" Warning,
    /// What a Sentinel announces is not followed.
    ConfigurationRefused "configuration-refused" Warning,
    /// A Sentinel listens on no port.
    PeerWithoutPort "peer-without-port" Warning,
    /// A node does not let us receive hellos at the moment.
    SubscriptionRefused "subscription-refused" Verbose,
    /// A node cannot be told whom to follow.
    NotLetIn "not-let-in" Warning,
    /// A host name has another address.
    NameMoved "name-moved" Warning,
    /// A host name has no address.
    NameLost "name-not-resolved" Warning,
    /// A connection is there, or gone.
    Link "link" Debug,
    /// A connection cannot be opened.
    ConnectFailed "connect-failed" Verbose,
    /// TLS is not agreed on.
    Untrusted "tls" Warning,
    /// This process has no room for connections.
    Descriptors "descriptors" Warning,
    /// A Sentinel does not prove that it knows the key.
    PeerUnproven "peer-unproven" Warning,
    /// How a request for a vote was judged.
    VoteAsked "vote-asked" Debug,
    /// An election was lost.
    NotElected "not-elected" Warning,
    /// The leader of a failover has fallen silent.
    LeaderSilent "leader-silent" Warning,
    /// Too few Sentinels hold a master for down.
    QuorumMissing "quorum-missing" Warning,
    /// What a master held before its restart is lost.
    DataLost "data-lost" Warning,
    /// A master that was restarted empty has data again.
    DataBack "data-back" Warning,
    /// An operator asked for a failover.
    Ordered "failover-ordered" Warning,
    /// There is a master again.
    MasterAgain "master-again" Notice,
    /// An implausible epoch was told.
    EpochRefused "epoch-refused" Warning,
    /// A message is not signed as it should be.
    SignatureRefused "signature-refused" Warning,
    /// A request for a vote is not signed as it should be.
    RequestRefused "request-refused" Warning,
    /// A hello tells another address of a Sentinel that answers at its own.
    AddressRefused "address-refused" Warning,
    /// A hello comes from a Sentinel that cannot be connected to.
    HelloUnreachable "hello-unreachable" Warning,
    /// More Sentinels say hello than are remembered.
    TooManyPeers "too-many-peers" Warning,
    /// Another process uses our id.
    DuplicateId "duplicate-id" Warning,
}

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// What it is about.
    pub topic: Topic,
    /// The master concerned, if any.
    pub master: Option<crate::types::MasterName>,
    /// The text.
    pub text: String,
}

impl Notice {
    /// The channel that all of them are told on.
    pub const CHANNEL: &'static str = "+notice";

    /// How important it is.
    pub const fn level(&self) -> Level {
        self.topic.level()
    }

    /// Whether it is told to subscribers. What happens with every INFO is for a debug log alone.
    pub fn is_published(&self) -> bool {
        self.level() >= Level::Notice
    }

    /// `<master, or -> <topic> #<text>`
    pub fn payload(&self) -> String {
        let master = self.master.as_ref().map_or("-", |name| name.as_str());
        let mut text = format!("{master} {} #{}", self.topic.as_str(), self.text);
        if text.len() > 1023 {
            let end = (0..=1023).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
        }
        text
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_topic_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Topic::ALL.iter().map(|topic| topic.as_str()).collect();
        assert_eq!(names.len(), Topic::ALL.len());
    }

    #[test]
    fn a_payload_is_bounded_and_debug_lines_are_not_published() {
        let notice = |topic| Notice { topic, master: None, text: "é".repeat(1_000) };
        assert!(notice(Topic::NotElected).payload().len() <= 1_023);
        assert!(notice(Topic::NotElected).payload().starts_with("- not-elected #é"));
        assert!(notice(Topic::NotElected).is_published() && !notice(Topic::Info).is_published());
    }
}
