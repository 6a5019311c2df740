//! Why an instance is held for down: what its connection and its PINGs have shown last.

use std::{fmt, time::Duration};

use crate::{
    input::LinkFault,
    settings::MasterSettings,
    state::{Link, Node},
    time::Instant,
    view::Role,
};

/// The cause of a down state. It is told in the log and in answers, not in the payload of an event, which is the reference's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DownCause {
    /// The host lives and says that no process listens there.
    Refused,
    /// The host name does not resolve.
    Unresolved(String),
    /// It wants other credentials or more permissions.
    NotAuthenticated(String),
    /// TLS is not agreed on.
    Untrusted(String),
    /// The connection was closed by the other side, and is not back.
    ConnectionLost,
    /// Connecting takes too long, or fails in another way.
    Unreachable(String),
    /// There is no connection, and nothing says why.
    NoConnection,
    /// It is connected, and has not answered for so long.
    Silent(Duration),
    /// It answers PING with something else.
    Garbage(String),
    /// It runs a script, and does nothing else.
    Busy,
    /// It was started anew, and has been loading its data for too long.
    Loading,
    /// The master says that it is a replica.
    WrongRole,
    /// The master was started anew without its data.
    Emptied,
    /// No node is a master.
    NoMaster,
}

impl DownCause {
    /// The word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            DownCause::Refused => "refused",
            DownCause::Unresolved(_) => "name-not-resolved",
            DownCause::NotAuthenticated(_) => "not-authenticated",
            DownCause::Untrusted(_) => "tls",
            DownCause::ConnectionLost => "connection-lost",
            DownCause::Unreachable(_) => "unreachable",
            DownCause::NoConnection => "no-connection",
            DownCause::Silent(_) => "silent",
            DownCause::Garbage(_) => "unexpected-answer",
            DownCause::Busy => "busy",
            DownCause::Loading => "loading",
            DownCause::WrongRole => "reports-the-wrong-role",
            DownCause::Emptied => "emptied",
            DownCause::NoMaster => "no-master",
        }
    }

    /// What the connection to an instance that is not available shows.
    pub(crate) fn of_link(link: &Link, now: Instant) -> Self {
        if link.is_up() {
            return match link.odd_answer.as_deref() {
                Some(text) if text.starts_with("BUSY") => DownCause::Busy,
                Some(text) if crate::state::is_lack_of_rights(text) => DownCause::NotAuthenticated(text.to_owned()),
                Some(text) => DownCause::Garbage(text.to_owned()),
                None => DownCause::Silent(link.unavailable_since().map(|at| now.since(at)).unwrap_or_default()),
            };
        }
        match &*link.fault {
            Some(LinkFault::Refused) => DownCause::Refused,
            Some(LinkFault::Unresolved(why)) => DownCause::Unresolved(why.clone()),
            Some(LinkFault::Denied(why)) => DownCause::NotAuthenticated(why.clone()),
            Some(LinkFault::Untrusted(why)) => DownCause::Untrusted(why.clone()),
            Some(LinkFault::Closed) => DownCause::ConnectionLost,
            Some(LinkFault::Exhausted(why) | LinkFault::Failed(why)) => DownCause::Unreachable(why.clone()),
            None => DownCause::NoConnection,
        }
    }

    /// Why a data node is down, in the order of the rules of [`Watch::evaluate_node`](crate::watch::Watch::evaluate_node).
    pub(crate) fn of_node(node: &Node, seen: &Seen<'_>) -> Self {
        let now = seen.now;
        let silent = node.link.unavailable_since().is_some_and(|at| now.since(at) >= seen.settings.down_after);
        if silent || node.link.refusals > 0 && !node.link.is_up() {
            return DownCause::of_link(&node.link, now);
        }
        if seen.emptied {
            return DownCause::Emptied;
        }
        if seen.vacant {
            return DownCause::NoMaster;
        }
        if node.rebooted_at.is_some() {
            return DownCause::Loading;
        }
        if seen.is_master && node.role == Role::Replica {
            return DownCause::WrongRole;
        }
        DownCause::of_link(&node.link, now)
    }
}

/// What the cause depends on besides the node itself.
pub(crate) struct Seen<'a> {
    pub(crate) now: Instant,
    pub(crate) settings: &'a MasterSettings,
    pub(crate) is_master: bool,
    /// A guard that was asked for holds it for emptied.
    pub(crate) emptied: bool,
    /// A guard that was asked for found that nobody is the master.
    pub(crate) vacant: bool,
}

impl fmt::Display for DownCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownCause::Refused => f.write_str("connection refused"),
            DownCause::Unresolved(why) => write!(f, "its name does not resolve: {why}"),
            DownCause::NotAuthenticated(why) => write!(f, "not authenticated: {}", why.trim_end()),
            DownCause::Untrusted(why) => write!(f, "TLS: {why}"),
            DownCause::ConnectionLost => f.write_str("connection lost"),
            DownCause::Unreachable(why) => write!(f, "cannot be connected to: {why}"),
            DownCause::NoConnection => f.write_str("no connection"),
            DownCause::Silent(time) => write!(f, "silent for {} ms", time.as_millis()),
            DownCause::Garbage(text) => write!(f, "it answers PING with {text:?}"),
            DownCause::Busy => f.write_str("busy with a script"),
            DownCause::Loading => f.write_str("started anew, still loading its data"),
            DownCause::WrongRole => f.write_str("it reports the role of a replica"),
            DownCause::Emptied => f.write_str("started anew without its data"),
            DownCause::NoMaster => f.write_str("no node is a master"),
        }
    }
}
