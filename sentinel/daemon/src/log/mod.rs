//! The log: events and notices of the engine, and what the daemon says itself.
//!
//! Everything goes through `tracing`; the reference's four levels are its `WARN`, `INFO`, `DEBUG` and `TRACE`. A line
//! is handed to a thread that writes it, so that neither a full disk nor a terminal that stands still can hold up a
//! decision.

mod fields;
mod format;
mod sink;
mod syslog;

use std::{io, path::PathBuf, sync::OnceLock};

use sentinel_core::{
    Notice, Turn,
    events::{Event, Level},
};
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt::MakeWriter,
    layer::{Filter as LayerFilter, SubscriberExt},
    reload,
};

use self::{
    fields::Fields,
    format::Line,
    sink::{Sink, Target},
    syslog::Datagram,
};
pub use self::{
    format::{Format, Timestamp},
    sink::{Guard, flush, reopen},
    syslog::Syslog,
};

/// Where the log goes and how it looks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Least level that is logged. None: nothing is.
    pub level: Option<Level>,
    /// How a line looks.
    pub format: Format,
    /// How a line tells when it was written.
    pub timestamp: Timestamp,
    /// The file that lines are appended to; opened anew when it was moved away, at its next line or by [`reopen`]. None: the standard output.
    pub file: Option<PathBuf>,
    /// The system log gets the same texts. None: it gets nothing.
    pub syslog: Option<Syslog>,
}

/// Starts logging for the whole process. Lines are written until the guard is dropped, which waits for the last one.
///
/// An error means that the file cannot be opened, or that the process logs already.
pub fn start(options: &Options) -> io::Result<Guard> {
    let (sink, mut guard) = Sink::start(Target::of_file(options.file.clone())?)?;
    sink.serve_process();
    let system = match &options.syslog {
        Some(syslog) => {
            let (sink, system) = Sink::start(Target::system(syslog))?;
            guard = guard.and(system);
            Some((syslog.clone(), sink))
        }
        None => None,
    };
    let (filter, handle) = reload::Layer::new(filter(options.level));
    let logs = subscriber(filter, Line { format: options.format, timestamp: options.timestamp }, sink, system);
    tracing::subscriber::set_global_default(logs).map_err(io::Error::other)?;
    // There is one log in a process.
    let _ = FILTER.set(handle);
    Ok(guard)
}

/// How the filter of this process's log is changed.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Logs from this level on; none: nothing. Without a log it does nothing.
pub fn set_level(level: Option<Level>) {
    if let Some(handle) = FILTER.get() {
        // Fails only if the log is gone.
        let _ = handle.reload(filter(level));
    }
}

fn filter(level: Option<Level>) -> Targets {
    let own = level.map_or(LevelFilter::OFF, |level| LevelFilter::from(tracing_level(level)));
    Targets::new()
        // Libraries speak in their own terms: only what is wrong is of interest.
        .with_default(level.map_or(LevelFilter::OFF, |_| LevelFilter::WARN))
        .with_target(env!("CARGO_CRATE_NAME"), own)
        .with_target("sentinel", own)
        .with_target("sentinel_sdk", level.map_or(LevelFilter::OFF, |_| LevelFilter::WARN))
}

/// Lines to a writer, and the same texts to the system log if there is one.
fn subscriber<W, F>(
    filter: F,
    line: Line,
    writer: W,
    system: Option<(Syslog, Sink)>,
) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    F: LayerFilter<Registry> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().event_format(line).with_writer(writer);
    let system =
        system.map(|(syslog, sink)| tracing_subscriber::fmt::layer().event_format(Datagram(syslog)).with_writer(sink));
    Registry::default().with(lines.and_then(system).with_filter(filter))
}

const fn tracing_level(level: Level) -> tracing::Level {
    match level {
        Level::Debug => tracing::Level::TRACE,
        Level::Verbose => tracing::Level::DEBUG,
        Level::Notice => tracing::Level::INFO,
        Level::Warning => tracing::Level::WARN,
    }
}

/// What a warning looks like before the log was started. `fields` are seen in the JSON look alone.
pub fn plain_line(look: Format, text: &str, fields: &[(&str, &str)]) -> String {
    let mut line = String::new();
    // Writing to a string does not fail.
    let _ = match look {
        Format::Text => format::text(&mut line, Timestamp::Legacy, tracing::Level::WARN, text),
        Format::Logfmt => format::logfmt(&mut line, Timestamp::Legacy, tracing::Level::WARN, text),
        Format::Json => format::json_warning(&mut line, text, fields),
    };
    line.truncate(line.trim_end().len());
    line
}

