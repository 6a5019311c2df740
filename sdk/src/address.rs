//! Where a node listens.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::config_error::ConfigError;

/// The longest host name that is accepted: the limit of DNS (RFC 1035) is 253 characters, and an answer with a longer one is nonsense.
const LONGEST_HOST: usize = 253;

/// A host (name, IPv4 or IPv6 address) and a TCP port.
///
/// It holds no nonsense: the host is neither empty nor longer than 253 bytes and has no control characters or spaces, and the
/// port is not 0. It is shown as `host:port`, an IPv6 address as `[host]:port`, and parsed from the same form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    host: Arc<str>,
    port: u16,
}

impl Address {
    /// An address from its parts.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Address`] when the host is empty, too long or has spaces or control characters, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, ConfigError> {
        let refuse = |reason| Err(ConfigError::Address { text: format!("{host}:{port}"), reason });
        if host.is_empty() {
            return refuse("the host is empty");
        }
        if host.len() > LONGEST_HOST {
            return refuse("the host is longer than 253 bytes");
        }
        if host.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return refuse("the host has spaces or control characters");
        }
        if port == 0 {
            return refuse("the port is 0");
        }
        Ok(Self { host: host.into(), port })
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Reads `host`, `host:port` or `[ipv6]:port`; without a port, `default_port` is taken.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Address`] when the text is none of these.
    pub fn parse_with_default_port(text: &str, default_port: u16) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::Address { text: text.to_owned(), reason };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) =
                rest.split_once(']').ok_or_else(|| refuse("the bracket of the IPv6 address is not closed"))?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(refuse("after the bracket comes `:port` or nothing")),
            }
        } else {
            match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => {
                    return Err(refuse("an IPv6 address is written in brackets"));
                }
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(port) => port.parse().map_err(|_| refuse("the port is not a number from 1 to 65535"))?,
            None => default_port,
        };
        Self::new(host, port)
    }
}

impl FromStr for Address {
    type Err = ConfigError;

    /// Reads `host:port`; without a port, 6379 is taken.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Self::parse_with_default_port(text, 6379)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How addresses that Sentinels tell are reached from here.
#[derive(Clone, Default)]
pub(crate) struct AddressMap(Option<Arc<Translation>>);

type Translation = dyn Fn(&Address) -> Address + Send + Sync;

impl AddressMap {
    pub(crate) fn new(map: impl Fn(&Address) -> Address + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(map)))
    }

    pub(crate) fn translate(&self, told: Address) -> Address {
        match &self.0 {
            Some(map) => map(&told),
            None => told,
        }
    }
}

impl fmt::Debug for AddressMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "AddressMap(..)" } else { "AddressMap(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_kinds_of_ip_addresses_survive_a_round_trip() {
        for text in ["s1:26379", "10.0.0.1:1", "[::1]:65535", "[fe80::1%eth0]:7"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("[::1]".parse::<Address>().unwrap().port(), 6379);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", ":1", "a:0", "a:65536", "a:b", "::1", "[::1", "[::1]x", "a b:1", "a\n:1"] {
            assert!(text.parse::<Address>().is_err(), "{text:?} was accepted");
        }
        assert!(Address::new(&"x".repeat(254), 1).is_err());
    }
}
