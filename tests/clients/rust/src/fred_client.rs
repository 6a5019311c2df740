//! fred: its Sentinel configuration. By default it does not connect again, so it has a policy.

use fred::prelude::{Builder, ClientLike, Config, KeysInterface, ReconnectPolicy, ServerConfig};

use crate::writer::Client;

/// Milliseconds between two attempts to connect.
const AGAIN_AFTER: u32 = 100;

pub(crate) struct Application {
    client: fred::prelude::Client,
}

impl Application {
    pub(crate) async fn new(name: &str, sentinels: &[String]) -> Result<Self, Box<dyn std::error::Error>> {
        let mut hosts = Vec::new();
        for address in sentinels {
            let (host, port) = address.rsplit_once(':').ok_or("a Sentinel's address is HOST:PORT")?;
            hosts.push((host, port.parse()?));
        }
        let config = Config { server: ServerConfig::new_sentinel(hosts, name), ..Config::default() };
        // 0: as often as it takes.
        let client = Builder::from_config(config).set_policy(ReconnectPolicy::new_constant(0, AGAIN_AFTER)).build()?;
        client.init().await?;
        Ok(Self { client })
    }
}

impl Client for Application {
    async fn set(&mut self, key: String, value: u64) -> Result<(), String> {
        let value = i64::try_from(value).map_err(|error| error.to_string())?;
        self.client.set::<(), _, _>(key, value, None, None, false).await.map_err(|error| error.to_string())
    }
}
