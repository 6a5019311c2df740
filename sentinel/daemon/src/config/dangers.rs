//! What loads and does what it says, but will be regretted: said by `sentinel check`, never a reason not to start.

use std::{collections::BTreeMap, net::IpAddr, os::unix::fs::PermissionsExt as _, time::Duration};

use sentinel_core::{
    snapshot::MasterSnapshot,
    types::{Epoch, Host, HostPort},
};

use super::{Loaded, Warning, places::Repeated};

/// Below this a garbage collection or a busy host is taken for a death.
const SHORT_DOWN_AFTER: Duration = Duration::from_millis(500);

/// Below this a replica that is a little slow makes the failover fail, and the next one waits twice as long.
const SHORT_FAILOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Everything dangerous in one configuration. `open`: whether anybody may do everything without a password.
pub fn dangers(loaded: &Loaded, open: bool) -> Vec<Warning> {
    let mut found = Dangers { loaded, warnings: Vec::new() };
    for master in &loaded.config.masters {
        found.quorum(master);
        found.times(master);
        found.loopback(master);
        found.user_without_password(master);
    }
    found.no_master();
    found.twins();
    found.repeated();
    found.alarms();
    found.announced();
    found.open_port(open);
    found.open_http();
    found.open_webhook();
    found.readable_secrets();
    found.warnings
}

/// What keeps failovers from happening: also said at start.
pub fn alarms(loaded: &Loaded) -> Vec<Warning> {
    let mut found = Dangers { loaded, warnings: Vec::new() };
    found.alarms();
    found.warnings
}

/// Whether an address is reached from this host only.
fn is_local(address: &str) -> bool {
    address.parse::<IpAddr>().map_or_else(|_| address.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}

struct Dangers<'a> {
    loaded: &'a Loaded,
    warnings: Vec<Warning>,
}

