//! The SDK of this repository, with its defaults.

use sentinel_sdk::redis::AsyncCommands;
use sentinel_sdk::{Error, Master, SentinelPool};

use crate::writer::Client;

pub(crate) struct Application {
    master: Master,
    /// It lives as long as its handles are used.
    _pool: SentinelPool,
}

impl Application {
    pub(crate) async fn new(name: &str, sentinels: &[String]) -> Result<Self, Error> {
        let url = format!("redis-sentinel://{}/0?master={name}", sentinels.join(","));
        let pool = SentinelPool::from_url(&url).await?;
        Ok(Self { master: pool.master(), _pool: pool })
    }
}

impl Client for Application {
    async fn set(&mut self, key: String, value: u64) -> Result<(), String> {
        self.master.set(key, value).await.map_err(|error| error.to_string())
    }
}
