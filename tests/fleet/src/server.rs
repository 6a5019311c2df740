//! The loop: all nodes of this process on one thread, and what it sees of those who watch them.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddrV4},
    sync::mpsc,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::{
    clock::{Micros, own_cpu},
    control::{Order, Sight},
    node::{Life, NodeId, World},
    session::{Effect, Session},
};

/// How often a port is looked for that is free on all addresses.
const PORT_ATTEMPTS: usize = 20;

/// The token of the control channel's waker.
const WAKER: Token = Token(usize::MAX);

/// Answers an order.
pub(crate) type Reply = Box<dyn FnOnce(Option<Sight>) + Send>;

struct Connection {
    stream: TcpStream,
    node: NodeId,
    session: Session,
    /// Something arrived while the node hung.
    unread: bool,
}

/// What is seen of the PINGs that one node gets.
#[derive(Clone, Copy, Debug, Default)]
struct Pings {
    first: Option<Micros>,
    last: Option<Micros>,
    worst_gap: u64,
}

/// The emulated nodes and their connections.
pub(crate) struct Server {
    poll: Poll,
    world: World,
    listeners: Vec<Option<TcpListener>>,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    of_node: Vec<Vec<usize>>,
    pings: Vec<Pings>,
    dirty: Vec<usize>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    since: Micros,
    cpu_before: u64,
    commands: u64,
    accepted: u64,
    promoted: Vec<(NodeId, Micros)>,
    demoted: u64,
}

/// Wakes the loop for the orders.
pub(crate) type Waker = mio::Waker;

