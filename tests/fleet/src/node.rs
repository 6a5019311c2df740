//! What the emulated nodes are: masters and replicas with data that grow, in groups of equal size.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::clock::Micros;

/// A node of this process, counted from 0. Those of one group are neighbours, its first master first.
pub(crate) type NodeId = usize;

/// How long a replica takes to follow a master.
const ATTACH: u64 = 3_000;

/// How much each master writes, in bytes a millisecond.
const RATE: u64 = 10;

/// How long a chain of replicas of replicas is followed.
const LONGEST_CHAIN: usize = 4;

/// Whether a node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It answers.
    Up,
    /// Its process is gone: connections are refused.
    Dead,
    /// Its process is stopped: connections are accepted by the kernel, and nothing is answered.
    Hung,
}

/// What a node thinks it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    /// Of whom, and from when on it can have data from there.
    Replica {
        host: String,
        port: u16,
        from: Micros,
    },
}

/// Which data a node has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) id: u128,
    pub(crate) former: Option<u128>,
    pub(crate) switched_at: Option<u64>,
}

/// One emulated node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) addr: SocketAddrV4,
    pub(crate) run_id: String,
    pub(crate) life: Life,
    pub(crate) role: Role,
    pub(crate) started_at: Micros,
    /// When its link to its master was lost.
    pub(crate) unlinked_at: Micros,
    pub(crate) commands: u64,
    /// How far it was at `counted_at`.
    offset: u64,
    counted_at: Micros,
    history: History,
}

/// All nodes of this process.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nodes: Vec<Node>,
    per_group: usize,
    port: u16,
    runs: u64,
}

impl World {
    /// Groups of `per_group` nodes, on one port of consecutive addresses.
    pub(crate) fn new(addresses: &[Ipv4Addr], port: u16, per_group: usize, now: Micros) -> Self {
        let mut world = World { nodes: Vec::new(), per_group, port, runs: 0 };
        for (id, ip) in addresses.iter().enumerate() {
            let first = id - id % per_group;
            let role = if id == first {
                Role::Master
            } else {
                Role::Replica { host: addresses[first].to_string(), port, from: now }
            };
            let run_id = world.fresh_run_id(*ip);
            world.nodes.push(Node {
                addr: SocketAddrV4::new(*ip, port),
                run_id,
                life: Life::Up,
                role,
                started_at: now,
                unlinked_at: now,
                commands: 0,
                offset: 1_000,
                counted_at: now,
                history: History { id: 1 + first as u128, former: None, switched_at: None },
            });
        }
        world
    }

    /// The nodes that belong together with `id`.
    pub(crate) fn group_of(&self, id: NodeId) -> std::ops::Range<NodeId> {
        let first = id - id % self.per_group;
        first..(first + self.per_group).min(self.nodes.len())
    }

    /// The node that a replica has its data from, if it has them.
    pub(crate) fn linked_to(&self, id: NodeId, now: Micros) -> Option<NodeId> {
        self.linked_within(id, now, LONGEST_CHAIN)
    }

    fn linked_within(&self, id: NodeId, now: Micros, chain: usize) -> Option<NodeId> {
        let Role::Replica { host, port, from } = &self.nodes[id].role else { return None };
        if chain == 0 || *from > now || *port != self.port || self.nodes[id].life == Life::Dead {
            return None;
        }
        let source = self.group_of(id).find(|it| *it != id && self.nodes[*it].addr.ip().to_string() == *host)?;
        let of = &self.nodes[source];
        let lives =
            of.life != Life::Dead && (of.role == Role::Master || self.linked_within(source, now, chain - 1).is_some());
        lives.then_some(source)
    }

    /// How far a node's data are.
    pub(crate) fn offset(&self, id: NodeId, now: Micros) -> u64 {
        let node = &self.nodes[id];
        match self.linked_to(id, now) {
            Some(source) => self.offset(source, now),
            None if node.role == Role::Master && node.life == Life::Up => {
                node.offset + now.since(node.counted_at) / 1_000 * RATE
            }
            None => node.offset,
        }
    }

    /// Which data a node has.
    pub(crate) fn history(&self, id: NodeId, now: Micros) -> History {
        self.linked_to(id, now).map_or(self.nodes[id].history, |source| self.history(source, now))
    }

    /// SLAVEOF NO ONE. False: it is a master already.
    pub(crate) fn promote(&mut self, id: NodeId, now: Micros) -> bool {
        if self.nodes[id].role == Role::Master {
            return false;
        }
        self.settle(id, now);
        let fresh = u128::from(self.fresh_number()) << 64 | (id as u128 + 1);
        let node = &mut self.nodes[id];
        node.role = Role::Master;
        node.history = History { id: fresh, former: Some(node.history.id), switched_at: Some(node.offset + 1) };
        self.relink_replicas_of(id, now);
        true
    }

