//! SENTINEL SET: the settings of one master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, MasterSetting, SetOption, argument, errors,
    syntax::{block, string},
    table::{Does, Subcommand},
};
use crate::{
    settings::{master, row::Kind},
    types::Quorum,
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Changes settings of a master.",
    since: Some("2.8.4"),
    arguments: &[string("master-name"), block("option_value", &[string("option"), string("value")]).multiple()],
    help: &[
        "SET <master-name> <option> <value> [<option> <value> ...]",
        "    Change settings of one master, one after the other.",
    ],
    ..Subcommand::admin("sentinel|set", -5, Does::Change(read))
};

const COMMAND: &str = "SENTINEL SET";

fn read(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name, options @ ..] = words else { return Ok(None) };
    Ok(Some(parse(name, options)))
}

/// `SENTINEL SET name option value ...`: everything before the first bad option counts.
///
/// Script paths are let through here: whether they may be changed, and whether they can be executed, is not in the
/// words.
fn parse(name: &Bytes, mut words: &[Bytes]) -> Change {
    let name = argument::known_name(name);
    let mut options = Vec::new();
    // Nothing counts then. Whether there is such a master is told first, and is not known here.
    let mut error = argument::without_control(COMMAND, 3, words).err();
    if error.is_some() {
        words = &[];
    }
    while let [option, rest @ ..] = words {
        match one(option, rest) {
            Ok((setting, shown, taken)) => {
                let shown = format!("{} {shown}", argument::shown(option));
                options.push(SetOption { setting, shown });
                words = rest.get(taken..).unwrap_or_default();
            }
            Err(reply) => {
                error = Some(reply);
                break;
            }
        }
    }
    Change::Set { name, options, error }
}

/// The setting, its values as the event shows them, and how many words they were.
fn one(option: &Bytes, values: &[Bytes]) -> Result<(MasterSetting, String, usize), Reply> {
    let unknown = || errors::unknown_option(COMMAND, option);
    let [value, ..] = values else {
        return Err(unknown());
    };
    let name = argument::text(option);
    let (setting, shown) = match name.to_ascii_lowercase().as_str() {
        "quorum" => {
            let quorum = argument::integer(value).and_then(|value| Quorum::new(value).ok());
            (quorum.map(MasterSetting::Quorum), argument::shown(value))
        }
        "rename-command" => return renaming(option, value, values.get(1)),
        name => {
            let row = master::of_master(name).ok_or_else(unknown)?;
            let shown = if row.kind == Kind::Secret { "******".into() } else { argument::shown(value) };
            (row.kind.read(&argument::text(value)).map(|value| MasterSetting::Of(row, value)), shown)
        }
    };
    let setting = setting.ok_or_else(|| errors::invalid_argument(COMMAND, option, value))?;
    Ok((setting, shown.into_owned(), 1))
}

/// `rename-command old new`; a new name that is the old one, in any case, removes the renaming.
fn renaming(option: &Bytes, from: &Bytes, to: Option<&Bytes>) -> Result<(MasterSetting, String, usize), Reply> {
    let to = to.ok_or_else(|| errors::unknown_option(COMMAND, option))?;
    let name = |word: &Bytes| {
        argument::unless_empty(&argument::text(word))
            .map(str::to_owned)
            .ok_or_else(|| errors::invalid_argument(COMMAND, option, word))
    };
    let (old, new) = (name(from)?, name(to)?);
    let shown = format!("{} {}", argument::shown(from), argument::shown(to));
    let new = Some(new).filter(|new| !new.eq_ignore_ascii_case(&old));
    Ok((MasterSetting::RenameCommand(old.to_ascii_uppercase(), new), shown, 2))
}

#[cfg(test)]
mod tests {
    use std::{
        num::{NonZeroU32, NonZeroU64},
        time::Duration,
    };

    use super::*;
    use crate::{
        command::sample::{error_of, words},
        settings::{MasterSettings, master::MASTER, row::Value},
        types::Secret,
    };

