//! How often an instance is pinged, and how many are pinged in the same instant.

use std::time::Duration;

use crate::{
    settings::{MasterSettings, Timing},
    time::Instant,
};

/// Shortest time between two PINGs, whatever down-after says.
const MIN_PING_PERIOD: Duration = Duration::from_millis(10);

/// PINGs a second up to which an instance is pinged more often than the reference does it.
///
/// With down-after 2 s that are 1,000 instances, such as 330 masters with 2 replicas each; with the default of 30 s
/// it makes no difference.
const PING_BUDGET: u32 = 2_000;

/// From so many connections on what is sent periodically is sent in company.
const CROWD: usize = 500;

/// How far apart the instants are in which a crowd is spoken to. One wake-up then serves many connections.
const CROWD_STEP: Duration = Duration::from_millis(10);

/// The least period that is worth a shift by half a [`CROWD_STEP`].
const LEAST_SHIFTED: Duration = Duration::from_millis(100);

/// How often an instance is pinged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PingPeriod {
    /// As long as the budget allows it.
    usual: Duration,
    /// With however many instances.
    longest: Duration,
}

impl PingPeriod {
    /// What settings ask for.
    ///
    /// A departure: the reference takes min(1 s, down-after), and so notices a node that hangs right after an answer up
    /// to a whole down-after late. A quarter of it bounds that, as long as [`PING_BUDGET`] allows it; beyond, the period
    /// grows with the number of instances up to the reference's. A period that was asked for is kept.
    pub(crate) fn of(settings: &MasterSettings, timing: &Timing) -> Self {
        let reference = Timing::default().ping_period;
        let (usual, longest) = match settings.ping_period {
            Some(period) => (period, period),
            None if timing.ping_period != reference => {
                let period = timing.ping_period.min(settings.down_after);
                (period, period)
            }
            None => (reference.min(settings.down_after / 4), reference.min(settings.down_after)),
        };
        PingPeriod { usual: usual.max(MIN_PING_PERIOD), longest: longest.max(MIN_PING_PERIOD) }
    }

    /// For an instance that belongs to several masters.
    pub(crate) fn and(self, other: Self) -> Self {
        PingPeriod { usual: self.usual.min(other.usual), longest: self.longest.min(other.longest) }
    }

    /// The time between two PINGs of one instance where so many are connected.
    pub(crate) fn among(self, connected: usize) -> Duration {
        let connected = u32::try_from(connected).unwrap_or(u32::MAX);
        let affordable = Duration::from_secs(1).saturating_mul(connected) / PING_BUDGET;
        self.usual.max(affordable).min(self.longest)
    }
}

/// Whether so many are connected that what is sent periodically is sent in company.
pub(crate) const fn is_crowd(connected: usize) -> bool {
    connected >= CROWD
}

/// When something that is done every `period` is done: at `at`, or, where many are connected, a few milliseconds before
/// or after that, together with what is due for others.
pub(crate) fn in_company(at: Instant, period: Duration, connected: usize) -> Instant {
    if !is_crowd(connected) || period < LEAST_SHIFTED {
        return at;
    }
    let step = u64::try_from(CROWD_STEP.as_micros()).unwrap_or(u64::MAX);
    // The nearest one: rounded always up, the periods would grow by what a wake-up takes.
    Instant::from_micros((at.as_micros().saturating_add(step / 2)) / step * step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quorum;

    const FEW: usize = 15;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn period(down_after: u64, connected: usize) -> Duration {
        let mut settings = MasterSettings::new(Quorum::new(1).unwrap());
        settings.down_after = ms(down_after);
        PingPeriod::of(&settings, &Timing::default()).among(connected)
    }

    #[test]
    fn a_quarter_of_down_after_between_pings_at_most_a_second() {
        assert_eq!([30_000, 2_000, 400].map(|down_after| period(down_after, FEW)), [ms(1_000), ms(500), ms(100)]);
        assert_eq!(period(1, FEW), MIN_PING_PERIOD);
    }

    #[test]
    fn thousands_of_instances_are_pinged_as_often_as_by_the_reference() {
        assert_eq!([1_000, 1_500, 3_000, 15_000].map(|it| period(2_000, it)), [ms(500), ms(750), ms(1_000), ms(1_000)]);
        // Never less often than once in down-after.
        assert_eq!([100, 1_000, 3_000].map(|it| period(400, it)), [ms(100), ms(400), ms(400)]);
        assert_eq!([FEW, 3_000, usize::MAX].map(|it| period(30_000, it)), [ms(1_000); 3]);
    }

    #[test]
    fn a_period_that_was_asked_for_is_kept() {
        let mut settings = MasterSettings::new(Quorum::new(1).unwrap());
        // SENTINEL DEBUG ping-period: the reference's rule with the period told.
        let timing = Timing { ping_period: ms(700), ..Timing::default() };
        for (down_after, period) in [(30_000, 700), (500, 500)] {
            settings.down_after = ms(down_after);
            let wanted = PingPeriod::of(&settings, &timing);
            assert_eq!([FEW, 15_000].map(|it| wanted.among(it)), [ms(period); 2]);
        }
        settings.ping_period = Some(ms(50));
        let fifty = PingPeriod::of(&settings, &timing);
        assert_eq!([FEW, 15_000].map(|it| fifty.among(it)), [ms(50); 2]);
        settings.ping_period = Some(Duration::ZERO);
        assert_eq!(PingPeriod::of(&settings, &timing).among(FEW), MIN_PING_PERIOD);
    }

    #[test]
    fn a_sentinel_of_several_masters_is_pinged_as_the_most_urgent_one_asks() {
        let of = |down_after| {
            let mut settings = MasterSettings::new(Quorum::new(1).unwrap());
            settings.down_after = ms(down_after);
            PingPeriod::of(&settings, &Timing::default())
        };
        assert_eq!(of(30_000).and(of(400)), of(400));
    }

    #[test]
    fn only_a_crowd_is_spoken_to_in_company_and_its_periods_do_not_grow() {
        let at = Instant::from_micros(1_008_700);
        assert_eq!(in_company(at, ms(1_000), FEW), at);
        assert_eq!(in_company(at, ms(50), 3_000), at);
        // A wake-up comes a little late each time.
        let mut due = at;
        for round in 1..=1_000 {
            due = in_company(due + ms(1_000) + Duration::from_micros(1_700), ms(1_000), 3_000);
            assert_eq!(due.as_micros(), 1_010_000 + 1_000_000 * round);
        }
    }
}
