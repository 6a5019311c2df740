//! What may happen next.

use std::{fmt, str::FromStr};

use crate::place::Place;

/// One thing that happens. A history is a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The next timer of a Sentinel is due: its clock goes there.
    Timer(Place),
    /// Its write has ended well.
    Written(Place),
    /// Its write has failed; the next one begins.
    WriteFails(Place),
    /// It ends without notice and starts from its disk. Whether the write under way got there, is told.
    Crash(Place, bool),
    /// The first request on the link from a Sentinel is served.
    Serve(Place, Place),
    /// The first answer on that link comes back.
    Answer(Place, Place),
    /// The link is cut, and all that is under way on it is lost.
    Cut(Place, Place),
    /// The Sentinel notices that the link is gone.
    Notice(Place, Place),
    /// An operator asks a Sentinel for a failover.
    Failover(Place),
}

impl Action {
    /// In two bytes.
    pub fn pack(self) -> u16 {
        let (kind, from, to) = match self {
            Action::Timer(of) => (0, of, Place(0)),
            Action::Written(of) => (1, of, Place(0)),
            Action::WriteFails(of) => (2, of, Place(0)),
            Action::Crash(of, kept) => (3, of, Place(u8::from(kept))),
            Action::Serve(from, to) => (4, from, to),
            Action::Answer(from, to) => (5, from, to),
            Action::Cut(from, to) => (6, from, to),
            Action::Notice(from, to) => (7, from, to),
            Action::Failover(of) => (8, of, Place(0)),
        };
        kind << 8 | u16::from(from.0) << 4 | u16::from(to.0)
    }

    /// Out of two bytes.
    ///
    /// # Panics
    ///
    /// If it is none.
    pub fn unpack(packed: u16) -> Self {
        let place = |shift: u16| Place(u8::try_from(packed >> shift & 15).expect("four bits"));
        let (from, to) = (place(4), place(0));
        match packed >> 8 {
            0 => Action::Timer(from),
            1 => Action::Written(from),
            2 => Action::WriteFails(from),
            3 => Action::Crash(from, to.0 == 1),
            4 => Action::Serve(from, to),
            5 => Action::Answer(from, to),
            6 => Action::Cut(from, to),
            7 => Action::Notice(from, to),
            8 => Action::Failover(from),
            _ => panic!("not an action"),
        }
    }

    /// What happens, in words.
    pub fn words(self) -> String {
        match self {
            Action::Timer(of) => format!("{of}: its next timer is due"),
            Action::Written(of) => format!("{of}: its write has ended well"),
            Action::WriteFails(of) => format!("{of}: its write has failed"),
            Action::Crash(of, true) => format!("{of}: crashes, its write is on the disk, and starts again"),
            Action::Crash(of, false) => format!("{of}: crashes, and starts again from its disk"),
            Action::Serve(from, to) => format!("{to}: serves the next request of {from}"),
            Action::Answer(from, to) => format!("{from}: the next answer of {to} comes"),
            Action::Cut(from, to) => format!("the link from {from} to {to} is cut"),
            Action::Notice(from, to) => format!("{from}: notices that its link to {to} is gone"),
            Action::Failover(of) => format!("{of}: SENTINEL FAILOVER"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Timer(of) => write!(f, "t{of}"),
            Action::Written(of) => write!(f, "w{of}"),
            Action::WriteFails(of) => write!(f, "f{of}"),
            Action::Crash(of, true) => write!(f, "x{of}"),
            Action::Crash(of, false) => write!(f, "y{of}"),
            Action::Serve(from, to) => write!(f, "s{from}{to}"),
            Action::Answer(from, to) => write!(f, "a{from}{to}"),
            Action::Cut(from, to) => write!(f, "c{from}{to}"),
            Action::Notice(from, to) => write!(f, "n{from}{to}"),
            Action::Failover(of) => write!(f, "o{of}"),
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no action");
        let mut letters = text.chars();
        let kind = letters.next().ok_or_else(wrong)?;
        let places: Option<Vec<Place>> = letters.map(Place::lettered).collect();
        Ok(match (kind, places.ok_or_else(wrong)?.as_slice()) {
            ('t', [of]) => Action::Timer(*of),
            ('w', [of]) => Action::Written(*of),
            ('f', [of]) => Action::WriteFails(*of),
            ('x', [of]) => Action::Crash(*of, true),
            ('y', [of]) => Action::Crash(*of, false),
            ('s', [from, to]) => Action::Serve(*from, *to),
            ('a', [from, to]) => Action::Answer(*from, *to),
            ('c', [from, to]) => Action::Cut(*from, *to),
            ('n', [from, to]) => Action::Notice(*from, *to),
            ('o', [of]) => Action::Failover(*of),
            _ => return Err(wrong()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_the_same_packed_and_written() {
        let (a, c, r) = (Place(0), Place(2), Place(4));
        for action in [
            Action::Timer(a),
            Action::Written(c),
            Action::WriteFails(a),
            Action::Crash(c, true),
            Action::Crash(c, false),
            Action::Serve(a, r),
            Action::Answer(c, a),
            Action::Cut(a, c),
            Action::Notice(c, r),
            Action::Failover(a),
        ] {
            assert_eq!(Action::unpack(action.pack()), action);
            assert_eq!(action.to_string().parse(), Ok(action));
        }
        assert!("t".parse::<Action>().is_err() && "zA".parse::<Action>().is_err() && "tX".parse::<Action>().is_err());
    }
}
