//! A world: three Sentinels, what is under way between them, the data nodes, and what may still go wrong.

use std::sync::Arc;

use crate::{
    action::Action,
    effect::Effect,
    ghost::{Ghost, Judgement},
    local::Stimulus,
    node::Nodes,
    place::{NODES, PLACES, Place, SENTINELS},
    symmetry::{Images, Renaming},
    table::{LocalId, Table, Traits},
    words::{Packet, PacketId},
};

/// So many packets are under way on one link, in one direction, at most.
const LONGEST: usize = 7;

/// Packets under way, first come, first served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Fifo {
    packets: [PacketId; LONGEST],
    length: u8,
}

impl Fifo {
    const fn is_empty(self) -> bool {
        self.length == 0
    }

    /// False: there is no room.
    fn push(&mut self, packet: PacketId) -> bool {
        let Some(place) = self.packets.get_mut(usize::from(self.length)) else { return false };
        *place = packet;
        self.length += 1;
        true
    }

    fn pop(&mut self) -> Option<PacketId> {
        if self.length == 0 {
            return None;
        }
        let first = self.packets[0];
        self.packets.rotate_left(1);
        self.packets[LONGEST - 1] = 0;
        self.length -= 1;
        Some(first)
    }

    fn all(&self) -> &[PacketId] {
        &self.packets[..usize::from(self.length)]
    }
}

/// How far the link from a Sentinel to somebody is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
enum LinkState {
    /// There is none, or nobody answers to the dialling.
    #[default]
    None,
    /// It carries packets.
    Up,
    /// It is gone, and the Sentinel has not noticed.
    Gone,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Link {
    state: LinkState,
    requests: Fifo,
    answers: Fifo,
}

impl Link {
    fn renamed(&self, mut packet: impl FnMut(PacketId) -> PacketId) -> Self {
        let mut link = *self;
        for fifo in [&mut link.requests, &mut link.answers] {
            for it in &mut fifo.packets[..usize::from(fifo.length)] {
                *it = packet(*it);
            }
        }
        link
    }
}

/// How often each thing may still go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Timers that are due.
    pub timers: u8,
    /// Links cut, with all that is under way on them.
    pub cuts: u8,
    /// Crashes of a Sentinel.
    pub crashes: u8,
    /// Writes that fail.
    pub failed_writes: u8,
    /// Failovers that an operator asks for.
    pub failovers: u8,
    /// Whether writes take time. Else each has ended before anything else happens.
    pub slow_disks: bool,
    /// The Sentinel whose every write fails.
    pub failing_disk: Option<Place>,
}

/// A state of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct World {
    locals: [LocalId; SENTINELS],
    links: [[Link; PLACES]; SENTINELS],
    nodes: Nodes,
    budget: Budget,
    ghost: Ghost,
}

/// How an action ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Fine,
    /// In something that is not looked at: an epoch or a queue too long.
    Beyond,
    /// A rule is broken.
    Broken(String),
}

impl World {
    /// A world with nothing under way. The effects of the starts are yet to be applied.
    pub(crate) fn new(locals: [LocalId; SENTINELS], nodes: Nodes) -> Self {
        World { locals, links: Default::default(), nodes, budget: Budget::default(), ghost: Ghost::default() }
    }

    /// What may go wrong from now on.
    pub(crate) fn allow(&mut self, budget: Budget) {
        self.budget = budget;
    }

    /// The state of a Sentinel.
    pub(crate) const fn local(&self, of: Place) -> LocalId {
        self.locals[of.index()]
    }

    /// A data node dies: its links are gone, and nobody answers to the next dialling.
    pub(crate) fn kill(&mut self, node: Place) {
        self.nodes.kill(node);
        for from in Place::sentinels() {
            for end in [node, node.second_link()] {
                let link = self.link(from, end);
                if link.state == LinkState::Up {
                    *link = Link { state: LinkState::Gone, ..Link::default() };
                }
            }
        }
    }

