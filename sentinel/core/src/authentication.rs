//! What `hello-auth-key` proves between Sentinels besides hellos: that a peer knows the key, and that a request for a vote, or
//! for an opinion, and the answer to it are of those who know it.
//!
//! Everything here is an HMAC-SHA256 over a purpose and fields, each behind its length: no two purposes and no two lists of
//! fields are the same bytes. A hello is signed as the text it is; no such text begins with the length of a purpose.
//!
//! What is signed names whom it is for (the id and the run of the voter) and what it is about (name and address of the master,
//! the epoch, the candidate): it says nothing to another Sentinel, in another deployment, or to the same after a restart.
//! Said again to the same voter it repeats an epoch in which the vote is given. An answer is signed together with the
//! signature of its request, so it answers that request only.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::types::{Epoch, HostPort, MasterName, Nonce, RunId, Secret, SentinelId, Signature};

const NONCE: &str = "sentinel nonce v1";
const PROOF: &str = "sentinel auth-challenge v1";
const REQUEST: &str = "sentinel request-vote v1";
const ANSWER: &str = "sentinel request-vote answer v1";

/// A number that nobody without the key can foretell, and that this run of this process uses once.
pub fn nonce(key: &Secret, id: &SentinelId, run_id: Option<&RunId>, number: u64) -> Nonce {
    let mac = mac(key, NONCE, &[id.as_str().as_bytes(), run(run_id), &number.to_be_bytes()]);
    let mut nonce = [0; 16];
    nonce.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    Nonce(nonce)
}

/// Proves to whoever sent the nonce that this Sentinel, in this run, knows the key.
pub fn prove(key: &Secret, nonce: Nonce, id: &SentinelId, run_id: Option<&RunId>) -> Signature {
    signature(proof(key, nonce, id, run_id))
}

/// Whether that Sentinel, in that run, has proved that it knows the key.
pub fn is_proof(key: &Secret, nonce: Nonce, id: &SentinelId, run_id: Option<&RunId>, signature: &Signature) -> bool {
    proof(key, nonce, id, run_id).verify_slice(&signature.0).is_ok()
}

fn proof(key: &Secret, nonce: Nonce, id: &SentinelId, run_id: Option<&RunId>) -> Hmac<Sha256> {
    mac(key, PROOF, &[&nonce.0, id.as_str().as_bytes(), run(run_id)])
}

/// A request for a vote, or for an opinion, as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who is asked.
    pub voter: &'a SentinelId,
    /// In which run of its process.
    pub voter_run: Option<&'a RunId>,
    /// The name of the master.
    pub master: &'a MasterName,
    /// Where it is.
    pub addr: &'a HostPort,
    /// The current epoch, or the one of the election.
    pub epoch: Epoch,
    /// Who asks for the vote. None asks for an opinion.
    pub candidate: Option<&'a SentinelId>,
    /// A number that its sender uses once.
    pub nonce: Nonce,
}

impl Request<'_> {
    /// The signature.
    pub fn sign(&self, key: &Secret) -> Signature {
        signature(self.mac(key))
    }

    /// Whether this is the signature.
    pub fn is_signed(&self, key: &Secret, signature: &Signature) -> bool {
        self.mac(key).verify_slice(&signature.0).is_ok()
    }

    fn mac(&self, key: &Secret) -> Hmac<Sha256> {
        let host = self.addr.host.to_string();
        let fields: [&[u8]; 8] = [
            self.voter.as_str().as_bytes(),
            run(self.voter_run),
            self.master.as_str().as_bytes(),
            host.as_bytes(),
            &self.addr.port.to_be_bytes(),
            &self.epoch.get().to_be_bytes(),
            self.candidate.map_or(&[][..], |id| id.as_str().as_bytes()),
            &self.nonce.0,
        ];
        mac(key, REQUEST, &fields)
    }
}

/// The answer to a signed request, as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The signature of the request.
    pub to: &'a Signature,
    /// Whether the voter holds the master for down.
    pub down: bool,
    /// Whom the vote was given to.
    pub leader: Option<&'a SentinelId>,
    /// The epoch of that vote.
    pub epoch: Epoch,
}

impl Answer<'_> {
    /// The signature.
    pub fn sign(&self, key: &Secret) -> Signature {
        signature(self.mac(key))
    }

    /// Whether this is the signature.
    pub fn is_signed(&self, key: &Secret, signature: &Signature) -> bool {
        self.mac(key).verify_slice(&signature.0).is_ok()
    }

    fn mac(&self, key: &Secret) -> Hmac<Sha256> {
        let leader = self.leader.map_or(&[][..], |id| id.as_str().as_bytes());
        mac(key, ANSWER, &[&self.to.0, &[u8::from(self.down)], leader, &self.epoch.get().to_be_bytes()])
    }
}

fn run(run_id: Option<&RunId>) -> &[u8] {
    run_id.map_or(&[], |run_id| run_id.as_str().as_bytes())
}

fn mac(key: &Secret, purpose: &str, fields: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()).expect("a key of any length is one");
    for field in std::iter::once(purpose.as_bytes()).chain(fields.iter().copied()) {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    mac
}

