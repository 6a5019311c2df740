//! redis-rs: its `SentinelClient`, which is asked for a new connection after each error.

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use redis::{AsyncCommands, RedisError, RedisResult};

use crate::writer::Client;

pub(crate) struct Application {
    client: SentinelClient,
    connection: Option<MultiplexedConnection>,
}

impl Application {
    pub(crate) fn new(name: &str, sentinels: &[String]) -> RedisResult<Self> {
        let sentinels = sentinels.iter().map(|address| format!("redis://{address}")).collect();
        let client = SentinelClient::build(sentinels, name.to_owned(), None, SentinelServerType::Master)?;
        Ok(Self { client, connection: None })
    }

    async fn try_set(&mut self, key: String, value: u64) -> RedisResult<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            None => self.connection.insert(self.client.get_async_connection().await?),
        };
        connection.set(key, value).await
    }
}

impl Client for Application {
    async fn set(&mut self, key: String, value: u64) -> Result<(), String> {
        self.try_set(key, value).await.map_err(|error: RedisError| {
            self.connection = None;
            error.to_string()
        })
    }
}
