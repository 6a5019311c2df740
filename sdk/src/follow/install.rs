//! A candidate is dialled, judged, and installed or rejected.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::{Instant, timeout};

use super::attempts::{Dial, Dialled};
use super::choose::{Candidate, Known, agreed_epoch};
use super::{Follower, LONGEST_BENCH};
use crate::event::Event;
use crate::generation::{Generation, MasterLink};
use crate::role::{self, History};
use crate::shared::Standing;
use crate::trouble::Trouble;

impl Follower {
    pub(super) fn dial(&mut self, candidate: &Candidate) -> Dial {
        self.serial += 1;
        let serial = self.serial;
        let shared = self.shared.clone();
        let generation = match &self.generation {
            Some(generation) if generation.address == candidate.address => generation.clone(),
            current => {
                let number = current.as_ref().map_or(0, |generation| generation.number) + 1;
                let address = candidate.address.clone();
                Arc::new(Generation::new(number, address, &shared.config, &shared.dialer))
            }
        };
        let grace = shared.config.in_flight_grace;
        tracing::debug!(address = %candidate.address, epoch = candidate.epoch, "dialling a candidate");
        let known = self.link.as_ref().filter(|link| candidate.needs_proof && link.usable());
        let known = known.map(|link| link.link.connection.clone());
        Box::pin(async move {
            let opened = generation.exclusive.manager().open_shared(grace);
            let told = async {
                let mut connection = known?;
                let told = role::master_with_history(&mut connection, None);
                timeout(shared.config.timeouts.question, told).await.ok()?.ok()
            };
            let (opened, known) = tokio::join!(opened, told);
            let (link, history) = opened?;
            Ok(Dialled { link: MasterLink::new(serial, generation, link, history), known })
        })
    }

    pub(super) fn conclude(&mut self, dialled: &Candidate, result: Result<Dialled, Trouble>) {
        match result {
            Ok(Dialled { link, known }) => {
                self.history.add(known.unwrap_or_default());
                self.judge_candidate(dialled, link);
            }
            Err(reason) => self.reject(dialled, reason, false),
        }
        self.note_troubles();
        self.consider();
        self.publish();
    }

    /// What the Sentinels say is looked at again: while the node was dialled, the doubted master may have proved itself, or they have
    /// changed their minds.
    fn judge_candidate(&mut self, dialled: &Candidate, link: MasterLink) {
        let ranked = self.ranked(&self.roster.voices());
        let at = ranked.iter().position(|candidate| candidate.address == dialled.address);
        let candidate = match at {
            Some(at) => {
                let better = |other: &Candidate| {
                    let fresh = !other.needs_proof && !self.bench.knows(&other.address);
                    fresh && self.attempts.is_dialling(&other.address)
                };
                if ranked[..at].iter().any(better) {
                    return;
                }
                &ranked[at]
            }
            // No Sentinel can be reached now: what they said last counts.
            None if ranked.is_empty() && !self.healthy() && !self.roster.has_views() => dialled,
            None => return,
        };
        if candidate.needs_proof
            && let Err(reason) = self.prove(candidate, &link.history, &ranked)
        {
            return self.reject(candidate, reason.to_owned().into(), true);
        }
        let candidate = candidate.clone();
        self.install(&candidate, link);
    }

    /// Whether a node that one Sentinel alone names goes on with the data of the known master.
    fn prove(&self, candidate: &Candidate, history: &History, ranked: &[Candidate]) -> Result<(), &'static str> {
        if self.known.is_none() {
            // At the start there is nothing to compare with; what most name has been tried first.
            let rejected = |other: &Candidate| other.needs_proof || self.bench.knows(&other.address);
            let all_rejected = ranked.iter().filter(|other| *other != candidate).all(rejected);
            return if all_rejected { Ok(()) } else { Err("one sentinel alone names it, and most name another") };
        }
        if !history.is_known() || !self.history.is_known() {
            let reason = "one sentinel alone names it, and INFO does not tell whose data it has";
            return if self.healthy() { Err(reason) } else { Ok(()) };
        }
        if history.shares(&self.history) {
            Ok(())
        } else {
            Err("one sentinel alone names it, and its data are not those of the master known so far")
        }
    }

    pub(super) fn install(&mut self, candidate: &Candidate, link: MasterLink) {
        let gap = self.found();
        let link = Arc::new(link);
        let generation = link.generation.clone();
        let before = self.generation.replace(generation.clone());
        if let Some(known) = &self.known
            && candidate.epoch < known.epoch
        {
            tracing::warn!(from = known.epoch, to = candidate.epoch, "the sentinels agree on an older configuration");
            self.shared.emit(Event::EpochReset { from: known.epoch, to: candidate.epoch });
        }
        let epoch = agreed_epoch(&self.roster.voices(), &candidate.address).unwrap_or(candidate.epoch);
        self.known = Some(Known { address: candidate.address.clone(), epoch });
        self.bench.clear();
        self.attempts.clear();
        self.older = None;
        let switched = before.as_ref().is_none_or(|before| before.number != generation.number);
        if switched {
            self.history = History::default();
        }
        self.history.add(link.history.clone());
        self.check = None;
        let old = self.link.replace(link.clone());
        self.shared.standing.store(Arc::new(Standing { generation: Some(generation.clone()), link: Some(link) }));
        if switched {
            self.since = Some(SystemTime::now());
            if let Some(old) = old {
                old.link.pulse.seal();
            }
            if let Some(before) = &before {
                before.close(Some(&generation.address));
            }
            self.shared.counters.switches.add_one();
            // Last: who was held finds the new link, and nothing goes out over the old one any more.
            self.promotion = None;
            self.release();
        }
        self.publish();
        let address = generation.address.clone();
        tracing::info!(%address, epoch, generation = generation.number, ?gap, switched, "master verified");
        self.shared.emit(if switched {
            Event::Switched {
                from: before.map(|before| before.address.clone()),
                to: address,
                config_epoch: epoch,
                generation: generation.number,
                gap,
            }
        } else {
            Event::MasterBack { address, gap }
        });
        // Whoever waits is woken last: by then the snapshot and the event are there.
        self.shared.changed.send_replace(());
        self.replicas_missed_since = None;
        self.roster.trust(Some(&generation.address));
        self.look_for_replicas();
        self.next_question = Instant::now() + self.pace();
    }

    pub(super) fn reject(&mut self, candidate: &Candidate, reason: Trouble, unproved: bool) {
        self.shared.counters.candidates_rejected.add_one();
        let longest = if self.healthy() { self.shared.config.refresh } else { LONGEST_BENCH };
        if self.bench.put(&candidate.address, &reason, unproved, longest) {
            tracing::info!(address = %candidate.address, %reason, "candidate rejected");
            let address = candidate.address.clone();
            self.shared.emit(Event::CandidateRejected { address, reason: reason.text });
        }
        if self.known.is_none() {
            // Others may know better.
            self.roster.trust(None);
        }
    }
}
