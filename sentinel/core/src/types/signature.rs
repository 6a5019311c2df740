use std::fmt;

use super::MasterName;

/// Why a nonce or a signature was refused: it is not so many hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {0} hex digits")]
pub struct NotHex(usize);

/// A number that is used once, so that what is signed with it is worth nothing a second time.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce(pub(crate) [u8; 16]);

/// An HMAC-SHA256.
///
/// It is compared where the key is, in constant time; that two are equal here proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub(crate) [u8; 32]);

/// What makes a request for a vote, or for an opinion, a signed one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signed {
    /// The name of the master that the request is about.
    pub master: MasterName,
    /// A number that its sender uses once.
    pub nonce: Nonce,
    /// The signature over all of the request, and over whom it is for.
    pub signature: Signature,
}

impl Nonce {
    /// Reads 32 hex digits.
    pub fn parse(text: &[u8]) -> Result<Self, NotHex> {
        bytes(text).map(Nonce)
    }
}

impl Signature {
    /// Reads 64 hex digits.
    pub fn parse(text: &[u8]) -> Result<Self, NotHex> {
        bytes(text).map(Signature)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Exactly so many bytes, in the one way in which they are written: two lower-case hex digits for each.
fn bytes<const N: usize>(hex: &[u8]) -> Result<[u8; N], NotHex> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if hex.len() != 2 * N {
        return Err(NotHex(2 * N));
    }
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let [high, low] = [digit(pair[0]), digit(pair[1])];
        *byte = high.zip(low).map(|(high, low)| high << 4 | low).ok_or(NotHex(2 * N))?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_read_as_it_is_written_and_nothing_else_is_one() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(Signature::parse(text.as_bytes()).map(|it| it.to_string()), Ok(text.clone()));
        assert_eq!(Nonce::parse(&text.as_bytes()[..32]).map(|it| it.to_string()), Ok(text[..32].to_owned()));
        for wrong in [
            &text[1..],
            &format!("{text}0"),
            "",
            &text.replace("01", "+1"),
            &text.replace('0', "é"),
            &text.to_uppercase(),
        ] {
            assert_eq!(Signature::parse(wrong.as_bytes()), Err(NotHex(64)), "{wrong}");
        }
    }
}