    fn parsed(line: &str) -> (Vec<SetOption>, Option<String>) {
        match parse(&Bytes::from_static(b"m"), &words(line)) {
            Change::Set { name, options, error } => {
                assert_eq!(name, "m");
                (options, error.as_ref().map(error_of))
            }
            other => panic!("not a SET: {other:?}"),
        }
    }

    fn settings(line: &str) -> MasterSettings {
        let (options, error) = parsed(line);
        assert_eq!(error, None, "{line}");
        let mut settings = MasterSettings::new(Quorum::new(9).unwrap());
        for option in options {
            option.setting.apply(&mut settings);
        }
        settings
    }

    #[test]
    fn with_a_control_character_nothing_counts() {
        let words = ["quorum", "3", "auth-pass", "a\nb"].map(|word| Bytes::copy_from_slice(word.as_bytes()));
        let Change::Set { options, error, .. } = parse(&Bytes::from_static(b"m"), &words) else {
            panic!("a SET of a master that may be there");
        };
        assert!(options.is_empty());
        let expected = "ERR Invalid argument at index 6 for SENTINEL SET: control characters are not allowed";
        assert_eq!(error.as_ref().map(error_of).as_deref(), Some(expected));
    }

    #[test]
    fn every_option_reaches_its_setting() {
        let ms = Duration::from_millis;
        let set = settings(
            "Down-After-Milliseconds 1 failover-timeout 2 parallel-syncs 3 quorum 4 \
             master-reboot-down-after-period 5 auth-pass secret auth-user u rename-command config GUESS \
             notification-script /n client-reconfig-script /c down-on-refused 6 ping-period 7 lossless-failover NO \
             empty-master-failover Yes promote-best-effort yes max-lag 8 failover-pause 9 lossless-catch-up 10 \
             reload-grace 10 promote-empty yes",
        );
        assert_eq!(set.catch_up, ms(10));
        assert_eq!(set.down_after, ms(1));
        assert_eq!(set.failover_timeout, ms(2));
        assert_eq!(set.parallel_syncs, 3);
        assert_eq!(set.quorum.get(), 4);
        assert_eq!(set.reboot_down_after, ms(5));
        assert_eq!(set.auth_pass, Some(Secret::new("secret")));
        assert_eq!(set.auth_user.as_deref(), Some("u"));
        assert_eq!(set.rename_commands["CONFIG"], "GUESS");
        assert_eq!(set.notification_script.as_deref(), Some("/n"));
        assert_eq!(set.client_reconfig_script.as_deref(), Some("/c"));
        assert_eq!(set.down_on_refused, NonZeroU32::new(6));
        assert_eq!(set.ping_period, Some(ms(7)));
        assert!(!set.lossless_failover);
        assert!(set.empty_master_failover && set.promote_best_effort);
        assert_eq!((set.max_lag, set.failover_pause), (NonZeroU64::new(8), ms(9)));
        assert_eq!((set.reload_grace, set.promote_empty), (ms(10), true));
        assert_eq!(settings("primary-reboot-down-after-period 8").reboot_down_after, ms(8));
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(settings("max-lag 64mb").max_lag, NonZeroU64::new(64 << 20));
        assert_eq!(settings("max-lag 1GB").max_lag, NonZeroU64::new(1 << 30));
    }

    #[test]
    fn every_setting_is_an_option() {
        for row in MASTER {
            let value = row.value(&MasterSettings::new(Quorum::new(1).unwrap())).to_string();
            let (options, error) = parsed(&format!("{} '{value}'", row.name));
            assert_eq!((options.len(), error), (1, None), "{row:?}");
        }
    }

    #[test]
    fn an_empty_text_a_zero_and_the_same_name_remove() {
        let set = settings(
            "auth-pass p auth-pass '' auth-user u auth-user '' notification-script /n notification-script '' \
             client-reconfig-script /c client-reconfig-script '' rename-command CONFIG GUESS \
             rename-command config Config down-on-refused 1 down-on-refused 0 ping-period 1 ping-period 0 \
             max-lag 1 max-lag 0 failover-pause 1 failover-pause 0 \
             master-reboot-down-after-period 1 master-reboot-down-after-period 0",
        );
        assert_eq!(set, MasterSettings::new(Quorum::new(9).unwrap()));
    }

