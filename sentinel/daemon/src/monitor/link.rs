//! One link while it is being opened, and who speaks for it.

use std::{sync::Arc, time::Duration};

use sentinel_core::{LinkFault, LinkId, Target};

use super::{
    connection::Connection,
    dial::{Dialed, Dialer},
    handshake::{self, Greeted, HANDSHAKE_TIMEOUT, Protocol},
    inbox::{Fact, Hello, News, Outbox},
};

/// How long to wait before a refused subscription is asked for again.
pub(super) const RESUBSCRIBE_PERIOD: Duration = Duration::from_secs(1);

/// Speaks for one life of one link.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) link: LinkId,
    pub(super) life: u64,
    pub(super) outbox: Outbox,
}

impl Reporter {
    pub(super) fn tell(&self, news: News) {
        self.outbox.tell(Fact::Link { link: self.link, life: self.life, news });
    }

    pub(super) fn hello(&self, payload: bytes::Bytes) {
        self.outbox.hello(Hello { link: self.link, life: self.life, payload });
    }
}

/// A connection that is set up.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) protocol: Protocol,
    /// With what error the login was refused.
    pub(super) refused_login: Option<String>,
    /// The own address as the instance sees it.
    pub(super) local: Option<std::net::IpAddr>,
}

/// Opens the link and tells how that ended. Dropping the future closes everything.
pub(super) async fn open(target: Arc<Target>, dialer: Dialer, reporter: Reporter) {
    reporter.tell(match opened(&target, &dialer).await {
        Ok(opened) => News::Up(Box::new(opened)),
        Err(fault) => News::Down(fault),
    });
}

async fn opened(target: &Target, dialer: &Dialer) -> Result<Opened, LinkFault> {
    let Dialed { transport, local, peer } = dialer.dial(&target.addr).await?;
    let mut connection = Connection::new(transport);
    let greeted = within(HANDSHAKE_TIMEOUT, async {
        match handshake::commands(&mut connection, target).await {
            Err(fault) if !connection.has_received() => Err(dialer.explain_hang_up(peer, fault).await),
            greeted => greeted,
        }
    })
    .await?;
    let Greeted { protocol, refused_login } = greeted;
    Ok(Opened { connection, protocol, refused_login, local })
}

/// Bounds the set-up of a connection.
pub(super) async fn within<T>(
    limit: Duration,
    setup: impl Future<Output = Result<T, LinkFault>>,
) -> Result<T, LinkFault> {
    let late = |_| Err(LinkFault::Failed(format!("connected, but not answered within {} ms", limit.as_millis())));
    tokio::time::timeout(limit, setup).await.unwrap_or_else(late)
}
