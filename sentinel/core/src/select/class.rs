use std::fmt;

/// How much is known of what a candidate holds. A better class comes first, whatever the priorities and offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Class {
    /// Its link to the master was up until the master died, as far as can be told: it lacks what was on its way.
    Linked,
    /// It lost the master before that, or has been restarted from a file that tells its offset; its data are of the
    /// same stream, and how far it has come is known.
    SameLineage,
    /// It was restarted from a file that tells no offset, and was in sync before that.
    Reloaded,
    /// It was the master before the present one, and has not followed since.
    FormerMaster,
    /// It was started as a master that nobody had made one, and has not followed since: its file may be an old one, and what it
    /// has taken in besides went a way of its own.
    Astray,
    /// It holds nothing.
    Empty,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Class::Linked => "linked until the master died",
            Class::SameLineage => "linked before, same lineage",
            Class::Reloaded => "was in sync, restarted from a file",
            Class::FormerMaster => "a former master that has not followed since",
            Class::Astray => "was a master by itself, and has not followed since",
            Class::Empty => "empty",
        })
    }
}
