//! What one row of a table of settings says, and how a value is read from a command.

use std::{
    fmt,
    hash::{Hash, Hasher},
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use crate::types::{Host, Secret};

/// How the value of a setting is written, and in which range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole milliseconds, so many at least.
    Milliseconds {
        /// The least that is accepted.
        least: u64,
    },
    /// A whole number.
    Count {
        /// The least that is accepted.
        least: u32,
        /// The most that is accepted.
        most: u32,
    },
    /// Bytes, also with a unit such as `64mb`; 0 means none.
    Bytes,
    /// `yes` or `no`.
    Switch,
    /// A text; the empty one means none.
    Text,
    /// A text that is not shown; the empty one means none.
    Secret,
    /// The path of a program; the empty one means none.
    Script {
        /// What the reference calls the program in its errors.
        called: &'static str,
    },
    /// An address, or a name; the empty text means none.
    Host,
    /// A TCP port; 0 means none.
    Port,
}

impl Kind {
    /// The whole numbers that are accepted, for those kinds that are one.
    pub const fn range(self) -> Option<(u64, u64)> {
        match self {
            Kind::Milliseconds { least } => Some((least, i64::MAX.unsigned_abs())),
            Kind::Count { least, most } => Some((least as u64, most as u64)),
            Kind::Bytes => Some((0, i64::MAX.unsigned_abs())),
            Kind::Port => Some((0, u16::MAX as u64)),
            Kind::Switch | Kind::Text | Kind::Secret | Kind::Script { .. } | Kind::Host => None,
        }
    }

    /// The value that a word stands for, read as strictly as the reference reads the words of a command.
    pub fn read(self, word: &str) -> Option<Value> {
        let some = |word: &str| Some(word.to_owned()).filter(|text| !text.is_empty());
        Some(match self {
            Kind::Milliseconds { .. } => Value::Time(Duration::from_millis(self.number(word)?)),
            Kind::Count { .. } => Value::Count(u32::try_from(self.number(word)?).ok()?),
            Kind::Bytes => Value::Bytes(bytes(word).filter(|bytes| i64::try_from(*bytes).is_ok())?),
            Kind::Switch => Value::Switch(yes_or_no(word)?),
            Kind::Text | Kind::Script { .. } => Value::Text(some(word)),
            Kind::Secret => Value::Secret(some(word).as_deref().map(Secret::new)),
            Kind::Host => Value::Host(some(word).as_deref().map(Host::new).transpose().ok()?),
            Kind::Port => Value::Port(u16::try_from(self.number(word)?).ok()?),
        })
    }

    fn number(self, word: &str) -> Option<u64> {
        let (least, most) = self.range()?;
        let value = u64::try_from(integer(word.as_bytes())?).ok()?;
        (least..=most).contains(&value).then_some(value)
    }
}

/// The value of a setting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the value of the kind of the same name")]
pub enum Value {
    Time(Duration),
    Count(u32),
    Bytes(u64),
    Switch(bool),
    /// Of texts and scripts.
    Text(Option<String>),
    Secret(Option<Secret>),
    Host(Option<Host>),
    Port(u16),
}

impl fmt::Display for Value {
    /// As files and commands have it; a secret as what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Time(time) => write!(f, "{}", time.as_millis()),
            Value::Count(count) => write!(f, "{count}"),
            Value::Bytes(bytes) => write!(f, "{bytes}"),
            Value::Switch(on) => f.write_str(if *on { "yes" } else { "no" }),
            Value::Text(text) => f.write_str(text.as_deref().unwrap_or_default()),
            Value::Secret(secret) => f.write_str(secret.as_ref().map(Secret::expose).unwrap_or_default()),
            Value::Host(host) => host.iter().try_for_each(|host| write!(f, "{host}")),
            Value::Port(port) => write!(f, "{port}"),
        }
    }
}

/// By whom a setting is changed, and whether it is written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// By who writes the file; its line stays as it is.
    InFile,
    /// The same, but the line is written anew with all others.
    Rewritten,
    /// By commands, too, which save it.
    ByCommand,
}

/// redis-sentinel knows the setting.
pub(super) const THEIRS: bool = false;
/// It does not.
pub(super) const OURS: bool = true;

/// Whole milliseconds from so many on.
pub(super) const fn ms(least: u64) -> Kind {
    Kind::Milliseconds { least }
}

