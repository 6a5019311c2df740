//! The system log, beside the log file: the same texts, as datagrams to its socket.

use std::{fmt, io, os::unix::net::UnixDatagram, path::PathBuf};

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
        message.chars().filter(|c| !c.is_control()).try_for_each(|c| writer.write_char(c))
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
