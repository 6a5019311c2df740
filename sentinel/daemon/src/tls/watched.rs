//! The files of TLS, as they were when they were looked at last.

use std::{future, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::config;

/// What tells a file from the one that had its name before: device, number, length, and when it was changed.
type Mark = Option<(u64, u64, u64, i64, i64)>;

/// Looks at certificates, keys and authorities from time to time (`tls-auto-reload-interval`).
#[derive(Debug)]
pub(crate) struct Watched {
    files: Vec<PathBuf>,
    seen: Vec<Mark>,
    ticks: Option<tokio::time::Interval>,
    every: Option<Duration>,
}

impl Watched {
    /// Remembers what there is now. Paths are under the working directory.
    pub(crate) fn new(settings: &config::Tls) -> Self {
        let files = [
            &settings.cert_file,
            &settings.key_file,
            &settings.client_cert_file,
            &settings.client_key_file,
            &settings.ca_cert_file,
            &settings.ca_cert_dir,
        ];
        let files: Vec<PathBuf> = files.into_iter().flatten().cloned().collect();
        let used = settings.is_listened_with() || settings.replication;
        let seen = files.iter().map(mark).collect();
        Watched { files, seen, ticks: None, every: settings.reload_every.filter(|_| used) }
    }

    /// Ends when a file is another than at the last look. Never without an interval. Needs a runtime; may be dropped and
    /// called again.
    pub(crate) async fn changed(&mut self) {
        let Some(every) = self.every else { return future::pending().await };
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            ticks.tick().await;
            let files = self.files.clone();
            // A disk may hang; whoever waits for this does not.
            let Ok(found) = tokio::task::spawn_blocking(move || files.iter().map(mark).collect::<Vec<_>>()).await
            else {
                continue;
            };
            if found != self.seen {
                self.seen = found;
                return;
            }
        }
    }
}

fn mark(path: &PathBuf) -> Mark {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_replaced_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let (path, next) = (folder.path().join("cert.pem"), folder.path().join("next.pem"));
        std::fs::write(&path, "one").unwrap();
        let settings = config::Tls {
            port: Some(1),
            cert_file: Some(path.clone()),
            reload_every: Some(Duration::from_millis(20)),
            ..config::Tls::default()
        };
        let mut watched = Watched::new(&settings);
        let quiet = Duration::from_millis(150);
        assert!(tokio::time::timeout(quiet, watched.changed()).await.is_err(), "nothing has changed");
        std::fs::write(&next, "two").unwrap();
        std::fs::rename(&next, &path).unwrap();
        let patience = Duration::from_secs(10);
        tokio::time::timeout(patience, watched.changed()).await.expect("another file has the name");
        assert!(tokio::time::timeout(quiet, watched.changed()).await.is_err(), "nothing has changed since");
    }
}
