use sentinel_core::Message;

use super::{FORGED, Invariant, Observation, Setting, Sort};
use crate::time::Time;

/// With `hello-auth-key` all hellos are signed, and what somebody forges is not believed: the epochs that only forged
/// hellos and forged requests for votes tell are never told by a Sentinel. And no vote is asked for unsigned.
#[derive(Debug, Default)]
pub(super) struct Signed;

impl Invariant for Signed {
    fn rule(&self) -> &'static str {
        "with hello-auth-key nothing forged is believed, and no hello and no request for a vote is unsigned"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Said, Sort::Other]
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        if !setting.guards.signed_hellos {
            return Ok(());
        }
        if let Observation::Sent { sentinel, message: Message::IsMasterDown { signed: None, epoch, .. }, .. } =
            observation
        {
            return Err(format!("Sentinel {sentinel} asks about a master in epoch {epoch}, unsigned"));
        }
        let Observation::Said { sentinel, hello: Some(hello) } = observation else { return Ok(()) };
        if hello.is_forged() {
            return Err(format!(
                "Sentinel {sentinel} tells an epoch from {FORGED} on, which somebody has forged: {hello:?}"
            ));
        }
        if hello.is_signed { Ok(()) } else { Err(format!("Sentinel {sentinel} says hello unsigned: {hello:?}")) }
    }
}
