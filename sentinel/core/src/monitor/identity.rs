//! Who answers on the connection to another Sentinel, and what follows when it is somebody else.
//!
//! A departure: the reference connects to an address and takes every answer for the word of the Sentinel that it believes there.
//! Where addresses are exchanged or used again, a process then counts twice, or votes for itself as its own peer.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    authentication,
    engine::Engine,
    notice::Topic,
    planted::{Bug, planted},
    state::{Distrust, Identity, Impostor, Introduction, Named, PeerLink, is_denial},
    timer::{Endpoint, Timer},
    types::{Nonce, RunId, SentinelId, Signature},
    watch::Watch,
};

/// How long an address where somebody else answers is left alone, unless the one that is meant says hello from there.
const DISPROVED_PAUSE: Duration = Duration::from_secs(10);
/// The least time between two questions, whatever hellos say.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The ACL rules that allow the question.
const MYID: &str = "sentinel|myid";
const INFO: &str = "info";
const CHALLENGE: &str = "sentinel|auth-challenge";

impl Engine {
    /// Whether what comes over the link to a peer is its word.
    pub(crate) fn speaks(&self, id: &SentinelId) -> bool {
        self.peers.get(id).is_some_and(PeerLink::speaks)
    }

    /// A peer has answered who it is.
    pub(crate) fn introduced(&mut self, id: &SentinelId, challenge: Option<Nonce>, reply: &Reply) {
        self.note_identity_access(id, reply);
        let said = Introduction::read(reply);
        let impostor = self.impostor(id, &said);
        let proof = challenge.map(|nonce| self.proof(id, nonce, reply));
        let Some(shared) = self.peers.get_mut(id) else { return };
        shared.run_id = said.run_id;
        if let Some(impostor) = impostor.filter(|_| !planted(Bug::TrustAddresses)) {
            self.peer_disproved(id, impostor);
            return;
        }
        shared.impostor.0 = None;
        match proof {
            Some(Ok(run_id)) => {
                shared.authenticated = true;
                // What is signed for it names the run that it has proved.
                shared.run_id = run_id;
            }
            Some(Err(why)) if self.ctx.globals.hello_auth_required => return self.peer_distrusted(id, why),
            // It counts as one would without a key.
            Some(Err(_)) | None => {}
        }
        let addr = shared.link.target.addr.clone();
        if said.id == Named::Withheld && !shared.authenticated {
            let text = format!("{id} at {addr} does not say who it is: it counts as long as nothing speaks against it");
            shared.identity = Identity::Withheld;
            self.ctx.notice(Topic::PeerUnidentified, None, text);
        } else {
            shared.identity = Identity::Proven;
            shared.verified = true;
        }
        self.displace_those_at(id);
        self.ctx.process_unexamined.0 = true;
        self.each_user(id, |watch, id| {
            watch.ctx.unexamined.insert(watch.master.key);
            watch.confirm_peer(id);
            watch.say_hello_to_peer(id);
            if challenge.is_some() {
                // With a key it was not asked before.
                watch.ask_peer(id);
                watch.request_vote(id);
            }
        });
    }

    /// The run of the process that proves with its answer to `SENTINEL AUTH-CHALLENGE` that this peer knows the key.
    fn proof(&self, id: &SentinelId, nonce: Nonce, reply: &Reply) -> Result<Option<RunId>, Distrust> {
        let answer = match reply {
            Reply::Array(parts) => parts.get(2),
            _ => None,
        };
        let Some(Reply::Array(parts)) = answer else { return Err(Distrust::NoProof) };
        let [_, run_id, signature] = parts.as_slice() else { return Err(Distrust::WrongProof) };
        let run_id = run_id.as_text().and_then(|text| RunId::new(text).ok());
        let signature = signature.as_text().and_then(|text| Signature::parse(text.as_bytes()).ok());
        let key = self.ctx.globals.hello_auth_key.as_ref();
        let right = key
            .zip(signature)
            .is_some_and(|(key, signature)| authentication::is_proof(key, nonce, id, run_id.as_ref(), &signature));
        if right { Ok(run_id) } else { Err(Distrust::WrongProof) }
    }

    /// It does not prove that it knows the key: what it says does not count, as its hellos do not. It stays among the voters.
    fn peer_distrusted(&mut self, id: &SentinelId, why: Distrust) {
        if let Some(shared) = self.peers.get_mut(id) {
            shared.identity = Identity::Unproven(why);
        }
        self.ctx.process_unexamined.0 = true;
        self.tell_distrust(id, "What", &format!("says does not count: {}", why.text()));
        self.each_user(id, |watch, id| watch.peer_lost(id));
    }

