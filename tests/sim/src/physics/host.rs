//! Machines, the processes on them, and the names by which others know them.

use std::{
    collections::VecDeque,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use sentinel_core::types::{Host, HostPort};

use super::{HostId, Occurrence, Physics};
use crate::time::{MS, SEC, Time};

/// How long an answer takes of a name server that works, or says that there is no such name.
const LOOKUP: Time = MS;
/// How long is waited for a name server that does not answer.
const LOOKUP_TIMEOUT: Time = 5 * SEC;

/// The name of a host, and what a name server says about it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The name, by which all others know the host.
    pub name: Arc<str>,
    /// The address on record, perhaps a former one.
    pub ip: Ipv4Addr,
    /// There is no such record.
    pub missing: u32,
    /// There is no answer.
    pub silent: u32,
}

impl Record {
    /// A name that resolves.
    pub fn new(name: &str, ip: Ipv4Addr) -> Self {
        Record { name: name.into(), ip, missing: 0, silent: 0 }
    }
}

/// One machine and the process on it.
#[derive(Debug)]
pub struct HostState {
    /// Its address now.
    pub ip: Ipv4Addr,
    /// Another address that leads here.
    pub also: Option<(Ipv4Addr, u16)>,
    /// Its name, if that is what others know.
    pub record: Option<Record>,
    /// The port its process listens on.
    pub port: u16,
    /// Whether the machine runs; if not, nothing answers at all.
    pub powered: bool,
    /// Whether the process runs; if not, connections are refused.
    pub running: bool,
    /// Whether the process stands still (SIGSTOP): the kernel still accepts.
    pub hung: u32,
    /// A firewall refuses new connections.
    pub refusing: u32,
    /// A firewall drops requests for new connections; open ones go on.
    pub swallowing: u32,
    /// It knows no user of the Sentinels any more; the default user is open.
    pub without_user: u32,
    /// It serves nothing without a password that no Sentinel knows.
    pub shut: u32,
    /// The process gets on only once in so much time.
    pub sluggish: Time,
    /// Its next moment is due.
    pub slice_due: bool,
    /// Added to every message from and to it.
    pub slowness: Time,
    /// Messages so often, in a thousand, are lost once and come a retransmission later.
    pub lossy: u64,
    /// What waits for a process that stands still.
    pub inbox: VecDeque<Occurrence>,
}

impl HostState {
    /// Whether a process here listens on a port, of whichever of its addresses.
    pub fn listens_on(&self, port: u16) -> bool {
        self.port == port || self.also.is_some_and(|(_, also)| also == port)
    }
}

impl Physics {
    /// Where a host's process listens, as others know it.
    pub fn address(&self, host: HostId) -> HostPort {
        let it = &self.hosts[host];
        let known_as = match &it.record {
            Some(record) => Host::Name(Arc::clone(&record.name)),
            None => Host::Ip(IpAddr::V4(it.ip)),
        };
        HostPort::new(known_as, it.port)
    }

    /// The host that others mean by a name, or by an address.
    pub fn host_at(&self, addr: &HostPort) -> Option<HostId> {
        let is_it = |it: &HostState| match &addr.host {
            Host::Ip(ip) => IpAddr::V4(it.ip) == *ip,
            Host::Name(name) => it.record.as_ref().is_some_and(|record| record.name == *name),
        };
        self.hosts.iter().position(|it| it.port == addr.port && is_it(it))
    }

    /// The address of a host's process as a number.
    pub fn numeric_address(&self, host: HostId) -> HostPort {
        let it = &self.hosts[host];
        HostPort::new(Host::Ip(IpAddr::V4(it.ip)), it.port)
    }

    /// The address of a host, and after which time it is known, or that there is none.
    pub fn lookup(&self, host: &Host) -> (Time, Result<Ipv4Addr, &'static str>) {
        match host {
            Host::Ip(IpAddr::V4(ip)) => (0, Ok(*ip)),
            Host::Ip(IpAddr::V6(_)) => (0, Err("no route")),
            Host::Name(name) => {
                let record = self.hosts.iter().filter_map(|host| host.record.as_ref()).find(|it| it.name == *name);
                match record {
                    Some(it) if it.silent > 0 => (LOOKUP_TIMEOUT, Err("no answer")),
                    Some(it) if it.missing == 0 => (LOOKUP, Ok(it.ip)),
                    _ => (LOOKUP, Err("no such name")),
                }
            }
        }
    }

    /// The process of a host is gone. If the machine is, too, nobody is told.
    pub fn process_ends(&mut self, host: HostId, machine_too: bool) {
        self.hosts[host].running = false;
        self.hosts[host].powered = !machine_too;
        self.hosts[host].inbox.clear();
        self.hosts[host].slice_due = false;
        for (conn, end) in self.conns_of(host) {
            if machine_too {
                self.conns[conn].open[end] = false;
            } else {
                self.close(conn, end);
            }
        }
    }
}
