//! Sessions that clients may resume: so many, for so long.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::rustls::server::{ServerSessionMemoryCache, StoresServerSessions};

/// `tls-session-cache-size` and `tls-session-cache-timeout` over the library's own cache.
///
/// It belongs to one set of certificates: after a reload nobody resumes what was accepted under the old ones.
#[derive(Debug)]
pub(super) struct Sessions {
    cache: Arc<ServerSessionMemoryCache>,
    began: Instant,
    lifetime: Duration,
}

/// The moment of storing, in milliseconds since `began`, stands before each session.
const STAMP: usize = size_of::<u64>();

impl Sessions {
    pub(super) fn new(most: usize, lifetime: Duration) -> Arc<Self> {
        Arc::new(Sessions { cache: ServerSessionMemoryCache::new(most), began: Instant::now(), lifetime })
    }

    fn young(&self, stored: &[u8], now: Duration) -> Option<Vec<u8>> {
        let (stamp, session) = stored.split_first_chunk::<STAMP>()?;
        let since = Duration::from_millis(u64::from_be_bytes(*stamp));
        (now.saturating_sub(since) <= self.lifetime).then(|| session.to_vec())
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, session: Vec<u8>) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.cache.put(key, [&now.to_be_bytes()[..], &session].concat())
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.young(&self.cache.get(key)?, self.began.elapsed())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.young(&self.cache.take(key)?, self.began.elapsed())
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_forgotten_after_its_time() {
        let sessions = Sessions::new(16, Duration::from_secs(300));
        assert!(sessions.put(vec![1], vec![7, 8]));
        assert_eq!(sessions.get(&[1]), Some(vec![7, 8]));
        let stored = sessions.cache.get(&[1]).unwrap();
        assert_eq!(sessions.young(&stored, Duration::from_secs(299)), Some(vec![7, 8]));
        assert_eq!(sessions.young(&stored, Duration::from_secs(302)), None);
        assert_eq!(sessions.take(&[1]), Some(vec![7, 8]));
        assert_eq!(sessions.get(&[1]), None);
    }
}