    /// All that may happen next.
    pub(crate) fn actions(&self, table: &Table, to: &mut Vec<Action>) {
        let traits: [Traits; SENTINELS] = self.locals.map(|id| table.traits(id));
        for of in Place::sentinels() {
            let it = traits[of.index()];
            if it.due && self.budget.timers > 0 {
                to.push(Action::Timer(of));
            }
            if it.writing {
                let fails = self.budget.failing_disk == Some(of);
                if !fails {
                    to.push(Action::Written(of));
                }
                if fails || self.budget.failed_writes > 0 {
                    to.push(Action::WriteFails(of));
                }
            }
            if self.budget.crashes > 0 {
                to.push(Action::Crash(of, false));
                if it.writing {
                    to.push(Action::Crash(of, true));
                }
            }
            if self.budget.failovers > 0 {
                to.push(Action::Failover(of));
            }
            for other in Place::all() {
                let link = &self.links[of.index()][other.index()];
                let busy = other.is_sentinel() && traits[other.index()].asked & 1 << of.0 != 0;
                match link.state {
                    LinkState::None => {}
                    LinkState::Gone => to.push(Action::Notice(of, other)),
                    LinkState::Up => {
                        if !link.requests.is_empty() && !busy {
                            to.push(Action::Serve(of, other));
                        }
                        if !link.answers.is_empty() {
                            to.push(Action::Answer(of, other));
                        }
                        let carries = !link.requests.is_empty() || !link.answers.is_empty() || busy;
                        if carries && self.budget.cuts > 0 {
                            to.push(Action::Cut(of, other));
                        }
                    }
                }
            }
        }
    }

    /// Lets something happen. `told` hears of each step of a Sentinel before it is taken.
    pub(crate) fn apply(
        &mut self,
        action: Action,
        table: &Table,
        told: &mut dyn FnMut(Place, LocalId, Stimulus),
    ) -> Outcome {
        let mut run = Run { world: self, table, told, todo: Vec::new(), outcome: Outcome::Fine };
        run.begin(action);
        run.go_on();
        run.outcome
    }

    /// Applies effects that came from outside an action: those of a start.
    pub(crate) fn settle(&mut self, who: Place, effects: &[Effect], table: &Table) -> Outcome {
        let mut run = Run { world: self, table, told: &mut |_, _, _| {}, todo: Vec::new(), outcome: Outcome::Fine };
        run.todo.extend(effects.iter().rev().map(|effect| Todo::Effect(who, effect.clone())));
        run.go_on();
        run.outcome
    }

    fn link(&mut self, from: Place, to: Place) -> &mut Link {
        &mut self.links[from.index()][to.index()]
    }

    /// The same under other names of the Sentinels.
    pub(crate) fn renamed(&self, to: Renaming, table: &Table, known: &mut Images) -> Self {
        let mut world = *self;
        world.ghost = self.ghost.renamed(to);
        world.budget.failing_disk = self.budget.failing_disk.map(|of| to.place(of));
        for from in Place::sentinels() {
            let place = to.place(from).index();
            world.locals[place] = table.images(known, self.local(from))[to.index()];
            for (end, link) in Place::all().zip(&self.links[from.index()]) {
                let link = link.renamed(|packet| table.packet_images(known, packet)[to.index()]);
                world.links[place][to.place(end).index()] = link;
            }
        }
        world
    }

    /// As bytes: equal worlds give equal ones.
    pub(crate) fn write(&self, to: &mut Vec<u8>) {
        for id in self.locals {
            to.extend(id.to_le_bytes());
        }
        to.extend(self.nodes.bytes());
        let Budget { timers, cuts, crashes, failed_writes, failovers, slow_disks, failing_disk } = self.budget;
        let disks = u8::from(slow_disks) << 4 | failing_disk.map_or(0, |of| of.0 + 1);
        to.extend([timers, cuts << 4 | crashes, failed_writes << 4 | failovers, disks]);
        self.ghost.write(to);
        for link in self.links.iter().flatten() {
            to.push((link.state as u8) << 6 | link.requests.length << 3 | link.answers.length);
            for packet in link.requests.all().iter().chain(link.answers.all()) {
                to.extend(packet.to_le_bytes());
            }
        }
    }

