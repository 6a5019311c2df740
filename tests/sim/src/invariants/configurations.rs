use std::collections::BTreeMap;

use sentinel_core::Message;

use super::{Hello, Invariant, Observation, Setting};
use crate::time::Time;

/// One master address for each configuration epoch.
#[derive(Debug, Default)]
pub(super) struct OneMaster {
    told: BTreeMap<(usize, u64), String>,
}

impl Invariant for OneMaster {
    fn rule(&self) -> &'static str {
        "one master for each configuration epoch"
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Sent { sentinel, message: Message::Hello { payload }, .. } = observation else {
            return Ok(());
        };
        let Some(hello) = Hello::read(payload) else { return Ok(()) };
        let Some(group) = setting.group_named(hello.master) else { return Ok(()) };
        if hello.config_epoch == 0 {
            // Nobody elected that one: it is what an operator wrote.
            return Ok(());
        }
        let first = self.told.entry((group, hello.config_epoch)).or_insert_with(|| hello.addr.clone());
        if *first == hello.addr {
            Ok(())
        } else {
            Err(format!(
                "config epoch {} of {} was {first}, Sentinel {sentinel} says {}",
                hello.config_epoch, hello.master, hello.addr
            ))
        }
    }
}
