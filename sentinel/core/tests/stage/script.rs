//! The commands of the stories.
//!
//! | command | meaning |
//! |---|---|
//! | `sentinel [option=value ...]` | begins: master `mymaster` at 6379, replicas from 6380, peers B, C, ... from 26380; see [`Stage::begin`] |
//! | `after TIME` | time passes: `1500ms`, `5s`, `100us` |
//! | `show KIND...`, `hide KIND...` | `event log answer order vote` are shown, `script` too; `ask ping info hello links disk debug` are not |
//! | `node PORT dies`, `restarts` | connections close, then are refused; a new process listens |
//! | `node PORT vanishes`, `returns` | nothing is answered, nothing closed; what waited is answered |
//! | `node PORT denies`, `loses its name` | connections close, new ones fail for want of a password, or of an address |
//! | `node PORT finds no room` | connections close, and this process has no descriptors for new ones |
//! | `node PORT closes` | connections close, new ones are accepted |
//! | `node PORT is FIELD=VALUE...` | what its INFO says: `of announce offset priority link down-for sync loaded run-id replid replid2 second failover version keys dirty loading lists`, and `info=field:value` |
//! | `node PORT joins FIELD=VALUE...` | a new replica of 6379 |
//! | `node PORT disobeys`, `obeys`, `syncs slowly`, `syncs at once` | what becomes of SLAVEOF |
//! | `node PORT keeps INFO`, `gives INFO`, `keeps PING`, `gives PING` | answers to these are kept back |
//! | `node PORT refuses COMMAND with ERROR`, `permits COMMAND` | what it answers to this one |
//! | `node PORT lags`, `catches up` | it takes over only when it has everything |
//! | `node PORT swallows hellos` | its subscribers hear nothing |
//! | `node PORT answers PING with REPLY` | `+PONG`, `-LOADING ...` |
//! | `peer B says down`, `says up`, `says nothing` | its answers when asked for an opinion |
//! | `peer B votes freely`, `votes never`, `votes late`, `voted C 5` | first come first served; its old vote; no answer; its vote so far |
//! | `peer B votes now` | gives the answers kept back |
//! | `peer B asks PORT EPOCH [CANDIDATE]` | it asks us: an opinion, or a vote |
//! | `peer B signs PORT EPOCH CANDIDATE\|* [key=K] [voter=C] [run=Y] [master=NAME] [says=EPOCH]` | the same, signed; for which voter, which run of it, which master; and another epoch behind it |
//! | `peer B has no key`, `has the key K` | its `hello-auth-key`; at first it has ours |
//! | `peer B knows no pause` | it is redis-sentinel |
//! | `peer B dies`, `restarts`, `vanishes`, `returns`, `moves to PORT`, `exchanges with C` | |
//! | `peer B is C`, `is -ERROR`, `is +STATUS`, `runs as X` | what it says when asked for its id, and its run id; `X` is us |
//! | `hello B [epoch=N] [config=ADDR@N] [addr=ADDR] [via=PORT or direct] [master=NAME]` | it says hello |
//! | `hello raw PAYLOAD` | anything says hello |
//! | `disk holds`, `works`, `fails` | what becomes of writes |
//! | `name NAME is IP`, `name NAME is nowhere` | what the resolver says from now on |
//! | `resolver holds`, `works` | it answers late |
//! | `script exits N`, `is killed`, `hangs`, `lasts TIME`, `is missing`, `gets no process` | what becomes of scripts |
//! | `configuration reloads OPTION=VALUE...`, `changes OPTION=VALUE...` | it is read again, or only looked at: what is in force, but for these; `new-master= without= restart=`, `faulty WORDS...` |
//! | `client WORDS...` | a client says `SENTINEL WORDS...` |
//! | `stall TIME` | this process stands still |
//! | `state`, `saved` | what readers see; what would be on disk |

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
    time::Duration,
};

