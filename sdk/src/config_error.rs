//! What can be wrong with a setting.

/// A setting that makes no sense; nothing was connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The URL is not of the form `redis-sentinel://[user[:password]@]host[:port][,host[:port]...][/db]?master=name`.
    #[error("sentinel url: {0}")]
    Url(String),
    /// A host and port that cannot be one.
    #[error("address `{text}`: {reason}")]
    Address {
        /// The text as it was given.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Certificates or keys that cannot be used.
    #[error("tls: {0}")]
    Tls(String),
    /// A setting of the builder is missing or out of range.
    #[error("{setting}: {reason}")]
    Setting {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}