    /// From them.
    ///
    /// # Panics
    ///
    /// If they are no world.
    pub(crate) fn read(mut from: &[u8]) -> Self {
        let from = &mut from;
        let locals = [(); SENTINELS].map(|()| LocalId::from_le_bytes(take(from)));
        let nodes = Nodes::from_bytes(take::<NODES>(from));
        let [timers, first, second, disks] = take(from);
        let budget = Budget {
            timers,
            cuts: first >> 4,
            crashes: first & 15,
            failed_writes: second >> 4,
            failovers: second & 15,
            slow_disks: disks >> 4 == 1,
            failing_disk: (disks & 15).checked_sub(1).map(Place),
        };
        let ghost = Ghost::read(from);
        let mut world = World { locals, links: Default::default(), nodes, budget, ghost };
        for link in world.links.iter_mut().flatten() {
            let [shape] = take(from);
            link.state = [LinkState::None, LinkState::Up, LinkState::Gone][usize::from(shape >> 6)];
            for (fifo, length) in [(&mut link.requests, shape >> 3 & 7), (&mut link.answers, shape & 7)] {
                fifo.length = length;
                for packet in &mut fifo.packets[..usize::from(length)] {
                    *packet = PacketId::from_le_bytes(take(from));
                }
            }
        }
        world
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> [u8; N] {
    let (first, rest) = from.split_first_chunk().expect("enough bytes");
    *from = rest;
    *first
}

/// What is still to be done within one action.
#[derive(Debug)]
enum Todo {
    Step(Place, Stimulus),
    Effect(Place, Effect),
}

struct Run<'a> {
    world: &'a mut World,
    table: &'a Table,
    told: &'a mut dyn FnMut(Place, LocalId, Stimulus),
    /// The next thing is the last.
    todo: Vec<Todo>,
    outcome: Outcome,
}

impl Run<'_> {
    fn begin(&mut self, action: Action) {
        match action {
            Action::Timer(of) => {
                self.world.budget.timers -= 1;
                self.step(of, Stimulus::Timer);
            }
            Action::Written(of) => self.step(of, Stimulus::Written),
            Action::WriteFails(of) => {
                if self.world.budget.failing_disk != Some(of) {
                    self.world.budget.failed_writes -= 1;
                }
                self.step(of, Stimulus::WriteFailed);
            }
            Action::Failover(of) => {
                self.world.budget.failovers -= 1;
                self.step(of, Stimulus::Failover);
            }
            Action::Crash(of, kept) => {
                self.world.budget.crashes -= 1;
                self.step(of, Stimulus::Crash(kept));
                for other in Place::all() {
                    self.hang(of, other);
                    if other.is_sentinel() && other != of {
                        let link = self.world.link(other, of);
                        if link.state == LinkState::Up {
                            *link = Link { state: LinkState::Gone, ..Link::default() };
                        }
                    }
                }
            }
            Action::Serve(from, to) => {
                let Some(packet) = self.world.link(from, to).requests.pop() else { return };
                if to.is_sentinel() {
                    self.step(to, Stimulus::Request(from, packet));
                } else {
                    let answer = self.node_serves(to, packet);
                    let room = self.world.link(from, to).answers.push(answer);
                    self.needs(room);
                }
            }
            Action::Answer(from, to) => {
                if let Some(packet) = self.world.link(from, to).answers.pop() {
                    self.step(from, Stimulus::Answer(to, packet));
                }
            }
            Action::Cut(from, to) => {
                self.world.budget.cuts -= 1;
                self.hang(from, to);
                self.world.link(from, to).state = LinkState::Gone;
            }
            Action::Notice(from, to) => {
                *self.world.link(from, to) = Link::default();
                self.step(from, Stimulus::LinkDown(to));
            }
        }
    }

