//! `tls-protocols`, `tls-ciphers` and `tls-ciphersuites`, in the words of OpenSSL, as what this TLS library can speak.
//!
//! The library has the nine suites below and no others: each authenticates what it encrypts and keeps past sessions
//! secret from a key that is stolen later. So most of what an OpenSSL string excludes is not there to be excluded. What
//! such a string asks for and cannot have is said in a warning; one that leaves nothing is an error.

use std::sync::Arc;

use tokio_rustls::rustls::{
    SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    version::{TLS12, TLS13},
};

use super::error::TlsError;
use crate::config;

/// What is spoken.
#[derive(Debug)]
pub(super) struct Spoken {
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
}

/// A suite of TLS 1.2: the names of OpenSSL and the registry, and the words of an OpenSSL string that mean it and others.
struct Suite {
    spoken: SupportedCipherSuite,
    name: &'static str,
    registered: &'static str,
    /// Lower case. `ecdhe` and the like are in [`EVERY`].
    words: &'static [&'static str],
}

/// Words that mean all of them.
const EVERY: &[&str] = &[
    "all",
    "complementofdefault",
    "default",
    "high",
    "ecdh",
    "ecdhe",
    "eecdh",
    "kecdhe",
    "keecdh",
    "aead",
    "tlsv1.2",
    "fips",
];

/// Words for what is not there, and so need no excluding.
const NOT_THERE: &[&str] = &[
    "3des",
    "adh",
    "aecdh",
    "aes-cbc",
    "aesccm",
    "aesccm8",
    "anull",
    "ariagcm",
    "aria",
    "aria128",
    "aria256",
    "adss",
    "dss",
    "camellia",
    "camellia128",
    "camellia256",
    "complementofall",
    "des",
    "dh",
    "dhe",
    "edh",
    "enull",
    "exp",
    "export",
    "gost",
    "idea",
    "kdhe",
    "kedh",
    "kgost",
    "kpsk",
    "krsa",
    "low",
    "md5",
    "medium",
    "null",
    "psk",
    "rc2",
    "rc4",
    "seed",
    "sha",
    "sha1",
    "srp",
    "ssl3",
    "sslv2",
    "sslv3",
    "tlsv1",
    "tlsv1.0",
    "cbc",
    "apsk",
    "agost",
];

fn suites() -> [Suite; 6] {
    use ring::cipher_suite as s;
    let suite = |spoken, name, registered, words| Suite { spoken, name, registered, words };
    [
        suite(
            s::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
            &["aecdsa", "ecdsa", "aes", "aes256", "aesgcm", "sha384"],
        ),
        suite(
            s::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            &["aecdsa", "ecdsa", "aes", "aes128", "aesgcm", "sha256"],
        ),
        suite(
            s::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
            &["aecdsa", "ecdsa", "chacha20", "sha256"],
        ),
        suite(
            s::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            "ECDHE-RSA-AES256-GCM-SHA384",
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            &["arsa", "rsa", "aes", "aes256", "aesgcm", "sha384"],
        ),
        suite(
            s::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            "ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            &["arsa", "rsa", "aes", "aes128", "aesgcm", "sha256"],
        ),
        suite(
            s::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            "ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
            &["arsa", "rsa", "chacha20", "sha256"],
        ),
    ]
}

