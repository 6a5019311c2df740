//! Who is there: three Sentinels, and the data nodes of one master.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use sentinel_core::types::{Host, HostPort, SentinelId};

/// How many Sentinels there are.
pub const SENTINELS: usize = 3;
/// How many data nodes there may be.
pub const NODES: usize = DATA_NODES as usize;
const DATA_NODES: u8 = 3;
/// All of them. Data nodes have two: a second link leads there from a Sentinel that knows them under two names.
pub const PLACES: usize = SENTINELS + 2 * NODES;

/// A process, counted from the first Sentinel: those come first, then the data nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u8);

impl Place {
    /// All Sentinels.
    pub fn sentinels() -> impl Iterator<Item = Place> {
        (0..SENTINELS).map(Place::of)
    }

    /// All places, whether somebody is there or not.
    pub fn all() -> impl Iterator<Item = Place> {
        (0..PLACES).map(Place::of)
    }

    /// The place with this number.
    ///
    /// # Panics
    ///
    /// Never: there are a few.
    pub fn of(number: usize) -> Place {
        Place(u8::try_from(number).expect("a few places"))
    }

    /// A data node, counted from the master of the beginning.
    pub fn node(number: usize) -> Place {
        Place::of(SENTINELS + number)
    }

    /// Its number.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The data node at the other end of a second link to it; everybody else is himself.
    #[must_use]
    pub const fn process(self) -> Place {
        if self.index() >= SENTINELS + NODES { Place(self.0 - DATA_NODES) } else { self }
    }

    /// The second link to a data node.
    #[must_use]
    pub const fn second_link(self) -> Place {
        Place(self.process().0 + DATA_NODES)
    }

    /// Whether a Sentinel runs there.
    pub const fn is_sentinel(self) -> bool {
        self.index() < SENTINELS
    }

    /// Its address.
    pub fn addr(self) -> HostPort {
        let port = if self.is_sentinel() { 26_379 } else { 6_379 };
        HostPort::new(Host::Ip(self.ip()), port)
    }

    /// Its address, without the port.
    pub const fn ip(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.process().0 + 1))
    }

    /// Who is at an address.
    pub fn at(addr: &HostPort) -> Option<Place> {
        Place::all().find(|place| place.addr() == *addr)
    }

    /// The id of a Sentinel.
    ///
    /// # Panics
    ///
    /// Never: forty letters are an id.
    pub fn id(self) -> SentinelId {
        SentinelId::new(&self.letter().to_ascii_lowercase().to_string().repeat(40)).expect("an id")
    }

    /// The Sentinel with an id.
    pub fn with_id(id: &str) -> Option<Place> {
        Place::sentinels().find(|place| place.id().as_str() == id)
    }

    /// `A`, `B`, `C` are Sentinels; `M` is the master of the beginning, `R` and `S` are its replicas. Small letters stand for
    /// second links to them.
    pub fn letter(self) -> char {
        ['A', 'B', 'C', 'M', 'R', 'S', 'm', 'r', 's'][self.index()]
    }

    /// The place with this letter.
    pub fn lettered(letter: char) -> Option<Place> {
        Place::all().find(|place| place.letter() == letter)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.letter())
    }
}
