//! Passwords, of which only the digests are kept.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a password.
#[derive(Clone, Copy)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// The digest of a password in clear.
    pub(crate) fn of(password: &[u8]) -> Self {
        Self(Sha256::digest(password).into())
    }

    /// The digest that 64 lower case hex digits spell; none for anything else.
    pub(crate) fn from_hex(digits: &[u8]) -> Option<Self> {
        if digits.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

/// Takes the same time wherever the two differ, so that it tells nothing about either.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |seen, (a, b)| seen | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl Eq for Hash {}

/// 64 lower case hex digits, as `#` rules and ACL GETUSER have them.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A digest is as good as the password to whoever can try many, so it is not printed by accident.
impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_spelled_as_the_reference_spells_it() {
        let hash = Hash::of(b"a");
        let spelled = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";
        assert_eq!(hash.to_string(), spelled);
        assert_eq!(Hash::from_hex(spelled.as_bytes()), Some(hash));
        assert_ne!(Hash::of(b"b"), hash);
        assert!(!format!("{hash:?}").contains("ca97"));
    }

    #[test]
    fn only_64_lower_case_hex_digits_spell_one() {
        let good = "0f".repeat(32);
        assert!(Hash::from_hex(good.as_bytes()).is_some());
        for wrong in [&good[1..], &format!("{good}0"), &good.to_uppercase(), &good.replacen('0', "g", 1), ""] {
            assert_eq!(Hash::from_hex(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