/// One line at a level that is known only when it is written.
macro_rules! say {
    ($level:expr, $($line:tt)+) => {
        match $level {
            Level::Debug => tracing::trace!($($line)+),
            Level::Verbose => tracing::debug!($($line)+),
            Level::Notice => tracing::info!($($line)+),
            Level::Warning => tracing::warn!($($line)+),
        }
    };
}

/// What the log says behind a payload, which is the reference's: why.
struct Reason<'a>(&'a Event);

impl std::fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Event::SubjectivelyDown { cause, .. } => write!(f, " (cause: {cause})"),
            Event::Problem { problem, turn: Turn::Raised | Turn::Lasts } => write!(f, " (remedy: {})", problem.remedy),
            _ => Ok(()),
        }
    }
}

/// Logs an event: its channel and payload as text, its parts as fields.
pub fn event(event: &Event) {
    let fields = Fields::of(event);
    let Fields { master, role, address, id, epoch, from, quorum, votes, reported, script, pid, .. } = fields;
    let Fields { cause, detail, problem, severity, remedy, offset, highest, loss, .. } = fields;
    say!(
        event.level(),
        event = event.channel(),
        master,
        role,
        address,
        id,
        epoch,
        from,
        quorum,
        votes,
        reported,
        script,
        pid,
        cause,
        detail = detail.as_deref(),
        problem,
        severity,
        remedy,
        offset,
        highest,
        loss,
        "{} {}{}",
        event.channel(),
        event.payload(),
        Reason(event)
    );
}

