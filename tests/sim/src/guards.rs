//! The guards that must be asked for, as a seed asks for them.

use std::{num::NonZeroU64, time::Duration};

use sentinel_core::{
    command::MasterSetting,
    settings::{
        GlobalSettings, MasterSettings,
        master::{EMPTY_MASTER_FAILOVER, FAILOVER_PAUSE, MAX_LAG, PROMOTE_BEST_EFFORT},
        row::Value,
    },
    types::Secret,
};

use crate::{
    rng::Rng,
    time::{SEC, Time},
};

/// What all Sentinels of a history are asked for besides what the reference does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// `max-lag`, in bytes.
    pub max_lag: Option<NonZeroU64>,
    /// `failover-pause`
    pub failover_pause: Time,
    /// `empty-master-failover`
    pub empty_master_failover: bool,
    /// `promote-best-effort`
    pub promote_best_effort: bool,
    /// `hello-auth-key`: the same at all Sentinels.
    pub signed_hellos: bool,
}

impl Guards {
    /// The guards of a seed: none in two histories of five, else each by itself. They have a source of chance of their
    /// own, so that all else in a history is drawn as if there were none.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "guards");
        if rng.permille(400) {
            return Guards::default();
        }
        Guards {
            max_lag: NonZeroU64::new(rng.pick(&[0, 0, 200, 2_000, 20_000])),
            failover_pause: rng.pick(&[0, 0, 10 * SEC, 60 * SEC, 150 * SEC]),
            empty_master_failover: rng.permille(500),
            promote_best_effort: rng.permille(500),
            signed_hellos: rng.permille(300),
        }
    }

    /// Asks for them in the settings of a master.
    pub fn apply(&self, settings: &mut MasterSettings) {
        for (setting, _) in self.options() {
            setting.apply(settings);
        }
    }

    /// Asks for them in the settings of a Sentinel.
    pub fn apply_to_all(&self, settings: &mut GlobalSettings) {
        settings.hello_auth_key = self.signed_hellos.then(|| Secret::new("what only the Sentinels know"));
    }

    /// SENTINEL SET of each, with the words of the option.
    pub fn options(&self) -> [(MasterSetting, String); 4] {
        let rows = [
            (&MAX_LAG, Value::Bytes(self.max_lag.map_or(0, NonZeroU64::get))),
            (&FAILOVER_PAUSE, Value::Time(Duration::from_micros(self.failover_pause))),
            (&EMPTY_MASTER_FAILOVER, Value::Switch(self.empty_master_failover)),
            (&PROMOTE_BEST_EFFORT, Value::Switch(self.promote_best_effort)),
        ];
        rows.map(|(row, value)| {
            let shown = format!("{} {value}", row.name);
            (MasterSetting::Of(row, value), shown)
        })
    }
}
