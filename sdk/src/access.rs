//! What a server asks for before it serves.

use redis::RedisConnectionInfo;

use crate::credentials::Provider;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// How to get in at one kind of server.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) login: RedisConnectionInfo,
    /// Has the last word about who logs in.
    pub(crate) provider: Option<Provider>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}