    /// Who it is instead, if it is somebody else.
    fn impostor(&self, id: &SentinelId, said: &Introduction) -> Option<Impostor> {
        let own_process = said.run_id.is_some() && said.run_id == self.ctx.run_id;
        let twin = || {
            let same = |shared: &PeerLink| shared.speaks() && shared.run_id == said.run_id;
            self.peers.iter().find(|(other, shared)| *other != id && same(shared)).map(|(other, _)| other.clone())
        };
        match &said.id {
            Named::Nonsense => Some(Impostor::Unknown),
            Named::Id(other) if *other == self.ctx.id => Some(Impostor::Ourselves),
            _ if own_process => Some(Impostor::Ourselves),
            Named::Id(other) if other != id => Some(Impostor::Other(other.clone())),
            // Under two ids it would count twice.
            _ => said.run_id.is_some().then(twin).flatten().map(Impostor::Same),
        }
    }

    /// Somebody else answers: nothing that this link says counts, nor what it said before. The id stays among the voters.
    fn peer_disproved(&mut self, id: &SentinelId, impostor: Impostor) {
        let now = self.ctx.mono();
        let endpoint = Endpoint::Peer(id.clone());
        let Some(shared) = self.peers.get_mut(id) else { return };
        let addr = shared.link.target.addr.clone();
        let verdict = Identity::Disproved(impostor.clone());
        let news = shared.disproof_told.as_ref() != Some(&(addr.clone(), impostor.clone()));
        shared.disproof_told = Some((addr.clone(), impostor.clone()));
        shared.identity = verdict;
        shared.impostor.0 = Some(impostor.clone());
        self.ctx.renew_link(&mut shared.link, &endpoint);
        self.ctx.arm(Timer::Reconnect(endpoint), now + DISPROVED_PAUSE);
        if news {
            let text = format!(
                "{id} is not at {addr}: {impostor}. It counts as one that cannot be reached, until it is found elsewhere"
            );
            self.ctx.notice(Topic::PeerElsewhere, None, text);
        }
        self.ctx.process_unexamined.0 = true;
        self.each_user(id, |watch, id| watch.peer_lost(id));
        // Who answered may be looked for elsewhere, or have come in the place of this one, which is gone then.
        if let Impostor::Other(other) = impostor {
            self.displace_those_at(&other);
            if let Some(shared) = self.peers.get_mut(&other) {
                shared.seen_at = Some(addr);
                self.look_where_seen(&other);
            }
        }
        self.look_where_seen(id);
    }

    /// A peer that does not answer where it is known to be has moved to where it was met, when another one was meant.
    fn look_where_seen(&mut self, id: &SentinelId) {
        let open = |shared: &PeerLink| shared.link.is_up() && !shared.identity.is_disproved();
        let Some(shared) = self.peers.get_mut(id).filter(|shared| !open(shared)) else { return };
        let key = shared.users.first().copied();
        if let (Some(addr), Some(key)) = (shared.seen_at.take(), key)
            && addr != shared.link.target.addr
        {
            self.peer_moved(key, id, &addr);
        }
    }

    /// The one that is meant says hello from where somebody else answered: it is looked at again.
    pub(crate) fn ask_again(&mut self, id: &SentinelId) {
        let Some(shared) = self.peers.get(id).filter(|shared| shared.identity.is_disproved()) else { return };
        let at = self.ctx.mono().max(shared.asked_at + LEAST_PAUSE);
        self.ctx.timers.arm_by(Timer::Reconnect(Endpoint::Peer(id.clone())), at);
    }

    /// Those that were known at the address of a new Sentinel, which answers there, are gone, under every master.
    pub(super) fn displace_those_at(&mut self, id: &SentinelId) {
        for key in self.peers.get(id).map(|shared| shared.users.clone()).unwrap_or_default() {
            let displaced = self.masters.get(&key).and_then(|master| master.peers.get(id)?.displaces.clone());
            // One that still answers there is asked again when its connection ends.
            if let Some(old) = displaced.filter(|old| !self.answers_at_its_address(old)) {
                self.with_master(key, |watch| watch.master.peers.get_mut(id).map(|peer| peer.displaces = None));
                self.peer_replaced(key, &old);
            }
        }
    }

    fn note_identity_access(&mut self, id: &SentinelId, reply: &Reply) {
        let parts = match reply {
            Reply::Array(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        for (rule, part) in [MYID, INFO, CHALLENGE].into_iter().zip(parts) {
            let refusal = match part {
                Reply::Error(line) if is_denial(rule, line) && !line.starts_with("ERR ") => Some(line.as_ref()),
                _ => None,
            };
            self.note_peer_access(id, rule, refusal);
        }
    }
}

impl Watch<'_> {
    /// What a peer said was not its word, or is not any more.
    fn peer_lost(&mut self, id: &SentinelId) {
        self.ctx.timers.disarm(&Timer::Opinion(self.master.key, id.clone()));
        if let Some(peer) = self.master.peers.get_mut(id) {
            peer.confirmed = false;
            peer.opinion = None;
            peer.vote = None;
        }
        self.evaluate_peer(id);
        self.voter_lost(id);
        self.evaluate_odown();
        self.changed_urgently();
    }
}
