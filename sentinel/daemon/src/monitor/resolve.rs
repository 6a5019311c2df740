//! Host names to addresses, without ever blocking and without piling up.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use sentinel_core::{Input, types::Host};

use super::inbox::{Fact, Outbox};

/// How long the resolver may take before the last good answer is used in place of a new one.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// An answer serves for so long: the reference asks anew with each attempt to connect, once a second.
const FRESH: Duration = Duration::from_secs(1);
/// Names remembered. Those that were not wanted for longest give way.
const MAX_NAMES: usize = 4_096;
/// How many names are asked for at the same time before the start.
const ASKED_AT_START: usize = 16;

/// The addresses of a name, never none, or why it has none.
type Answer = Result<Arc<[IpAddr]>, Arc<str>>;
type Lookup = Shared<BoxFuture<'static, Answer>>;
type Ask = Arc<dyn Fn(Arc<str>) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Asks the system's resolver, at most once at a time for each name, and remembers the last good answers.
///
/// A resolver that hangs holds one thread for each name, however often the name is wanted meanwhile.
#[derive(Clone)]
pub(crate) struct Resolver {
    shared: Arc<Mutex<Known>>,
    ask: Ask,
    patience: Duration,
}

#[derive(Default)]
struct Known {
    names: HashMap<Arc<str>, Entry>,
    /// Who hears of every answer.
    listener: Option<Outbox>,
}

#[derive(Default)]
struct Entry {
    running: Option<Lookup>,
    /// The last good answer, the address that is used first.
    good: Option<Arc<[IpAddr]>>,
    /// When the last answer of any kind came, and whether it was good.
    answered: Option<(Instant, Result<(), Arc<str>>)>,
    /// When it was last wanted.
    wanted: Option<Instant>,
}

impl Default for Resolver {
    fn default() -> Self {
        Resolver { shared: Arc::default(), ask: Arc::new(|name| ask(name).boxed()), patience: PATIENCE }
    }
}

impl Resolver {
    /// Every answer is told from now on.
    pub(super) fn tell(&self, listener: Outbox) {
        self.lock().listener = Some(listener);
    }

    /// The addresses of a host, the one that is used first. The last good ones if the resolver fails, or is late.
    pub(crate) async fn resolve(&self, host: &Host) -> Answer {
        let name = match host {
            Host::Ip(ip) => return Ok([*ip].into()),
            Host::Name(name) => name,
        };
        let lookup = match self.remembered_or_lookup(name) {
            Ok(answer) => return answer,
            Err(lookup) => lookup,
        };
        let answer = tokio::time::timeout(self.patience, lookup).await.unwrap_or_else(|_| {
            let why = format!("the resolver has not answered within {} ms", self.patience.as_millis());
            self.note(name, Err(why.into()))
        });
        answer.or_else(|why| self.lock().names.get(name).and_then(|entry| entry.good.clone()).ok_or(why))
    }

    /// Looks a name up for whoever listens, who is told also what was known already.
    pub(super) async fn look_up(&self, name: Arc<str>) {
        let answer = self.resolve(&Host::Name(Arc::clone(&name))).await;
        let first = answer.map_err(|why| why.to_string());
        let first = first.and_then(|addresses| addresses.first().copied().ok_or_else(String::new));
        self.lock().say(&name, first);
    }