/// Logs a notice of the engine.
pub fn notice(notice: &Notice) {
    let master = notice.master.as_ref().map(|name| name.as_str());
    say!(notice.level(), event = notice.topic.as_str(), master, "{notice}");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use sentinel_core::{
        Topic,
        events::Subject,
        types::{Epoch, MasterName},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged by `say` at a level.
    fn logged(level: Option<Level>, format: Format, say: impl FnOnce()) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let line = Line { format, timestamp: Timestamp::Legacy };
        tracing::subscriber::with_default(subscriber(filter(level), line, move || writer.clone(), None), say);
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn sdown() -> Event {
        let name = MasterName::new("mymaster").unwrap();
        Event::SubjectivelyDown {
            subject: Subject::Master { name, addr: "127.0.0.1:36001".parse().unwrap() },
            cause: sentinel_core::DownCause::Refused,
        }
    }

    #[test]
    fn a_line_looks_like_the_references() {
        let text = logged(Some(Level::Notice), Format::Text, || event(&sdown()));
        // 23403:X 22 Nov 2026 00:54:38.538 # +sdown master mymaster 127.0.0.1 36001
        let words: Vec<_> = text.trim_end().split(' ').collect();
        assert_eq!(words[0], format!("{}:X", std::process::id()));
        assert!(words[1].len() == 2 && words[1].parse::<u8>().is_ok(), "{text}");
        assert!(words[2].len() == 3 && words[3].parse::<u16>().is_ok(), "{text}");
        let (clock, millis) = words[4].split_once('.').unwrap();
        assert!(clock.len() == 8 && millis.len() == 3, "{text}");
        assert_eq!(words[5..].join(" "), "# +sdown master mymaster 127.0.0.1 36001 (cause: connection refused)");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn a_json_line_has_every_part_as_a_field() {
        let text = logged(Some(Level::Notice), Format::Json, || {
            event(&sdown());
            event(&Event::NewEpoch { epoch: Epoch::new(7), master: MasterName::new("m").unwrap() });
        });
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines[0]["message"], "+sdown master mymaster 127.0.0.1 36001 (cause: connection refused)");
        assert_eq!(lines[0]["level"], "warning");
        assert_eq!(lines[0]["event"], "+sdown");
        assert_eq!(lines[0]["master"], "mymaster");
        assert_eq!(lines[0]["role"], "master");
        assert_eq!(lines[0]["address"], "127.0.0.1:36001");
        assert!(lines[0].get("epoch").is_none(), "only what the event has: {text}");
        assert_eq!(lines[1]["epoch"], 7);
    }

    #[test]
    fn why_something_is_down_stands_behind_the_event_and_in_a_field() {
        let text = logged(Some(Level::Notice), Format::Json, || event(&sdown()));
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "+sdown master mymaster 127.0.0.1 36001 (cause: connection refused)");
        assert_eq!((&line["cause"], &line["detail"]), (&"refused".into(), &"connection refused".into()));
        assert_eq!(
            sdown().payload(),
            "master mymaster 127.0.0.1 36001",
            "who subscribes is told what the reference tells"
        );
    }

    #[test]
    fn a_notice_has_a_name_that_programs_know() {
        let text = logged(Some(Level::Notice), Format::Json, || {
            let master = MasterName::new("m").ok();
            notice(&Notice { topic: Topic::NotElected, master, text: "Not elected".to_owned() });
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&line["event"], &line["master"]), (&"not-elected".into(), &"m".into()));
        assert_eq!((&line["level"], &line["message"]), (&"warning".into(), &"Not elected".into()));
    }

    #[test]
    fn a_structured_line_looks_like_valkeys() {
        let text = logged(Some(Level::Notice), Format::Logfmt, || {
            event(&sdown());
            tracing::info!("{}", "a \"quoted\"\nword");
        });
        // pid=14300 role=sentinel timestamp="29 Nov 2026 19:14:17.167" level=notice message="Running mode=sentinel, port=0."
        let lines: Vec<_> = text.lines().collect();
        let first = format!("pid={} role=sentinel timestamp=\"", std::process::id());
        assert!(lines.iter().all(|line| line.starts_with(&first)), "{text}");
        assert!(
            lines[0].ends_with(
                "\" level=warning message=\"+sdown master mymaster 127.0.0.1 36001 (cause: connection refused)\""
            ),
            "{text}"
        );
        assert!(lines[1].ends_with("\" level=notice message=\"a 'quoted' word\""), "{text}");
        assert_eq!(lines.len(), 2);
    }

    #[test]
    fn the_time_is_told_as_asked_for() {
        let mut told = String::new();
        Timestamp::Iso8601.write(&mut told).unwrap();
        assert!(told.len() == 29 && told.as_bytes()[10] == b'T' && told.as_bytes()[26] == b':', "{told}");
        let mut told = String::new();
        Timestamp::Milliseconds.write(&mut told).unwrap();
        assert!(told.parse::<u64>().is_ok_and(|told| told > 1_700_000_000_000), "{told}");
    }

    #[test]
    fn the_level_cuts_off_what_is_below() {
        let all = || {
            for (level, text) in
                [(Level::Debug, "."), (Level::Verbose, "-"), (Level::Notice, "*"), (Level::Warning, "#")]
            {
                let topic =
                    Topic::ALL.iter().copied().find(|topic| topic.level() == level).expect("each level has some");
                notice(&Notice { topic, master: None, text: text.to_owned() });
            }
        };
        let marks = |level| {
            let text = logged(level, Format::Text, all);
            text.lines().map(|line| line.rsplit(' ').nth(1).unwrap().to_owned()).collect::<String>()
        };
        assert_eq!(marks(Some(Level::Debug)), ".-*#");
        assert_eq!(marks(Some(Level::Verbose)), "-*#");
        assert_eq!(marks(Some(Level::Notice)), "*#");
        assert_eq!(marks(Some(Level::Warning)), "#");
        assert_eq!(marks(None), "");
    }

    #[test]
    fn the_level_can_be_changed_while_logging() {
        let memory = Memory::default();
        let writer = memory.clone();
        let (filter, handle) = reload::Layer::new(super::filter(Some(Level::Notice)));
        tracing::subscriber::with_default(subscriber(filter, Line::default(), move || writer.clone(), None), || {
            let say = |text: &str| notice(&Notice { topic: Topic::Info, master: None, text: text.to_owned() });
            say("one");
            handle.reload(super::filter(Some(Level::Debug))).unwrap();
            say("two");
            handle.reload(super::filter(None)).unwrap();
            say("three");
        });
        let text = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert!(text.ends_with(". two\n") && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn a_text_with_line_breaks_stays_on_its_line() {
        let text = logged(Some(Level::Notice), Format::Text, || {
            tracing::warn!("{}", "a\r\n1:X 22 Nov 2026 00:00:00.000 # forged");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
