//! How another Sentinel answers.

use sentinel_core::{
    Message,
    authentication::{self, Answer},
    types::{Epoch, Nonce, RunId, SentinelId, Signed},
};
use sentinel_resp::Reply;

use super::cast::{Flaw, Peer};

impl Peer {
    pub(super) fn answer(&mut self, message: &Message) -> Option<Reply> {
        match message {
            Message::Pause { .. } if self.knows_no_pause => {
                Some(Reply::error("ERR unknown subcommand 'PAUSE'. Try SENTINEL HELP."))
            }
            Message::Pause { .. } => Some(Reply::ok()),
            Message::SignIn { .. } => Some(self.refuses_login.clone().map_or_else(Reply::ok, Reply::error)),
            Message::Ping => Some(Reply::status("PONG")),
            Message::Identify { challenge } => {
                let info = Reply::text(format!("# Server\r\nrun_id:{}\r\n", self.run_id));
                let proof = challenge.map(|nonce| self.prove(nonce));
                Some(Reply::Array([self.myid.clone(), info].into_iter().chain(proof).collect()))
            }
            Message::Hello { .. } => Some(Reply::Integer(1)),
            Message::IsMasterDown { candidate: None, signed, .. } => (!self.flaws.contains(&Flaw::KeepsOpinions))
                .then(|| self.verdict(signed.as_ref(), self.says_down, "*", 0)),
            Message::IsMasterDown { epoch, candidate: Some(candidate), signed, .. } => {
                if self.flaws.contains(&Flaw::KeepsVotes) {
                    return None;
                }
                if !self.flaws.contains(&Flaw::NeverVotes) && epoch.get() > self.vote.1 {
                    self.vote = (candidate.to_string(), epoch.get());
                }
                Some(self.verdict(signed.as_ref(), self.says_down, &self.vote.0, self.vote.1))
            }
            _ => Some(Reply::error("ERR unknown command")),
        }
    }

    /// `SENTINEL AUTH-CHALLENGE`
    fn prove(&self, nonce: Nonce) -> Reply {
        let Some(key) = &self.key else { return Reply::error("ERR Unknown sentinel subcommand 'AUTH-CHALLENGE'") };
        let (id, run_id) = (SentinelId::new(&self.id).unwrap(), RunId::new(&self.run_id).unwrap());
        let proof = authentication::prove(key, nonce, &id, Some(&run_id));
        Reply::Array(vec![Reply::display(id), Reply::display(run_id), Reply::display(proof)])
    }

    /// Signed, if the question is.
    fn verdict(&self, signed: Option<&Signed>, down: bool, leader: &str, epoch: u64) -> Reply {
        let mut parts =
            vec![Reply::Integer(i64::from(down)), Reply::text(leader), Reply::Integer(i64::try_from(epoch).unwrap())];
        if let Some((key, signed)) = self.key.as_ref().zip(signed) {
            let leader = SentinelId::new(leader).ok().filter(|_| leader != "*");
            let answer = Answer { to: &signed.signature, down, leader: leader.as_ref(), epoch: Epoch::new(epoch) };
            parts.push(Reply::display(answer.sign(key)));
        }
        Reply::Array(parts)
    }
}
