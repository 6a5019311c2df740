//! The parts of an event, for logs that are read by programs.

use sentinel_core::events::{Event, Subject};

/// The parts that an event may have. Those it lacks are left out of the line.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) master: Option<&'a str>,
    /// `master`, `slave` or `sentinel`: what the event is about.
    pub(super) role: Option<&'static str>,
    /// Of what the event is about; the new one of a switch.
    pub(super) address: Option<String>,
    /// Of a Sentinel: the one concerned, or the one voted for.
    pub(super) id: Option<&'a str>,
    pub(super) epoch: Option<u64>,
    /// The former address of a switch.
    pub(super) from: Option<String>,
    pub(super) quorum: Option<u32>,
    /// How many Sentinels agree.
    pub(super) votes: Option<u32>,
    /// The role that a node claims.
    pub(super) reported: Option<&'static str>,
    /// The path of a script.
    pub(super) script: Option<&'a str>,
    /// Its process.
    pub(super) pid: Option<u32>,
    /// Why something is down, as a word.
    pub(super) cause: Option<&'static str>,
    /// The same as a text; of a problem its sentence.
    pub(super) detail: Option<String>,
    /// Which problem.
    pub(super) problem: Option<&'static str>,
    pub(super) severity: Option<&'static str>,
    /// What mends it.
    pub(super) remedy: Option<&'a str>,
    /// The offset at which a replica was promoted.
    pub(super) offset: Option<u64>,
    /// The highest offset that anybody is known to have had.
    pub(super) highest: Option<u64>,
    /// The difference.
    pub(super) loss: Option<u64>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(event: &'a Event) -> Self {
        match event {
            Event::NewEpoch { epoch, master } => {
                Fields { master: Some(master.as_str()), epoch: Some(epoch.get()), ..Fields::default() }
            }
            Event::ScriptTimeout { path, pid } => Fields { script: Some(path), pid: Some(*pid), ..Fields::default() },
            Event::ScriptError { path, .. } => Fields { script: Some(path), ..Fields::default() },
            Event::VoteForLeader { id, epoch, master } => Fields {
                master: Some(master.as_str()),
                id: Some(id.as_str()),
                epoch: Some(epoch.get()),
                ..Fields::default()
            },
            Event::SwitchMaster { name, old, new } => Fields {
                master: Some(name.as_str()),
                role: Some("master"),
                address: Some(new.to_string()),
                from: Some(old.to_string()),
                ..Fields::default()
            },
            Event::Monitor { subject, quorum } => Fields { quorum: Some(quorum.get()), ..Fields::about(subject) },
            Event::ObjectivelyDown { subject, have, need } => {
                Fields { votes: Some(*have), quorum: Some(need.get()), ..Fields::about(subject) }
            }
            Event::SubjectivelyDown { subject, cause } => {
                Fields { cause: Some(cause.code()), detail: Some(cause.to_string()), ..Fields::about(subject) }
            }
            Event::Problem { problem, .. } => Fields {
                master: problem.scope.master().map(|name| name.as_str()),
                role: Some(problem.scope.kind()),
                address: problem.scope.addr().map(ToString::to_string),
                id: problem.scope.id().map(|id| id.as_str()),
                problem: Some(problem.code.as_str()),
                severity: Some(problem.severity.as_str()),
                detail: Some(problem.sentence.clone()),
                remedy: Some(&problem.remedy),
                ..Fields::default()
            },
            Event::PromotedOffset { subject, promotion } => Fields {
                offset: promotion.offset,
                highest: promotion.highest.as_ref().map(|(offset, _)| *offset),
                loss: promotion.loss(),
                ..Fields::about(subject)
            },
            Event::RoleChange { subject, role, .. } => {
                Fields { reported: Some(role.as_str()), ..Fields::about(subject) }
            }
            Event::PeerAddressSwitch { master, addr, id } => Fields {
                role: Some("sentinel"),
                id: Some(id.as_str()),
                address: Some(addr.to_string()),
                ..Fields::about(master)
            },
            _ => event.subject().map(Fields::about).unwrap_or_default(),
        }
    }

    fn about(subject: &'a Subject) -> Self {
        let (role, addr, id) = match subject {
            Subject::Master { addr, .. } => ("master", addr, None),
            Subject::Replica { addr, .. } => ("slave", addr, None),
            Subject::Peer { addr, id, .. } => ("sentinel", addr, Some(id.as_str())),
        };
        Fields {
            master: Some(subject.master().as_str()),
            role: Some(role),
            address: Some(addr.to_string()),
            id,
            ..Fields::default()
        }
    }
}
