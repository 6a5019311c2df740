//! What the engine wants done.

use std::{collections::BTreeMap, sync::Arc};

use sentinel_resp::Reply;

use crate::{
    events::Event,
    guard::Pause,
    history::Incident,
    input::{ClientId, LinkId, RequestId},
    notice::Notice,
    role_change::Omitted,
    scripts::JobId,
    snapshot::Seq,
    types::{Epoch, HostPort, MasterName, Nonce, Secret, SentinelId, Signed},
};

/// One effect.
#[derive(Clone, Debug, Hash)]
pub enum Output {
    /// Open a link. Answered by [`LinkUp`](crate::Input::LinkUp) or [`LinkDown`](crate::Input::LinkDown).
    Connect {
        /// Its name from now on.
        link: LinkId,
        /// Whereto and how.
        target: Arc<Target>,
    },
    /// Close a link and forget it. Nothing about it is expected any more.
    Disconnect {
        /// The link.
        link: LinkId,
    },
    /// Send over an open link.
    Send {
        /// The link.
        link: LinkId,
        /// Named in the answer.
        request: RequestId,
        /// What to send.
        message: Message,
    },
    /// Log and publish.
    Event(Event),
    /// Keep what happened to a master.
    Incident(Arc<Incident>),
    /// Log only.
    Notice(Notice),
    /// Answer a client's [`Change`](crate::command::Change).
    Answer {
        /// Who waits.
        client: ClientId,
        /// The answer.
        reply: Reply,
    },
    /// Make the state durable at least up to here: write [`Engine::snapshot`](crate::Engine::snapshot) and say
    /// [`Persisted`](crate::Input::Persisted). Several of these may be answered by one write.
    Persist(Seq),
    /// Ask the resolver for a host name. Answered by [`Resolved`](crate::Input::Resolved), within some seconds at most.
    Resolve {
        /// The name.
        name: Arc<str>,
    },
    /// Log from this level on; none: log nothing.
    SetLogLevel(Option<crate::events::Level>),
    /// Start a script, directly and without a shell, with the environment, the working directory and the standard
    /// streams of this process. Answered by [`ScriptStarted`](crate::Input::ScriptStarted) and then
    /// [`ScriptEnded`](crate::Input::ScriptEnded), or by [`ScriptFailedToStart`](crate::Input::ScriptFailedToStart).
    RunScript {
        /// Its name in the answers.
        job: JobId,
        /// The file to execute. It is not searched for.
        path: Arc<str>,
        /// The arguments behind the path.
        args: Arc<[String]>,
    },
    /// End the process of a script with SIGKILL.
    KillScript {
        /// Which.
        job: JobId,
    },
    /// Exit at once with status 99, flushing nothing: asked for by SENTINEL SIMULATE-FAILURE.
    Crash,
}

/// Where a link leads and how it is opened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The address.
    pub addr: HostPort,
    /// Data node or peer.
    pub kind: TargetKind,
    /// User for AUTH, if any.
    pub user: Option<String>,
    /// Password for AUTH. None: no AUTH is sent.
    pub pass: Option<Secret>,
    /// The name given with CLIENT SETNAME, without the suffix `-cmd` or `-pubsub`.
    pub client_name: String,
    /// Commands that this node knows under another name: from (upper case) to.
    pub rename_commands: Arc<BTreeMap<String, String>>,
}

/// What is at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// A master or replica: commands, and a subscription to `__sentinel__:hello`.
    DataNode,
    /// Another Sentinel: commands only.
    Peer,
}

/// A message to an instance. The wire form is the runtime's business.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// `PING`
    Ping,
    /// `INFO`
    Info,
    /// `SENTINEL MYID`, `INFO server`, and with a nonce `SENTINEL AUTH-CHALLENGE <nonce>`: who are you, and do you know the key?
    /// Answered with an array of all answers.
    Identify {
        /// What the proof is made of, where there is a key.
        challenge: Option<Nonce>,
    },
    /// `PUBLISH __sentinel__:hello <payload>`
    Hello {
        /// The eight fields, joined by commas.
        payload: Arc<str>,
    },
    /// `SENTINEL is-master-down-by-addr <ip> <port> <epoch> <candidate or *>`; signed, for a peer that has proved the key,
    /// `SENTINEL REQUEST-VOTE <master> <ip> <port> <epoch> <candidate or *> <nonce> <signature>`.
    IsMasterDown {
        /// The master asked about.
        addr: HostPort,
        /// The current epoch, or the one of the election.
        epoch: Epoch,
        /// None asks for an opinion, an id for a vote.
        candidate: Option<SentinelId>,
        /// What it is signed with.
        signed: Option<Signed>,
    },
    /// `CLIENT PAUSE <ms> WRITE`, `FAILOVER TO <host> <port> TIMEOUT <ms>`: pause writes, wait until that replica has everything, hand over to it.
    /// Writers wait until they are disconnected, or the pause is over. Answered with an array of both answers.
    HandOver {
        /// The replica.
        to: HostPort,
        /// After this time without it, go on as master.
        timeout: std::time::Duration,
    },
    /// `FAILOVER ABORT`; and, for an array of both answers, `CLIENT UNPAUSE`.
    CallOff {
        /// Whether writers wait because we told the node to have them wait.
        unpause: bool,
    },
    /// `REPLCONF GETACK *`, `INFO`: tell the master how far you are, then tell us. To the first command there is no
    /// answer. If it is refused there is one: then the refusal and INFO are the elements of an array, else INFO is all.
    Acknowledge,
    /// `MULTI`, `SLAVEOF NO ONE`, `CONFIG REWRITE`, `CLIENT KILL TYPE normal`, `CLIENT KILL TYPE pubsub`, `EXEC`, `INFO`.
    /// Answered with an array of the answers to each.
    Promote {
        /// What the node would throw the rest away for.
        omitted: Omitted,
    },
    /// The same with `SLAVEOF <host> <port>`.
    Replicate {
        /// The master to follow.
        of: HostPort,
        /// What the node would throw the rest away for.
        omitted: Omitted,
    },
    /// `SENTINEL PAUSE <master> <seconds> <reason> LOCAL`, or `SENTINEL RESUME <master> LOCAL`, to another Sentinel.
    Pause {
        /// The master.
        name: MasterName,
        /// What is asked for; none ends it.
        pause: Option<Pause>,
    },
    /// `ACL DRYRUN <user> <command>` for each of [`parts`](crate::parts): would you do this, if we told you? Answered
    /// with an array of all answers.
    MayI {
        /// Who we are there. None: the default user.
        user: Option<String>,
        /// Also about handing over.
        hand_over: bool,
    },
    /// `SCRIPT KILL`
    ScriptKill,
    /// `AUTH [<user>] <password>`: once more, over a link that is used without the login.
    SignIn {
        /// The user, if one was named.
        user: Option<String>,
        /// The password.
        pass: Secret,
    },
}
