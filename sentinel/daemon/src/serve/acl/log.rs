//! What was refused to whom, for ACL LOG.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

/// Refusals that differ in their time only are one entry, within this time.
const GROUPED_WITHIN: Duration = Duration::from_secs(60);
/// How many of the newest entries a refusal is compared with.
const COMPARED: usize = 10;
/// How much of a name that a client sent is remembered, in bytes. The reference remembers all of it.
const REMEMBERED: usize = 1_024;

/// The newest refusals.
#[derive(Debug)]
pub(crate) struct Log {
    /// The newest first.
    entries: VecDeque<Entry>,
    most: usize,
    /// The number of the next entry.
    next: u64,
    /// How often each reason was there, in the order of [`Reason`].
    refused: [u64; 4],
}

/// One kind of refusal, and how often it happened.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) count: i64,
    pub(crate) reason: Reason,
    /// The command or channel, or the word with which a client tried to log in.
    pub(crate) object: Bytes,
    /// Who it was, or wanted to be.
    pub(crate) user: Bytes,
    /// When it last happened.
    pub(crate) at: Instant,
    /// When it first did.
    pub(crate) since: Instant,
    /// Its number since the start.
    pub(crate) id: u64,
    /// The client of that time, as CLIENT LIST describes it.
    pub(crate) client: String,
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Auth,
    Channel,
    Command,
    /// The certificate of a client names no user.
    Certificate,
}

impl Reason {
    /// As ACL LOG calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Channel => "channel",
            Self::Command => "command",
            Self::Certificate => "tls-cert",
        }
    }
}

impl Log {
    /// An empty one, for so many entries.
    pub(super) fn new(most: u64) -> Self {
        Self { entries: VecDeque::new(), most: usize::try_from(most).unwrap_or(usize::MAX), next: 0, refused: [0; 4] }
    }

    /// Remembers a refusal.
    pub(crate) fn note(&mut self, at: Instant, reason: Reason, object: &[u8], user: &[u8], client: String) {
        self.refused[reason as usize] += 1;
        let cut = |name: &[u8]| Bytes::copy_from_slice(&name[..name.len().min(REMEMBERED)]);
        let entry =
            Entry { count: 1, reason, object: cut(object), user: cut(user), at, since: at, id: self.next, client };
        let known = self.entries.iter().take(COMPARED).position(|known| {
            known.reason == reason
                && known.object == entry.object
                && known.user == entry.user
                && at.duration_since(known.at) <= GROUPED_WITHIN
        });
        let entry = if let Some(known) = known.and_then(|known| self.entries.remove(known)) {
            Entry { count: known.count + 1, since: known.since, id: known.id, ..entry }
        } else {
            self.next += 1;
            entry
        };
        self.entries.push_front(entry);
        self.entries.truncate(self.most);
    }

    /// How often something was refused for this reason since the start. Nothing resets it.
    pub(crate) const fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize]
    }

    /// All entries, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.entries = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(log: &Log) -> Vec<(i64, &str, String)> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        log.newest().map(|entry| (entry.count, entry.reason.name(), text(&entry.object))).collect()
    }

    #[test]
    fn the_same_refusal_is_counted_and_comes_first() {
        let (mut log, now) = (Log::new(128), Instant::now());
        let note =
            |log: &mut Log, at, object: &str| log.note(at, Reason::Command, object.as_bytes(), b"u", "id=1".into());
        note(&mut log, now, "role");
        note(&mut log, now, "ping");
        note(&mut log, now + GROUPED_WITHIN, "role");
        assert_eq!(told(&log), [(2, "command", "role".to_owned()), (1, "command", "ping".to_owned())]);
        let later = now + 2 * GROUPED_WITHIN + Duration::from_millis(1);
        note(&mut log, later, "role");
        assert_eq!(told(&log)[0], (1, "command", "role".to_owned()));
        log.note(later, Reason::Auth, b"role", b"u", String::new());
        assert_eq!(told(&log).len(), 4);
        log.clear();
        assert!(told(&log).is_empty());
    }

    #[test]
    fn it_stays_as_short_as_it_is_told_to() {
        let (mut log, now) = (Log::new(3), Instant::now());
        for round in 0..100 {
            log.note(now, Reason::Auth, &[b'x'; 5_000], format!("user-{round}").as_bytes(), String::new());
        }
        assert_eq!(told(&log).len(), 3);
        assert!(log.newest().all(|entry| entry.object.len() == REMEMBERED));
        assert_eq!(log.newest().next().map(|entry| &entry.user[..]), Some(&b"user-99"[..]));
        let mut none = Log::new(0);
        none.note(now, Reason::Auth, b"AUTH", b"u", String::new());
        assert!(told(&none).is_empty());
    }
}
