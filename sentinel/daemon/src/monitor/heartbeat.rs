//! What systemd hears from the loop itself: that it turns, and in one sentence how things are.

use std::{
    ffi::OsStr,
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    sync::Arc,
    time::{Duration, Instant},
};

use sentinel_core::{Problem, View};

/// How often the sentence is renewed, at most. Who reads it is a person.
const STATUS_PERIOD: Duration = Duration::from_secs(1);

/// systemd shows it on one line.
const LONGEST_STATUS: usize = 240;

/// Sends `WATCHDOG=1` and `STATUS=` to systemd.
///
/// The loop owns it and calls it in each turn. No other thread has it: when the loop hangs nothing is sent, and systemd
/// starts the process anew (`WatchdogSec`).
#[derive(Debug)]
pub struct Heartbeat {
    socket: UnixDatagram,
    systemd: SocketAddr,
    watched: bool,
    period: Duration,
    due: Instant,
    seen: Option<Arc<View>>,
    status: String,
    failing: bool,
}

impl Heartbeat {
    /// `systemd` is the value of `NOTIFY_SOCKET`: a path, or `@` and a name. `watchdog` is how long systemd bears
    /// silence; None where it does not look.
    pub fn new(systemd: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        // The loop waits for nobody, not for systemd either.
        socket.set_nonblocking(true)?;
        Ok(Heartbeat {
            socket,
            systemd: address(systemd)?,
            watched: watchdog.is_some(),
            // Half of the time, as systemd recommends.
            period: watchdog.map_or(STATUS_PERIOD, |limit| STATUS_PERIOD.min(limit / 2)),
            due: Instant::now(),
            seen: None,
            status: String::new(),
            failing: false,
        })
    }

    /// When the loop has to turn although nothing happened.
    pub(super) const fn due(&self) -> Instant {
        self.due
    }

    /// Sends what is due.
    pub(super) fn beat(&mut self, view: &Arc<View>) {
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + self.period;
        let mut message = String::new();
        if self.watched {
            message.push_str("WATCHDOG=1\n");
        }
        if !self.seen.as_ref().is_some_and(|seen| Arc::ptr_eq(seen, view)) {
            self.seen = Some(Arc::clone(view));
            let status = status(view);
            if status != self.status {
                message.extend(["STATUS=", status.as_str(), "\n"]);
                self.status = status;
            }
        }
        if !message.is_empty() {
            self.send(&message);
        }
    }

    fn send(&mut self, message: &str) {
        match self.socket.send_to_addr(message.as_bytes(), &self.systemd) {
            Ok(_) => self.failing = false,
            Err(error) => {
                // What was not told is told at the next beat.
                self.seen = None;
                self.status.clear();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!("systemd cannot be told that the monitor is alive: {error}");
                }
            }
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_encoded_bytes().strip_prefix(b"@") {
        return <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

/// How many masters, how many problems, and the gravest of them.
fn status(view: &View) -> String {
    let masters = view.masters.len();
    let of_masters = view.masters.values().flat_map(|master| master.problems.iter());
    let (count, gravest) = view.problems.iter().chain(of_masters).fold((0, None), gravest_of);
    let text = match gravest {
        None => format!("{}, nothing is wrong", counted(masters, "master")),
        Some(problem) => {
            let whose = problem.scope.master().map(|name| format!("{name}: ")).unwrap_or_default();
            format!(
                "{}, {}: {whose}{}: {}",
                counted(masters, "master"),
                counted(count, "problem"),
                problem.code.as_str(),
                problem.sentence
            )
        }
    };
    in_one_line(&text)
}

fn gravest_of<'a>(
    (count, gravest): (usize, Option<&'a Problem>),
    problem: &'a Arc<Problem>,
) -> (usize, Option<&'a Problem>) {
    let rank = |it: &Problem| (it.severity, std::cmp::Reverse(it.since));
    (count + 1, Some(gravest.filter(|it| rank(it) >= rank(problem)).unwrap_or(problem)))
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Names and errors come from outside: a line break in them would begin another message.
fn in_one_line(text: &str) -> String {
    let mut line: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    if line.len() > LONGEST_STATUS {
        let end = (0..=LONGEST_STATUS).rev().find(|&at| line.is_char_boundary(at)).unwrap_or_default();
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_begins_no_message_of_its_own() {
        assert_eq!(in_one_line("a\nMAINPID=1"), "a MAINPID=1");
        let long = in_one_line(&"ü".repeat(1_000));
        assert!(long.len() <= LONGEST_STATUS + '…'.len_utf8() && long.ends_with("ü…"), "{long}");
    }

    #[test]
    fn paths_and_abstract_names_are_both_addresses() {
        assert!(address(OsStr::new("/run/systemd/notify")).unwrap().as_pathname().is_some());
        #[cfg(target_os = "linux")]
        assert!(address(OsStr::new("@systemd")).unwrap().as_pathname().is_none());
        assert!(address(OsStr::new(&"/x".repeat(200))).is_err());
    }
}
