//! Sets of commands, and the categories that have names.

use std::sync::LazyLock;

use crate::commands::{self, Command};

/// How many commands a set can hold. The table has about a hundred; a test watches over it.
const CAPACITY: usize = 256;

/// Stands for the commands that are not known yet: who may run everything may run those, too.
const FUTURE: u8 = u8::MAX;

/// The commands that someone may run, by their [`permit`](Command::permit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CommandSet([u64; CAPACITY / 64]);

impl CommandSet {
    /// No command.
    pub(super) const NONE: Self = Self([0; CAPACITY / 64]);
    /// Every command, those of the future among them.
    pub(super) const ALL: Self = Self([u64::MAX; CAPACITY / 64]);

    /// Whether a command is among them.
    pub(super) fn contains(&self, command: &Command) -> bool {
        self.has(command.permit)
    }

    /// Whether commands of the future are among them.
    pub(super) fn contains_future(&self) -> bool {
        self.has(FUTURE)
    }

    /// Whether the command with this permit is among them.
    pub(super) const fn has(&self, permit: u8) -> bool {
        self.0[permit as usize / 64] & (1 << (permit % 64)) != 0
    }

    /// Adds a command, or takes it out.
    pub(super) fn set(&mut self, command: &Command, member: bool) {
        let (word, bit) = (usize::from(command.permit) / 64, 1 << (command.permit % 64));
        if member {
            self.0[word] |= bit;
        } else {
            self.0[word] &= !bit;
        }
    }

    /// Adds all these commands, or takes them out.
    pub(super) fn set_all(&mut self, others: &Self, member: bool) {
        for (mine, other) in self.0.iter_mut().zip(&others.0) {
            *mine = if member { *mine | other } else { *mine & !other };
        }
    }

    /// How many of these commands are among them, and how many are not.
    pub(super) fn split(&self, others: &Self) -> (u32, u32) {
        let pairs = self.0.iter().zip(&others.0);
        pairs.fold((0, 0), |(inside, outside), (mine, other)| {
            (inside + (mine & other).count_ones(), outside + (other & !mine).count_ones())
        })
    }
}

/// What `+@name` and `-@name` are about.
#[derive(Debug)]
pub(super) struct Category {
    /// Without `@`.
    pub(super) name: &'static str,
    /// What such a rule permits: its commands, and with a container all that it contains.
    pub(super) permits: CommandSet,
    /// The commands that are of it themselves. A user is described by the categories that fit these best.
    pub(super) members: CommandSet,
}

impl Category {
    /// All of them, in the reference's order.
    pub(super) fn all() -> &'static [Self] {
        static CATEGORIES: LazyLock<Vec<Category>> =
            LazyLock::new(|| commands::CATEGORIES.iter().map(|name| Category::new(name)).collect());
        &CATEGORIES
    }

    /// The one of that name in any case.
    pub(super) fn named(name: &[u8]) -> Option<&'static Self> {
        Self::all().iter().find(|known| name.eq_ignore_ascii_case(known.name.as_bytes()))
    }

    fn new(name: &'static str) -> Self {
        let mut category = Self { name, permits: CommandSet::NONE, members: CommandSet::NONE };
        for command in commands::commands().iter().filter(|command| command.is_counted()) {
            category.add(command);
            for subcommand in &command.subcommands {
                category.add(subcommand);
            }
        }
        category
    }

    fn add(&mut self, command: &Command) {
        if command.categories.contains(&self.name) {
            for permitted in command.subcommands.iter().chain([command]) {
                self.permits.set(permitted, true);
            }
            self.members.set(command, true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::commands;

    #[test]
    fn every_command_fits_beside_those_of_the_future() {
        let all = commands().iter().flat_map(|command| command.subcommands.iter().chain([command]));
        let most = all.map(|command| command.permit).max();
        assert!(most.is_some_and(|most| most < FUTURE), "{most:?}");
    }

    #[test]
    fn a_command_is_taken_out_alone() {
        let [first, second, ..] = commands() else { panic!("two commands") };
        let mut set = CommandSet::ALL;
        set.set(first, false);
        assert!(!set.contains(first) && set.contains(second) && set.contains_future());
        set.set(first, true);
        assert_eq!(set, CommandSet::ALL);
    }
}
