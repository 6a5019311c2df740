//! `SENTINEL PAUSE` and `RESUME`: while maintenance goes on, no Sentinel nominates itself.
//!
//! Everything else goes on: votes are given, configurations are followed, former masters are demoted, handovers that nobody
//! finishes are undone, and an operator's `SENTINEL FAILOVER` is carried out. The pause is a setting of the master, so it survives
//! a restart. It is passed on to all other Sentinels that say who they are; redis-sentinel knows no such thing, and the answer
//! says so.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use sentinel_resp::Reply;

use crate::{
    command::errors,
    context::Context,
    engine::Engine,
    events::Event,
    input::ClientId,
    output::Message,
    state::{Asked, Identity, MasterKey},
    time::{Instant, WallTime},
    timer::Timer,
    types::SentinelId,
    watch::Watch,
};

/// How long the answer to an operator waits for others.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_millis(1_500);
/// So long a reason may be, in bytes.
pub(crate) const LONGEST_REASON: usize = 256;
/// So many operators may wait at the same time.
pub(super) const MOST_WAITING: usize = 64;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pause {
    /// For how long. None: until it is ended.
    pub ttl: Option<Duration>,
    /// Why.
    pub reason: Option<String>,
}

/// An operator who waits until the other Sentinels have answered.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Spread {
    client: ClientId,
    /// What has been done here.
    done: String,
    waiting: BTreeSet<SentinelId>,
    heeded: usize,
    /// Those that will not, and why.
    refused: Vec<(SentinelId, String)>,
    until: Instant,
}

impl Engine {
    /// Begins or (none) ends a pause: of one master, or of all. `local`: the others are told by whoever told us.
    pub(crate) fn pause(&mut self, client: ClientId, name: &str, pause: Option<&Pause>, local: bool) {
        let keys: Vec<MasterKey> = match name {
            "*" => self.names.values().copied().collect(),
            name => self.names.get(name).copied().into_iter().collect(),
        };
        if keys.is_empty() && name != "*" {
            return self.ctx.answer(client, errors::no_such_master());
        }
        for key in &keys {
            self.with_master(*key, |watch| watch.set_pause(pause));
        }
        let what = if pause.is_some() { "paused" } else { "resumed" };
        let done = format!("OK {what} {} master{}", keys.len(), if keys.len() == 1 { "" } else { "s" });
        if local {
            return self.ctx.answer(client, Reply::status(done));
        }
        self.spread(client, &keys, pause, done);
    }

    /// Tells all other Sentinels of these masters that say who they are.
    fn spread(&mut self, client: ClientId, keys: &[MasterKey], pause: Option<&Pause>, done: String) {
        let until = self.ctx.mono() + ANSWERED_WITHIN;
        let mut spread = Spread { client, done, waiting: BTreeSet::new(), heeded: 0, refused: Vec::new(), until };
        let mut seen = BTreeSet::new();
        for key in keys {
            let Some(master) = self.masters.get(key) else { continue };
            let name = master.name.clone();
            for id in master.peers.keys() {
                let Some(shared) = self.peers.get_mut(id) else { continue };
                let known = shared.link.is_up() && shared.identity == Identity::Proven;
                let message = Message::Pause { name: name.clone(), pause: pause.cloned() };
                if known && self.ctx.send(&mut shared.link, Asked::Pause, message) {
                    spread.waiting.insert(id.clone());
                } else if seen.insert(id.clone()) {
                    spread.refused.push((id.clone(), "it cannot be told".to_owned()));
                }
            }
        }
        if spread.waiting.is_empty() || self.ctx.spreads.len() >= MOST_WAITING {
            return self.ctx.answer(spread.client, spread.answer());
        }
        self.ctx.arm(Timer::Spread, until);
        self.ctx.spreads.push(spread);
    }

