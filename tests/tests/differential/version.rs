//! Which version the reference is, and that ours looks like it.

use std::sync::OnceLock;

use sentinel_tests::{Kind, look_like};

/// The versions that ours can look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Redis70,
    Redis80,
    Valkey80,
    Valkey81,
    Valkey91,
}

/// How each says which it is, and what `compatible-version` calls it.
const KNOWN: [(&str, &str, Version); 5] = [
    ("Redis server v=7.0.", "7.0.15", Version::Redis70),
    ("Redis server v=8.0.", "redis-8.0", Version::Redis80),
    ("Valkey server v=8.0.", "valkey-8.0", Version::Valkey80),
    ("Valkey server v=8.1.", "valkey-8.1", Version::Valkey81),
    ("Valkey server v=9.1.", "valkey-9.1", Version::Valkey91),
];

impl Version {
    /// What `compatible-version` calls it.
    pub(crate) fn look(self) -> &'static str {
        KNOWN.iter().find(|(.., version)| *version == self).map_or("", |(_, look, _)| look)
    }
}

/// The version of the reference. From the first call on all of ours are started with the look of it.
///
/// # Panics
/// When it is none that ours can look like.
pub(crate) fn reference() -> Version {
    static REFERENCE: OnceLock<Version> = OnceLock::new();
    *REFERENCE.get_or_init(|| {
        let told = Kind::Reference.version();
        let known = KNOWN.iter().find(|(begin, ..)| told.starts_with(begin));
        let &(_, look, version) = known.unwrap_or_else(|| panic!("{told} is no version that ours can look like"));
        if version != Version::Redis70 {
            look_like(look);
        }
        version
    })
}
