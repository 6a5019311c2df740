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