    #[test]
    fn events_show_the_clients_spelling_and_hide_passwords() {
        let (options, error) =
            parsed("Quorum 2 Auth-Pass secret auth-pass '' auth-user u auth-user '' rename-command CONFIG GUESS");
        assert_eq!(error, None);
        let shown: Vec<&str> = options.iter().map(|o| o.shown.as_str()).collect();
        assert_eq!(
            shown,
            [
                "Quorum 2",
                "Auth-Pass ******",
                "auth-pass ******",
                "auth-user u",
                "auth-user ",
                "rename-command CONFIG GUESS"
            ]
        );
    }

    #[test]
    fn what_stands_before_the_first_bad_option_counts() {
        let unknown = "ERR Unknown option or number of arguments for SENTINEL SET";
        let invalid = "ERR Invalid argument";
        for (line, error) in [
            ("foo bar quorum 3", format!("{unknown} 'foo'")),
            ("Foo", format!("{unknown} 'Foo'")),
            ("Quorum", format!("{unknown} 'Quorum'")),
            ("quorum 0", format!("{invalid} '0' for SENTINEL SET 'quorum'")),
            ("Quorum x", format!("{invalid} 'x' for SENTINEL SET 'Quorum'")),
            ("quorum 4294967296", format!("{invalid} '4294967296' for SENTINEL SET 'quorum'")),
            (
                "down-after-milliseconds 0 failover-timeout 1",
                format!("{invalid} '0' for SENTINEL SET 'down-after-milliseconds'"),
            ),
            ("failover-timeout 01", format!("{invalid} '01' for SENTINEL SET 'failover-timeout'")),
            ("parallel-syncs 0", format!("{invalid} '0' for SENTINEL SET 'parallel-syncs'")),
            ("parallel-syncs 4294967296", format!("{invalid} '4294967296' for SENTINEL SET 'parallel-syncs'")),
            (
                "master-reboot-down-after-period -1",
                format!("{invalid} '-1' for SENTINEL SET 'master-reboot-down-after-period'"),
            ),
            (
                "primary-reboot-down-after-period x",
                format!("{invalid} 'x' for SENTINEL SET 'primary-reboot-down-after-period'"),
            ),
            ("rename-command CONFIG", format!("{unknown} 'rename-command'")),
            ("rename-command CONFIG ''", format!("{invalid} '' for SENTINEL SET 'rename-command'")),
            ("rename-command '' X", format!("{invalid} '' for SENTINEL SET 'rename-command'")),
            ("down-on-refused -1", format!("{invalid} '-1' for SENTINEL SET 'down-on-refused'")),
            ("max-lag -1", format!("{invalid} '-1' for SENTINEL SET 'max-lag'")),
            ("promote-best-effort maybe", format!("{invalid} 'maybe' for SENTINEL SET 'promote-best-effort'")),
            ("reload-grace -1", format!("{invalid} '-1' for SENTINEL SET 'reload-grace'")),
            ("promote-empty 1", format!("{invalid} '1' for SENTINEL SET 'promote-empty'")),
            ("ping-period 1s", format!("{invalid} '1s' for SENTINEL SET 'ping-period'")),
        ] {
            let (options, told) = parsed(&format!("auth-user u {line}"));
            assert_eq!(options.len(), 1, "{line}");
            assert_eq!(told, Some(error), "{line}");
        }
    }

    #[test]
    fn a_password_that_is_no_text_is_kept_byte_for_byte() {
        let words = [Bytes::from_static(b"auth-pass"), Bytes::from_static(b"pw\xff")];
        let Change::Set { options, error: None, .. } = parse(&Bytes::from_static(b"m"), &words) else {
            panic!("not a SET without an error");
        };
        let [SetOption { setting: MasterSetting::Of(_, Value::Secret(Some(pass))), shown }] = &options[..] else {
            panic!("{options:?}");
        };
        assert_eq!((&*pass.bytes(), shown.as_str()), (&b"pw\xff"[..], "auth-pass ******"));
    }
}
