//! Facts from outside.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use sentinel_resp::Reply;

use crate::{
    command::Change,
    reload::Configured,
    scripts::{JobId, ScriptEnd, ScriptFault},
    snapshot::Seq,
};

/// A connection (or a pair of them) to one instance, as the engine names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// One message sent over a link, until it is answered or the link is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// The client session that waits for an answer to a [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientId(pub u64);

crate::canonical::relative!(LinkId: Own, RequestId: Own, ClientId: Client);

/// One fact from outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// A link that was asked for is ready: authenticated (or used without), named, subscribed.
    LinkUp {
        /// The link.
        link: LinkId,
        /// The own address as this instance sees it: what a hello sent over this link announces.
        local: Option<IpAddr>,
        /// The error with which the instance refused the login, if it serves this connection all the same.
        refused_login: Option<String>,
    },
    /// A link could not be opened, or an open one broke. Unanswered requests on it are lost.
    LinkDown {
        /// The link.
        link: LinkId,
        /// What happened.
        fault: LinkFault,
    },
    /// The answer to one request.
    Reply {
        /// The link.
        link: LinkId,
        /// The request.
        request: RequestId,
        /// The answer. For a transaction followed by INFO: an array of the answers to all its commands, in order.
        reply: Reply,
    },
    /// A message on `__sentinel__:hello` of a data node.
    Hello {
        /// The link whose subscription brought it.
        link: LinkId,
        /// The payload.
        payload: Bytes,
    },
    /// An instance answered to the subscription to `__sentinel__:hello`.
    Subscription {
        /// The link.
        link: LinkId,
        /// Its error. None: it is granted.
        refusal: Option<String>,
    },
    /// A client's command that changes something, or votes.
    Change {
        /// Who waits for the answer.
        client: ClientId,
        /// What is asked for.
        change: Change,
    },
    /// A script was started.
    ScriptStarted {
        /// Its call.
        job: JobId,
        /// Its process.
        pid: u32,
    },
    /// The process of a script ended.
    ScriptEnded {
        /// Its call.
        job: JobId,
        /// How it ended.
        end: ScriptEnd,
    },
    /// A script could not be started.
    ScriptFailedToStart {
        /// Its call.
        job: JobId,
        /// Why.
        fault: ScriptFault,
    },
    /// What the resolver says of a host name: asked for by [`Resolve`](crate::Output::Resolve), or before a connection.
    Resolved {
        /// The name.
        name: Arc<str>,
        /// Its address, or why it has none. Of several addresses, the one that is used.
        outcome: Result<IpAddr, String>,
    },
    /// What was found when it was looked at the configuration, and at the files that it names. Nothing is applied.
    Configuration(Looked),
    /// The state is on disk up to here.
    Persisted(Seq),
    /// The state could not be written. It will be tried again by whoever writes.
    PersistFailed {
        /// Up to where it was tried.
        seq: Seq,
        /// What the system said.
        error: String,
    },
}

/// What became of the configuration while this process runs.
#[derive(Clone, Debug)]
pub enum Looked {
    /// It is another one than at the last look: what it says, or why it cannot be taken.
    Changed(Result<Box<Configured>, String>),
    /// Somebody else's lines were overwritten with the state, and are kept where the text says.
    Overwritten(String),
    /// For how long the certificate of this Sentinel is valid: what is wrong with that, if anything is.
    Certificate(Option<String>),
}

/// Why a link is down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LinkFault {
    /// The host lives and says that no process listens there.
    Refused,
    /// The host name does not resolve.
    Unresolved(String),
    /// The instance serves nothing without other credentials, or does not let this host in. It lives.
    Denied(String),
    /// TLS is not agreed on, mostly since one side does not trust the certificate of the other.
    Untrusted(String),
    /// An established connection was closed by the other side.
    Closed,
    /// This process has no descriptors or memory left for a connection. That says nothing about the instance.
    Exhausted(String),
    /// Connecting took too long, or any other failure of the transport.
    Failed(String),
}

impl std::fmt::Display for LinkFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LinkFault::Refused => f.write_str("connection refused"),
            LinkFault::Unresolved(why) => write!(f, "host name does not resolve: {why}"),
            LinkFault::Denied(why) => write!(f, "not permitted: {why}"),
            LinkFault::Untrusted(why) => write!(f, "TLS: {why}"),
            LinkFault::Closed => f.write_str("connection closed by the other side"),
            LinkFault::Exhausted(why) => write!(f, "no room for a connection: {why}"),
            LinkFault::Failed(why) => f.write_str(why),
        }
    }
}
