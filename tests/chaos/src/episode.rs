//! Some overlapping faults, their end, and what is left of the damage.

use std::time::{Duration, Instant, SystemTime};

use fastrand::Rng;

use crate::agreement;
use crate::cast::Cast;
use crate::fault::Fault;
use crate::host::Role;
use crate::inject;
use crate::network::{self, HostId, Rule};
use crate::writes::Missing;

/// The faults of an episode begin within this time.
const BEGIN_WITHIN: u64 = 8_000;
const SHORTEST: u64 = 300;
const LONGEST: u64 = 15_000;

/// What is to go wrong, and when.
#[derive(Debug)]
pub(crate) struct Episode {
    faults: Vec<Planned>,
}

#[derive(Debug)]
struct Planned {
    begins: Duration,
    ends: Duration,
    fault: Fault,
}

/// What an episode did.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The kinds of its faults.
    pub(crate) faults: Vec<String>,
    /// How long it took after the end of the last fault until all agreed and wrote; the disagreement if they did not.
    pub(crate) healed: Option<Duration>,
    pub(crate) disagreement: Option<String>,
    /// What was acknowledged and is gone since this episode, of all applications.
    pub(crate) missing: Missing,
}

impl Episode {
    /// Draws one to four faults.
    pub(crate) fn draw(random: &mut Rng, hosts: &[(HostId, Role)]) -> Self {
        let faults = (0..random.usize(1..=4))
            .map(|_| {
                let begins = Duration::from_millis(random.u64(..BEGIN_WITHIN));
                let ends = begins + Duration::from_millis(random.u64(SHORTEST..LONGEST));
                Planned { begins, ends, fault: Fault::draw(random, hosts) }
            })
            .collect();
        Self { faults }
    }

    /// Lets it happen, heals everything and looks what is left.
    pub(crate) fn play(&self, cast: &mut Cast) -> Outcome {
        let mut outcome = Outcome {
            faults: self.faults.iter().map(|planned| planned.fault.to_string()).collect(),
            ..Outcome::default()
        };
        if let Err(error) = self.harm(cast) {
            outcome.disagreement = Some(format!("a fault could not be injected: {error}"));
            return outcome;
        }
        match inject::heal(cast) {
            Ok(ended) if ended.is_empty() => {}
            Ok(ended) => say(&format!("started again, since they had ended: {}", ended.join(", "))),
            Err(error) => {
                outcome.disagreement = Some(format!("the deployment could not be healed: {error}"));
                return outcome;
            }
        }
        match agreement::wait(cast) {
            Ok((time, master)) => {
                outcome.healed = Some(time);
                match cast.missing_from(&master) {
                    Ok(missing) => outcome.missing = missing,
                    Err(error) => outcome.disagreement = Some(format!("the master cannot be searched: {error}")),
                }
                say(&format!(
                    "healed in {} ms, master {}, lost {}, of those that every replica had {}",
                    time.as_millis(),
                    cast.name_of(&master),
                    outcome.missing.unguarded.len() + outcome.missing.guarded.len(),
                    outcome.missing.guarded.len()
                ));
                for key in &outcome.missing.guarded {
                    say(&format!("LOST although every replica had it: {key}"));
                }
            }
            Err(state) => {
                say(&format!("DISAGREEMENT: {state}"));
                outcome.disagreement = Some(state);
            }
        }
        outcome
    }

    fn harm(&self, cast: &mut Cast) -> Result<(), String> {
        let began = Instant::now();
        let mut waiting: Vec<&Planned> = self.faults.iter().collect();
        let mut active: Vec<(Duration, Fault<HostId>)> = Vec::new();
        while !waiting.is_empty() || !active.is_empty() {
            let next = waiting.iter().map(|planned| planned.begins).chain(active.iter().map(|(ends, _)| *ends)).min();
            if let Some(pause) = next.and_then(|next| next.checked_sub(began.elapsed())) {
                std::thread::sleep(pause);
            }
            let now = began.elapsed();
            let (ended, still): (Vec<_>, Vec<_>) = active.into_iter().partition(|(ends, _)| *ends <= now);
            active = still;
            for (_, fault) in ended {
                inject::end(cast, &fault)?;
                say(&format!("  end of {}", fault.told(|host| cast.name(host))));
            }
            let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|planned| planned.begins <= now);
            waiting = later;
            for planned in due {
                let fault = planned.fault.resolve(cast.master());
                inject::begin(cast, &fault)?;
                say(&fault.told(|host| cast.name(host)));
                active.push((planned.ends, fault));
            }
            let hosts: Vec<HostId> = cast.network().hosts().collect();
            let rules: Vec<Rule> = active.iter().flat_map(|(_, fault)| fault.rules(&hosts)).collect();
            network::disturb(&rules)?;
        }
        Ok(())
    }
}

/// With the time of day, as the logs of Sentinels and applications have it.
pub(crate) fn say(what: &str) {
    println!("{} {what}", humantime::format_rfc3339_millis(SystemTime::now()));
}