impl Dangers<'_> {
    fn say(&mut self, master: Option<&MasterSnapshot>, directive: &str, text: String) {
        let name = master.map(|master| master.name.as_str());
        let text = match name {
            Some(name) => format!("`{name}`: {text}"),
            None => text,
        };
        self.warnings.push(Warning {
            place: self.loaded.places.of(name, directive),
            directive: if master.is_some() { format!("sentinel {directive}") } else { directive.to_owned() },
            text,
        });
    }

    fn alarms(&mut self) {
        self.announced_port();
        self.epochs();
    }

    /// Port 0 is told to all others, and nobody can ask this Sentinel for its vote.
    fn announced_port(&mut self) {
        let config = &self.loaded.config;
        let tls = &config.server.tls;
        // One that listens on a Unix socket alone is meant to be asked by nobody.
        let told = config.globals.announce_port.unwrap_or(config.globals.port);
        if tls.port.is_some() && !tls.replication && told == 0 {
            let text = "this Sentinel tells the others that it is at port 0: they count it, but cannot ask it, and without a \
                        majority that can be asked there is no failover. Write tls-replication yes, if all speak TLS, or \
                        sentinel announce-port"
                .to_owned();
            self.say(None, "tls-port", text);
        }
    }

    /// Epochs that no elections have made: a poisoned message did, which redis-sentinel believes.
    fn epochs(&mut self) {
        let config = &self.loaded.config;
        let highest = config.masters.iter().map(|master| master.config_epoch.max(master.leader_epoch));
        let highest = highest.fold(config.current_epoch, std::cmp::Ord::max).get();
        let text = match highest {
            Epoch::BEYOND_THE_REFERENCE.. => format!(
                "epoch {highest} was not made by elections, and redis-sentinel cannot take part beyond {}: only Sentinels of \
                 ours elect leaders. Stop all, write lower epochs into all files, and start them again",
                Epoch::BEYOND_THE_REFERENCE - 1
            ),
            Epoch::CEILING.. => format!(
                "epoch {highest} was not made by elections. There is room for {} more that redis-sentinel understands",
                Epoch::BEYOND_THE_REFERENCE - 1 - highest
            ),
            _ => return,
        };
        self.say(None, "current-epoch", text);
    }

    /// Only once peers are known: before the first start nobody can tell how many there will be.
    fn quorum(&mut self, master: &MasterSnapshot) {
        let known = master.peers.len() + 1;
        let quorum = master.settings.quorum.get() as usize;
        let majority = known / 2 + 1;
        if known == 1 {
            return;
        }
        if quorum > known {
            let text = format!(
                "a quorum of {quorum} is never reached by the {known} Sentinels that are known: there will be no failover. Write \
                 {majority}"
            );
            self.say(Some(master), "monitor", text);
        } else if quorum < majority {
            let text = format!(
                "{quorum} of {known} Sentinels say that the master is down for all: one broken link is enough for an attempt to \
                 replace it. The majority is {majority}"
            );
            self.say(Some(master), "monitor", text);
        } else if quorum == known && known > 2 {
            let text = format!(
                "a quorum of all {known} Sentinels: while one of them is away there will be no failover. The majority is {majority}"
            );
            self.say(Some(master), "monitor", text);
        }
        if known == 2 {
            let text =
                "two Sentinels: as soon as one is away nobody has the majority, and there will be no failover. Run three"
                    .to_owned();
            self.say(Some(master), "known-sentinel", text);
        }
    }

    fn times(&mut self, master: &MasterSnapshot) {
        let settings = &master.settings;
        let ms = |time: Duration| time.as_millis();
        if settings.down_after < SHORT_DOWN_AFTER {
            let text = format!(
                "{} ms of silence are not yet a death: a busy host or a slow disk is silent for longer. Write {} or more",
                ms(settings.down_after),
                ms(SHORT_DOWN_AFTER)
            );
            self.say(Some(master), "down-after-milliseconds", text);
        }
        let least = SHORT_FAILOVER_TIMEOUT.max(settings.down_after.min(Duration::from_secs(60)));
        if settings.failover_timeout < least {
            let text = format!(
                "within {} ms a failover has to end, and twice that passes before the next one: a replica that is a little slow \
                 makes it fail. Write {} or more",
                ms(settings.failover_timeout),
                ms(least)
            );
            self.say(Some(master), "failover-timeout", text);
        }
        if settings.ping_period.is_some_and(|period| period >= settings.down_after) {
            let text =
                "a PING is sent only after the silence that counts as a death: the master is always down. Write a \
                        quarter of down-after or less"
                    .to_owned();
            self.say(Some(master), "ping-period", text);
        }
    }

    /// An address that means another host on each host.
    fn loopback(&mut self, master: &MasterSnapshot) {
        if !is_loopback(&master.addr.host) {
            return;
        }
        let elsewhere = |addr: &HostPort| !is_loopback(&addr.host);
        let announced =
            self.loaded.config.globals.announce_ip.as_ref().filter(|host| !is_loopback(host)).map(ToString::to_string);
        let witness = announced
            .map(|host| format!("this Sentinel is announced as {host}"))
            .or_else(|| {
                let peer = master.peers.iter().find(|(_, addr)| elsewhere(addr))?;
                Some(format!("another Sentinel is at {}", peer.1))
            })
            .or_else(|| {
                let replica = master.replicas.iter().find(|addr| elsewhere(addr))?;
                Some(format!("a replica is at {replica}"))
            })
            .or_else(|| {
                // Port 0 stands for a master whose address is not known yet.
                let server = &self.loaded.config.server;
                let listens = self.loaded.config.globals.port != 0 || server.tls.port.is_some();
                let open = server.bind.iter().find(|bind| !is_local(&bind.address));
                let bind = open.filter(|_| listens && master.addr.port != 0)?;
                let shown = bind.address.as_str();
                Some(if shown == "*" {
                    "this Sentinel listens on all addresses".to_owned()
                } else {
                    format!("this Sentinel listens on {shown}")
                })
            });
        if let Some(witness) = witness {
            let text = format!(
                "{} means this host to everybody who hears it, but {witness}: clients and Sentinels on other hosts are sent to \
                 themselves. Write the address that they reach the master at",
                master.addr.host
            );
            self.say(Some(master), "monitor", text);
        }
    }

    fn user_without_password(&mut self, master: &MasterSnapshot) {
        if master.settings.auth_user.is_some() && master.settings.auth_pass.is_none() {
            let text = "without auth-pass no AUTH is sent at all: the user counts for nothing".to_owned();
            self.say(Some(master), "auth-user", text);
        }
    }

    /// There may be none yet; more often the lines were forgotten, or stand in another file.
    fn no_master(&mut self) {
        if self.loaded.config.masters.is_empty() {
            let text = "no master is monitored: there will be no failover. Name one (`sentinel monitor NAME HOST PORT QUORUM`, \
                        or a [[master]] in TOML), or give it later with SENTINEL MONITOR"
                .to_owned();
            self.say(None, "monitor", text);
        }
    }

    /// A line that stands twice: the earlier one counts for nothing, and who edits it will wonder.
    fn repeated(&mut self) {
        for Repeated { master, name, first, place } in self.loaded.places.repeated() {
            let prefix = if super::directives::is_generic(name) { "" } else { "sentinel " };
            let of = master.as_ref().map(|name| format!("`{name}`: ")).unwrap_or_default();
            let text = format!("{of}stands in line {first}, too: only the last one counts. Remove the other");
            let (place, directive) = (place.clone(), format!("{prefix}{name}"));
            self.warnings.push(Warning { place, directive, text });
        }
    }

    /// Two names on one address would be failed over twice, each undoing the other's work.
    fn twins(&mut self) {
        let masters = &self.loaded.config.masters;
        let mut first: BTreeMap<&HostPort, &MasterSnapshot> = BTreeMap::new();
        for master in masters {
            match first.get(&master.addr) {
                // Port 0 stands for a master whose address is not known yet.
                Some(twin) if master.addr.port != 0 => {
                    let text = format!(
                        "{} is the address of `{}`, too: both would be failed over, each against the other. Keep one of them",
                        master.addr, twin.name
                    );
                    self.say(Some(master), "monitor", text);
                }
                Some(_) => {}
                None => drop(first.insert(&master.addr, master)),
            }
        }
    }

    fn announced(&mut self) {
        let config = &self.loaded.config;
        let Some(announced) = &config.globals.announce_ip else { return };
        let elsewhere = |master: &MasterSnapshot| !is_loopback(&master.addr.host);
        if is_loopback(announced) && config.masters.iter().any(elsewhere) {
            let text = format!(
                "{announced} means another host on each host: Sentinels elsewhere would look for this one at themselves. Write the \
                 address that they reach it at"
            );
            self.say(None, "announce-ip", text);
        }
    }

    fn open_port(&mut self, open: bool) {
        let server = &self.loaded.config.server;
        let port = self.loaded.config.globals.port;
        let reachable =
            server.bind.iter().any(|bind| !is_local(&bind.address)) && (port > 0 || server.tls.port.is_some());
        if open && reachable && !server.protected_mode {
            let text = format!(
                "whoever reaches port {} may move masters and run SHUTDOWN: there is no password. Set requirepass (and \
                 sentinel-pass at all Sentinels), bind to inner addresses, or write protected-mode yes",
                if port > 0 { port } else { server.tls.port.unwrap_or_default() }
            );
            self.say(None, "bind", text);
        }
    }

    /// The HTTP endpoint tells what is monitored to whoever reaches it, or the token to whoever listens on the way.
    fn open_http(&mut self) {
        let server = &self.loaded.config.server;
        let Some(listen) = server.http.listen.as_ref().filter(|listen| !is_local(&listen.host)) else { return };
        let port = listen.port;
        if server.http.token.is_none() {
            let text = format!(
                "whoever reaches port {port} reads names, addresses and the history of all masters. Set http-token-file, or \
                 listen on an inner address"
            );
            self.say(None, "http-listen", text);
        } else if !server.tls.http {
            let text = format!("the token crosses the network to port {port} in clear. Write http-tls yes");
            self.say(None, "http-listen", text);
        }
    }

    /// Events name masters and addresses, and whoever reaches the receiver can post something that looks like one.
    fn open_webhook(&mut self) {
        let webhook = &self.loaded.config.server.webhook;
        let Some(url) = &webhook.url else {
            if webhook.secret.is_some() {
                self.say(None, "webhook-secret", "nothing is posted: there is no webhook-url".to_owned());
            }
            return;
        };
        if !url.tls && !is_local(&url.host) {
            let text = format!("events cross the network to {} in clear. Write https://", url.authority);
            self.say(None, "webhook-url", text);
        }
    }

    /// The file holds secrets, and everybody on this host may read it.
    fn readable_secrets(&mut self) {
        let path = self.loaded.places.file();
        let Ok(bytes) = super::read_file(path) else { return };
        let public = std::fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o004 != 0);
        if public && super::holds_secrets(path, &bytes) {
            let text = format!(
                "every user of this host may read the passwords in it: chmod 640 {}, or name them with auth-pass-file and its like",
                path.display()
            );
            self.say(None, "permissions", text);
        }
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Ip(ip) => ip.is_loopback(),
        Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
    }
}
