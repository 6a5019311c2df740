use std::fmt;

use sentinel_resp::Reply;

use crate::{
    monitor::InfoReport,
    types::{RunId, SentinelId},
};

/// Who answers on the connection to another Sentinel.
///
/// A connection leads to an address, and whoever is there answers PING. It is asked who it is before anything else: answers
/// come in their order, so none of the others is looked at before this one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Identity {
    /// It has not said so on this connection yet.
    #[default]
    Open,
    /// The one that is meant.
    Proven,
    /// It cannot or does not want to say: Redis before 6.2 does not know the question, an ACL may forbid it. It counts, as it
    /// does in the reference, which never asks.
    Withheld,
    /// It has said who it is, but does not prove that it knows the key that is asked for. What it says does not count.
    Unproven(Distrust),
    /// Somebody else. What it says is not the word of the one that is meant.
    Disproved(Impostor),
}

/// Who answers in the place of the one that is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Impostor {
    /// This process.
    Ourselves,
    /// A Sentinel of another id.
    Other(SentinelId),
    /// The process that is reached under this id already.
    Same(SentinelId),
    /// Something that answers as no Sentinel does.
    Unknown,
}

/// Why a peer does not prove that it knows the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Distrust {
    /// It has no key, or does not know the question.
    NoProof,
    /// It has another key, or passes on what another one proves.
    WrongProof,
}

impl Distrust {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Distrust::NoProof => {
                "it does not prove that it knows hello-auth-key: it has none, or cannot (redis-sentinel, an older version)"
            }
            Distrust::WrongProof => "its proof of hello-auth-key is wrong: the key differs",
        }
    }
}

impl Identity {
    /// Whether what this connection says is the word of the one that is meant.
    pub(crate) const fn speaks(&self) -> bool {
        matches!(self, Identity::Proven | Identity::Withheld)
    }

    pub(crate) const fn is_disproved(&self) -> bool {
        matches!(self, Identity::Disproved(_))
    }
}

impl fmt::Display for Impostor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Impostor::Ourselves => f.write_str("this Sentinel itself answers there"),
            Impostor::Other(id) => write!(f, "Sentinel {id} answers there"),
            Impostor::Same(id) => write!(f, "the process of Sentinel {id} answers there"),
            Impostor::Unknown => f.write_str("something that is no Sentinel answers there"),
        }
    }
}

/// What `SENTINEL MYID` and `INFO server` were answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    pub(crate) id: Named,
    /// The process behind the id, which changes with each start.
    pub(crate) run_id: Option<RunId>,
}

/// The answer to `SENTINEL MYID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Id(SentinelId),
    /// An error.
    Withheld,
    /// Neither an id nor an error.
    Nonsense,
}

impl Introduction {
    pub(crate) fn read(reply: &Reply) -> Self {
        let (myid, info) = match reply {
            Reply::Array(parts) => (parts.first(), parts.get(1)),
            other => (Some(other), None),
        };
        let id = match myid {
            // A data node, for example. A Sentinel that does not know the question says so of the subcommand.
            Some(Reply::Error(line)) if line.starts_with("ERR unknown command") => Named::Nonsense,
            Some(Reply::Error(_)) => Named::Withheld,
            // An id is a bulk string everywhere. A status is what one who always says +PONG would say.
            Some(reply @ Reply::Bulk(_)) => {
                let id = reply.as_text().and_then(|text| SentinelId::new(text).ok());
                id.map_or(Named::Nonsense, Named::Id)
            }
            _ => Named::Nonsense,
        };
        let info = info.filter(|reply| !matches!(reply, Reply::Error(_))).and_then(Reply::as_text);
        Introduction { id, run_id: info.and_then(|text| InfoReport::parse(text).run_id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_is_an_id_an_error_or_nonsense() {
        let id = "d".repeat(40);
        let info = || Reply::text(format!("# Server\r\nrun_id:{}\r\n", "e".repeat(40)));
        let read = |myid: Reply| Introduction::read(&Reply::Array(vec![myid, info()]));
        assert_eq!(read(Reply::display(&id)).id, Named::Id(SentinelId::new(&id).unwrap()));
        assert_eq!(read(Reply::display(id)).run_id, RunId::new(&"e".repeat(40)).ok());
        assert_eq!(read(Reply::error("ERR Unknown sentinel subcommand 'MYID'")).id, Named::Withheld);
        assert_eq!(
            read(Reply::error("ERR unknown command 'SENTINEL', with args beginning with: ")).id,
            Named::Nonsense
        );
        assert_eq!(read(Reply::status("PONG")).id, Named::Nonsense);
        assert_eq!(read(Reply::display("two words")).id, Named::Nonsense);
        assert_eq!(Introduction::read(&Reply::status("PONG")), Introduction { id: Named::Nonsense, run_id: None });
        let silent = Reply::Array(vec![Reply::error("NOPERM"), Reply::error("NOPERM")]);
        assert_eq!(Introduction::read(&silent), Introduction { id: Named::Withheld, run_id: None });
    }
}