impl Server {
    /// Listens on one free port of all addresses.
    pub(crate) fn bind(addresses: &[Ipv4Addr], per_group: usize) -> io::Result<(Self, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let mut attempt = 1;
        let (port, listeners) = loop {
            match listen_on_all(addresses) {
                Ok(found) => break found,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < PORT_ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        };
        let mut server = Server {
            poll,
            world: World::new(addresses, port, per_group, Micros::now()),
            listeners: Vec::new(),
            connections: Vec::new(),
            free: Vec::new(),
            of_node: vec![Vec::new(); addresses.len()],
            pings: vec![Pings::default(); addresses.len()],
            dirty: Vec::new(),
            seen: Seen::default(),
        };
        for (node, mut listener) in listeners.into_iter().enumerate() {
            server.poll.registry().register(&mut listener, Token(node), Interest::READABLE)?;
            server.listeners.push(Some(listener));
        }
        server.look_anew();
        Ok((server, waker))
    }

    /// The port of all nodes.
    pub(crate) fn port(&self) -> u16 {
        self.world.nodes[0].addr.port()
    }

    /// Serves until the orders end.
    pub(crate) fn run(&mut self, orders: &mpsc::Receiver<(Order, Reply)>) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            let nodes = self.listeners.len();
            for event in &events {
                match event.token() {
                    WAKER => loop {
                        match orders.try_recv() {
                            Ok((order, reply)) => {
                                let sight = self.obey(order, &mut buffer)?;
                                reply(sight);
                            }
                            Err(mpsc::TryRecvError::Empty) => break,
                            Err(mpsc::TryRecvError::Disconnected) => return Ok(()),
                        }
                    },
                    Token(node) if node < nodes => self.accept(node)?,
                    Token(token) => {
                        let index = token - nodes;
                        if event.is_readable() || event.is_read_closed() || event.is_error() {
                            self.read(index, &mut buffer);
                        }
                        if event.is_writable() {
                            self.flush(index);
                        }
                    }
                }
                for index in std::mem::take(&mut self.dirty) {
                    self.flush(index);
                }
            }
        }
    }

    fn obey(&mut self, order: Order, buffer: &mut [u8]) -> io::Result<Option<Sight>> {
        let now = Micros::now();
        match order {
            Order::Kill(nodes) => {
                for node in nodes {
                    self.world.set_life(node, Life::Dead, now);
                    // Closing the listener frees its descriptor and makes the kernel refuse.
                    self.listeners[node] = None;
                    for index in self.of_node[node].clone() {
                        self.close(index);
                    }
                }
            }
            Order::Hang(nodes) => {
                for node in nodes {
                    self.world.set_life(node, Life::Hung, now);
                }
            }
            Order::Resume(nodes) => {
                for node in nodes {
                    let was_dead = self.listeners[node].is_none();
                    self.world.set_life(node, Life::Up, now);
                    self.pings[node].last = None;
                    if was_dead {
                        let mut listener = TcpListener::bind(self.world.nodes[node].addr.into())?;
                        self.poll.registry().register(&mut listener, Token(node), Interest::READABLE)?;
                        self.listeners[node] = Some(listener);
                    }
                    self.accept(node)?;
                    for index in self.of_node[node].clone() {
                        if self.connections[index].as_ref().is_some_and(|it| it.unread) {
                            self.read(index, buffer);
                        }
                    }
                }
                for index in std::mem::take(&mut self.dirty) {
                    self.flush(index);
                }
            }
            Order::LookAnew => self.look_anew(),
            Order::Look => return Ok(Some(self.look())),
        }
        Ok(None)
    }

    fn look_anew(&mut self) {
        let now = Micros::now();
        self.seen = Seen { since: now, cpu_before: own_cpu(), ..Seen::default() };
        for pings in &mut self.pings {
            *pings = Pings { last: pings.last, ..Pings::default() };
        }
    }

    fn look(&self) -> Sight {
        let now = Micros::now();
        let mut worst_gap = 0;
        for (node, pings) in self.pings.iter().enumerate() {
            worst_gap = worst_gap.max(pings.worst_gap);
            // One that has not come yet counts, too.
            if let Some(last) = pings.last
                && self.world.nodes[node].life == Life::Up
            {
                worst_gap = worst_gap.max(now.since(last));
            }
        }
        let firsts = self.pings.iter().filter_map(|pings| pings.first);
        Sight {
            nodes: self.world.nodes.len(),
            pinged: firsts.clone().count(),
            last_first_ping: firsts.max().map_or(0, |at| at.0),
            worst_gap,
            promoted: self.seen.promoted.iter().map(|(node, at)| (*node, at.0)).collect(),
            demoted: self.seen.demoted,
            connections: self.of_node.iter().map(Vec::len).sum(),
            accepted: self.seen.accepted,
            commands: self.seen.commands,
            cpu: own_cpu() - self.seen.cpu_before,
            elapsed: now.since(self.seen.since),
        }
    }

    fn accept(&mut self, node: NodeId) -> io::Result<()> {
        // The kernel keeps them until it goes on.
        if self.world.nodes[node].life == Life::Hung {
            return Ok(());
        }
        loop {
            let Some(listener) = &self.listeners[node] else { return Ok(()) };
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            // Fails only for a connection that is gone already.
            let _ = stream.set_nodelay(true);
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let token = Token(self.listeners.len() + index);
            self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
            self.seen.accepted += 1;
            self.of_node[node].push(index);
            self.connections[index] = Some(Connection { stream, node, session: Session::new(), unread: false });
        }
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) {
        let Some(connection) = &mut self.connections[index] else { return };
        let node = connection.node;
        if self.world.nodes[node].life == Life::Hung {
            connection.unread = true;
            return;
        }
        connection.unread = false;
        let mut effects = Vec::new();
        let lives = loop {
            match connection.stream.read(buffer) {
                Ok(0) => break false,
                Ok(length) => {
                    let now = Micros::now();
                    let clients = self.of_node[node].len();
                    let bytes = &buffer[..length];
                    if !connection.session.received(bytes, &mut self.world, node, clients, now, &mut effects) {
                        break false;
                    }
                    // A short read has emptied the socket.
                    if length < buffer.len() {
                        break true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break false,
            }
        };
        if !connection.session.out.is_empty() {
            self.dirty.push(index);
        }
        for effect in effects {
            self.carry_out(effect, index, node);
        }
        if !lives {
            self.close(index);
        }
    }

    fn carry_out(&mut self, effect: Effect, index: usize, node: NodeId) {
        let now = Micros::now();
        self.seen.commands += 1;
        match effect {
            Effect::Pinged => {
                let pings = &mut self.pings[node];
                pings.first.get_or_insert(now);
                if let Some(last) = pings.last.replace(now) {
                    pings.worst_gap = pings.worst_gap.max(now.since(last));
                }
            }
            Effect::Promoted => self.seen.promoted.push((node, now)),
            Effect::Demoted => self.seen.demoted += 1,
            Effect::Publish { channel, payload } => {
                for other in self.of_node[node].iter().copied().filter(|it| *it != index) {
                    if let Some(connection) = &mut self.connections[other]
                        && connection.session.subscribed
                    {
                        connection.session.message(&channel, &payload);
                        self.dirty.push(other);
                    }
                }
            }
            Effect::Kill { subscribed } => {
                for other in self.of_node[node].clone() {
                    let concerned = self.connections[other].as_ref();
                    if other != index && concerned.is_some_and(|it| it.session.subscribed == subscribed) {
                        self.close(other);
                    }
                }
            }
        }
    }

    fn flush(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        while !connection.session.out.is_empty() {
            match connection.stream.write(&connection.session.out) {
                Ok(written) if written == connection.session.out.len() => {
                    connection.session.out.clear();
                    connection.session.out.shrink_to(512);
                }
                Ok(0) => return self.close(index),
                Ok(written) => drop(connection.session.out.drain(..written)),
                // The rest leaves when there is room.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.close(index),
            }
        }
    }

    fn close(&mut self, index: usize) {
        if let Some(connection) = self.connections[index].take() {
            self.of_node[connection.node].retain(|it| *it != index);
            self.free.push(index);
        }
    }
}

/// Listens on the same port of every address: the one that the system gives the first.
fn listen_on_all(addresses: &[Ipv4Addr]) -> io::Result<(u16, Vec<TcpListener>)> {
    let mut port = 0;
    let mut listeners = Vec::with_capacity(addresses.len());
    for ip in addresses {
        let listener = TcpListener::bind(SocketAddrV4::new(*ip, port).into())?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok((port, listeners))
}
