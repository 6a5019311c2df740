//! SENTINEL CONFIG: the settings of the Sentinel itself.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, GlobalOption,
    argument::{shown, text},
    errors, glob,
    syntax::{block, one_of, string},
    table::{Does, Subcommand},
};
use crate::{
    events::Level,
    settings::{
        GlobalSettings,
        row::{Changed, Kind, Row},
        sentinel::SENTINEL,
    },
    time::Now,
    view::View,
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Reads or changes the settings of this Sentinel.",
    since: Some("6.2.0"),
    arguments: &[one_of(
        "set_or_get",
        &[
            block("set_param_value", &[string("parameter"), string("value")]).behind("SET").multiple(),
            string("parameter").behind("GET").multiple(),
        ],
    )],
    help: &[
        "CONFIG SET <param> <value>",
        "    Change a setting of this Sentinel; several pairs may be given.",
        "CONFIG GET <param>",
        "    Read the settings of this Sentinel that match a pattern.",
    ],
    ..Subcommand::admin("sentinel|config", -3, Does::AnswerIf(is_get, answer, parse))
};

/// The parameters, in the order in which CONFIG GET lists them.
fn parameters() -> impl Iterator<Item = Parameter> {
    let changed = SENTINEL.iter().copied().filter(|row| row.changed == Changed::ByCommand);
    changed.map(Parameter::Of).chain(std::iter::once(Parameter::LogLevel))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Of(&'static Row<GlobalSettings>),
    /// Of 7.2 and later. It lasts until the next start.
    LogLevel,
}

impl Parameter {
    fn named(word: &[u8]) -> Option<Parameter> {
        parameters().find(|known| word.eq_ignore_ascii_case(known.name().as_bytes()))
    }

    const fn name(self) -> &'static str {
        match self {
            Parameter::Of(row) => row.name,
            Parameter::LogLevel => "loglevel",
        }
    }

    /// The value as CONFIG GET shows it: passwords in clear, as the reference does.
    fn value(self, globals: &GlobalSettings) -> String {
        match self {
            Parameter::Of(row) => row.value(globals).to_string(),
            Parameter::LogLevel => globals.log_level.map_or("nothing", Level::as_str).to_owned(),
        }
    }

    /// The option that a word stands for; none if it is no value of this parameter.
    ///
    /// The reference takes any text for `announce-ip` and announces it, the empty one too, after which every other
    /// Sentinel loses this one. Here it must be a host, and the empty text means "unset".
    fn option(self, word: &[u8]) -> Option<GlobalOption> {
        match self {
            Parameter::Of(row) => row.kind.read(&text(word)).map(|value| GlobalOption::Of(row, value)),
            Parameter::LogLevel => log_level(&text(word)),
        }
    }
}

fn log_level(word: &str) -> Option<GlobalOption> {
    if word.eq_ignore_ascii_case("nothing") {
        return Some(GlobalOption::LogLevel(None));
    }
    let levels = [Level::Debug, Level::Verbose, Level::Notice, Level::Warning];
    levels
        .into_iter()
        .find(|level| word.eq_ignore_ascii_case(level.as_str()))
        .map(|level| GlobalOption::LogLevel(Some(level)))
}

impl GlobalOption {
    /// Takes effect in `globals`.
    pub fn apply(self, globals: &mut GlobalSettings) {
        match self {
            GlobalOption::Of(row, value) => row.set(globals, value),
            GlobalOption::LogLevel(value) => globals.log_level = value,
        }
    }
}

fn is_get(words: &[Bytes]) -> bool {
    matches!(words, [verb, _, ..] if verb.eq_ignore_ascii_case(b"get"))
}

fn answer(words: &[Bytes], view: &View, _: Now) -> Option<Reply> {
    let [_, patterns @ ..] = words else { return None };
    Some(get(&view.globals, patterns))
}

/// `SENTINEL CONFIG GET pattern ...` and `SENTINEL CONFIG SET param value ...`; the reference took only one of each
/// until 7.0, and its words for every other shape are those of 7.0.
fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    match words {
        [verb, words @ ..] if verb.eq_ignore_ascii_case(b"set") && words.len() >= 2 => {
            set(words).map(|options| Some(Change::ConfigSet(options)))
        }
        _ => Err(Reply::err("Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.")),
    }
}

/// Pattern by pattern, each parameter once.
fn get(globals: &GlobalSettings, patterns: &[Bytes]) -> Reply {
    let mut found: Vec<Parameter> = Vec::new();
    for pattern in patterns {
        for parameter in parameters() {
            if !found.contains(&parameter) && glob::matches_ignoring_case(pattern, parameter.name()) {
                found.push(parameter);
            }
        }
    }
    Reply::map(found.into_iter().map(|parameter| (parameter.name(), parameter.value(globals))))
}

/// Every pair is checked before any is applied.
fn set(mut words: &[Bytes]) -> Result<Vec<GlobalOption>, Reply> {
    super::argument::without_control("SENTINEL CONFIG SET", 3, words)?;
    let mut seen: Vec<Parameter> = Vec::new();
    let mut options = Vec::new();
    while let [name, rest @ ..] = words {
        let shown = shown(name);
        let Some(parameter) = Parameter::named(name) else {
            return Err(Reply::err(format!("Invalid argument '{shown}' to SENTINEL CONFIG SET")));
        };
        if seen.contains(&parameter) {
            return Err(Reply::err(format!("Duplicate argument '{shown}' to SENTINEL CONFIG SET")));
        }
        seen.push(parameter);
        let [value, rest @ ..] = rest else {
            return Err(Reply::err(format!("Missing argument '{shown}' value")));
        };
        options.push(parameter.option(value).ok_or_else(|| invalid_value(parameter, name, value))?);
        words = rest;
    }
    Ok(options)
}

