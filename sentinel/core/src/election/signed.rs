//! Signed requests for votes and opinions, and signed answers to them (`hello-auth-key`).
//!
//! With a key a request counts only if it is signed, and so does an answer: who reaches the port but does not know the key
//! moves neither epoch nor vote. It is told what anybody may know, whether the master is down for us.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    authentication::{self, Answer, Request},
    command::errors,
    complaint::Complaint,
    context::Context,
    detect::odown::PeerAnswer,
    engine::Engine,
    notice::Topic,
    output::Message,
    planted::{Bug, planted},
    state::PeerLink,
    types::{Epoch, HostPort, Nonce, SentinelId, Signature, Signed},
};

/// Least time between two lines of the log about the missing or wrong signatures of one peer.
const TOLD_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// What another Sentinel asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    /// The master asked about; none if the words are no address.
    pub(crate) addr: Option<&'a HostPort>,
    pub(crate) epoch: Epoch,
    /// Who asks for the vote; none asks for an opinion.
    pub(crate) candidate: Option<&'a SentinelId>,
    pub(crate) signed: Option<&'a Signed>,
}

impl Context {
    /// A nonce that was never used, where there is a key.
    pub(crate) fn fresh_nonce(&mut self) -> Option<Nonce> {
        let number = self.globals.hello_auth_key.is_some().then(|| self.fresh())?;
        let key = self.globals.hello_auth_key.as_ref()?;
        Some(authentication::nonce(key, &self.id, self.run_id.as_ref(), number))
    }

    /// Whether a request counts as it is; none: it asks for a vote, and gets an opinion only. The error is for one whose
    /// signature is wrong.
    pub(super) fn admits(&mut self, asked: &Question<'_>) -> Result<bool, Reply> {
        let Some(key) = &self.globals.hello_auth_key else {
            return if asked.signed.is_some() { Err(errors::no_key()) } else { Ok(true) };
        };
        let Some(signed) = asked.signed else {
            let required = self.globals.hello_auth_required && !planted(Bug::VoteForTheUnsigned);
            if asked.candidate.is_none() || !required {
                return Ok(true);
            }
            self.refuse_request(asked, "it is not signed, and hello-auth-key asks for it");
            return Ok(false);
        };
        let right = asked.addr.is_some_and(|addr| {
            let request = Request {
                voter: &self.id,
                voter_run: self.run_id.as_ref(),
                master: &signed.master,
                addr,
                epoch: asked.epoch,
                candidate: asked.candidate,
                nonce: signed.nonce,
            };
            request.is_signed(key, &signed.signature)
        });
        if right {
            return Ok(true);
        }
        let why = "its signature is wrong: the hello-auth-key differs, or it was made for another Sentinel, another start of \
                   this one, another master or another epoch";
        self.refuse_request(asked, why);
        Err(errors::wrong_signature())
    }

    fn refuse_request(&mut self, asked: &Question<'_>, why: &str) {
        self.refused_requests.0 += 1;
        let whose = asked.candidate.map_or_else(|| "a Sentinel".to_owned(), ToString::to_string);
        let text = format!(
            "Refused the request of {whose} for a vote in epoch {}: {why} ({} refused so far)",
            asked.epoch, self.refused_requests.0
        );
        self.complain(Complaint::Request, text);
    }

    /// The answer to a request, signed as the request was.
    pub(super) fn verdict(&self, to: Option<&Signed>, down: bool, leader: Option<&SentinelId>, epoch: Epoch) -> Reply {
        let mut parts = vec![
            Reply::Integer(i64::from(down)),
            Reply::Bulk(leader.map_or_else(|| "*".to_owned(), ToString::to_string).into()),
            // Beyond 2^63 as the reference prints it: as a signed number.
            Reply::Integer(epoch.get().cast_signed()),
        ];
        if let Some((key, signed)) = self.globals.hello_auth_key.as_ref().zip(to) {
            let answer = Answer { to: &signed.signature, down, leader, epoch };
            parts.push(Reply::display(answer.sign(key)));
        }
        Reply::Array(parts)
    }

    /// Whether this peer may be asked: with a key not before it has proved it, which the opening of its link asks for.
    pub(crate) fn may_ask(&self, shared: &PeerLink) -> bool {
        self.globals.hello_auth_key.is_none() || shared.speaks()
    }

    /// What is asked of a peer about a master, signed if it has proved the key; and the signature.
    pub(crate) fn question(
        &mut self,
        (id, shared): (&SentinelId, &PeerLink),
        master: &crate::types::MasterName,
        addr: HostPort,
        epoch: Epoch,
        candidate: Option<SentinelId>,
    ) -> (Message, Option<Signature>) {
        let nonce = if shared.authenticated { self.fresh_nonce() } else { None };
        let signed = nonce.zip(self.globals.hello_auth_key.as_ref()).map(|(nonce, key)| {
            let request = Request {
                voter: id,
                voter_run: shared.run_id.as_ref(),
                master,
                addr: &addr,
                epoch,
                candidate: candidate.as_ref(),
                nonce,
            };
            Signed { master: master.clone(), nonce, signature: request.sign(key) }
        });
        let signature = signed.as_ref().map(|signed| signed.signature);
        (Message::IsMasterDown { addr, epoch, candidate, signed }, signature)
    }
}

impl Engine {
    /// What a peer answered to a question with this signature. None for what is no answer, or is not signed as it should be.
    pub(crate) fn answer_of_peer(
        &mut self,
        id: &SentinelId,
        to: Option<&Signature>,
        reply: &Reply,
    ) -> Option<PeerAnswer> {
        if !self.speaks(id) {
            return None;
        }
        let Some(to) = to else {
            return PeerAnswer::read(reply);
        };
        let key = self.ctx.globals.hello_auth_key.as_ref()?;
        let right = PeerAnswer::read_signed(reply).filter(|(answer, signature)| {
            let leader = answer.vote.as_ref().map(|(leader, _)| leader);
            Answer { to, down: answer.down, leader, epoch: answer.vote_epoch }.is_signed(key, signature)
        });
        if right.is_none() {
            self.ctx.refused_requests.0 += 1;
            self.tell_distrust(id, "Refused what", "answers to a signed request: it is not signed as it should be");
        }
        right.map(|(answer, _)| answer)
    }

    /// Says in the log, at most once a minute for each peer, what is wrong with its signatures.
    pub(crate) fn tell_distrust(&mut self, id: &SentinelId, before: &str, behind: &str) {
        let now = self.ctx.mono();
        let Some(shared) = self.peers.get_mut(id) else { return };
        if shared.distrust_told_at.is_some_and(|at| now.since(at) < TOLD_AGAIN_AFTER) {
            return;
        }
        shared.distrust_told_at = Some(now);
        let text = format!("{before} {id} at {} {behind}", shared.link.target.addr);
        self.ctx.notice(Topic::PeerUnproven, None, text);
    }
}
