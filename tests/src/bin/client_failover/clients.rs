//! Which clients there are, and how an application on each is started.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the clients' applications and the files that pin their versions lie.
pub(crate) const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");

/// A client that follows Sentinels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// The SDK of this repository.
    Sdk,
    /// redis-py, blocking.
    RedisPy,
    /// redis-py on asyncio.
    RedisPyAsyncio,
    /// ioredis, for Node.
    Ioredis,
    /// node-redis.
    NodeRedis,
    /// redis-rs: the Sentinel module of the `redis` crate.
    RedisRs,
    /// fred, for Rust.
    Fred,
}

/// From which registry a client comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// Installed with pip.
    Python,
    /// Installed with npm.
    Node,
    /// Built with cargo.
    Rust,
}

impl Client {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 7] =
        [Self::Sdk, Self::RedisPy, Self::RedisPyAsyncio, Self::Ioredis, Self::NodeRedis, Self::RedisRs, Self::Fred];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sdk => "sentinel-sdk",
            Self::RedisPy => "redis-py",
            Self::RedisPyAsyncio => "redis-py, asyncio",
            Self::Ioredis => "ioredis",
            Self::NodeRedis => "node-redis",
            Self::RedisRs => "redis-rs",
            Self::Fred => "fred",
        }
    }

    /// Where it comes from.
    pub(crate) fn language(self) -> Language {
        match self {
            Self::RedisPy | Self::RedisPyAsyncio => Language::Python,
            Self::Ioredis | Self::NodeRedis => Language::Node,
            Self::Sdk | Self::RedisRs | Self::Fred => Language::Rust,
        }
    }

    /// The arguments of `env` that start an application which writes to the master `name`, asking the Sentinels on these
    /// ports. `folder` is where the clients were installed.
    pub(crate) fn command(self, folder: &Path, name: &str, sentinels: &[u16]) -> Vec<OsString> {
        let sources = Path::new(SOURCES);
        let mut words: Vec<OsString> = match self.language() {
            Language::Python => {
                let program = if self == Self::RedisPy { "redis_py_sync.py" } else { "redis_py_asyncio.py" };
                vec![
                    assignment("PYTHONPATH", &folder.join("python")),
                    "PYTHONDONTWRITEBYTECODE=1".into(),
                    "python3".into(),
                    sources.join("python").join(program).into(),
                ]
            }
            Language::Node => {
                let program = if self == Self::Ioredis { "ioredis.js" } else { "node_redis.js" };
                vec![
                    assignment("NODE_PATH", &folder.join("node/node_modules")),
                    "node".into(),
                    sources.join("node").join(program).into(),
                ]
            }
            Language::Rust => {
                vec![folder.join("rust/release/sentinel-test-clients").into(), self.name().into()]
            }
        };
        words.push(name.into());
        words.extend(sentinels.iter().map(|port| format!("127.0.0.1:{port}").into()));
        words
    }

    /// Its version, as the file that pins it has it.
    pub(crate) fn version(self, folder: &Path) -> String {
        let sources = Path::new(SOURCES);
        let found = match self {
            Self::RedisPy | Self::RedisPyAsyncio => {
                value_after(&sources.join("python/requirements.txt"), "redis==", '\n')
            }
            Self::Ioredis | Self::NodeRedis => {
                let package = if self == Self::Ioredis { "ioredis" } else { "redis" };
                let path = folder.join("node/node_modules").join(package).join("package.json");
                value_after(&path, "\"version\": \"", '"')
            }
            Self::RedisRs => value_after(&sources.join("rust/Cargo.toml"), "redis = { version = \"=", '"'),
            Self::Fred => value_after(&sources.join("rust/Cargo.toml"), "fred = { version = \"=", '"'),
            Self::Sdk => Some(env!("CARGO_PKG_VERSION").to_owned()),
        };
        found.unwrap_or_else(|| "unknown".to_owned())
    }
}

fn assignment(variable: &str, path: &Path) -> OsString {
    let mut word = OsString::from(variable);
    word.push("=");
    word.push(path);
    word
}

/// What stands between `before` and `end` in the text file.
fn value_after(path: &PathBuf, before: &str, end: char) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let rest = text.split_once(before)?.1;
    Some(rest.split(end).next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_clients_that_are_pinned_here_are_found() {
        for client in [Client::RedisPy, Client::RedisRs, Client::Fred] {
            let version = client.version(Path::new("nowhere"));
            assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{}: {version}", client.name());
        }
    }
}