    /// A connection to this address of a host has come up: it is used first from now on, as long as the host has it.
    pub(super) fn reached(&self, host: &Host, ip: IpAddr) {
        let Host::Name(name) = host else { return };
        let mut known = self.lock();
        let Some(good) = known.names.get_mut(name).and_then(|entry| entry.good.as_mut()) else { return };
        if good.first() != Some(&ip) && good.contains(&ip) {
            *good = in_order(good, ip);
            known.say(name, Ok(ip));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that is fresh enough, or a lookup to wait for.
    fn remembered_or_lookup(&self, name: &Arc<str>) -> Result<Answer, Lookup> {
        let now = Instant::now();
        let mut known = self.lock();
        known.make_room(name);
        let entry = known.names.entry(Arc::clone(name)).or_default();
        entry.wanted = Some(now);
        if let Some((at, outcome)) = &entry.answered
            && now.duration_since(*at) < FRESH
        {
            let remembered = match outcome {
                Ok(()) => Ok(entry.good.clone()),
                Err(why) => entry.good.clone().map(Some).ok_or_else(|| Arc::clone(why)),
            };
            match remembered {
                Ok(Some(good)) => return Ok(Ok(good)),
                Ok(None) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        if let Some(running) = &entry.running {
            return Err(running.clone());
        }
        let task = {
            let (resolver, name) = (self.clone(), Arc::clone(name));
            tokio::spawn(async move {
                let answer = (resolver.ask)(Arc::clone(&name)).await;
                resolver.finished(&name, answer)
            })
        };
        let lookup = async move { task.await.unwrap_or_else(|error| Err(error.to_string().into())) }.boxed().shared();
        entry.running = Some(lookup.clone());
        Err(lookup)
    }

    /// A lookup came to its end, in time or not.
    fn finished(&self, name: &Arc<str>, answer: Answer) -> Answer {
        let answer = self.note(name, answer);
        if let Some(entry) = self.lock().names.get_mut(name) {
            entry.running = None;
        }
        answer
    }

    /// Remembers an answer and tells of it. Returns it with the address first that is used first.
    fn note(&self, name: &Arc<str>, answer: Answer) -> Answer {
        let mut known = self.lock();
        let Some(entry) = known.names.get_mut(name) else { return answer };
        entry.answered = Some((Instant::now(), answer.as_ref().map(drop).map_err(Arc::clone)));
        let answer = answer.map(|addresses| {
            let used = entry.good.as_ref().and_then(|good| good.first().copied());
            let used = used.filter(|ip| addresses.contains(ip));
            let ordered = used.map_or_else(|| Arc::clone(&addresses), |used| in_order(&addresses, used));
            entry.good = Some(Arc::clone(&ordered));
            ordered
        });
        match &answer {
            Ok(addresses) => {
                if let Some(ip) = addresses.first() {
                    known.say(name, Ok(*ip));
                }
            }
            Err(why) => known.say(name, Err(why.to_string())),
        }
        answer
    }
}

impl Known {
    fn say(&self, name: &Arc<str>, outcome: Result<IpAddr, String>) {
        if let Some(listener) = &self.listener {
            listener.tell(Fact::Resolved(Input::Resolved { name: Arc::clone(name), outcome }));
        }
    }

    fn make_room(&mut self, name: &Arc<str>) {
        if self.names.len() >= MAX_NAMES && !self.names.contains_key(name) {
            let idle = self.names.iter().filter(|(_, entry)| entry.running.is_none());
            if let Some(oldest) = idle.min_by_key(|(_, entry)| entry.wanted).map(|(name, _)| Arc::clone(name)) {
                self.names.remove(&oldest);
            }
        }
    }
}

/// The same addresses with this one first.
fn in_order(addresses: &[IpAddr], first: IpAddr) -> Arc<[IpAddr]> {
    std::iter::once(first).chain(addresses.iter().copied().filter(|ip| *ip != first)).collect()
}

async fn ask(name: Arc<str>) -> Answer {
    match tokio::net::lookup_host((&*name, 0)).await {
        Ok(found) => {
            let mut addresses: Vec<IpAddr> = Vec::new();
            for addr in found {
                if !addresses.contains(&addr.ip()) {
                    addresses.push(addr.ip());
                }
            }
            if addresses.is_empty() { Err("it has no address".into()) } else { Ok(addresses.into()) }
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// Asks for names before anything else runs, until the deadline. What has not come by then comes later.
///
/// On threads of its own: a resolver that hangs holds them, and nobody waits for their end.
pub fn before_start(names: Vec<Arc<str>>, patience: Duration) -> BTreeMap<Arc<str>, IpAddr> {
    let deadline = Instant::now() + patience;
    let threads = names.len().min(ASKED_AT_START);
    let (mut missing, queue) = (names.len(), Arc::new(Mutex::new(names)));
    let (found, answers) = mpsc::channel();
    for _ in 0..threads {
        let (queue, found) = (Arc::clone(&queue), found.clone());
        let work = move || {
            while let Some(name) = queue.lock().ok().and_then(|mut names| names.pop()) {
                let ip = (&*name, 0).to_socket_addrs().ok().and_then(|mut addrs| addrs.next()).map(|addr| addr.ip());
                if found.send((name, ip)).is_err() {
                    return;
                }
            }
        };
        // Without a thread the names are looked up with the first connections.
        let _ = std::thread::Builder::new().name("resolve".to_owned()).spawn(work);
    }
    drop(found);
    let mut known = BTreeMap::new();
    while missing > 0 {
        let Ok((name, ip)) = answers.recv_timeout(deadline.saturating_duration_since(Instant::now())) else { break };
        missing -= 1;
        known.extend(ip.map(|ip| (name, ip)));
    }
    known
}

#[cfg(test)]
mod tests {
    use super::{super::inbox::inbox, *};

    /// A resolver that answers as it is told to.
    fn scripted(answers: Vec<Option<&'static str>>) -> Resolver {
        let answers = Mutex::new(answers.into_iter());
        let ask = move |_: Arc<str>| {
            let next = answers.lock().unwrap().next().expect("asked as often as expected");
            async move {
                match next {
                    Some("never") => std::future::pending().await,
                    Some(list) => Ok(list.split(' ').map(|ip| ip.parse().unwrap()).collect()),
                    None => Err("no such host".into()),
                }
            }
            .boxed()
        };
        Resolver { shared: Arc::default(), ask: Arc::new(ask), patience: Duration::from_millis(20) }
    }

    fn list(text: &str) -> Vec<IpAddr> {
        text.split(' ').map(|ip| ip.parse().unwrap()).collect()
    }

    async fn resolved(resolver: &Resolver, host: &Host) -> Vec<IpAddr> {
        resolver.resolve(host).await.unwrap().to_vec()
    }

    impl Resolver {
        /// As if the last answer were older than it may be.
        fn age(&self) {
            for entry in self.lock().names.values_mut() {
                entry.answered = None;
            }
        }
    }

    #[tokio::test]
    async fn names_and_literals_resolve() {
        let resolver = Resolver::default();
        let localhost = resolver.resolve(&Host::new("localhost").unwrap()).await.unwrap();
        assert!(localhost.iter().all(IpAddr::is_loopback), "{localhost:?}");
        assert_eq!(resolved(&resolver, &Host::new("192.0.2.7").unwrap()).await, list("192.0.2.7"));
        let none_runs = resolver.lock().names.values().all(|entry| entry.running.is_none());
        assert!(none_runs, "a finished lookup is forgotten");
    }

    #[tokio::test]
    async fn the_names_that_are_remembered_are_bounded() {
        let most = MAX_NAMES + 100;
        let resolver = scripted(vec![Some("10.0.0.1"); most]);
        for number in 0..most {
            resolved(&resolver, &Host::new(&format!("h{number}.example")).unwrap()).await;
        }
        assert_eq!(resolver.lock().names.len(), MAX_NAMES);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_says_why() {
        let resolver = Resolver::default();
        let why = resolver.resolve(&Host::new("no-such-host.invalid").unwrap()).await.unwrap_err();
        assert!(!why.is_empty());
    }

    #[tokio::test]
    async fn the_last_good_address_serves_while_the_name_does_not_resolve_and_a_new_one_is_followed() {
        let resolver = scripted(vec![Some("10.0.0.1"), None, Some("10.0.0.2")]);
        let (outbox, mut inbox) = inbox();
        resolver.tell(outbox);
        let host = Host::new("db.example").unwrap();
        assert_eq!(resolved(&resolver, &host).await, list("10.0.0.1"));
        assert_eq!(resolved(&resolver, &host).await, list("10.0.0.1"), "remembered for a moment");
        resolver.age();
        assert_eq!(resolved(&resolver, &host).await, list("10.0.0.1"), "the last good one");
        resolver.age();
        assert_eq!(resolved(&resolver, &host).await, list("10.0.0.2"));
        let told: Vec<String> = std::iter::from_fn(|| inbox.facts.try_recv().ok())
            .map(|fact| match fact {
                Fact::Resolved(Input::Resolved { outcome: Ok(ip), .. }) => ip.to_string(),
                Fact::Resolved(Input::Resolved { outcome: Err(why), .. }) => why,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, ["10.0.0.1", "no such host", "10.0.0.2"]);
    }

    #[tokio::test]
    async fn a_resolver_that_hangs_is_asked_once_and_holds_up_nobody_for_long() {
        let resolver = scripted(vec![Some("10.0.0.1"), Some("never")]);
        let host = Host::new("db.example").unwrap();
        resolver.resolve(&host).await.unwrap();
        for _ in 0..5 {
            resolver.age();
            assert_eq!(resolved(&resolver, &host).await, list("10.0.0.1"));
        }
        let other = scripted(vec![Some("never")]);
        let why = other.resolve(&host).await.unwrap_err();
        assert!(why.contains("has not answered"), "{why}");
    }

    #[tokio::test]
    async fn the_address_that_was_reached_is_used_first() {
        let resolver = scripted(vec![Some("10.0.0.1 10.0.0.2"), Some("10.0.0.1 10.0.0.2 10.0.0.3")]);
        let host = Host::new("db.example").unwrap();
        resolver.resolve(&host).await.unwrap();
        resolver.reached(&host, "10.0.0.2".parse().unwrap());
        resolver.age();
        assert_eq!(resolved(&resolver, &host).await, list("10.0.0.2 10.0.0.1 10.0.0.3"));
    }

    #[test]
    fn names_are_looked_up_before_the_start() {
        let names = ["localhost", "no-such-host.invalid"].map(Arc::from).to_vec();
        let known = before_start(names, Duration::from_secs(20));
        assert_eq!(known.keys().map(|name| &**name).collect::<Vec<_>>(), ["localhost"]);
    }
}
