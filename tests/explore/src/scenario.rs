//! The small worlds that are looked at, and how each begins.

use std::{sync::Arc, time::Duration};

use sentinel_core::{
    MasterSnapshot, Snapshot,
    settings::{GlobalSettings, MasterSettings, Timing},
    types::{Epoch, MasterName, Quorum},
};

use crate::{
    action::Action,
    effect::Effect,
    local::Local,
    node::Nodes,
    place::{Place, SENTINELS},
    table::{LocalId, Table},
    world::{Budget, Outcome, World},
};

/// How far things have gone when the search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// All is well, and stays so until somebody asks for something else.
    Well,
    /// The master is dead; nobody holds it for down yet.
    Dead,
    /// Everybody knows that everybody holds it for down: anybody may stand at once.
    Agreed,
}

/// A small world.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// How it begins.
    pub begin: Begin,
    /// How many replicas there are.
    pub replicas: usize,
    /// Under how many names the master is monitored.
    pub names: usize,
    /// The quorum.
    pub quorum: i64,
    /// What may go wrong.
    pub budget: Budget,
}

const NOTHING: Budget =
    Budget { timers: 0, cuts: 0, crashes: 0, failed_writes: 0, failovers: 0, slow_disks: false, failing_disk: None };

/// All of them.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "failover",
        about: "from +sdown on, all that may go wrong: links, a crash, a write",
        begin: Begin::Dead,
        replicas: 2,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 12, cuts: 2, crashes: 1, failed_writes: 1, slow_disks: true, ..NOTHING },
    },
    Scenario {
        name: "election",
        about: "elections and a switch, writes that take their time",
        begin: Begin::Agreed,
        replicas: 1,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 4, slow_disks: true, ..NOTHING },
    },
    Scenario {
        name: "votes",
        about: "elections in a row, prompt writes",
        begin: Begin::Agreed,
        replicas: 1,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 5, ..NOTHING },
    },
    Scenario {
        name: "cuts",
        about: "two links are cut, prompt writes",
        begin: Begin::Agreed,
        replicas: 1,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 3, cuts: 2, ..NOTHING },
    },
    Scenario {
        name: "crash",
        about: "a crash and a restart, quorum 1",
        begin: Begin::Agreed,
        replicas: 1,
        names: 1,
        quorum: 1,
        budget: Budget { timers: 4, crashes: 1, slow_disks: true, ..NOTHING },
    },
    Scenario {
        name: "disks",
        about: "two writes fail",
        begin: Begin::Agreed,
        replicas: 1,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 3, failed_writes: 2, slow_disks: true, ..NOTHING },
    },
    Scenario {
        name: "full-disk",
        about: "every write of one Sentinel fails",
        begin: Begin::Agreed,
        replicas: 1,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 4, failing_disk: Some(Place(2)), slow_disks: true, ..NOTHING },
    },
    Scenario {
        name: "two-names",
        about: "the dead master is monitored under two names, prompt writes",
        begin: Begin::Agreed,
        replicas: 1,
        names: 2,
        quorum: 2,
        budget: Budget { timers: 3, ..NOTHING },
    },
    Scenario {
        name: "forced",
        about: "two failovers of a master that is well are asked for, a link is cut",
        begin: Begin::Well,
        replicas: 2,
        names: 1,
        quorum: 2,
        budget: Budget { timers: 2, failovers: 2, cuts: 1, ..NOTHING },
    },
];

/// The world with this name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// The world at its beginning.
    ///
    /// # Panics
    ///
    /// If a rule is broken before anything went wrong.
    pub(crate) fn world(&self, table: &Table) -> World {
        let mut starts: Vec<(Place, Vec<Effect>)> = Vec::new();
        let mut locals = Vec::new();
        for of in Place::sentinels() {
            let (local, effects) = Local::start(of, self.snapshot(of), &timing(), &table.words);
            locals.push(local);
            starts.push((of, effects));
        }
        let locals: [LocalId; SENTINELS] = table.number_starts(locals).try_into().expect("one for each");
        let mut world = World::new(locals, Nodes::new(self.replicas));
        world.allow(Budget { timers: u8::MAX, slow_disks: true, ..NOTHING });
        for (of, effects) in &starts {
            fine(&world.settle(*of, effects, table));
        }
        calm(&mut world, table);
        if self.begin != Begin::Well {
            world.kill(Place::node(0));
            calm(&mut world, table);
            for of in Place::sentinels() {
                // It dials at once when a link is lost.
                let again = |world: &World| table.local(world.local(of)).due_in() == Some(Duration::ZERO);
                while again(&world) {
                    happens(&mut world, Action::Timer(of), table);
                }
            }
        }
        if self.begin == Begin::Agreed {
            for of in Place::sentinels() {
                happens(&mut world, Action::Timer(of), table);
            }
            calm(&mut world, table);
        }
        world.allow(self.budget);
        world
    }

    fn snapshot(&self, of: Place) -> Snapshot {
        let mut settings = MasterSettings::new(Quorum::new(self.quorum).expect("a quorum"));
        settings.down_after = Duration::from_secs(1);
        settings.failover_timeout = Duration::from_millis(100);
        settings.ping_period = Some(LONG);
        settings.lossless_failover = false;
        let masters = ["m", "n"].into_iter().take(self.names).map(|name| {
            let name = MasterName::new(name).expect("a name");
            let mut master = MasterSnapshot::new(name, Place::node(0).addr(), settings.clone());
            // One failover lies behind them, so that there is a configuration that could be contradicted.
            master.config_epoch = Epoch::new(1);
            master.leader_epoch = Epoch::new(1);
            master.replicas = (1..=self.replicas).map(|number| Place::node(number).addr()).collect();
            master.peers = Place::sentinels().filter(|peer| *peer != of).map(|peer| (peer.id(), peer.addr())).collect();
            Arc::new(master)
        });
        let masters = masters.collect();
        Snapshot { id: of.id(), current_epoch: Epoch::new(1), globals: Arc::new(GlobalSettings::default()), masters }
    }
}

/// Longer than any history.
const LONG: Duration = Duration::from_secs(3_600);

/// What is periodic says nothing within a history, and what is random has no length.
fn timing() -> Timing {
    Timing {
        info_period: LONG,
        urgent_info_period: LONG,
        reconf_info_period: LONG,
        ping_period: LONG,
        publish_period: LONG,
        min_link_reconnect_period: LONG,
        ask_period: Duration::from_secs(5),
        election_timeout: Duration::from_millis(100),
        nomination_delay: Duration::ZERO,
        lost_election_delay: Duration::from_millis(1),
        max_lost_election_delay: Duration::from_millis(1),
        ..Timing::default()
    }
}

/// Everything under way arrives.
fn calm(world: &mut World, table: &Table) {
    let mut actions = Vec::new();
    loop {
        actions.clear();
        world.actions(table, &mut actions);
        let next = actions.iter().find(|action| !matches!(action, Action::Timer(_)));
        let Some(action) = next else { return };
        happens(world, *action, table);
    }
}

fn happens(world: &mut World, action: Action, table: &Table) {
    fine(&world.apply(action, table, &mut |_, _, _| {}));
}

fn fine(outcome: &Outcome) {
    assert_eq!(*outcome, Outcome::Fine, "before anything went wrong");
}
