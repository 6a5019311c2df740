//! How the value of a setting is read from a file: the reference's settings as leniently as there, with its texts; ours
//! strictly.

use std::path::PathBuf;

use sentinel_core::{
    settings::row::{self, Kind, Row, Value},
    types::Host,
};

use super::{
    build::{Builder, Directive},
    fault::Refusal,
    value,
};

impl Builder {
    /// The value that a word stands for.
    pub(super) fn setting<S>(&mut self, directive: &Directive, row: &Row<S>, word: &str) -> Result<Value, Refusal> {
        match row.kind {
            Kind::Milliseconds { .. } | Kind::Count { .. } | Kind::Port if !row.ours => {
                let number = self.number(directive, word);
                self.lenient(directive, row.kind, number)
            }
            Kind::Script { called } => self.script(directive, word, called).map(Value::Text),
            Kind::Switch => switch(row, word),
            Kind::Host if !word.is_empty() => Host::new(word).map(|host| Value::Host(Some(host))).map_err(|error| {
                Refusal::new(error.to_string(), "write the address under which others reach this Sentinel")
            }),
            kind => kind.read(word).ok_or_else(|| strict(kind, word)),
        }
    }

    /// A number of the reference's, out of which it makes what it can.
    fn lenient(&mut self, directive: &Directive, kind: Kind, number: i64) -> Result<Value, Refusal> {
        let read = |number: u64| {
            let value = kind.read(&number.to_string());
            value.ok_or_else(|| strict(kind, &number.to_string()))
        };
        match (kind, u64::try_from(number)) {
            (Kind::Milliseconds { least: 0 }, Err(_)) => {
                Err(Refusal::new("negative time parameter.", "write milliseconds, or 0 for no limit"))
            }
            (Kind::Milliseconds { least: 1.. }, Err(_) | Ok(0)) => {
                Err(Refusal::new("negative or zero time parameter.", "write milliseconds from 1 up"))
            }
            (Kind::Count { least, most }, number) => {
                let number = number.unwrap_or(0);
                if number < u64::from(least) {
                    let text = format!("with less than {least} no replica would ever be reconfigured: {least} is used");
                    self.warn(directive, text);
                }
                read(number.clamp(u64::from(least), u64::from(most)))
            }
            (Kind::Port, Ok(number)) if u16::try_from(number).is_ok() => read(number),
            (Kind::Port, _) => {
                self.warn(directive, format!("{number} is no port: the own one is announced"));
                read(0)
            }
            (_, number) => read(number.unwrap_or(0)),
        }
    }

    fn script(&mut self, directive: &Directive, path: &str, called: &str) -> Result<Option<String>, Refusal> {
        if path.is_empty() {
            return Ok(None);
        }
        let found: PathBuf = self.resolve(path);
        if self.files.is_executable(&found) {
            if let Some(interpreter) = self.files.read(&found).ok().as_deref().and_then(interpreter_with_cr) {
                self.warn(
                    directive,
                    format!(
                        "the first line of {} ends with CR LF, so that the system looks for an interpreter `{interpreter}\\r`, which \
                         there is not: save it with LF (sed -i 's/\\r$//')",
                        found.display()
                    ),
                );
            }
            Ok(Some(path.to_owned()))
        } else {
            Err(Refusal::new(
                format!("{called} seems non existing or non executable."),
                format!("create {} and make it executable (chmod +x)", found.display()),
            ))
        }
    }
}

/// `yes` or `no`; the reference has a text of its own for each of its switches.
fn switch<S>(row: &Row<S>, word: &str) -> Result<Value, Refusal> {
    // In its text for this one the reference says "options".
    let option = if row.name == "deny-scripts-reconfig" { "options" } else { "option" };
    row::yes_or_no(word).map(Value::Switch).ok_or_else(|| {
        let text = format!("Please specify yes or no for the {} {option}.", row.name);
        Refusal::new(text, "write yes or no")
    })
}

/// Why a word is no value of a kind.
fn strict(kind: Kind, word: &str) -> Refusal {
    match (kind, kind.range()) {
        (Kind::Bytes, _) if row::bytes(word).is_none() => Refusal::new(
            "argument must be a memory value",
            "write a number of bytes, or one with a unit, such as 64mb or 1gb",
        ),
        (_, Some((least, most))) => {
            let range = i64::try_from(least).unwrap_or(i64::MAX)..=i64::try_from(most).unwrap_or(i64::MAX);
            match value::int(word, range.clone()) {
                Err(refusal) => refusal,
                Ok(_) => value::out_of(&range),
            }
        }
        _ => Refusal::new("the value is not understood", "write it as the documentation says"),
    }
}

/// The interpreter that a script names in a first line which ends with CR LF.
fn interpreter_with_cr(script: &[u8]) -> Option<String> {
    let line = script.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    Some(String::from_utf8_lossy(line.strip_suffix(b"\r")?).trim().to_owned())
}