/// The suites of TLS 1.3, in the library's order of preference.
fn newest() -> [(SupportedCipherSuite, &'static str); 3] {
    use ring::cipher_suite as s;
    [
        (s::TLS13_AES_256_GCM_SHA384, "TLS_AES_256_GCM_SHA384"),
        (s::TLS13_AES_128_GCM_SHA256, "TLS_AES_128_GCM_SHA256"),
        (s::TLS13_CHACHA20_POLY1305_SHA256, "TLS_CHACHA20_POLY1305_SHA256"),
    ]
}

/// Reads the three options. Warnings say what was asked for and cannot be had.
pub(super) fn spoken(tls: &config::Tls, warnings: &mut Vec<String>) -> Result<Spoken, TlsError> {
    let versions = versions(tls.protocols.as_deref(), warnings)?;
    let chosen_newest = ciphersuites(tls.ciphersuites.as_deref(), warnings)?;
    let chosen = ciphers(tls.ciphers.as_deref(), warnings)?;
    let mut provider = ring::default_provider();
    provider.cipher_suites = chosen_newest
        .into_iter()
        .filter(|_| versions.contains(&&TLS13))
        .chain(chosen.into_iter().filter(|_| versions.contains(&&TLS12)))
        .collect();
    Ok(Spoken { provider: Arc::new(provider), versions })
}

fn versions(
    words: Option<&str>,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let Some(text) = words.filter(|text| !text.trim().is_empty()) else { return Ok(vec![&TLS13, &TLS12]) };
    let refuse = |what: String| TlsError::Option {
        directive: "tls-protocols",
        value: text.to_owned(),
        what,
        remedy: "write TLSv1.2, TLSv1.3, or both with a blank between them",
    };
    let mut versions = Vec::new();
    for word in text.split_ascii_whitespace() {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.3" => versions.push(&TLS13),
            "tlsv1.2" => versions.push(&TLS12),
            "tlsv1" | "tlsv1.1" => warnings.push(format!(
                "tls-protocols: {word} is broken and not spoken here; upgrade what speaks nothing newer"
            )),
            _ => return Err(refuse(format!("{word} is not the name of a version"))),
        }
    }
    if versions.is_empty() {
        return Err(refuse("no version that is spoken here is left".to_owned()));
    }
    Ok(versions)
}

fn ciphersuites(words: Option<&str>, warnings: &mut Vec<String>) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let Some(text) = words else { return Ok(newest().map(|(suite, _)| suite).into()) };
    let mut chosen = Vec::new();
    for word in elements(text) {
        match newest().into_iter().find(|(_, name)| name.eq_ignore_ascii_case(word)) {
            Some((suite, _)) if !chosen.contains(&suite) => chosen.push(suite),
            Some(_) => {}
            None => warnings.push(format!("tls-ciphersuites: {word} is not spoken here, and left out")),
        }
    }
    if chosen.is_empty() {
        return Err(TlsError::Option {
            directive: "tls-ciphersuites",
            value: text.to_owned(),
            what: "none of these is spoken here".to_owned(),
            remedy: "choose of TLS_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256 and TLS_CHACHA20_POLY1305_SHA256, or \
                     remove the line",
        });
    }
    Ok(chosen)
}

/// The part of OpenSSL's cipher strings that makes a difference among the suites there are: names and words to add, with
/// `+` between words that must all fit, with `!` or `-` before what is taken out, with `+` before what is moved to the end.
fn ciphers(words: Option<&str>, warnings: &mut Vec<String>) -> Result<Vec<SupportedCipherSuite>, TlsError> {
    let all = suites();
    let Some(text) = words else { return Ok(all.iter().map(|suite| suite.spoken).collect()) };
    let (mut chosen, mut banned): (Vec<&Suite>, Vec<&str>) = (Vec::new(), Vec::new());
    for element in elements(text) {
        let (sign, word) = match element.as_bytes().first() {
            Some(sign @ (b'!' | b'-' | b'+')) => (*sign, &element[1..]),
            _ => (b' ', element),
        };
        if element.starts_with('@') {
            warnings.push(format!("tls-ciphers: {element} has no effect here; all suites are of at least 128 bits"));
            continue;
        }
        let meant: Vec<&Suite> = all.iter().filter(|suite| suite.is(word)).collect();
        if meant.is_empty() {
            let harmless = sign != b' ' && word.split('+').any(|part| NOT_THERE.contains(&&*part.to_ascii_lowercase()));
            if !harmless {
                warnings.push(format!("tls-ciphers: {element} means nothing that is spoken here, and is left out"));
            }
            continue;
        }
        match sign {
            b'!' | b'-' => {
                chosen.retain(|suite| !meant.iter().any(|other| other.name == suite.name));
                if sign == b'!' {
                    banned.extend(meant.iter().map(|suite| suite.name));
                }
            }
            b'+' => {
                let (moved, kept): (Vec<&Suite>, Vec<&Suite>) =
                    chosen.into_iter().partition(|suite| meant.iter().any(|other| other.name == suite.name));
                chosen = kept.into_iter().chain(moved).collect();
            }
            _ => {
                for suite in meant {
                    if !chosen.iter().any(|other| other.name == suite.name) && !banned.contains(&suite.name) {
                        chosen.push(suite);
                    }
                }
            }
        }
    }
    if chosen.is_empty() {
        return Err(TlsError::Option {
            directive: "tls-ciphers",
            value: text.to_owned(),
            what: "none of these is spoken here".to_owned(),
            remedy: "choose of the ECDHE-ECDSA- and ECDHE-RSA- suites with AES256-GCM-SHA384, AES128-GCM-SHA256 or \
                     CHACHA20-POLY1305, or remove the line",
        });
    }
    Ok(chosen.into_iter().map(|suite| suite.spoken).collect())
}

