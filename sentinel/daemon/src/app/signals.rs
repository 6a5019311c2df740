//! Signals: two stop the process, two are ignored.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for the signals that concern a Sentinel. SIGPIPE is ignored by every Rust program.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Listened to so that it does not end the process; the file is not read again, as in the reference.
    _hangup: Signal,
}

impl Signals {
    /// Begins to listen. Must be called inside of a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to stop, and names it.
    pub(super) async fn stop(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
