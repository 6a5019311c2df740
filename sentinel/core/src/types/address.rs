use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

/// Why an address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The host is empty, has blanks or control characters, or is longer than a DNS name may be.
    #[error("a host must be an IP address or a name of visible characters without commas, at most 255 bytes")]
    UnusableHost,
    /// The port is not a number from 0 to 65535.
    #[error("a port must be a number from 0 to 65535")]
    UnusablePort,
}

/// Where an instance lives: an address, or a name that resolves to one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// An IPv4 or IPv6 literal.
    Ip(IpAddr),
    /// A name, usable only with `resolve-hostnames yes`.
    Name(Arc<str>),
}

impl Host {
    /// Reads an address literal or a name.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Host::Ip(ip));
        }
        let usable = (1..=255).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b',' | b'"' | b'\''));
        if usable { Ok(Host::Name(text.into())) } else { Err(AddressError::UnusableHost) }
    }

    /// Whether this is that name. Case does not matter, as in name services.
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self, Host::Name(it) if it.eq_ignore_ascii_case(name))
    }

    /// Whether this is an address literal.
    pub const fn is_ip(&self) -> bool {
        matches!(self, Host::Ip(_))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Ip(ip) => ip.fmt(f),
            Host::Name(name) => f.pad(name),
        }
    }
}

/// A host and a port. Shown as `ip:port`, with IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The TCP port; 0 means "never connected".
    pub port: u16,
}

impl HostPort {
    /// Puts the two together.
    pub const fn new(host: Host, port: u16) -> Self {
        HostPort { host, port }
    }

    /// Reads the two words in which addresses come in files, commands and hellos.
    pub fn from_words(host: &str, port: &str) -> Result<Self, AddressError> {
        let host = Host::new(host)?;
        let port = port.parse::<u16>().map_err(|_| AddressError::UnusablePort)?;
        Ok(HostPort { host, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]:{}", self.port),
            host => write!(f, "{host}:{}", self.port),
        }
    }
}

impl FromStr for HostPort {
    type Err = AddressError;

    /// Reads `host:port` or `[ipv6]:port`.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::UnusablePort)?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        HostPort::from_words(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_the_reference_shows_them() {
        assert_eq!(HostPort::from_words("127.0.0.1", "6379").unwrap().to_string(), "127.0.0.1:6379");
        assert_eq!(HostPort::from_words("::1", "6379").unwrap().to_string(), "[::1]:6379");
        assert_eq!("[::1]:6379".parse::<HostPort>().unwrap(), HostPort::from_words("::1", "6379").unwrap());
        assert_eq!("db.example:1".parse::<HostPort>().unwrap().to_string(), "db.example:1");
    }

    #[test]
    fn nonsense_is_refused() {
        for (host, port) in
            [("", "1"), ("a b", "1"), ("a,b", "1"), ("127.0.0.1", "65536"), ("127.0.0.1", "x"), ("127.0.0.1", "-1")]
        {
            assert!(HostPort::from_words(host, port).is_err(), "{host:?} {port:?}");
        }
    }
}
