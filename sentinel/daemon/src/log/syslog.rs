//! The system log, beside the log file: the same texts, as datagrams to its socket.

use std::{fmt, io, os::unix::net::UnixDatagram, path::PathBuf};

use sentinel_resp::text;
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use super::format::Parts;
use crate::config::SyslogFacility;

/// Where the system log listens.
pub(super) const SOCKET: &str = "/dev/log";

/// How lines of the system log look.
#[derive(Clone, Debug)]
pub struct Syslog {
    /// The name that stands before each line.
    pub ident: String,
    /// Under which the system log files it.
    pub facility: SyslogFacility,
    /// The socket. None: the system's.
    pub socket: Option<PathBuf>,
}

/// Formats datagrams as RFC 3164 has them: `<priority>time ident[pid]: text`.
pub(super) struct Datagram(pub(super) Syslog);

impl<S, N> FormatEvent<S, N> for Datagram
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        // The reference's: debug is debug, verbose info, notice notice, warning warning.
        let severity = match *event.metadata().level() {
            tracing::Level::TRACE => 7,
            tracing::Level::DEBUG => 6,
            tracing::Level::INFO => 5,
            tracing::Level::WARN | tracing::Level::ERROR => 4,
        };
        let facility = match self.0.facility {
            SyslogFacility::User => 1,
            SyslogFacility::Local(n) => 16 + u32::from(n),
        };
        let time = jiff::Zoned::now().strftime("%b %e %H:%M:%S").to_string();
        let message = Parts::of(event).message;
        write!(writer, "<{}>{time} {}[{}]: ", facility * 8 + severity, self.0.ident, std::process::id())?;
        text::shown(&message).chars().filter(|c| !c.is_control()).try_for_each(|c| writer.write_char(c))
    }
}

/// The socket, opened when there is something to say and again when the system log was started anew.
pub(super) struct Socket {
    path: PathBuf,
    open: Option<UnixDatagram>,
}

impl Socket {
    pub(super) fn new(path: PathBuf) -> Self {
        Socket { path, open: None }
    }

    pub(super) fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        if let Some(socket) = &self.open
            && socket.send(datagram).is_ok()
        {
            return Ok(());
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(&self.path)?;
        socket.send(datagram)?;
        self.open = Some(socket);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::{
            Level, filter,
            format::Line,
            sink::{Sink, Target},
            subscriber,
        },
        *,
    };

    #[test]
    fn each_text_is_a_datagram_with_its_severity_also_when_the_system_log_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let syslog = Syslog { ident: "me".into(), facility: SyslogFacility::Local(3), socket: Some(path.clone()) };
        let (sink, _guard) = Sink::start(Target::system(&syslog)).unwrap();
        let logs = subscriber(filter(Some(Level::Notice)), Line::default(), std::io::sink, Some((syslog, sink)));
        let receive = |listener: &UnixDatagram| {
            listener.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut datagram = [0; 256];
            let length = listener.recv(&mut datagram).expect("a datagram");
            String::from_utf8_lossy(&datagram[..length]).into_owned()
        };
        tracing::subscriber::with_default(logs, || {
            let listener = UnixDatagram::bind(&path).unwrap();
            tracing::warn!("+sdown master m");
            let pid = std::process::id();
            let text = receive(&listener);
            // local3 is 19, warning is 4.
            assert!(text.starts_with("<156>") && text.ends_with(&format!(" me[{pid}]: +sdown master m")), "{text}");
            tracing::debug!("not at this level");
            tracing::info!("two\nlines");
            let text = receive(&listener);
            assert!(text.starts_with("<157>") && text.ends_with(": twolines"), "{text}");

            drop(listener);
            std::fs::remove_file(&path).unwrap();
            let listener = UnixDatagram::bind(&path).unwrap();
            tracing::warn!("again");
            assert!(receive(&listener).ends_with(": again"));
        });
    }
}
