use super::{FORGED, Invariant, Observation, Setting, Sort};
use crate::time::Time;

/// With `hello-auth-key` all hellos are signed, and what somebody forges is not believed: the epochs that only forged
/// hellos tell are never told by a Sentinel.
#[derive(Debug, Default)]
pub(super) struct Signed;

impl Invariant for Signed {
    fn rule(&self) -> &'static str {
        "with hello-auth-key no forged hello is believed, and no hello is unsigned"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Said]
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        let Observation::Said { sentinel, hello: Some(hello) } = observation else { return Ok(()) };
        if !setting.guards.signed_hellos {
            return Ok(());
        }
        if hello.is_forged() {
            return Err(format!(
                "Sentinel {sentinel} tells an epoch from {FORGED} on, which somebody has forged: {hello:?}"
            ));
        }
        if hello.is_signed { Ok(()) } else { Err(format!("Sentinel {sentinel} says hello unsigned: {hello:?}")) }
    }
}
