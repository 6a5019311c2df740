//! The address that connections leave from.

use std::{
    fmt, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
};

use super::fault::Refusal;

/// `bind-source-addr`: an address of this host, one of a single interface maybe (`fe80::1%eth0`).
#[derive(Clone, PartialEq, Eq)]
pub struct SourceAddress {
    ip: IpAddr,
    /// The interface, by name or number.
    scope: Option<String>,
}

impl SourceAddress {
    /// Reads what the directive says; nothing for no address.
    pub(super) fn read(word: &str) -> Result<Option<Self>, Refusal> {
        if word.is_empty() {
            return Ok(None);
        }
        let read = match word.split_once('%') {
            None => word.parse().ok().map(|ip| SourceAddress { ip, scope: None }),
            Some((ip, scope)) => ip
                .parse::<Ipv6Addr>()
                .ok()
                .filter(|_| !scope.is_empty())
                .map(|ip| SourceAddress { ip: ip.into(), scope: Some(scope.to_owned()) }),
        };
        read.map(Some).ok_or_else(|| {
            Refusal::new(
                format!("`{word}` is not an IP address"),
                "write the address of this host from which connections are to be made",
            )
        })
    }

    /// Whether connections to this address can leave from it.
    pub fn fits(&self, to: SocketAddr) -> bool {
        self.ip.is_ipv4() == to.is_ipv4()
    }

    /// What a socket is bound to. The interface is looked up each time, since it may come later; no name server is asked.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or the address is not one that has an interface.
    pub fn resolve(&self) -> io::Result<SocketAddr> {
        if self.scope.is_none() {
            return Ok(SocketAddr::new(self.ip, 0));
        }
        let mut found = (self.to_string(), 0).to_socket_addrs()?;
        found.next().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            None => self.ip.fmt(f),
            Some(scope) => write!(f, "{}%{scope}", self.ip),
        }
    }
}

impl fmt::Debug for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_looked_up_when_it_is_needed() {
        let read = |word| SourceAddress::read(word).map_err(|refusal| refusal.what);
        let lo = read("fe80::1%lo").unwrap().unwrap();
        assert_eq!(lo.to_string(), "fe80::1%lo");
        let SocketAddr::V6(address) = lo.resolve().unwrap() else { panic!("{lo}") };
        assert!(address.scope_id() > 0, "{address}");
        assert!(lo.fits("[::1]:1".parse().unwrap()) && !lo.fits("127.0.0.1:1".parse().unwrap()));
        // As in the reference these are found out when a connection is made
        assert!(read("fe80::1%no-such-one").unwrap().unwrap().resolve().is_err());
        assert!(read("::1%lo").unwrap().unwrap().resolve().is_err());
        for wrong in ["127.0.0.1%lo", "fe80::1%", "%lo", "host"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
