//! Events: every state change worth knowing, with its exact channel and payload.

use std::{fmt, sync::Arc};

use crate::{
    detect::DownCause,
    failover::{CandidateLost, NotLossless, Promotion},
    guard::{Emptied, NoMaster, Withheld},
    notice::Notice,
    problems::{Problem, Severity, Turn},
    types::{Epoch, HostPort, MasterName, Quorum, SentinelId},
    view::Role,
};

/// How important an event or a log line is. The reference's four levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Not even published.
    Debug,
    /// Published, but not in the default log.
    Verbose,
    /// Published and logged.
    Notice,
    /// Published, logged, and given to the notification script.
    Warning,
}

impl Level {
    /// The word of `loglevel`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Verbose => "verbose",
            Level::Notice => "notice",
            Level::Warning => "warning",
        }
    }
}

/// An instance as event payloads name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `master <name> <ip> <port>`
    Master {
        /// Its name.
        name: MasterName,
        /// Its address at that moment.
        addr: HostPort,
    },
    /// `slave <ip:port> <ip> <port> @ <master-name> <master-ip> <master-port>`
    Replica {
        /// Its address.
        addr: HostPort,
        /// The master's name.
        master: MasterName,
        /// The master's address at that moment.
        master_addr: HostPort,
    },
    /// `sentinel <id> <ip> <port> @ <master-name> <master-ip> <master-port>`
    Peer {
        /// Its id.
        id: SentinelId,
        /// Its address.
        addr: HostPort,
        /// The master's name.
        master: MasterName,
        /// The master's address at that moment.
        master_addr: HostPort,
    },
}