use sentinel_core::{
    Boot, LinkFault, MasterSnapshot, Snapshot, authentication,
    settings::{GlobalSettings, MasterSettings, Timing},
    types::{Epoch, HostPort, MasterName, Nonce, Quorum, RunId, Secret, SentinelId},
};
use sentinel_resp::Reply;

use super::{
    DiskMood, Parcel, Stage,
    cast::{Cast, Failure, Flaw, Life, Node, put},
};

/// A port is one of 127.0.0.1.
pub(super) fn address(text: &str) -> String {
    if text.contains(':') { text.to_owned() } else { format!("127.0.0.1:{text}") }
}

/// The id behind a peer's letter.
pub(super) fn id(letter: char) -> String {
    letter.to_ascii_lowercase().to_string().repeat(40)
}

fn time(text: &str) -> Duration {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().unwrap_or_else(|_| panic!("{text:?} is no time"));
    match &text[split..] {
        "us" => Duration::from_micros(number),
        "ms" | "" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        unit => panic!("{unit:?} is no unit of time"),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number that fits"))
}

fn option(word: &str) -> (&str, &str) {
    word.split_once('=').unwrap_or_else(|| panic!("{word:?} should be name=value"))
}

fn letter(word: &str) -> char {
    word.chars().next().filter(|_| word.len() == 1).unwrap_or_else(|| panic!("{word:?} is no letter of a peer"))
}

/// `SENTINEL REQUEST-VOTE`, signed for us unless an option says otherwise.
fn signed_request(key: Option<Secret>, port: &str, epoch: &str, whom: &str, options: &[&str]) -> Vec<String> {
    let (mut key, mut voter, mut run, mut master) = (key.expect("a key to sign with"), 'A', "X", "mymaster");
    let mut says = epoch;
    for word in options {
        match option(word) {
            ("key", value) => key = Secret::new(value),
            ("voter", value) => voter = letter(value),
            ("run", value) => run = value,
            ("master", value) => master = value,
            ("says", value) => says = value,
            (other, _) => panic!("a signed request has no {other:?}"),
        }
    }
    let addr: HostPort = address(port).parse().unwrap();
    let (voter, voter_run) = (SentinelId::new(&id(voter)).unwrap(), RunId::new(&run.repeat(40)).unwrap());
    let name = MasterName::new(master).unwrap();
    let candidate = (whom != "*").then(|| SentinelId::new(&id(letter(whom))).unwrap());
    let nonce = Nonce::parse("0f".repeat(16).as_bytes()).unwrap();
    let request = authentication::Request {
        voter: &voter,
        voter_run: Some(&voter_run),
        master: &name,
        addr: &addr,
        epoch: Epoch::new(number(epoch)),
        candidate: candidate.as_ref(),
        nonce,
    };
    let signature = request.sign(&key).to_string();
    let whom = candidate.as_ref().map_or("*", |id| id.as_str());
    let (host, port, nonce) = (addr.host.to_string(), addr.port.to_string(), nonce.to_string());
    ["SENTINEL", "REQUEST-VOTE", master, &host, &port, says, whom, &nonce, &signature].map(str::to_owned).to_vec()
}

impl Stage {
    /// `sentinel`: builds what the engine starts from. `known=no`: replicas and peers exist, but are not known yet.
    pub(super) fn begin(words: &[&str]) -> Stage {
        let mut settings = MasterSettings::new(Quorum::new(1).unwrap());
        settings.down_after = Duration::from_secs(1);
        settings.failover_timeout = Duration::from_secs(10);
        let mut globals = GlobalSettings::default();
        // Without a delay of its own every time in a story has a reason; the delay has a story for itself.
        let mut timing = Timing { nomination_delay: Duration::ZERO, ..Timing::default() };
        let (mut replicas, mut peers, mut known, mut seed) = (1, 0, true, 1);
        let mut snapshot = (0, 0, 0);
        let mut at = address("6379");
        let (mut names, mut resolved) = (Vec::new(), false);
        for word in words {
            match option(word) {
                ("quorum", value) => settings.quorum = Quorum::new(number(value)).unwrap(),
                ("down-after", value) => settings.down_after = time(value),
                ("failover-timeout", value) => settings.failover_timeout = time(value),
                ("parallel-syncs", value) => settings.parallel_syncs = number(value),
                ("reboot-down-after", value) => settings.reboot_down_after = time(value),
                ("catch-up", value) => settings.catch_up = time(value),
                ("lossless", value) => settings.lossless_failover = value == "yes",
                ("empty-master-failover", value) => settings.empty_master_failover = value == "yes",
                ("promote-best-effort", value) => settings.promote_best_effort = value == "yes",
                ("max-lag", value) => settings.max_lag = NonZeroU64::new(number(value)),
                ("reload-grace", value) => settings.reload_grace = time(value),
                ("promote-empty", value) => settings.promote_empty = value == "yes",
                ("failover-pause", value) => settings.failover_pause = time(value),
                ("down-on-refused", value) => settings.down_on_refused = NonZeroU32::new(number(value)),
                ("auth-user", value) => settings.auth_user = Some(value.to_owned()),
                ("auth-pass", value) => settings.auth_pass = Some(Secret::new(value)),
                ("sentinel-pass", value) => globals.sentinel_pass = Some(Secret::new(value)),
                ("replicas", value) => replicas = number(value),
                ("peers", value) => peers = number(value),
                ("known", value) => known = value == "yes",
                ("epoch", value) => snapshot.0 = number(value),
                ("config-epoch", value) => snapshot.1 = number(value),
                ("leader-epoch", value) => snapshot.2 = number(value),
                ("seed", value) => seed = number(value),
                ("nomination-delay", value) => timing.nomination_delay = time(value),
                ("resolve-hostnames", value) => globals.resolve_hostnames = value == "yes",
                ("announce-hostnames", value) => globals.announce_hostnames = value == "yes",
                ("master", value) => value.clone_into(&mut at),
                ("names", value) => {
                    names = value.split(',').map(|it| it.split_once('@').expect("name@ip")).collect();
                }
                ("resolved", value) => resolved = value == "yes",
                ("announce-ip", value) => globals.announce_ip = Some(sentinel_core::types::Host::new(value).unwrap()),
                ("hello-auth-required", value) => globals.hello_auth_required = value == "yes",
                ("hello-auth-key", value) => globals.hello_auth_key = Some(Secret::new(value)),
                ("announce-port", value) => globals.announce_port = Some(number(value)),
                ("notification-script", value) => settings.notification_script = Some(value.to_owned()),
                ("client-reconfig-script", value) => settings.client_reconfig_script = Some(value.to_owned()),
                ("deny-scripts-reconfig", value) => globals.deny_scripts_reconfig = value == "yes",
                (other, _) => panic!("sentinel has no option {other:?}"),
            }
        }
        let mut cast = Cast::new(replicas);
        cast.names = names.into_iter().map(|(name, ip)| (name.to_owned(), ip.parse().unwrap())).collect();
        let names = cast.names.iter().filter(|_| resolved).map(|(name, ip)| (name.as_str().into(), *ip)).collect();
        let parse = |text: &str| text.parse::<HostPort>().unwrap();
        let mut master = MasterSnapshot::new(MasterName::new("mymaster").unwrap(), parse(&at), settings);
        master.config_epoch = Epoch::new(snapshot.1);
        master.leader_epoch = Epoch::new(snapshot.2);
        if known {
            master.replicas = (0..replicas).map(|n| parse(&address(&(6380 + n).to_string()))).collect();
            for letter in ('B'..='I').take(peers) {
                master.peers.push((SentinelId::new(&id(letter)).unwrap(), parse(&cast.peer(letter).addr)));
            }
        }
        if let Some(key) = &globals.hello_auth_key {
            cast.give_key(key);
        }
        let snapshot = Snapshot {
            id: SentinelId::new(&id('A')).unwrap(),
            current_epoch: Epoch::new(snapshot.0),
            globals: Arc::new(globals),
            masters: vec![Arc::new(master)],
        };
        Stage::new(Boot { snapshot, timing, names, run_id: RunId::new(&"X".repeat(40)).ok(), seed }, cast)
    }

    /// Carries out one line of a story.
    pub(super) fn carry_out(&mut self, line: &str) {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["after", text] => self.pass(time(text)),
            ["stall", text] => self.now += u64::try_from(time(text).as_micros()).unwrap(),
            ["latency", text] => self.latency = u64::try_from(time(text).as_micros()).unwrap(),
            ["show", kinds @ ..] => self.shown.extend(kinds.iter().map(|kind| (*kind).to_owned())),
            ["hide", kinds @ ..] => self.shown.retain(|kind| !kinds.contains(&kind.as_str())),
            ["disk", "holds"] => self.disk_mood(DiskMood::Holds),
            ["disk", "works"] => self.disk_mood(DiskMood::Works),
            ["disk", "fails"] => {
                self.disk_mood(DiskMood::Fails);
            }
            ["configuration", how @ ("reloads" | "changes"), words @ ..] => {
                self.configuration(*how == "reloads", words);
            }
            ["client", words @ ..] => {
                let words: Vec<_> = std::iter::once("SENTINEL").chain(words.iter().copied()).collect();
                self.command("client", &words);
            }
            ["script", words @ ..] => self.script(words, time),
            ["name", name, "is", "nowhere"] => {
                self.cast.names.remove(*name);
            }
            ["name", name, "is", ip] => {
                self.cast.names.insert((*name).to_owned(), ip.parse().unwrap());
            }
            ["resolver", "holds"] => self.resolver_holds = true,
            ["resolver", "works"] => {
                self.resolver_holds = false;
                for name in std::mem::take(&mut self.unresolved) {
                    self.send_later(Parcel::Resolve(name));
                }
            }
            ["state"] => self.show_state(),
            ["saved"] => self.show_snapshot(),
            ["node", port, words @ ..] => self.node(&address(port), words, line),
            ["peer", who, words @ ..] => self.peer(letter(who), words),
            ["hello", "raw", payload] => {
                let payload = ('A'..='I').fold((*payload).to_owned(), |text, letter| {
                    text.replace(&format!(",{letter},"), &format!(",{},", id(letter)))
                });
                self.hello(None, &payload);
            }
            ["hello", who, options @ ..] => self.hello_of(letter(who), options),
            _ => panic!("no such command: {line:?}"),
        }
    }

    fn node(&mut self, addr: &str, words: &[&str], line: &str) {
        let node = self.cast.node(addr);
        match words {
            ["dies"] => {
                node.life = Life::Dead;
                self.break_links(addr, &LinkFault::Closed);
            }
            ["restarts"] => {
                node.life = Life::Well;
                node.runs += 1;
            }
            ["denies"] => {
                node.life = Life::Fails(Failure::Denied);
                self.break_links(addr, &LinkFault::Closed);
            }
            ["loses", "its", "name"] => {
                node.life = Life::Fails(Failure::Unresolved);
                self.break_links(addr, &LinkFault::Closed);
            }
            ["finds", "no", "room"] => {
                node.life = Life::Fails(Failure::NoRoom);
                self.break_links(addr, &LinkFault::Closed);
            }
            ["closes"] => self.break_links(addr, &LinkFault::Closed),
            ["vanishes"] => node.life = Life::Silent,
            ["returns"] => {
                node.life = Life::Well;
                self.release(addr);
            }
            ["joins", fields @ ..] => {
                *node = Node::new(Some(address("6379")));
                self.node_fields(addr, fields);
            }
            ["is", fields @ ..] => self.node_fields(addr, fields),
            ["swallows", "hellos"] => put(&mut node.flaws, Flaw::SwallowsHellos, true),
            ["obeys"] => put(&mut node.flaws, Flaw::Disobeys, false),
            ["disobeys"] => put(&mut node.flaws, Flaw::Disobeys, true),
            ["syncs", "slowly"] => put(&mut node.flaws, Flaw::SyncsSlowly, true),
            ["syncs", "at", "once"] => put(&mut node.flaws, Flaw::SyncsSlowly, false),
            ["lags"] => put(&mut node.flaws, Flaw::Lags, true),
            ["catches", "up"] => put(&mut node.flaws, Flaw::Lags, false),
            ["refuses", what, "with", ..] => {
                let text = line.split_once(" with ").unwrap().1.to_owned();
                node.refuses.insert((*what).to_owned(), text.clone());
                self.subscription(addr, what, Some(&text));
            }
            ["permits", what] => {
                node.refuses.remove(*what);
                self.subscription(addr, what, None);
            }
            ["keeps", "INFO"] => put(&mut node.flaws, Flaw::KeepsInfo, true),
            ["keeps", "PING"] => put(&mut node.flaws, Flaw::KeepsPing, true),
            ["gives", what @ ("INFO" | "PING")] => {
                put(&mut node.flaws, if *what == "INFO" { Flaw::KeepsInfo } else { Flaw::KeepsPing }, false);
                self.release(addr);
            }
            ["answers", "PING", "with", ..] => {
                let text = line.split_once(" with ").unwrap().1;
                node.ping = match text.split_at(1) {
                    ("+", text) => Reply::status(text.to_owned()),
                    ("-", text) => Reply::error(text),
                    (":", text) => Reply::Integer(number(text)),
                    _ => panic!("a reply begins with +, - or :, not {text:?}"),
                };
            }
            _ => panic!("a node does not {words:?}"),
        }
    }

    fn node_fields(&mut self, addr: &str, fields: &[&str]) {
        let node = self.cast.node(addr);
        for field in fields {
            match option(field) {
                ("of", "none") => node.of = None,
                ("of", value) => node.of = Some(address(value)),
                ("announce", value) => node.announce = Some(value.to_owned()),
                ("offset", value) => node.offset = number(value),
                ("priority", value) => node.priority = number(value),
                ("link", value) => node.link_up = value == "up",
                ("down-for", value) => node.link_down_for = number(value),
                ("sync", value) => node.sync_bytes = number(value),
                ("loaded", value) => node.loaded_bytes = number(value),
                ("second", value) => node.second_offset = Some(number(value)),
                ("version", value) => node.version = Some(value.to_owned()),
                ("keys", value) => node.keys = Some(number(value)),
                ("dirty", value) => node.dirty = number(value),
                ("loading", value) => node.loading = value == "yes",
                ("failover", value) => node.failover = (value != "none").then(|| value.to_owned()),
                ("replid", value) => node.replid = Some(value.repeat(40)),
                ("replid2", value) => node.replid2 = Some(value.repeat(40)),
                ("run-id", "none") => node.run_id = Some(String::new()),
                ("run-id", value) => node.run_id = Some(value.repeat(40)),
                ("lists", value) => node.lists.push(address(value)),
                ("info", line) => {
                    let (field, value) = line.split_once(':').unwrap();
                    node.further.insert(field.to_owned(), value.to_owned());
                }
                (other, _) => panic!("a node's INFO has no {other:?}"),
            }
        }
    }

    fn peer(&mut self, who: char, words: &[&str]) {
        let peer = self.cast.peer(who);
        let addr = peer.addr.clone();
        match words {
            ["says", word] => {
                peer.says_down = *word == "down";
                put(&mut peer.flaws, Flaw::KeepsOpinions, *word == "nothing");
                self.release(&addr);
            }
            ["refuses", "AUTH", "with", words @ ..] => peer.refuses_login = Some(words.join(" ")),
            ["votes", "freely"] => put(&mut peer.flaws, Flaw::NeverVotes, false),
            ["votes", "never"] => put(&mut peer.flaws, Flaw::NeverVotes, true),
            ["votes", "late"] => put(&mut peer.flaws, Flaw::KeepsVotes, true),
            ["votes", "now"] => {
                put(&mut peer.flaws, Flaw::KeepsVotes, false);
                self.release(&addr);
            }
            ["voted", "*", epoch] => peer.vote = ("*".to_owned(), number(epoch)),
            ["voted", whom, epoch] => peer.vote = (id(letter(whom)), number(epoch)),
            ["asks", port, epoch, whom @ ..] => {
                let addr = address(port);
                let (host, port) = addr.rsplit_once(':').unwrap();
                let whom = whom.first().map_or_else(|| "*".to_owned(), |whom| id(letter(whom)));
                let who = who.to_string();
                self.command(&who, &["SENTINEL", "is-master-down-by-addr", host, port, epoch, &whom]);
            }
            ["signs", port, epoch, whom, options @ ..] => {
                let words = signed_request(peer.key.clone(), port, epoch, whom, options);
                let words: Vec<_> = words.iter().map(String::as_str).collect();
                self.command(&who.to_string(), &words);
            }
            ["knows", "no", "pause"] => peer.knows_no_pause = true,
            ["has", "no", "key"] => {
                peer.key = None;
                self.break_links(&addr, &LinkFault::Closed);
            }
            ["has", "the", "key", key] => {
                peer.key = Some(Secret::new(key));
                self.break_links(&addr, &LinkFault::Closed);
            }
            ["dies"] => {
                peer.life = Life::Dead;
                self.break_links(&addr, &LinkFault::Closed);
            }
            ["restarts"] => peer.life = Life::Well,
            ["vanishes"] => peer.life = Life::Silent,
            ["returns"] => {
                peer.life = Life::Well;
                self.release(&addr);
            }
            // "peer B is C", "peer B is -ERR …", "peer B is +PONG": what it says when it is asked for its id.
            ["is", word @ ..] => {
                let text = word.join(" ");
                peer.myid = match text.split_at(1) {
                    ("+", text) => Reply::status(text.to_owned()),
                    ("-", text) => Reply::error(text),
                    _ => Reply::display(id(text.chars().next().expect("a letter"))),
                };
                self.break_links(&addr, &LinkFault::Closed);
            }
            ["runs", "as", who] => peer.run_id = who.repeat(40),
            ["exchanges", "with", other] => {
                let there = self.cast.peer(letter(other)).addr.clone();
                self.break_links(&addr, &LinkFault::Closed);
                self.break_links(&there, &LinkFault::Closed);
                self.cast.peer(letter(other)).addr = addr;
                self.cast.peer(who).addr = there;
            }
            ["moves", "to", port] => {
                self.break_links(&addr, &LinkFault::Closed);
                self.cast.peer(who).addr = address(port);
            }
            _ => panic!("a peer does not {words:?}"),
        }
    }

    fn hello_of(&mut self, who: char, options: &[&str]) {
        let mut addr = if who == 'A' { address("26379") } else { self.cast.peer(who).addr.clone() };
        let (mut epoch, mut config, mut master, mut via) = (0_u64, "6379@0", "mymaster", None);
        for word in options {
            match option(word) {
                ("epoch", value) => epoch = number(value),
                ("config", value) => config = value,
                ("addr", value) => addr = address(value),
                ("master", value) => master = value,
                ("via", value) => via = Some(value),
                (other, _) => panic!("a hello has no {other:?}"),
            }
        }
        let (of, config_epoch) = config.split_once('@').unwrap();
        let of = address(of);
        let (host, port) = addr.rsplit_once(':').unwrap();
        let (master_host, master_port) = of.rsplit_once(':').unwrap();
        let payload = format!("{host},{port},{},{epoch},{master},{master_host},{master_port},{config_epoch}", id(who));
        self.hello(via, &payload);
    }
}
