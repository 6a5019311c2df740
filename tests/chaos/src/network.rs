//! The hosts' network: one bridge, one namespace and one line for each host, and rules on the bridge that disturb it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use crate::isolate::run;

/// One of the hosts, counted from 0.
pub(crate) type HostId = u8;

/// What happens to packets in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rule {
    /// Who sends them.
    pub(crate) from: HostId,
    /// Whom they are sent to.
    pub(crate) to: HostId,
    /// How many of a hundred are lost; 100 is a cut.
    pub(crate) lost: u8,
}

/// The bridge and the hosts' lines. It exists as long as the namespaces around this program.
#[derive(Debug)]
pub(crate) struct Network {
    hosts: u8,
    delays: Delay,
}

/// How this machine can slow a line down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delay {
    /// `tc netem`: every packet later by some time.
    Netem,
    /// `tc tbf`: few bytes a second, so that packets queue up.
    Bandwidth,
    /// Neither is there.
    Impossible,
}

impl Network {
    /// Lays a line to each of so many hosts. Those of an earlier deployment are removed.
    pub(crate) fn lay(hosts: u8) -> Result<Self, String> {
        // Neither is there the first time.
        let _ = ip(&["link", "del", "hub"]);
        ip(&["link", "add", "hub", "type", "bridge"])?;
        ip(&["link", "set", "hub", "up"])?;
        ip(&["addr", "add", &format!("{}/24", address_of(253)), "dev", "hub"])?;
        for host in 0..hosts {
            let (name, line) = (namespace(host), line(host));
            // A namespace without a name goes away later than the next one is made; its line must not.
            let _ = ip(&["link", "del", &line]);
            let _ = ip(&["netns", "del", &name]);
            ip(&["netns", "add", &name])?;
            ip(&["link", "add", &line, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
            ip(&["link", "set", &line, "master", "hub", "up"])?;
            give_address(host, address_of(host))?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
        }
        let network = Self { hosts, delays: probe_delay() };
        disturb(&[])?;
        Ok(network)
    }

    /// How lines can be slowed down here.
    pub(crate) fn delays(&self) -> Delay {
        self.delays
    }

    /// Slows the line of that host down, in both directions as far as that goes.
    pub(crate) fn slow_down(&self, host: HostId) -> Result<(), String> {
        let shape: &[&str] = match self.delays {
            Delay::Netem => &["netem", "delay", "120ms", "60ms"],
            Delay::Bandwidth => &["tbf", "rate", "256kbit", "burst", "2kb", "latency", "400ms"],
            Delay::Impossible => return Ok(()),
        };
        let line = line(host);
        run(Command::new("tc").args(["qdisc", "replace", "dev", &line, "root"]).args(shape))?;
        run(Command::new("tc").args(["-n", &namespace(host), "qdisc", "replace", "dev", "eth0", "root"]).args(shape))
    }

    /// All hosts.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        0..self.hosts
    }
}

/// From now on these rules hold, and no others. This program itself always reaches every host.
pub(crate) fn disturb(rules: &[Rule]) -> Result<(), String> {
    // One transaction: there is no moment without rules.
    let mut text = "add table bridge chaos\ndelete table bridge chaos\ntable bridge chaos {\n\
                    chain forward {\ntype filter hook forward priority 0; policy accept;\n"
        .to_owned();
    for Rule { from, to, lost } in rules {
        // By lines, not by addresses: hosts change those. Only IP is lost, so that neighbours are found.
        let (from, to) = (line(*from), line(*to));
        let chance = if *lost < 100 { format!("numgen random mod 100 < {lost} ") } else { String::new() };
        writeln!(text, "iifname {from} oifname {to} ether type ip {chance}drop").expect("a String takes all text");
    }
    text.push_str("}\n}\n");
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("nft: {error}"))?;
    let mut input = nft.stdin.take().expect("its input is a pipe");
    input.write_all(text.as_bytes()).map_err(|error| format!("nft: {error}"))?;
    drop(input);
    let output = nft.wait_with_output().map_err(|error| format!("nft: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("nft: {}\n{text}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Gives a host this address instead of the one it has.
pub(crate) fn give_address(host: HostId, address: Ipv4Addr) -> Result<(), String> {
    let name = namespace(host);
    ip(&["-n", &name, "-4", "addr", "flush", "dev", "eth0"])?;
    ip(&["-n", &name, "addr", "add", &format!("{address}/24"), "dev", "eth0"])
}

/// Lets every one of so many hosts look up anew who has which address.
pub(crate) fn forget_neighbours(hosts: impl Iterator<Item = HostId>) -> Result<(), String> {
    ip(&["neigh", "flush", "dev", "hub"])?;
    hosts.into_iter().try_for_each(|host| ip(&["-n", &namespace(host), "neigh", "flush", "dev", "eth0"]))
}

/// Takes all slowness away.
pub(crate) fn speed_up(host: HostId) {
    // A line that is not slow has no discipline to delete.
    let _ = run(Command::new("tc").args(["qdisc", "del", "dev", &line(host), "root"]));
    let _ = run(Command::new("tc").args(["-n", &namespace(host), "qdisc", "del", "dev", "eth0", "root"]));
}

/// The address a host has at first. The range is set aside for tests of networks, and is nowhere but in these namespaces.
pub(crate) fn address_of(host: HostId) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 77, host + 1)
}

/// An address that no host has at first, for one that moves.
pub(crate) fn other_address_of(host: HostId) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, 77, host + 101)
}

/// The name of a host's namespace.
pub(crate) fn namespace(host: HostId) -> String {
    format!("host{host}")
}

fn line(host: HostId) -> String {
    format!("line{host}")
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    run(Command::new("ip").args(arguments))
}

fn probe_delay() -> Delay {
    let tc = |arguments: &[&str]| {
        let worked =
            run(Command::new("tc").args(["qdisc", "replace", "dev", &line(0), "root"]).args(arguments)).is_ok();
        let _ = run(Command::new("tc").args(["qdisc", "del", "dev", &line(0), "root"]));
        worked
    };
    if tc(&["netem", "delay", "1ms"]) {
        Delay::Netem
    } else if tc(&["tbf", "rate", "1mbit", "burst", "2kb", "latency", "100ms"]) {
        Delay::Bandwidth
    } else {
        Delay::Impossible
    }
}
