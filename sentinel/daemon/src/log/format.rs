//! How one line looks.

use std::fmt;

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
    /// The reference's: `<pid>:X <day> <month> <year> <time> <level> <text>`, in local time.
    #[default]
    Text,
    /// One JSON object a line, with every part of an event as a field.
    Json,
}

/// Formats lines.
pub(super) struct Line(pub(super) Format);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let parts = Parts::of(event);
        let level = *event.metadata().level();
        match self.0 {
            Format::Text => text(&mut writer, level, &parts.message),
            Format::Json => json(&mut writer, level, parts),
        }
    }
}

/// A line in the reference's look.
pub(super) fn text(writer: &mut dyn fmt::Write, level: tracing::Level, message: &str) -> fmt::Result {
    let mark = match level {
        tracing::Level::TRACE => '.',
        tracing::Level::DEBUG => '-',
        tracing::Level::INFO => '*',
        tracing::Level::WARN | tracing::Level::ERROR => '#',
    };
    let time = jiff::Zoned::now().strftime("%d %b %Y %H:%M:%S%.3f").to_string();
    write!(writer, "{}:X {time} {mark} ", std::process::id())?;
    // Names and errors come from outside: none may begin a line of its own.
    for c in message.chars() {
        if c.is_control() { write!(writer, "{}", c.escape_default())? } else { writer.write_char(c)? }
    }
    writeln!(writer)
}

/// A warning in the look for programs.
pub(super) fn json_warning(writer: &mut dyn fmt::Write, message: &str, fields: &[(&str, &str)]) -> fmt::Result {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
    json(writer, tracing::Level::WARN, Parts { message: message.to_owned(), fields })
}

fn json(writer: &mut dyn fmt::Write, level: tracing::Level, parts: Parts) -> fmt::Result {
    let level = match level {
        tracing::Level::TRACE => "debug",
        tracing::Level::DEBUG => "verbose",
        tracing::Level::INFO => "notice",
        tracing::Level::WARN | tracing::Level::ERROR => "warning",
    };
    let mut line = Map::new();
    line.insert("time".to_owned(), format!("{:.3}", jiff::Timestamp::now()).into());
    line.insert("pid".to_owned(), std::process::id().into());
    line.insert("level".to_owned(), level.into());
    line.insert("message".to_owned(), parts.message.into());
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
        if field.name() == "message" { value.clone_into(&mut self.message) } else { self.put(field, value) }
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
