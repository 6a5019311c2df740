//! The process among others: in the background, under a supervisor.

use std::{
    env, io,
    process::{Command, Stdio},
};

use sd_notify::NotifyState;

use crate::{config::Supervised, monitor::Heartbeat};

/// Set in the process that goes on in the background. Not for programs that it starts.
pub(crate) const BACKGROUND: &str = "SENTINEL_IN_BACKGROUND";

/// Whether this is the process that goes on in the background. It makes itself the leader of its own session.
pub(super) fn is_background() -> bool {
    let background = env::var_os(BACKGROUND).is_some();
    if background {
        // Fails only for one that is a leader already.
        let _ = rustix::process::setsid();
    }
    background
}

/// Starts this program again with the same words, away from the terminal.
///
/// A copy of the process (fork) would copy none of its threads and all of their locks; a new one has no such past.
pub(super) fn go_into_background() -> io::Result<()> {
    Command::new(env::current_exe()?)
        .args(env::args_os().skip(1))
        .env(BACKGROUND, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// What a supervisor is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Reloading,
    Stopping,
}

/// The supervisor that is meant: `auto` is whichever the environment names.
pub(super) fn supervisor(configured: Supervised) -> Supervised {
    match configured {
        Supervised::Auto if env::var_os("NOTIFY_SOCKET").is_some() => Supervised::Systemd,
        Supervised::Auto if env::var_os("UPSTART_JOB").is_some() => Supervised::Upstart,
        Supervised::Auto => Supervised::No,
        other => other,
    }
}

/// Tells the supervisor, if there is one. It may not listen: that is no reason to stop.
pub(super) fn tell_supervisor(configured: Supervised, state: State) {
    match (supervisor(configured), state) {
        (Supervised::Systemd, state) => {
            let mut told = match state {
                State::Ready => vec![NotifyState::Ready],
                State::Reloading => vec![NotifyState::Reloading],
                State::Stopping => vec![NotifyState::Stopping],
            };
            if state == State::Reloading {
                told.extend(NotifyState::monotonic_usec_now());
            }
            if let Err(error) = sd_notify::notify(&told) {
                tracing::warn!("systemd cannot be told {state:?}: {error}");
            }
        }
        (Supervised::Upstart, State::Ready) => {
            tracing::info!("supervised by upstart, will stop to signal readiness");
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
        }
        _ => {}
    }
}

/// What the monitor tells systemd with, if that supervises.
pub(super) fn heartbeat(configured: Supervised) -> Option<Heartbeat> {
    let socket = env::var_os("NOTIFY_SOCKET").filter(|_| supervisor(configured) == Supervised::Systemd)?;
    Heartbeat::new(&socket, sd_notify::watchdog_enabled())
        .inspect_err(|error| tracing::warn!("systemd cannot be told that the monitor is alive: {error}"))
        .ok()
}
