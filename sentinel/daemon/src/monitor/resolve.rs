//! Host names to addresses, without ever blocking and without piling up.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use sentinel_core::types::Host;

type Answer = Result<Vec<IpAddr>, Arc<str>>;
type Lookup = Shared<BoxFuture<'static, Answer>>;

/// Asks the system's resolver, at most once at a time for each name.
///
/// A resolver that hangs holds one thread for each name, however often the name is wanted meanwhile.
#[derive(Clone, Default)]
pub(super) struct Resolver {
    running: Arc<Mutex<HashMap<Arc<str>, Lookup>>>,
}

impl Resolver {
    /// The addresses of a host, in the resolver's order; never an empty list.
    pub(super) async fn resolve(&self, host: &Host) -> Answer {
        match host {
            Host::Ip(ip) => Ok(vec![*ip]),
            Host::Name(name) => self.lookup(name).await,
        }
    }

    fn lookup(&self, name: &Arc<str>) -> Lookup {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = running.get(name) {
            return lookup.clone();
        }
        let lookup = {
            let (name, running) = (name.clone(), self.running.clone());
            let task = tokio::spawn(async move {
                let answer = ask(&name).await;
                running.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
                answer
            });
            async move { task.await.unwrap_or_else(|error| Err(error.to_string().into())) }.boxed().shared()
        };
        running.insert(name.clone(), lookup.clone());
        lookup
    }
}

async fn ask(name: &str) -> Answer {
    match tokio::net::lookup_host((name, 0)).await {
        Ok(found) => {
            let addresses: Vec<_> = found.map(|addr| addr.ip()).collect();
            if addresses.is_empty() { Err("it has no address".into()) } else { Ok(addresses) }
        }
        Err(error) => Err(error.to_string().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_and_literals_resolve() {
        let resolver = Resolver::default();
        let localhost = resolver.resolve(&Host::new("localhost").unwrap()).await.unwrap();
        assert!(localhost.iter().all(IpAddr::is_loopback), "{localhost:?}");
        let literal = resolver.resolve(&Host::new("192.0.2.7").unwrap()).await.unwrap();
        assert_eq!(literal, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert!(resolver.running.lock().unwrap().is_empty(), "a finished lookup is forgotten");
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_says_why() {
        let resolver = Resolver::default();
        let why = resolver.resolve(&Host::new("no-such-host.invalid").unwrap()).await.unwrap_err();
        assert!(!why.is_empty());
    }
}
