//! Where events are posted, and how.

use std::{fmt, path::PathBuf};

use axum::http::Uri;
use sentinel_core::{events::Level, types::Secret};

use super::fault::Refusal;

/// Where events are posted. None are where there is no URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Who takes them.
    pub url: Option<WebhookUrl>,
    /// The key that they are signed with. None: they are not signed.
    pub secret: Option<Secret>,
    /// The least level of those that are posted. Default warning.
    pub level: Level,
    /// The authorities of https. None: those of the system.
    pub ca_cert_file: Option<PathBuf>,
}

impl Default for Webhook {
    fn default() -> Self {
        Webhook { url: None, secret: None, level: Level::Warning, ca_cert_file: None }
    }
}

/// An address of the web. What comes behind the host may be secret, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Whether it is https.
    pub tls: bool,
    /// A name or an IP address, that of IPv6 without brackets.
    pub host: String,
    /// The port; never 0.
    pub port: u16,
    /// Host and port as the URL has them.
    pub authority: String,
    /// Path and query.
    pub path: String,
}

impl WebhookUrl {
    /// Reads a URL. None: the empty text.
    pub(super) fn read(word: &str) -> Result<Option<Self>, Refusal> {
        if word.is_empty() {
            return Ok(None);
        }
        let refused = |why: &str| {
            Refusal::new(format!("the URL {why}"), "write http://HOST[:PORT]/PATH or https://HOST[:PORT]/PATH")
        };
        if !word.is_ascii() {
            return Err(refused("holds letters that are not ASCII, which a URL writes as %XX"));
        }
        let uri: Uri = word.parse().map_err(|_| refused("cannot be read"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refused("begins neither with http:// nor with https://")),
        };
        let authority = uri.authority().ok_or_else(|| refused("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused(
                "holds a user or a password, which are not sent: what is posted is signed with webhook-secret",
            ));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = match (authority.port(), authority.port_u16()) {
            (None, _) if authority.as_str().len() > authority.host().len() => {
                return Err(refused("has a port that is none"));
            }
            (None, _) if tls => 443,
            (None, _) => 80,
            (Some(_), Some(port)) if port > 0 => port,
            (Some(_), _) => return Err(refused("has a port that is none")),
        };
        if host.is_empty() {
            return Err(refused("names no host"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let (host, authority, path) = (host.to_owned(), authority.to_string(), path.to_owned());
        Ok(Some(WebhookUrl { tls, host, port, authority, path }))
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}/...", self.authority)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_its_path_is_not_shown() {
        let url = WebhookUrl::read("https://hooks.example/services/T0/secret?x=1").unwrap().unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port), (true, "hooks.example", 443));
        assert_eq!(url.path, "/services/T0/secret?x=1");
        assert_eq!(format!("{url} {url:?}"), "https://hooks.example/... https://hooks.example/...");
        let url = WebhookUrl::read("http://[::1]:8080").unwrap().unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port, url.path.as_str()), (false, "::1", 8080, "/"));
        assert_eq!(url.authority, "[::1]:8080");
        assert_eq!(WebhookUrl::read("").unwrap(), None);
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_shown() {
        for (wrong, why) in [
            ("hooks.example/secret", "cannot be read"),
            ("ftp://hooks.example/secret", "begins neither"),
            ("https://", "cannot be read"),
            ("https://u:secret@hooks.example/", "user or a password"),
            ("https://hooks.example:0/secret", "port"),
            ("https://hooks.example:99999/secret", "port"),
            ("https://hooks.example/a secret", "cannot be read"),
            ("https://hooks.example/secreté", "ASCII"),
        ] {
            let refusal = format!("{:?}", WebhookUrl::read(wrong).expect_err(wrong));
            assert!(refusal.contains(why) && !refusal.contains("/secret"), "{wrong}: {refusal}");
        }
    }
}