    /// Another Sentinel answers to a pause.
    pub(crate) fn pause_answered(&mut self, id: &SentinelId, reply: &Reply) {
        let refusal = match reply {
            Reply::Error(text)
                if text.starts_with("ERR unknown subcommand") || text.starts_with("ERR Unknown sentinel") =>
            {
                Some("it knows no pause (redis-sentinel)".to_owned())
            }
            Reply::Error(text) => Some(text.clone()),
            _ => None,
        };
        for spread in &mut self.ctx.spreads {
            if !spread.waiting.remove(id) {
                continue;
            }
            match &refusal {
                None => spread.heeded += 1,
                Some(why) => spread.refused.push((id.clone(), why.clone())),
            }
        }
        self.ctx.end_spreads();
    }

    /// Who has not answered by now does not heed it, as far as we know.
    pub(crate) fn spreads_timed_out(&mut self) {
        self.ctx.end_spreads();
        if let Some(next) = self.ctx.spreads.iter().map(|spread| spread.until).min() {
            self.ctx.arm(Timer::Spread, next);
        }
    }
}

impl Spread {
    fn answer(self) -> Reply {
        let all = self.heeded + self.refused.len();
        let mut text = format!("{}; {} of {all} other Sentinels heed it", self.done, self.heeded);
        for (id, why) in &self.refused {
            // Writing to a String never fails.
            let _ = write!(text, "; {id} does not: {why}");
        }
        Reply::status(text)
    }
}

impl Context {
    fn end_spreads(&mut self) {
        let now = self.mono();
        for mut spread in std::mem::take(&mut self.spreads) {
            if !spread.waiting.is_empty() && spread.until > now {
                self.spreads.push(spread);
                continue;
            }
            let late = std::mem::take(&mut spread.waiting);
            spread.refused.extend(late.into_iter().map(|id| (id, "it has not answered".to_owned())));
            self.answer(spread.client, spread.answer());
        }
    }
}

impl Watch<'_> {
    /// Begins a pause, or (none) ends it.
    fn set_pause(&mut self, pause: Option<&Pause>) {
        let wall = self.ctx.now.wall.0;
        let settings = std::sync::Arc::make_mut(&mut self.master.settings);
        let was_paused = !settings.paused_until.is_zero();
        let until = |ttl: Duration| (Duration::from_millis(wall) + ttl).min(FOR_EVER);
        settings.paused_until = pause.map_or(Duration::ZERO, |pause| pause.ttl.map_or(FOR_EVER, until));
        settings.pause_reason = pause.and_then(|pause| pause.reason.clone());
        self.take_pause(was_paused);
        self.persist();
    }

    /// The setting is in force from now on.
    pub(crate) fn take_pause(&mut self, was_paused: bool) {
        self.master.pause_ends = ends(self.master.settings.paused_until, self.ctx.now.wall, self.ctx.mono());
        let reason = self.master.settings.pause_reason.clone();
        match (was_paused, self.master.pause_ends) {
            (_, Some(_)) => self.master_event(|subject| Event::Paused { subject, reason }),
            (true, None) => self.master_event(Event::Resumed),
            (false, None) => {}
        }
        self.changed_urgently();
        self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
        self.consider_failover();
    }

    /// The time of a pause is over: it is taken out of the settings.
    pub(crate) fn end_pause(&mut self) {
        if self.master.pause_ends.is_some_and(|at| at <= self.ctx.mono()) {
            self.set_pause(None);
        }
    }

    /// Until when nobody is nominated, if an operator has paused failovers.
    pub(crate) fn paused_until(&self) -> Option<Instant> {
        self.master.pause_ends.filter(|at| *at > self.ctx.mono())
    }
}

/// The end that is never reached, since 1970: the year 9999.
const FOR_EVER: Duration = Duration::from_secs(253_402_300_799);

/// When a pause ends that lasts until this time since 1970. The wall clock is asked once: should it jump, the pause does not.
pub(crate) fn ends(until: Duration, wall: WallTime, now: Instant) -> Option<Instant> {
    let left = until.checked_sub(Duration::from_millis(wall.0)).filter(|left| !left.is_zero())?;
    Some(if until >= FOR_EVER { Instant::NEVER } else { now + left })
}
