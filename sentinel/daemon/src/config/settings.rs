//! What a snapshot holds, as the words of directives: the one table from which both forms are written.

use sentinel_core::{
    settings::{GlobalSettings, MasterSettings},
    types::{Quorum, Secret},
};

use super::lexer;

/// One setting in the words of the classic grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The `sentinel` directive.
    pub(super) directive: &'static str,
    /// Its value. Empty or 0: not set.
    pub(super) value: String,
    /// What counts where no line stands.
    pub(super) default: &'static str,
    /// Whether the value is a password.
    pub(super) secret: bool,
}

impl Setting {
    fn new(directive: &'static str, value: impl Into<String>, default: &'static str) -> Self {
        Setting { directive, value: value.into(), default, secret: false }
    }

    fn secret(directive: &'static str, value: Option<&Secret>) -> Self {
        let value = value.map(Secret::expose).unwrap_or_default().to_owned();
        Setting { directive, value, default: "", secret: true }
    }

    /// Whether the value is the one that counts where no line stands.
    pub(super) fn is_default(&self) -> bool {
        self.value == self.default
    }
}

/// The settings of one master with a directive of their own, in the reference's order; then our own.
pub(super) fn of_master(settings: &MasterSettings) -> [Setting; 18] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let switch = |on: bool| if on { "yes" } else { "no" };
    [
        Setting::new("down-after-milliseconds", settings.down_after.as_millis().to_string(), "30000"),
        Setting::new("failover-timeout", settings.failover_timeout.as_millis().to_string(), "180000"),
        Setting::new("parallel-syncs", settings.parallel_syncs.to_string(), "1"),
        Setting::new("notification-script", text(&settings.notification_script), ""),
        Setting::new("client-reconfig-script", text(&settings.client_reconfig_script), ""),
        Setting::secret("auth-pass", settings.auth_pass.as_ref()),
        Setting::new("auth-user", text(&settings.auth_user), ""),
        Setting::new("master-reboot-down-after-period", settings.reboot_down_after.as_millis().to_string(), "0"),
        Setting::new("down-on-refused", settings.down_on_refused.map_or(0, std::num::NonZero::get).to_string(), "0"),
        Setting::new("lossless-failover", switch(settings.lossless_failover), "yes"),
        Setting::new("lossless-catch-up", settings.catch_up.as_millis().to_string(), "5000"),
        Setting::new("empty-master-failover", switch(settings.empty_master_failover), "no"),
        Setting::new("promote-best-effort", switch(settings.promote_best_effort), "no"),
        Setting::new("max-lag", settings.max_lag.map_or(0, std::num::NonZero::get).to_string(), "0"),
        Setting::new("failover-pause", settings.failover_pause.as_millis().to_string(), "0"),
        Setting::new("reload-grace", settings.reload_grace.as_millis().to_string(), "10000"),
        Setting::new("promote-empty", switch(settings.promote_empty), "no"),
        Setting::new("ping-period", settings.ping_period.map_or(0, |period| period.as_millis()).to_string(), "0"),
    ]
}

/// The settings of the Sentinel that SENTINEL CONFIG SET may change, in the reference's order.
pub(super) fn of_sentinel(globals: &GlobalSettings) -> [Setting; 7] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let switch = |on: bool| if on { "yes" } else { "no" };
    [
        Setting::new("deny-scripts-reconfig", switch(globals.deny_scripts_reconfig), "yes"),
        Setting::new("resolve-hostnames", switch(globals.resolve_hostnames), "no"),
        Setting::new("announce-hostnames", switch(globals.announce_hostnames), "no"),
        Setting::new("announce-ip", globals.announce_ip.as_ref().map(ToString::to_string).unwrap_or_default(), ""),
        Setting::new("announce-port", globals.announce_port.unwrap_or(0).to_string(), "0"),
        Setting::new("sentinel-user", text(&globals.sentinel_user), ""),
        Setting::secret("sentinel-pass", globals.sentinel_pass.as_ref()),
    ]
}

/// The settings that have no value of their own in the classic grammar: the quorum stands in the `monitor` line, and a
/// renamed command is a line of its own. The kept state needs them as values.
pub(super) fn of_master_combined(settings: &MasterSettings) -> [Setting; 2] {
    let renamed = settings.rename_commands.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]);
    [Setting::new("quorum", settings.quorum.to_string(), ""), Setting::new("rename-command", lexer::join(renamed), "")]
}

/// Whether a directive is one of [`of_sentinel`].
pub(super) fn is_of_sentinel(directive: &str) -> bool {
    of_sentinel(&GlobalSettings::default()).iter().any(|setting| setting.directive == directive)
}

/// Whether a directive is one of [`of_master`].
pub(super) fn is_of_master(directive: &str) -> bool {
    of_master(&unconfigured()).iter().any(|setting| setting.directive == directive)
}

/// The defaults of a master of which no configuration speaks.
pub(super) fn unconfigured() -> MasterSettings {
    MasterSettings::new(Quorum::new(1).expect("one is a quorum"))
}
