//! The commands that change whom a node replicates from, and what its answers to them say.
//!
//! The reference sends one transaction and reads no answer. A server that does not permit or does not know one of its
//! commands then discards the whole of it (`EXECABORT`), and failover after failover ends at its timeout. A departure:
//! the order is given again at once without what was refused, and what was refused is told.

use sentinel_resp::Reply;

/// How an answer begins with which a server throws a transaction away.
const DISCARDED: &str = "EXECABORT";

/// How an order departs from the usual one: what is left out, because the node would throw the whole of it away otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each command of an order is refused or needed by itself")]
pub struct Omitted {
    /// `MULTI` and `EXEC`: the commands take effect one after the other.
    pub transaction: bool,
    /// `CONFIG REWRITE`: the node forgets the change when it restarts, and is told again then.
    pub rewrite: bool,
    /// `CLIENT KILL`: clients keep their connections and find out by themselves.
    pub kill: bool,
    /// Not left out but added: `FAILOVER ABORT` comes first. A node that is handing over refuses the change otherwise.
    pub abort_first: bool,
    /// Not left out but added: `CLIENT UNPAUSE` behind it, since clients were paused for our sake.
    pub unpause: bool,
}

/// One command of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `DISCARD`: leaves the transaction of the order before, if it is still open.
    Discard,
    /// `MULTI`
    Multi,
    /// `FAILOVER ABORT`
    Abort,
    /// `SLAVEOF`
    ReplicaOf,
    /// `CONFIG REWRITE`
    Rewrite,
    /// `CLIENT KILL TYPE normal`
    KillNormal,
    /// `CLIENT KILL TYPE pubsub`
    KillPubSub,
    /// `EXEC`
    Exec,
    /// `CLIENT UNPAUSE`
    Unpause,
    /// `INFO`
    Info,
}

impl Omitted {
    /// The commands in the order in which they are sent. The last one is always `INFO`.
    pub fn steps(self) -> impl Iterator<Item = Step> {
        let all = [
            (self.transaction, Step::Discard),
            (!self.transaction, Step::Multi),
            (self.abort_first, Step::Abort),
            (true, Step::ReplicaOf),
            (!self.rewrite, Step::Rewrite),
            (!self.kill, Step::KillNormal),
            (!self.kill, Step::KillPubSub),
            (!self.transaction, Step::Exec),
            (self.unpause, Step::Unpause),
            (true, Step::Info),
        ];
        all.into_iter().filter_map(|(sent, step)| sent.then_some(step))
    }

    /// Every answer with the command that it is to: those that were given when a command was queued, and those inside
    /// the answer to `EXEC`.
    pub(crate) fn answers(self, replies: &[Reply]) -> Vec<(Step, &Reply)> {
        let queued =
            || self.steps().filter(|step| !matches!(step, Step::Multi | Step::Exec | Step::Unpause | Step::Info));
        let mut answers = Vec::new();
        for (step, reply) in self.steps().zip(replies) {
            answers.push((step, reply));
            if let (Step::Exec, Reply::Array(results)) = (step, reply) {
                answers.extend(queued().zip(results));
            }
        }
        answers
    }

    /// What to leave out of the next attempt, if the node has thrown this one away for the sake of something that can
    /// be left out.
    pub(crate) fn without_the_refused(self, replies: &[Reply]) -> Option<Omitted> {
        let answer = |wanted| self.steps().zip(replies).find(|(step, _)| *step == wanted).map(|(_, reply)| reply);
        let refused = |step| matches!(answer(step), Some(Reply::Error(_)));
        // Where MULTI is refused, each command has taken effect by itself.
        if refused(Step::Multi) || refused(Step::ReplicaOf) || !refused(Step::Exec) {
            return None;
        }
        let next = Omitted {
            transaction: self.transaction || discarded_for(answer(Step::Exec)) != Some(""),
            rewrite: self.rewrite || refused(Step::Rewrite),
            kill: self.kill || refused(Step::KillNormal) || refused(Step::KillPubSub),
            abort_first: self.abort_first && !refused(Step::Abort),
            unpause: self.unpause,
        };
        (next != self).then_some(next)
    }
}

impl Step {
    /// The ACL rule that allows the command. None: nothing is lost without it.
    pub(crate) const fn rule(self) -> Option<&'static str> {
        match self {
            Step::Discard | Step::Unpause => None,
            Step::Multi => Some("multi"),
            Step::Abort => Some("failover"),
            Step::ReplicaOf => Some("slaveof"),
            Step::Rewrite => Some("config|rewrite"),
            Step::KillNormal | Step::KillPubSub => Some("client|kill"),
            Step::Exec => Some("exec"),
            Step::Info => Some("info"),
        }
    }
}