fn signature(mac: Hmac<Sha256>) -> Signature {
    Signature(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(of: char) -> SentinelId {
        SentinelId::new(&of.to_string().repeat(40)).unwrap()
    }

    fn run_id(of: char) -> RunId {
        RunId::new(&of.to_string().repeat(40)).unwrap()
    }

    #[test]
    fn a_proof_is_of_one_id_one_run_one_nonce_and_one_key() {
        let (key, other_key) = (Secret::new("key"), Secret::new("Key"));
        let (nonce, other_nonce) = (Nonce([1; 16]), Nonce([2; 16]));
        let (a, b, run, other_run) = (id('a'), id('b'), run_id('r'), run_id('s'));
        let proof = prove(&key, nonce, &a, Some(&run));
        assert!(is_proof(&key, nonce, &a, Some(&run), &proof));
        assert!(!is_proof(&other_key, nonce, &a, Some(&run), &proof));
        assert!(!is_proof(&key, other_nonce, &a, Some(&run), &proof));
        assert!(
            !is_proof(&key, nonce, &b, Some(&run), &proof),
            "what another one proves, or we ourselves, is no proof"
        );
        assert!(!is_proof(&key, nonce, &a, Some(&other_run), &proof));
        assert!(!is_proof(&key, nonce, &a, None, &proof));
    }

    #[test]
    fn an_answer_is_to_one_request() {
        let key = Secret::new("key");
        let (one, other, leader) = (Signature([1; 32]), Signature([2; 32]), id('a'));
        let answer = Answer { to: &one, down: true, leader: Some(&leader), epoch: Epoch::new(7) };
        let signature = answer.sign(&key);
        assert!(answer.is_signed(&key, &signature));
        assert!(!answer.is_signed(&Secret::new("Key"), &signature));
        assert!(!Answer { to: &other, ..answer }.is_signed(&key, &signature));
        assert!(!Answer { down: false, ..answer }.is_signed(&key, &signature));
        assert!(!Answer { leader: None, ..answer }.is_signed(&key, &signature));
        assert!(!Answer { epoch: Epoch::new(8), ..answer }.is_signed(&key, &signature));
    }

    #[test]
    fn a_nonce_is_used_once_in_a_run_and_in_another_one_there_are_others() {
        let (key, me) = (Secret::new("key"), id('a'));
        let of = |run: &RunId, number| nonce(&key, &me, Some(run), number).0;
        let (run, other) = (run_id('r'), run_id('s'));
        let mut all: Vec<_> = (0..1_000).flat_map(|number| [of(&run, number), of(&other, number)]).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2_000);
    }

    #[test]
    fn fields_cut_elsewhere_are_other_fields() {
        let key = Secret::new("key");
        let of = |fields: &[&[u8]]| signature(mac(&key, REQUEST, fields));
        assert_ne!(of(&[b"ab", b"c"]), of(&[b"a", b"bc"]));
        assert_ne!(of(&[b"ab"]), of(&[b"ab", b""]));
        assert_ne!(of(&[b"a"]), signature(mac(&key, ANSWER, &[b"a"])));
    }

    proptest! {
        /// The words of a request as they are on the wire: with any bit of any of them changed it is refused, or is no request.
        #[test]
        fn a_request_with_any_bit_changed_is_refused(
            name in "[a-z]{1,12}", port: u16, epoch in 0..u64::MAX / 2, wants_vote: bool, word in 2_usize..9, at: usize, bit in 0_u8..8,
        ) {
            let (key, voter, run) = (Secret::new("key"), id('a'), run_id('r'));
            let candidate = wants_vote.then(|| id('b'));
            let (master, addr) = (MasterName::new(&name).unwrap(), format!("10.0.0.1:{port}").parse().unwrap());
            let request = Request {
                voter: &voter,
                voter_run: Some(&run),
                master: &master,
                addr: &addr,
                epoch: Epoch::new(epoch),
                candidate: candidate.as_ref(),
                nonce: Nonce([7; 16]),
            };
            let whom = candidate.as_ref().map_or("*", |id| id.as_str());
            let (port, epoch) = (port.to_string(), epoch.to_string());
            let (nonce, signature) = (request.nonce.to_string(), request.sign(&key).to_string());
            let words = ["SENTINEL", "REQUEST-VOTE", &name, "10.0.0.1", &port, &epoch, whom, &nonce, &signature];
            let mut words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            prop_assert!(is_taken(&words, &key, &voter, &run));
            let at = at % words[word].len();
            words[word][at] ^= 1 << bit;
            // Whatever is no id asks for an opinion, as `*` does.
            let same = word == 6 && !wants_vote;
            prop_assert!(!is_taken(&words, &key, &voter, &run) || same, "{:?}", words);
        }
    }

    fn is_taken(words: &[Vec<u8>], key: &Secret, voter: &SentinelId, run: &RunId) -> bool {
        use crate::command::{Change, Command};
        let words: Vec<_> = words.iter().map(|word| bytes::Bytes::copy_from_slice(word)).collect();
        let Ok(Command::Change(Change::IsMasterDown { addr: Some(addr), epoch, candidate, signed: Some(signed) })) =
            Command::parse(&words)
        else {
            return false;
        };
        let request = Request {
            voter,
            voter_run: Some(run),
            master: &signed.master,
            addr: &addr,
            epoch,
            candidate: candidate.as_ref(),
            nonce: signed.nonce,
        };
        request.is_signed(key, &signed.signature)
    }
}