impl Subject {
    /// The master concerned.
    pub const fn master(&self) -> &MasterName {
        match self {
            Subject::Master { name, .. } => name,
            Subject::Replica { master, .. } | Subject::Peer { master, .. } => master,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Master { name, addr } => write!(f, "master {name} {} {}", addr.host, addr.port),
            Subject::Replica { addr, master, master_addr } => write!(
                f,
                "slave {addr} {} {} @ {master} {} {}",
                addr.host, addr.port, master_addr.host, master_addr.port
            ),
            Subject::Peer { id, addr, master, master_addr } => write!(
                f,
                "sentinel {id} {} {} @ {master} {} {}",
                addr.host, addr.port, master_addr.host, master_addr.port
            ),
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is one row of the event table and is named after its channel")]
pub enum Event {
    Monitor { subject: Subject, quorum: Quorum },
    Unmonitor(Subject),
    ResetMaster(Subject),
    Set { subject: Subject, what: String },
    ReplicaDiscovered(Subject),
    PeerDiscovered(Subject),
    PeerAddressSwitch { master: Subject, addr: HostPort, id: SentinelId },
    PeerAddressUpdate { subject: Subject, others: usize },
    PeerInvalidAddress(Subject),
    SubjectivelyDown { subject: Subject, cause: DownCause },
    SubjectivelyUp(Subject),
    ObjectivelyDown { subject: Subject, have: u32, need: Quorum },
    ObjectivelyUp(Subject),
    NewEpoch { epoch: Epoch, master: MasterName },
    TryFailover(Subject),
    VoteForLeader { id: SentinelId, epoch: Epoch, master: MasterName },
    ElectedLeader(Subject),
    StateSelectReplica(Subject),
    SelectedReplica(Subject),
    CandidateLost { subject: Subject, why: CandidateLost },
    StateHandOver(Subject),
    HandedOver(Subject),
    MasterFreed(Subject),
    NotLossless { subject: Subject, why: NotLossless },
    StateSendReplicaofNoOne(Subject),
    StateWaitPromotion(Subject),
    PromotedOffset { subject: Subject, promotion: Promotion },
    PromotionNotSaved { subject: Subject, error: Arc<str> },
    PromotedReplica(Subject),
    StateReconfReplicas(Subject),
    ReconfSent(Subject),
    ReconfInProgress(Subject),
    ReconfDone(Subject),
    ReconfSentTimeout(Subject),
    ReconfSentBestEffort(Subject),
    FailoverEndForTimeout(Subject),
    FailoverEnd(Subject),
    SwitchMaster { name: MasterName, old: HostPort, new: HostPort },
    ConfigUpdateFrom(Subject),
    AbortNotElected(Subject),
    AbortNoGoodReplica(Subject),
    AbortReplicaTimeout(Subject),
    AbortMasterTimeout(Subject),
    RoleChange { subject: Subject, role: Role, expected: bool },
    ConvertToReplica(Subject),
    FixReplicaConfig(Subject),
    ReplidMismatch(Subject),
    EmptyMaster { subject: Subject, why: Emptied },
    NoMaster { subject: Subject, why: NoMaster },
    FailoverWithheld { subject: Subject, why: Withheld },
    ReplicaForgotten(Subject),
    PeerForgotten(Subject),
    Reboot(Subject),
    AccessDenied { subject: Subject, what: String },
    AccessGranted(Subject),
    TiltEntered,
    TiltExited,
    ScriptTimeout { path: Arc<str>, pid: u32 },
    Notice(Notice),
    Paused { subject: Subject, reason: Option<String> },
    Resumed(Subject),
    Problem { turn: Turn, problem: Arc<Problem> },
    ScriptError { path: Arc<str>, signal: i32, status: i32 },
}

impl Event {
    /// The channel, which is also the first word of the log line.
    pub const fn channel(&self) -> &'static str {
        match self {
            Event::Monitor { .. } => "+monitor",
            Event::Unmonitor(_) => "-monitor",
            Event::ResetMaster(_) => "+reset-master",
            Event::Set { .. } => "+set",
            Event::ReplicaDiscovered(_) => "+slave",
            Event::PeerDiscovered(_) => "+sentinel",
            Event::PeerAddressSwitch { .. } => "+sentinel-address-switch",
            Event::PeerAddressUpdate { .. } => "+sentinel-address-update",
            Event::PeerInvalidAddress(_) => "+sentinel-invalid-addr",
            Event::SubjectivelyDown { .. } => "+sdown",
            Event::SubjectivelyUp(_) => "-sdown",
            Event::ObjectivelyDown { .. } => "+odown",
            Event::ObjectivelyUp(_) => "-odown",
            Event::NewEpoch { .. } => "+new-epoch",
            Event::TryFailover(_) => "+try-failover",
            Event::VoteForLeader { .. } => "+vote-for-leader",
            Event::ElectedLeader(_) => "+elected-leader",
            Event::StateSelectReplica(_) => "+failover-state-select-slave",
            Event::SelectedReplica(_) => "+selected-slave",
            Event::CandidateLost { .. } => "-selected-slave",
            Event::StateHandOver(_) => "+failover-state-hand-over",
            Event::HandedOver(_) => "+handed-over",
            Event::MasterFreed(_) => "+master-freed",
            Event::NotLossless { .. } => "-failover-lossless",
            Event::StateSendReplicaofNoOne(_) => "+failover-state-send-slaveof-noone",
            Event::StateWaitPromotion(_) => "+failover-state-wait-promotion",
            Event::PromotionNotSaved { .. } => "-promotion-not-saved",
            Event::PromotedReplica(_) => "+promoted-slave",
            Event::StateReconfReplicas(_) => "+failover-state-reconf-slaves",
            Event::ReconfSent(_) => "+slave-reconf-sent",
            Event::ReconfInProgress(_) => "+slave-reconf-inprog",
            Event::ReconfDone(_) => "+slave-reconf-done",
            Event::ReconfSentTimeout(_) => "-slave-reconf-sent-timeout",
            Event::ReconfSentBestEffort(_) => "+slave-reconf-sent-be",
            Event::FailoverEndForTimeout(_) => "+failover-end-for-timeout",
            Event::FailoverEnd(_) => "+failover-end",
            Event::SwitchMaster { .. } => "+switch-master",
            Event::ConfigUpdateFrom(_) => "+config-update-from",
            Event::AbortNotElected(_) => "-failover-abort-not-elected",
            Event::AbortNoGoodReplica(_) => "-failover-abort-no-good-slave",
            Event::AbortReplicaTimeout(_) => "-failover-abort-slave-timeout",
            Event::AbortMasterTimeout(_) => "-failover-abort-master-timeout",
            Event::RoleChange { expected: true, .. } => "+role-change",
            Event::RoleChange { expected: false, .. } => "-role-change",
            Event::ConvertToReplica(_) => "+convert-to-slave",
            Event::FixReplicaConfig(_) => "+fix-slave-config",
            Event::ReplidMismatch(_) => "-replid-mismatch",
            Event::PromotedOffset { .. } => "+promoted-offset",
            Event::EmptyMaster { .. } => "-empty-master",
            Event::NoMaster { .. } => "-no-master",
            Event::FailoverWithheld { .. } => "-failover-withheld",
            Event::ReplicaForgotten(_) => "-slave",
            Event::PeerForgotten(_) => "-sentinel",
            Event::Reboot(_) => "+reboot",
            Event::AccessDenied { .. } => "+access-denied",
            Event::AccessGranted(_) => "-access-denied",
            Event::TiltEntered => "+tilt",
            Event::TiltExited => "-tilt",
            Event::Notice(_) => Notice::CHANNEL,
            Event::Paused { .. } => "+paused",
            Event::Resumed(_) => "-paused",
            Event::Problem { turn: Turn::Raised, .. } => "+problem",
            Event::Problem { turn: Turn::Lasts, .. } => "+problem-lasts",
            Event::Problem { turn: Turn::Cleared, .. } => "-problem",
            Event::ScriptTimeout { .. } => "-script-timeout",
            Event::ScriptError { .. } => "-script-error",
        }
    }

    /// Whether the notification script is called for it: for those of level warning that the reference has, or that tell of an
    /// incident as these do. Problems are a state, and are told again while they last.
    pub(crate) fn calls_scripts(&self) -> bool {
        self.level() == Level::Warning && !matches!(self, Event::Problem { .. } | Event::Notice(_))
    }

    /// The level. Every event here is published.
    pub fn level(&self) -> Level {
        match self {
            Event::Notice(notice) => notice.level(),
            Event::Problem { problem, turn } if *turn != Turn::Cleared && problem.severity > Severity::Info => {
                Level::Warning
            }
            Event::Problem { .. }
            | Event::Paused { .. }
            | Event::Resumed(_)
            | Event::ReplicaDiscovered(_)
            | Event::PeerDiscovered(_)
            | Event::PeerAddressSwitch { .. }
            | Event::PeerAddressUpdate { .. }
            | Event::PeerInvalidAddress(_)
            | Event::StateSendReplicaofNoOne(_)
            | Event::StateHandOver(_)
            | Event::HandedOver(_)
            | Event::MasterFreed(_)
            | Event::PromotedOffset { .. }
            | Event::StateWaitPromotion(_)
            | Event::ReconfSent(_)
            | Event::ReconfInProgress(_)
            | Event::ReconfDone(_)
            | Event::ReconfSentTimeout(_)
            | Event::ReconfSentBestEffort(_)
            | Event::ConvertToReplica(_)
            | Event::FixReplicaConfig(_)
            | Event::Reboot(_)
            | Event::AccessGranted(_) => Level::Notice,
            Event::RoleChange { .. } => Level::Verbose,
            _ => Level::Warning,
        }
    }

    /// The instance that the event is about, if it is about one.
    pub const fn subject(&self) -> Option<&Subject> {
        match self {
            Event::TiltEntered
            | Event::TiltExited
            | Event::Notice(_)
            | Event::Problem { .. }
            | Event::ScriptTimeout { .. }
            | Event::ScriptError { .. }
            | Event::NewEpoch { .. }
            | Event::VoteForLeader { .. }
            | Event::SwitchMaster { .. } => None,
            Event::Monitor { subject, .. }
            | Event::Set { subject, .. }
            | Event::Paused { subject, .. }
            | Event::Resumed(subject)
            | Event::SubjectivelyDown { subject, .. }
            | Event::NotLossless { subject, .. }
            | Event::AccessDenied { subject, .. }
            | Event::CandidateLost { subject, .. }
            | Event::PromotionNotSaved { subject, .. }
            | Event::PromotedOffset { subject, .. }
            | Event::EmptyMaster { subject, .. }
            | Event::NoMaster { subject, .. }
            | Event::FailoverWithheld { subject, .. }
            | Event::PeerAddressSwitch { master: subject, .. }
            | Event::PeerAddressUpdate { subject, .. }
            | Event::ObjectivelyDown { subject, .. }
            | Event::RoleChange { subject, .. }
            | Event::Unmonitor(subject)
            | Event::ResetMaster(subject)
            | Event::ReplicaDiscovered(subject)
            | Event::PeerDiscovered(subject)
            | Event::PeerInvalidAddress(subject)
            | Event::SubjectivelyUp(subject)
            | Event::ObjectivelyUp(subject)
            | Event::TryFailover(subject)
            | Event::ElectedLeader(subject)
            | Event::StateSelectReplica(subject)
            | Event::SelectedReplica(subject)
            | Event::StateHandOver(subject)
            | Event::HandedOver(subject)
            | Event::MasterFreed(subject)
            | Event::StateSendReplicaofNoOne(subject)
            | Event::StateWaitPromotion(subject)
            | Event::PromotedReplica(subject)
            | Event::StateReconfReplicas(subject)
            | Event::ReconfSent(subject)
            | Event::ReconfInProgress(subject)
            | Event::ReconfDone(subject)
            | Event::ReconfSentTimeout(subject)
            | Event::ReconfSentBestEffort(subject)
            | Event::FailoverEndForTimeout(subject)
            | Event::FailoverEnd(subject)
            | Event::ConfigUpdateFrom(subject)
            | Event::AbortNotElected(subject)
            | Event::AbortNoGoodReplica(subject)
            | Event::AbortReplicaTimeout(subject)
            | Event::AbortMasterTimeout(subject)
            | Event::ConvertToReplica(subject)
            | Event::FixReplicaConfig(subject)
            | Event::ReplidMismatch(subject)
            | Event::ReplicaForgotten(subject)
            | Event::PeerForgotten(subject)
            | Event::Reboot(subject)
            | Event::AccessGranted(subject) => Some(subject),
        }
    }

    /// The master concerned, if any: its notification script is called.
    pub fn master(&self) -> Option<&MasterName> {
        match self {
            Event::NewEpoch { master, .. } | Event::VoteForLeader { master, .. } => Some(master),
            Event::SwitchMaster { name, .. } => Some(name),
            Event::Problem { problem, .. } => problem.scope.master(),
            Event::Notice(notice) => notice.master.as_ref(),
            _ => self.subject().map(Subject::master),
        }
    }

    /// The payload, cut at 1,023 bytes as the reference does.
    pub fn payload(&self) -> String {
        let mut text = match self {
            Event::Monitor { subject, quorum } => format!("{subject} quorum {quorum}"),
            Event::Set { subject, what } => format!("{subject} {what}"),
            Event::AccessDenied { subject, what } => format!("{subject} #{what}"),
            Event::NotLossless { subject, why } => format!("{subject} {why}"),
            Event::CandidateLost { subject, why } => format!("{subject} {why}"),
            Event::PromotionNotSaved { subject, error } => format!("{subject} #{error}"),
            Event::PromotedOffset { subject, promotion } => format!("{subject} {promotion}"),
            Event::EmptyMaster { subject, why } => format!("{subject} {why}"),
            Event::NoMaster { subject, why } => format!("{subject} {why}"),
            Event::FailoverWithheld { subject, why } => format!("{subject} {why}"),
            Event::PeerAddressSwitch { master, addr, id } => {
                format!("{master} ip {} port {} for {id}", addr.host, addr.port)
            }
            Event::PeerAddressUpdate { subject, others } => {
                format!("{subject} {others} additional matching instances")
            }
            Event::ObjectivelyDown { subject, have, need } => format!("{subject} #quorum {have}/{need}"),
            Event::NewEpoch { epoch, .. } => epoch.to_string(),
            Event::VoteForLeader { id, epoch, .. } => format!("{id} {epoch}"),
            Event::SwitchMaster { name, old, new } => {
                format!("{name} {} {} {} {}", old.host, old.port, new.host, new.port)
            }
            Event::RoleChange { subject, role, .. } => format!("{subject} new reported role is {}", role.as_str()),
            Event::TiltEntered => "#tilt mode entered".to_owned(),
            Event::TiltExited => "#tilt mode exited".to_owned(),
            Event::Notice(notice) => notice.payload(),
            Event::Paused { subject, reason: Some(reason) } => format!("{subject} #{reason}"),
            Event::Problem { problem, .. } => {
                format!("{} #{}: {}", problem.scope, problem.code.as_str(), problem.sentence)
            }
            Event::ScriptTimeout { path, pid } => format!("{path} {pid}"),
            Event::ScriptError { path, signal, status } => format!("{path} {signal} {status}"),
            _ => self.subject().map(ToString::to_string).unwrap_or_default(),
        };
        if text.len() > 1023 {
            let end = (0..=1023).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> HostPort {
        HostPort::from_words("127.0.0.1", &port.to_string()).unwrap()
    }

    #[test]
    fn payloads_are_the_references() {
        let name = MasterName::new("mymaster").unwrap();
        let master = Subject::Master { name: name.clone(), addr: addr(36001) };
        let replica = Subject::Replica { addr: addr(36003), master: name.clone(), master_addr: addr(36001) };
        let id = SentinelId::new(&"c".repeat(40)).unwrap();
        let cases = [
            (
                Event::SubjectivelyDown { subject: master.clone(), cause: DownCause::Refused },
                "+sdown",
                "master mymaster 127.0.0.1 36001".to_owned(),
            ),
            (
                Event::ObjectivelyDown { subject: master.clone(), have: 2, need: Quorum::new(2).unwrap() },
                "+odown",
                "master mymaster 127.0.0.1 36001 #quorum 2/2".to_owned(),
            ),
            (
                Event::SelectedReplica(replica.clone()),
                "+selected-slave",
                "slave 127.0.0.1:36003 127.0.0.1 36003 @ mymaster 127.0.0.1 36001".to_owned(),
            ),
            (
                Event::RoleChange { subject: replica, role: Role::Master, expected: false },
                "-role-change",
                "slave 127.0.0.1:36003 127.0.0.1 36003 @ mymaster 127.0.0.1 36001 new reported role is master"
                    .to_owned(),
            ),
            (
                Event::SwitchMaster { name, old: addr(36001), new: addr(36003) },
                "+switch-master",
                "mymaster 127.0.0.1 36001 127.0.0.1 36003".to_owned(),
            ),
            (
                Event::PeerAddressSwitch { master, addr: addr(36505), id: id.clone() },
                "+sentinel-address-switch",
                format!("master mymaster 127.0.0.1 36001 ip 127.0.0.1 port 36505 for {id}"),
            ),
        ];
        for (event, channel, payload) in cases {
            assert_eq!((event.channel(), event.payload()), (channel, payload));
        }
    }
}
