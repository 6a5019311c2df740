//! The endpoint without sockets, for whoever feeds it any bytes.

use std::{io, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use sentinel_core::{View, types::Secret};
use sentinel_resp::Reply;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
    sync::{Semaphore, mpsc, watch},
};

use super::{Counts, Journal, READERS, Shared, connection, router, token::Token};
use crate::{
    config,
    meters::Meters,
    monitor::{Clock, Resolver},
    tls::Tls,
};

/// The endpoint as a connection sees it. No engine answers, no name is looked up.
pub struct Trial {
    runtime: Runtime,
    router: Router,
    stopped: watch::Receiver<()>,
    _stop: watch::Sender<()>,
}

impl Trial {
    /// One that tells what a view holds. With a token, calls exist that change something.
    ///
    /// # Errors
    ///
    /// When the system refuses a runtime.
    pub fn new(view: Arc<View>, token: Option<&str>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (tls, _) = Tls::load(&config::Tls::default()).map_err(io::Error::other)?;
        let shared = Shared {
            view: Arc::new(ArcSwap::new(view)),
            // Nobody takes questions.
            asks: mpsc::channel(1).0,
            clock: Clock::start(),
            meters: Arc::new(Meters::default()),
            tls: Arc::new(tls),
            counts: Counts::default(),
            journal: Journal::new("trial"),
            readers: Arc::new(Semaphore::new(READERS)),
            resolver: Resolver::default(),
            lookups: Semaphore::new(0),
            reload: Box::new(|| Box::pin(async { Reply::ok() })),
            changes: token.is_some(),
        };
        let token = token.map(|token| Token::new(&Secret::new(token)));
        let (stop, stopped) = watch::channel(());
        Ok(Trial { runtime, router: router(Arc::new(shared), token), stopped, _stop: stop })
    }

    /// What a client gets that sends these bytes and nothing more: at most so many bytes, and what comes within this time.
    /// An endpoint that waits for the rest of a request, or sends events, does not close.
    pub fn answer(&self, bytes: &[u8], most: u64, within: Duration) -> Vec<u8> {
        self.runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(bytes.len().max(1));
            let speaking = tokio::spawn(connection::speak(server, self.router.clone(), self.stopped.clone()));
            // It may close before it has read all.
            let _ = client.write_all(bytes).await;
            let mut answer = Vec::new();
            let _ = tokio::time::timeout(within, client.take(most).read_to_end(&mut answer)).await;
            speaking.abort();
            if let Err(error) = speaking.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
            answer
        })
    }
}
