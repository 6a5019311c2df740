//! How one line looks.

use std::fmt;

use sentinel_resp::text::{self, byte_of};
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// The look of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The reference's, which Valkey calls `legacy`: `<pid>:X <day> <month> <year> <time> <level> <text>`, in local time.
    #[default]
    #[value(alias = "legacy")]
    Text,
    /// Valkey's `logfmt`: `pid=<pid> role=sentinel timestamp="<time>" level=<level> message="<text>"`.
    Logfmt,
    /// One JSON object a line, with every part of an event as a field.
    Json,
}

/// How a line tells when it was written; in JSON it is always in UTC, as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamp {
    /// The reference's: `22 Nov 2026 00:54:38.538`, in local time.
    #[default]
    Legacy,
    /// `2026-11-22T00:54:38.538+00:00`, in local time with its distance from UTC.
    Iso8601,
    /// Milliseconds since 1970.
    Milliseconds,
}

impl Timestamp {
    pub(super) fn write(self, writer: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Timestamp::Legacy => write!(writer, "{}", jiff::Zoned::now().strftime("%d %b %Y %H:%M:%S%.3f")),
            Timestamp::Iso8601 => write!(writer, "{}", jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")),
            Timestamp::Milliseconds => write!(writer, "{}", jiff::Timestamp::now().as_millisecond()),
        }
    }
}

/// Formats lines.
#[derive(Clone, Copy, Default)]
pub(super) struct Line {
    pub(super) format: Format,
    pub(super) timestamp: Timestamp,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let parts = Parts::of(event);
        let level = *event.metadata().level();
        match self.format {
            Format::Text => text(&mut writer, self.timestamp, level, &parts.message),
            Format::Logfmt => logfmt(&mut writer, self.timestamp, level, &parts.message),
            Format::Json => json(&mut writer, level, parts),
        }
    }
}

/// A line in the reference's look.
pub(super) fn text(
    writer: &mut dyn fmt::Write,
    timestamp: Timestamp,
    level: tracing::Level,
    message: &str,
) -> fmt::Result {
    let mark = match level {
        tracing::Level::TRACE => '.',
        tracing::Level::DEBUG => '-',
        tracing::Level::INFO => '*',
        tracing::Level::WARN | tracing::Level::ERROR => '#',
    };
    write!(writer, "{}:X ", std::process::id())?;
    timestamp.write(writer)?;
    write!(writer, " {mark} ")?;
    // Names and errors come from outside: none may begin a line of its own.
    for c in message.chars() {
        match byte_of(c) {
            Some(byte) => write!(writer, "\\x{byte:02x}")?,
            None if c.is_control() => write!(writer, "{}", c.escape_default())?,
            None => writer.write_char(c)?,
        }
    }
    writeln!(writer)
}

/// A line in the look that Valkey calls `logfmt`. What would end the text early is put as its likeness: quotes become `'`,
/// control characters a blank.
pub(super) fn logfmt(
    writer: &mut dyn fmt::Write,
    timestamp: Timestamp,
    level: tracing::Level,
    message: &str,
) -> fmt::Result {
    write!(writer, "pid={} role=sentinel timestamp=\"", std::process::id())?;
    timestamp.write(writer)?;
    write!(writer, "\" level={} message=\"", level_name(level))?;
    for c in text::shown(message).chars() {
        writer.write_char(match c {
            '"' => '\'',
            c if c.is_control() => ' ',
            c => c,
        })?;
    }
    writeln!(writer, "\"")
}

const fn level_name(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::TRACE => "debug",
        tracing::Level::DEBUG => "verbose",
        tracing::Level::INFO => "notice",
        tracing::Level::WARN | tracing::Level::ERROR => "warning",
    }
}

/// A warning in the look for programs.
pub(super) fn json_warning(writer: &mut dyn fmt::Write, message: &str, fields: &[(&str, &str)]) -> fmt::Result {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    json(writer, tracing::Level::WARN, Parts { message: message.to_owned(), fields })
}

fn json(writer: &mut dyn fmt::Write, level: tracing::Level, parts: Parts) -> fmt::Result {
    let mut line = Map::new();
    line.insert("time".to_owned(), format!("{:.3}", jiff::Timestamp::now()).into());
    line.insert("pid".to_owned(), std::process::id().into());
    line.insert("level".to_owned(), level_name(level).into());
    line.insert("message".to_owned(), text::shown(&parts.message).into());
    line.extend(parts.fields);
    writeln!(writer, "{}", Value::Object(line))
}

/// What one event of `tracing` is made of.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) message: String,
    fields: Map<String, Value>,
}

impl Parts {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut parts = Parts::default();
        event.record(&mut parts);
        parts
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" { self.message = text } else { self.put(field, text) }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.put(field, &*text::shown(value));
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}