    fn go_on(&mut self) {
        while let Some(todo) = self.todo.pop() {
            match todo {
                Todo::Step(who, stimulus) => {
                    let id = self.world.locals[who.index()];
                    (self.told)(who, id, stimulus);
                    let step: Arc<_> = self.table.step(id, stimulus);
                    self.world.locals[who.index()] = step.next;
                    if !self.world.budget.slow_disks && self.table.traits(step.next).writing {
                        self.todo.push(Todo::Step(who, Stimulus::Written));
                    }
                    self.todo.extend(step.effects.iter().rev().map(|effect| Todo::Effect(who, effect.clone())));
                }
                Todo::Effect(who, effect) => self.effect(who, effect),
            }
        }
    }

    fn step(&mut self, who: Place, stimulus: Stimulus) {
        self.todo.push(Todo::Step(who, stimulus));
    }

    fn needs(&mut self, room: bool) {
        if !room && self.outcome == Outcome::Fine {
            self.outcome = Outcome::Beyond;
        }
    }

    /// The link is closed by the one who opened it, or cut: who is at work for it has nobody to answer to.
    fn hang(&mut self, from: Place, to: Place) {
        let link = self.world.link(from, to);
        let was_up = link.state == LinkState::Up;
        *link = Link::default();
        if was_up && to.is_sentinel() && self.table.traits(self.world.local(to)).asked & 1 << from.0 != 0 {
            self.step(to, Stimulus::PeerLeft(from));
        }
    }

    fn node_serves(&mut self, node: Place, packet: PacketId) -> PacketId {
        let Packet::Request(message) = self.table.words.packet(packet) else { return packet };
        let reply = self.world.nodes.serve(node, &message);
        self.table.words.answer(reply)
    }

    fn effect(&mut self, who: Place, effect: Effect) {
        match effect {
            Effect::Dial(to) => {
                *self.world.link(who, to) = Link::default();
                // Who lives is connected at once.
                if to.is_sentinel() || self.world.nodes.lives(to) {
                    self.world.link(who, to).state = LinkState::Up;
                    self.step(who, Stimulus::LinkUp(to));
                }
            }
            Effect::Hang(to) => self.hang(who, to),
            Effect::Send(to, packet) => self.send(who, to, packet),
            Effect::Answer(to, packet) => {
                let link = self.world.link(to, who);
                if link.state == LinkState::Up {
                    let room = link.answers.push(packet);
                    self.needs(room);
                }
            }
            Effect::Leads { name, epoch, forced } => {
                let judgement = self.world.ghost.leads(who, name, epoch, forced);
                self.judged(judgement);
            }
            Effect::Votes { epoch, leader } => {
                let judgement = self.world.ghost.votes(who, epoch, leader);
                self.judged(judgement);
            }
            Effect::Tells(hello) => {
                let judgement = self.world.ghost.tells(who, &hello);
                self.judged(judgement);
            }
            Effect::Broken(what) => self.judged(Judgement::Broken(what)),
        }
    }

    fn send(&mut self, from: Place, to: Place, packet: PacketId) {
        let link = *self.world.link(from, to);
        if link.state != LinkState::Up {
            return;
        }
        let idle = link.requests.is_empty() && link.answers.is_empty();
        if idle && !to.is_sentinel() && self.only_reads(packet) {
            // What only reads is answered at once.
            let answer = self.node_serves(to, packet);
            return self.step(from, Stimulus::Answer(to, answer));
        }
        let room = self.world.link(from, to).requests.push(packet);
        self.needs(room);
    }

    fn only_reads(&self, packet: PacketId) -> bool {
        matches!(self.table.words.packet(packet), Packet::Request(message) if Nodes::only_reads(&message))
    }

    fn judged(&mut self, judgement: Judgement) {
        match judgement {
            Judgement::Fine => {}
            Judgement::Beyond => self.needs(false),
            Judgement::Broken(what) => {
                if !matches!(self.outcome, Outcome::Broken(_)) {
                    self.outcome = Outcome::Broken(what);
                }
            }
        }
    }
}