fn invalid_value(parameter: Parameter, name: &Bytes, value: &Bytes) -> Reply {
    let value = match parameter {
        Parameter::Of(Row { kind: Kind::Secret, .. }) => "******".into(),
        _ => shown(value),
    };
    errors::invalid_config_value(name, &value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::{error_of, words};
    use crate::settings::row::Value;

    fn set_line(line: &str) -> Result<GlobalSettings, String> {
        match parse(&words(&format!("Set {line}"))) {
            Ok(Some(Change::ConfigSet(options))) => {
                let mut globals = GlobalSettings::default();
                for option in options {
                    option.apply(&mut globals);
                }
                Ok(globals)
            }
            Ok(other) => panic!("{other:?}"),
            Err(reply) => Err(error_of(&reply)),
        }
    }

    fn get_line(globals: &GlobalSettings, line: &str) -> String {
        let Reply::Map(pairs) = get(globals, &words(line)) else {
            panic!("not a map");
        };
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", name.as_text().unwrap(), value.as_text().unwrap()))
            .collect();
        pairs.join(" ")
    }

    #[test]
    fn everything_that_is_set_can_be_read_back() {
        let defaults = GlobalSettings::default();
        assert_eq!(
            get_line(&defaults, "*"),
            "resolve-hostnames=no announce-hostnames=no announce-ip= announce-port=0 sentinel-user= sentinel-pass= \
             loglevel=notice"
        );
        let all = "Resolve-Hostnames YES announce-hostnames yes announce-ip ::1 announce-port 7 \
                   sentinel-user u sentinel-pass p loglevel Debug";
        let changed = set_line(all).unwrap();
        assert_eq!(
            get_line(&changed, "*"),
            "resolve-hostnames=yes announce-hostnames=yes announce-ip=::1 announce-port=7 sentinel-user=u \
             sentinel-pass=p loglevel=debug"
        );
        assert_eq!(set_line("announce-ip '' announce-port 0 sentinel-user '' sentinel-pass ''"), Ok(defaults));
        assert_eq!(get_line(&set_line("loglevel nothing").unwrap(), "log*"), "loglevel=nothing");
    }

    #[test]
    fn patterns_are_taken_in_order_and_each_parameter_once() {
        let globals = GlobalSettings::default();
        assert_eq!(
            get_line(&globals, "SENTINEL-* Announce-P* *-pass announce-port"),
            "sentinel-user= sentinel-pass= announce-port=0"
        );
        assert_eq!(get_line(&globals, "nope ''"), "");
    }

    #[test]
    fn nothing_is_changed_when_anything_is_wrong() {
        for (line, error) in [
            ("foo bar", "ERR Invalid argument 'foo' to SENTINEL CONFIG SET"),
            ("announce-port 1 foo", "ERR Invalid argument 'foo' to SENTINEL CONFIG SET"),
            ("announce-port 70000 foo bar", "ERR Invalid value '70000' to SENTINEL CONFIG SET 'announce-port'"),
            ("Announce-Port x", "ERR Invalid value 'x' to SENTINEL CONFIG SET 'Announce-Port'"),
            ("announce-port -1", "ERR Invalid value '-1' to SENTINEL CONFIG SET 'announce-port'"),
            ("resolve-hostnames maybe", "ERR Invalid value 'maybe' to SENTINEL CONFIG SET 'resolve-hostnames'"),
            ("announce-hostnames 1", "ERR Invalid value '1' to SENTINEL CONFIG SET 'announce-hostnames'"),
            ("loglevel loud", "ERR Invalid value 'loud' to SENTINEL CONFIG SET 'loglevel'"),
            ("announce-ip a,b", "ERR Invalid value 'a,b' to SENTINEL CONFIG SET 'announce-ip'"),
            ("announce-port 1 Announce-Port 2", "ERR Duplicate argument 'Announce-Port' to SENTINEL CONFIG SET"),
            ("announce-port 1 announce-ip", "ERR Missing argument 'announce-ip' value"),
        ] {
            assert_eq!(set_line(line), Err(error.to_owned()), "{line}");
        }
    }

    #[test]
    fn a_control_character_is_refused_before_anything_else() {
        let words = ["set", "foo", "bar", "sentinel-pass", "a\rb"].map(|word| Bytes::copy_from_slice(word.as_bytes()));
        let reply = parse(&words).unwrap_err();
        let expected = "ERR Invalid argument at index 6 for SENTINEL CONFIG SET: control characters are not allowed";
        assert_eq!(error_of(&reply), expected);
    }

    #[test]
    fn every_other_shape_gets_the_words_of_7_0() {
        for line in ["get", "set", "set announce-port", "foo", "foo bar baz"] {
            let reply = parse(&words(line)).unwrap_err();
            assert_eq!(
                error_of(&reply),
                "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.",
                "{line}"
            );
        }
    }

    #[test]
    fn a_password_that_is_no_text_is_kept_byte_for_byte() {
        let words = [&b"set"[..], b"sentinel-pass", b"pw\xff"].map(Bytes::from_static);
        let Ok(Some(Change::ConfigSet(options))) = parse(&words) else {
            panic!("it is taken");
        };
        let [GlobalOption::Of(_, Value::Secret(Some(pass)))] = &options[..] else { panic!("{options:?}") };
        assert_eq!(&*pass.bytes(), b"pw\xff");
    }
}
