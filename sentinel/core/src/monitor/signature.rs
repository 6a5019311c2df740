//! Signed hellos, for deployments whose channel anybody may publish to (`hello-auth-key`).
//!
//! The reference reads exactly eight fields, and of the last one the digits it begins with. So the signature follows those
//! behind a semicolon, `...,7;<64 hex digits>`, and the reference reads the hello as ever. It is the HMAC-SHA256 of
//! everything before the semicolon. There is no time in it: an old hello that somebody repeats tells an old epoch, and an
//! old epoch changes nothing.
//!
//! Whoever has a key takes signed hellos only, unless `hello-auth-required no` says otherwise. Sentinels of the reference cannot
//! sign: a quorum that has some of them does without a key, or with that. Requests for votes are signed, too: `authentication`.

use std::{fmt, fmt::Write as _};

use hmac::{Hmac, Mac};
use sentinel_resp::text;
use sha2::Sha256;

use crate::types::Secret;

/// Why a hello is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsigned {
    /// It has no signature.
    Missing,
    /// It was made with another key, or changed on its way.
    Wrong,
}

impl fmt::Display for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unsigned::Missing => "it is not signed, and hello-auth-key asks for it",
            Unsigned::Wrong => "its signature is wrong: the hello-auth-key differs, or it was changed on its way",
        })
    }
}

/// The text with its signature.
pub(super) fn sign(mut text: String, key: &Secret) -> String {
    let signature = mac(&text, key).finalize().into_bytes();
    text.push(';');
    for byte in signature {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The text without its signature. With a key it must have one that is right.
pub(super) fn check<'a>(text: &'a str, key: Option<&Secret>) -> Result<&'a str, Unsigned> {
    let last = text.rfind(',').unwrap_or(0);
    let (signed, signature) = match text[last..].find(';') {
        Some(at) => (&text[..last + at], text.get(last + at + 1..)),
        None => (text, None),
    };
    let Some(key) = key else { return Ok(signed) };
    let signature = signature.and_then(bytes).ok_or(Unsigned::Missing)?;
    mac(signed, key).verify_slice(&signature).map_err(|_| Unsigned::Wrong)?;
    Ok(signed)
}

fn mac(text: &str, key: &Secret) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.bytes()).expect("a key of any length is one");
    mac.update(&text::bytes(text));
    mac
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pairs = (digits.len() == 64).then(|| digits.chunks(2))?;
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_with_the_same_key_is_believed_and_nothing_else() {
        let (key, other) = (Secret::new("key"), Secret::new("Key"));
        let signed = sign("a,b,7".to_owned(), &key);
        assert_eq!(check(&signed, Some(&key)), Ok("a,b,7"));
        assert_eq!(check(&signed, None), Ok("a,b,7"));
        assert_eq!(check("a,b,7", None), Ok("a,b,7"));
        assert_eq!(check("a,b;c,7", None), Ok("a,b;c,7"), "a name may have a semicolon");
        assert_eq!(check("a,b,7", Some(&key)), Err(Unsigned::Missing));
        assert_eq!(check("a,b,7;00", Some(&key)), Err(Unsigned::Missing));
        assert_eq!(check(&signed, Some(&other)), Err(Unsigned::Wrong));
        assert_eq!(check(&signed.replace(",7;", ",8;"), Some(&key)), Err(Unsigned::Wrong));
        assert_eq!(check(&signed.replacen('a', "é", 1), Some(&key)), Err(Unsigned::Wrong));
    }

    #[test]
    fn the_signature_is_the_one_of_rfc_2104_with_sha256() {
        // RFC 4231, test case 2.
        let signed = sign("what do ya want for nothing?".to_owned(), &Secret::new("Jefe"));
        let (_, signature) = signed.split_once(';').unwrap();
        assert_eq!(signature, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