impl Suite {
    fn is(&self, word: &str) -> bool {
        self.name.eq_ignore_ascii_case(word)
            || self.registered.eq_ignore_ascii_case(word)
            || !word.is_empty()
                && word.to_ascii_lowercase().split('+').all(|part| self.words.contains(&part) || EVERY.contains(&part))
    }
}

fn elements(text: &str) -> impl Iterator<Item = &str> {
    text.split([':', ',', ' ']).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> (Vec<&'static str>, Vec<String>) {
        let mut warnings = Vec::new();
        let chosen = ciphers(Some(text), &mut warnings).unwrap();
        let names = suites();
        let name = |suite: &SupportedCipherSuite| names.iter().find(|known| known.spoken == *suite).unwrap().name;
        (chosen.iter().map(name).collect(), warnings)
    }

    #[test]
    fn the_strings_of_openssl_choose_among_what_there_is() {
        let (all, warnings) = chosen("DEFAULT:!MEDIUM");
        assert_eq!((all.len(), warnings), (6, vec![]));
        let (strong, warnings) = chosen("HIGH:!aNULL:!MD5:!AES128:!CHACHA20");
        assert_eq!(strong, ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(warnings, Vec::<String>::new());
        let (one, _) = chosen("ECDHE-RSA-AES128-GCM-SHA256");
        assert_eq!(one, ["ECDHE-RSA-AES128-GCM-SHA256"]);
        let (order, _) = chosen("EECDH+AESGCM+aRSA:+AES256");
        assert_eq!(order, ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]);
        let (banned, _) = chosen("!ECDSA:ALL");
        assert!(banned.len() == 3 && banned.iter().all(|name| name.contains("RSA")), "{banned:?}");
    }

    #[test]
    fn what_cannot_be_had_is_said() {
        let (rest, warnings) = chosen("DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=2");
        assert_eq!(rest, ["ECDHE-RSA-AES256-GCM-SHA384"]);
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[0].contains("DHE-RSA-AES256-GCM-SHA384"), "{warnings:?}");
        let error = ciphers(Some("AES256-SHA"), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.starts_with("tls-ciphers \"AES256-SHA\": none of these") && error.contains("remove"), "{error}");
        let error = ciphersuites(Some("TLS_AES_128_CCM_SHA256"), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains("TLS_AES_256_GCM_SHA384"), "{error}");
    }

    #[test]
    fn old_versions_are_left_out_with_a_warning_and_never_alone() {
        let mut warnings = Vec::new();
        assert_eq!(versions(Some("TLSv1.1 TLSv1.2"), &mut warnings).unwrap(), [&TLS12]);
        assert!(warnings[0].contains("TLSv1.1 is broken"), "{warnings:?}");
        for (text, part) in [("TLSv1.1", "no version"), ("SSLv3", "SSLv3 is not the name")] {
            let error = versions(Some(text), &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains("write TLSv1.2"), "{error}");
        }
        assert_eq!(versions(None, &mut Vec::new()).unwrap().len(), 2);
    }

    #[test]
    fn a_version_without_its_ciphers_does_not_come_back() {
        let tls = config::Tls { protocols: Some("TLSv1.3".into()), ..config::Tls::default() };
        let spoken = spoken(&tls, &mut Vec::new()).unwrap();
        assert_eq!(spoken.provider.cipher_suites.len(), 3);
    }
}