/// Makes a table of settings out of one line for each: a static for every row, and a list of them all.
macro_rules! rows {
    (
        $settings:ty, $table:ident, $about:literal;
        $($row:ident: $name:literal $(| $alias:literal)*, $key:literal, $ours:expr, $changed:expr, $kind:expr, $field:ident, $doc:literal;)*
    ) => {
        $(
            #[doc = $doc]
            pub static $row: Row<$settings> = Row {
                name: $name,
                aliases: &[$($alias),*],
                key: $key,
                kind: $kind,
                ours: $ours,
                changed: $changed,
                doc: $doc,
                get: |settings| Field::value(&settings.$field),
                put: |settings, value| {
                    if let Some(value) = Field::from(value) {
                        settings.$field = value;
                    }
                },
            };
        )*

        #[doc = $about]
        pub static $table: &[&Row<$settings>] = &[$(&$row),*];
    };
}

pub(super) use rows;

/// One setting: all that is known of it stands here, and everything else follows from it.
pub struct Row<S: 'static> {
    /// The directive in a classic configuration (behind `sentinel`), and the option of SENTINEL SET or CONFIG SET.
    pub name: &'static str,
    /// Other names that are accepted for it.
    pub aliases: &'static [&'static str],
    /// The key in a TOML configuration.
    pub key: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// Whether redis-sentinel does not know it.
    pub ours: bool,
    /// By whom it is changed.
    pub changed: Changed,
    /// What it means, in one sentence.
    pub doc: &'static str,
    pub(super) get: fn(&S) -> Value,
    pub(super) put: fn(&mut S, Value),
}

impl<S> Row<S> {
    /// Whether this is the setting of that name, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }

    /// The value in force.
    pub fn value(&self, settings: &S) -> Value {
        (self.get)(settings)
    }

    /// Puts a value in force.
    pub fn set(&self, settings: &mut S, value: Value) {
        (self.put)(settings, value);
    }
}

// There is one row of each name in a table, and rows are never made elsewhere.
impl<S> PartialEq for Row<S> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<S> Eq for Row<S> {}

impl<S> Hash for Row<S> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl<S> fmt::Debug for Row<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How a field takes part in a table: the value of its kind, and back. A value of another kind, which [`Kind::read`] never
/// gives, changes nothing.
pub(super) trait Field: Sized {
    fn value(&self) -> Value;
    fn from(value: Value) -> Option<Self>;
}

macro_rules! field {
    ($type:ty, $variant:ident, $this:ident => $value:expr, $given:ident => $back:expr) => {
        impl Field for $type {
            fn value(&self) -> Value {
                let $this = self;
                Value::$variant($value)
            }

            fn from(value: Value) -> Option<Self> {
                match value {
                    Value::$variant($given) => Some($back),
                    _ => None,
                }
            }
        }
    };
}

field!(Duration, Time, it => *it, given => given);
field!(Option<Duration>, Time, it => it.unwrap_or_default(), given => Some(given).filter(|time| !time.is_zero()));
field!(u32, Count, it => *it, given => given);
field!(Option<NonZeroU32>, Count, it => it.map_or(0, NonZeroU32::get), given => NonZeroU32::new(given));
field!(Option<NonZeroU64>, Bytes, it => it.map_or(0, NonZeroU64::get), given => NonZeroU64::new(given));
field!(bool, Switch, it => *it, given => given);
field!(Option<String>, Text, it => it.clone(), given => given);
field!(Option<Secret>, Secret, it => it.clone(), given => given);
field!(Option<Host>, Host, it => it.clone(), given => given);
field!(Option<u16>, Port, it => it.unwrap_or(0), given => Some(given).filter(|port| *port != 0));

/// A decimal integer: digits, at most one `-` before them, no leading zeros, no blanks, within 64 bits.
pub fn integer(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        [b'0'] => digits.len() == word.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// Bytes with a unit: `b`, `k` = 1000, `kb` = 1024, `m`, `mb`, `g`, `gb`, in any case.
pub fn bytes(word: &str) -> Option<u64> {
    let end = word.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(word.len());
    let unit: u64 = match word[end..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    word[..end].parse::<u64>().ok()?.checked_mul(unit)
}

/// `yes` or `no`, in any case.
pub fn yes_or_no(word: &str) -> Option<bool> {
    match () {
        () if word.eq_ignore_ascii_case("yes") => Some(true),
        () if word.eq_ignore_ascii_case("no") => Some(false),
        () => None,
    }
}
