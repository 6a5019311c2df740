//! An application: it asks a Sentinel for the master, writes numbered values there, and remembers what was acknowledged.

use sentinel_core::types::HostPort;

use crate::{
    node::Reign,
    packet::{Packet, Purpose},
    physics::{ConnId, DIALER, Event, HostId, Physics},
    rng::Rng,
    say,
    time::{MS, SEC, Time},
};

/// How long it waits for an answer before it begins anew.
const PATIENCE: Time = 1_500 * MS;

/// A value that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// The value.
    pub value: u32,
    /// When.
    pub at: Time,
    /// By which master, while it was one.
    pub by: Reign,
    /// All Sentinels named another master already.
    pub overruled: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Idle,
    Asking(ConnId),
    Dialing(ConnId),
    Connected(ConnId),
    Writing(ConnId, u32),
}

/// An application.
#[derive(Debug)]
pub struct App {
    /// Where it runs.
    pub host: HostId,
    /// Which group it writes to.
    pub group: usize,
    /// How many replicas must have a value before it counts (WAIT); 0: the master's word is enough.
    pub wait: usize,
    /// Time between two writes.
    pub period: Time,
    sentinels: Vec<HostPort>,
    state: State,
    turn: u64,
    next_value: u32,
    /// What was acknowledged.
    pub acknowledged: Vec<Acknowledged>,
    rng: Rng,
}

impl App {
    /// An application that knows these Sentinels.
    pub fn new(host: HostId, group: usize, wait: usize, period: Time, sentinels: Vec<HostPort>, seed: u64) -> Self {
        let number = u32::try_from(host).unwrap_or(0);
        App {
            host,
            group,
            wait,
            period,
            sentinels,
            state: State::Idle,
            turn: 0,
            next_value: number << 20,
            acknowledged: Vec::new(),
            rng: Rng::new(seed, &format!("app {host}")),
        }
    }

    /// Begins.
    pub fn start(&mut self, physics: &mut Physics) {
        let first = 3 * SEC + self.rng.below(self.period);
        physics.after(first, Event::Cron { host: self.host, life: 0 });
    }

    /// A Sentinel has another address.
    pub fn sentinel_moved(&mut self, index: usize, to: HostPort) {
        if let Some(known) = self.sentinels.get_mut(index) {
            *known = to;
        }
    }

    /// Time for the next write.
    pub fn cron(&mut self, physics: &mut Physics) {
        physics.after(self.period, Event::Cron { host: self.host, life: 0 });
        match self.state {
            State::Idle => self.ask(physics),
            State::Connected(conn) => self.write(physics, conn),
            State::Asking(_) | State::Dialing(_) | State::Writing(..) => {}
        }
    }

    fn ask(&mut self, physics: &mut Physics) {
        let sentinel = self.sentinels[self.rng.index(self.sentinels.len())].clone();
        let conn = physics.dial(self.host, &sentinel, Purpose::Ask);
        self.enter(physics, State::Asking(conn));
    }

    fn write(&mut self, physics: &mut Physics, conn: ConnId) {
        self.next_value += 1;
        physics.send(conn, DIALER, Packet::Write { value: self.next_value, wait: self.wait });
        self.enter(physics, State::Writing(conn, self.next_value));
    }

    fn enter(&mut self, physics: &mut Physics, state: State) {
        self.state = state;
        self.turn += 1;
        if self.state != State::Idle && !matches!(self.state, State::Connected(_)) {
            physics.after(PATIENCE, Event::Impatient { host: self.host, turn: self.turn });
        }
    }

    fn give_up(&mut self, physics: &mut Physics) {
        let conn = match self.state {
            State::Idle => return,
            State::Asking(conn) | State::Dialing(conn) | State::Connected(conn) | State::Writing(conn, _) => conn,
        };
        physics.close(conn, DIALER);
        self.enter(physics, State::Idle);
    }

    /// It has waited for long enough.
    pub fn impatient(&mut self, physics: &mut Physics, turn: u64) {
        if turn == self.turn {
            self.give_up(physics);
        }
    }

    /// A connection could be opened, or not.
    pub fn dialed(&mut self, physics: &mut Physics, conn: ConnId, up: bool) {
        if !matches!(self.state, State::Asking(it) | State::Dialing(it) if it == conn) {
            physics.close(conn, DIALER);
        } else if !up {
            self.give_up(physics);
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, physics: &mut Physics, conn: ConnId) {
        if matches!(
            self.state,
            State::Asking(it) | State::Dialing(it) | State::Connected(it) | State::Writing(it, _) if it == conn
        ) {
            self.give_up(physics);
        }
    }

    /// A message came.
    pub fn received(&mut self, physics: &mut Physics, conn: ConnId, packet: Packet) {
        match (packet, &self.state) {
            (Packet::Ready, State::Asking(it)) if *it == conn => {
                physics.send(conn, DIALER, Packet::AskMaster { group: self.group });
            }
            (Packet::MasterIs(answer), State::Asking(it)) if *it == conn => {
                self.give_up(physics);
                if let Some(addr) = answer {
                    let conn = physics.dial(self.host, &addr, Purpose::Write);
                    self.enter(physics, State::Dialing(conn));
                }
            }
            (Packet::Ready, State::Dialing(it)) if *it == conn => {
                self.write(physics, conn);
            }
            (Packet::Written { value, replicas, reign, overruled }, State::Writing(it, expected))
                if *it == conn && value == *expected =>
            {
                if replicas >= self.wait {
                    self.acknowledged.push(Acknowledged { value, at: physics.now(), by: reign, overruled });
                }
                self.enter(physics, State::Connected(conn));
            }
            (Packet::Refused { value, why }, State::Writing(it, expected)) if *it == conn && value == *expected => {
                say!(physics, "app {} is refused: {why}", self.host);
                self.give_up(physics);
            }
            _ => {}
        }
    }
}