/// Why `EXEC` itself was refused; empty if it was not, but an earlier command.
fn discarded_for(exec: Option<&Reply>) -> Option<&str> {
    match exec {
        Some(Reply::Error(text)) => match text.strip_prefix(DISCARDED) {
            None => Some(text),
            Some(rest) => Some(rest.split_once("because of: ").map_or("", |(_, why)| why)),
        },
        _ => None,
    }
}

/// The error of an answer, without the frame that a server puts around the refusal of `EXEC`.
pub(crate) fn error_of(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Error(text) => Some(discarded_for(Some(reply)).filter(|why| !why.is_empty()).unwrap_or(text)),
        _ => None,
    }
}

/// Whether an error only says that an earlier command was refused.
pub(crate) fn is_consequence(error: &str) -> bool {
    error.starts_with(DISCARDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: &str = "ERR unknown command 'CONFIG', with args beginning with: 'REWRITE' ";

    fn queued() -> Reply {
        Reply::status("QUEUED")
    }

    fn abort() -> Reply {
        Reply::error("EXECABORT Transaction discarded because of previous errors.")
    }

    #[test]
    fn what_is_refused_when_it_is_queued_is_left_out_of_the_next_attempt() {
        let whole = Omitted::default();
        let refused = |rewrite: Reply, kill: Reply, exec: Reply| {
            let info = Reply::text("role:slave");
            whole.without_the_refused(&[Reply::ok(), queued(), rewrite, kill, queued(), exec, info])
        };
        assert_eq!(refused(queued(), queued(), Reply::Array(vec![])), None);
        assert_eq!(
            refused(Reply::error(UNKNOWN), queued(), abort()),
            Some(Omitted { rewrite: true, ..Omitted::default() })
        );
        assert_eq!(
            refused(queued(), Reply::error("NOPERM"), abort()),
            Some(Omitted { kill: true, ..Omitted::default() })
        );
        assert_eq!(refused(queued(), queued(), abort()), None, "for no reason that could be left out");
        let denied =
            "EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'exec' command";
        assert_eq!(
            refused(queued(), queued(), Reply::error(denied)),
            Some(Omitted { transaction: true, ..Omitted::default() })
        );
    }

    #[test]
    fn a_node_that_refuses_the_change_itself_is_not_asked_again() {
        let info = || Reply::text("role:slave");
        let denied = || Reply::error("NOPERM");
        let at_queueing = [Reply::ok(), denied(), denied(), queued(), queued(), abort(), info()];
        assert_eq!(Omitted::default().without_the_refused(&at_queueing), None);
        let no_multi = [denied(), Reply::ok(), denied(), Reply::Integer(0), Reply::Integer(0), denied(), info()];
        assert_eq!(Omitted::default().without_the_refused(&no_multi), None, "SLAVEOF has taken effect");
    }

    #[test]
    fn each_attempt_leaves_out_more_so_that_there_are_few() {
        let least = Omitted { transaction: true, rewrite: true, kill: true, abort_first: false, unpause: false };
        assert_eq!(least.steps().collect::<Vec<_>>(), [Step::Discard, Step::ReplicaOf, Step::Info]);
        let replies = [Reply::error("ERR DISCARD without MULTI"), Reply::error("NOPERM"), Reply::text("role:slave")];
        assert_eq!(least.without_the_refused(&replies), None);
        assert_eq!(Omitted::default().steps().count(), 7);
    }

    #[test]
    fn answers_inside_the_transaction_belong_to_their_commands() {
        let omitted = Omitted { rewrite: true, ..Omitted::default() };
        let results = Reply::Array(vec![Reply::ok(), Reply::Integer(1), Reply::error("NOPERM")]);
        let replies = [Reply::ok(), queued(), queued(), queued(), results, Reply::text("role:master")];
        let answers = omitted.answers(&replies);
        let refused: Vec<_> = answers.iter().filter(|(_, reply)| matches!(reply, Reply::Error(_))).collect();
        assert_eq!(refused, [&(Step::KillPubSub, &Reply::error("NOPERM"))]);
        assert_eq!(answers.last().map(|(step, _)| *step), Some(Step::Info));
    }
}