    /// SLAVEOF of another node.
    pub(crate) fn follow(&mut self, id: NodeId, host: String, port: u16, now: Micros) {
        self.settle_group(id, now);
        let node = &mut self.nodes[id];
        node.role = Role::Replica { host, port, from: Micros(now.0 + ATTACH) };
        node.unlinked_at = now;
    }

    /// Changes whether a node lives, with what that does to its data and its replicas.
    pub(crate) fn set_life(&mut self, id: NodeId, life: Life, now: Micros) {
        self.settle_group(id, now);
        let was = self.nodes[id].life;
        if was != Life::Dead && life == Life::Dead {
            for replica in self.group_of(id).filter(|it| self.linked_to(*it, now) == Some(id)).collect::<Vec<_>>() {
                self.nodes[replica].unlinked_at = now;
            }
        }
        if was == Life::Dead && life != Life::Dead {
            let run_id = self.fresh_run_id(*self.nodes[id].addr.ip());
            let node = &mut self.nodes[id];
            node.run_id = run_id;
            node.started_at = now;
            node.unlinked_at = now;
            if let Role::Replica { from, .. } = &mut node.role {
                *from = Micros(now.0 + ATTACH);
            }
        }
        self.nodes[id].life = life;
        if was == Life::Dead {
            self.relink_replicas_of(id, now);
        }
    }

    /// Notes how far each node of a group is, before something changes.
    fn settle_group(&mut self, id: NodeId, now: Micros) {
        for node in self.group_of(id) {
            self.settle(node, now);
        }
    }

    fn settle(&mut self, id: NodeId, now: Micros) {
        let (offset, history) = (self.offset(id, now), self.history(id, now));
        let node = &mut self.nodes[id];
        (node.offset, node.counted_at, node.history) = (offset, now, history);
    }

    /// Replicas that wait for this node find it after a while.
    fn relink_replicas_of(&mut self, id: NodeId, now: Micros) {
        let ip = self.nodes[id].addr.ip().to_string();
        for replica in self.group_of(id) {
            if let Role::Replica { host, from, .. } = &mut self.nodes[replica].role
                && *host == ip
            {
                *from = Micros(now.0 + ATTACH);
            }
        }
    }

    const fn fresh_number(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    fn fresh_run_id(&mut self, ip: Ipv4Addr) -> String {
        let run = self.fresh_number();
        format!("{:08x}{:04x}{run:028x}", ip.to_bits(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> World {
        let addresses: Vec<_> = (1..=3).map(|last| Ipv4Addr::new(127, 9, 0, last)).collect();
        World::new(&addresses, 7000, 3, Micros(1_000_000))
    }

    #[test]
    fn replicas_have_what_their_master_has_until_it_dies() {
        let mut world = group();
        let (early, late) = (Micros(2_000_000), Micros(3_000_000));
        assert_eq!(world.offset(0, early), 1_000 + 1_000 * RATE);
        assert_eq!(world.offset(1, early), world.offset(0, early));
        world.set_life(0, Life::Dead, early);
        assert_eq!(world.linked_to(1, late), None);
        assert_eq!(world.offset(1, late), 1_000 + 1_000 * RATE);
        assert_eq!(world.nodes[1].unlinked_at, early);
    }

    #[test]
    fn a_promoted_replica_goes_on_from_where_it_was_and_the_others_follow_it() {
        let mut world = group();
        let at = |seconds: u64| Micros(seconds * 1_000_000);
        world.set_life(0, Life::Dead, at(2));
        let before = world.offset(1, at(3));
        assert!(world.promote(1, at(3)));
        assert!(!world.promote(1, at(3)));
        world.follow(2, "127.9.0.2".to_owned(), 7000, at(3));
        assert_eq!(world.linked_to(2, at(3)), None);
        assert_eq!(world.linked_to(2, at(4)), Some(1));
        assert_eq!(world.offset(2, at(4)), before + 1_000 * RATE);
        assert_eq!(world.history(2, at(4)).former, Some(1));
        world.set_life(0, Life::Up, at(5));
        assert_eq!(world.nodes[0].role, Role::Master);
        world.follow(0, "127.9.0.2".to_owned(), 7000, at(5));
        assert_eq!(world.history(0, at(6)).id, world.history(1, at(6)).id);
    }
}
