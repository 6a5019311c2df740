//! The canonical form of an engine: what decides about its future, and nothing else.
//!
//! A search through all histories needs to know when two of them have led to the same state. Two engines are in the same
//! state although one was started an hour earlier, has opened more links and has written more often. So the canonical
//! form is what [`Hash`] feeds to a [`Canonical`] hasher, and every type of the state *derives* `Hash`: a new field is
//! part of it without a thought. Only five things are taken relatively, each at one place:
//!
//! - an [`Instant`] counts from the present;
//! - a [`Seq`] counts from the newest state;
//! - a name that was given in order (a link, a request, a node, a client …) is the order in which names are met;
//! - a table from such names ([`Named`]) has the order of what they stand for;
//! - what is [`Remembered`] only to be faster is left out.
//!
//! These reach the hasher through `write_i128`, which nothing else here uses, marked with what they are. An ordinary
//! hasher takes them as they stand.

use std::{
    collections::BTreeMap,
    hash::{Hash, Hasher},
    ops::{Deref, DerefMut},
    time::Duration,
};

use crate::{snapshot::Seq, time::Instant};

/// What a number is that has no meaning by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Relative {
    /// Microseconds since the arbitrary start.
    Time = 1,
    /// The number of a state.
    Seq,
    /// A name that the engine gave.
    Own,
    /// The name of a client, which the runtime gave.
    Client,
    /// The name of a script's call.
    Job,
}

impl Relative {
    /// Feeds such a number to a hasher.
    pub(crate) fn hash<H: Hasher>(self, number: u64, state: &mut H) {
        state.write_i128(i128::from(self as u8) << 64 | i128::from(number));
    }
}

/// Derives what [`Hash`] would, for a name or a number that is taken relatively.
macro_rules! relative {
    ($($name:ty: $kind:ident),* $(,)?) => {
        $(impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                $crate::canonical::Relative::$kind.hash(self.0, state);
            }
        })*
    };
}
pub(crate) use relative;

/// A hasher of canonical forms, made by [`Engine::canonical`](crate::Engine::canonical).
///
/// What surrounds an engine (whose link is which, whose answer a client waits for) is hashed with the same one, before
/// or after it: the names are then the same as inside.
#[derive(Clone, Debug)]
pub struct Canonical<H> {
    inner: H,
    now: Instant,
    latest: Seq,
    /// All that is further back is equally long ago.
    oldest: Duration,
    /// The names met so far, each as the place at which it stands.
    names: Vec<i128>,
}

impl<H: Hasher> Canonical<H> {
    pub(crate) const fn new(inner: H, now: Instant, latest: Seq, oldest: Duration) -> Self {
        Canonical { inner, now, latest, oldest, names: Vec::new() }
    }

    fn time(&mut self, at: Instant) {
        if at == Instant::NEVER {
            return self.inner.write_u8(2);
        }
        if at > self.now {
            self.inner.write_u8(1);
            return self.inner.write_u64(at.as_micros() - self.now.as_micros());
        }
        self.inner.write_u8(0);
        self.inner.write_u128(self.now.since(at).min(self.oldest).as_micros());
    }

    fn name(&mut self, marked: i128) {
        let place = self.names.iter().position(|known| *known == marked).unwrap_or_else(|| {
            self.names.push(marked);
            self.names.len() - 1
        });
        self.inner.write_usize(place);
    }
}

impl<H: Hasher> Hasher for Canonical<H> {
    fn finish(&self) -> u64 {
        self.inner.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.inner.write(bytes);
    }

    fn write_i128(&mut self, marked: i128) {
        const TIME: i128 = Relative::Time as i128;
        const SEQ: i128 = Relative::Seq as i128;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the lower half is the number")]
        let number = marked as u64;
        match marked >> 64 {
            TIME => self.time(Instant::from_micros(number)),
            SEQ => self.inner.write_u64(self.latest.0.wrapping_sub(number)),
            _ => self.name(marked),
        }
    }
}

/// What is kept only to be faster, or for the eyes of readers: no decision depends on it, so it is no part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remembered<T>(pub(crate) T);

impl<T> Hash for Remembered<T> {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl<T> Deref for Remembered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Remembered<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// A table from names that were given in order. Which of two was given first says nothing: its canonical form has the order of what they
/// stand for.
#[derive(Clone, Debug)]
pub(crate) struct Named<K, V>(pub(crate) BTreeMap<K, V>);

impl<K: Hash, V: Hash + Ord> Hash for Named<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut entries: Vec<(&K, &V)> = self.0.iter().collect();
        entries.sort_by_key(|(_, it)| *it);
        entries.hash(state);
    }
}

impl<K, V> Deref for Named<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &BTreeMap<K, V> {
        &self.0
    }
}

impl<K, V> DerefMut for Named<K, V> {
    fn deref_mut(&mut self) -> &mut BTreeMap<K, V> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::DefaultHasher;

    use super::*;
    use crate::input::{LinkId, RequestId};

    fn digest(now: u64, latest: u64, it: &impl Hash) -> u64 {
        let mut hasher =
            Canonical::new(DefaultHasher::new(), Instant::from_micros(now), Seq(latest), Duration::from_secs(1));
        it.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn the_same_a_day_later_is_the_same() {
        let it = |start: u64, first: u64, seq: u64| {
            let at = |micros| Instant::from_micros(start + micros);
            (at(5), [LinkId(first), LinkId(first + 3), LinkId(first)], RequestId(first + 1), Seq(seq), at(900))
        };
        let one = digest(10, 4, &it(0, 1, 3));
        assert_eq!(one, digest(1_000_010, 400, &it(1_000_000, 70, 399)));
        assert_ne!(one, digest(1_000_011, 400, &it(1_000_000, 70, 399)), "a microsecond later");
        assert_ne!(one, digest(1_000_010, 400, &it(1_000_000, 70, 400)), "written further");
        let mut other = it(0, 1, 3);
        other.1[2] = LinkId(4);
        assert_ne!(one, digest(10, 4, &other), "another link");
    }

    #[test]
    fn which_name_was_given_first_says_nothing() {
        let table = |first: u64, second: u64| Named(BTreeMap::from([(LinkId(first), "a"), (LinkId(second), "b")]));
        assert_eq!(digest(10, 4, &table(1, 2)), digest(10, 4, &table(7, 5)));
        let other = Named(BTreeMap::from([(LinkId(1), "a"), (LinkId(2), "c")]));
        assert_ne!(digest(10, 4, &table(1, 2)), digest(10, 4, &other));
    }

    #[test]
    fn what_is_long_ago_is_long_ago() {
        let at = Instant::from_micros;
        assert_eq!(digest(9_000_000, 0, &at(1)), digest(9_000_000, 0, &at(2)));
        assert_ne!(digest(9_000_000, 0, &at(8_500_001)), digest(9_000_000, 0, &at(8_500_002)));
        assert_ne!(digest(1, 0, &Instant::NEVER), digest(1, 0, &at(u64::MAX - 1)));
    }
}
