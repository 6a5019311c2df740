//! TLS: for clients that connect, and for connections to data nodes and other Sentinels.
//!
//! [`Tls::load`] reads certificates and keys once, before any port is bound, and says what is wrong with them. A SIGHUP
//! has [`Tls::reload`] read them again: new connections use what it finds, those that are open go on as they are, and
//! when something is wrong with the new files the old ones stay in use.

mod asking;
mod authorities;
mod ciphers;
mod error;
mod explain;
mod files;
mod incoming;
mod old_version;
mod outgoing;
mod sessions;
mod stream;
mod subject;
#[cfg(test)]
mod tests;
mod watched;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use tokio_rustls::rustls::{
    self, ClientConfig, InconsistentKeys, ServerConfig, SupportedProtocolVersion,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
};
use x509_cert::{
    Certificate,
    der::{DateTime, Decode},
};

pub(crate) use self::{
    asking::{Asking, of_webhook},
    explain::{Failure, Side},
    stream::Stream,
    watched::Watched,
};
use self::{
    authorities::{Authorities, ClientVerifier, ServerVerifier},
    ciphers::Spoken,
    sessions::Sessions,
};
pub use self::{
    error::{Named, TlsError},
    incoming::Incoming,
    outgoing::Outgoing,
};
use crate::config::{self, ClientCertificates};
use sentinel_core::types::Secret;

/// A certificate that is valid for less than this is worth a warning.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// TLS as it is configured, with the certificates read last.
#[derive(Debug)]
pub struct Tls {
    settings: config::Tls,
    incoming: Option<Arc<Incoming>>,
    outgoing: Option<Arc<Outgoing>>,
    /// Until when the server's certificate is valid, in seconds since 1970. 0: there is none.
    valid_until: AtomicU64,
}

/// What the files say.
struct Read {
    incoming: Option<Arc<ServerConfig>>,
    outgoing: Option<Arc<ClientConfig>>,
    warnings: Vec<String>,
    valid_until: u64,
}

impl Tls {
    /// Reads everything that the configuration names. Without `tls-port`, `http-tls` and `tls-replication` that is nothing.
    ///
    /// Warnings say what loads, but not as it was asked for, and which certificates end soon.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong: a file that is missing or cannot be used, an option that leaves nothing to speak.
    pub fn load(settings: &config::Tls) -> Result<(Self, Vec<String>), TlsError> {
        let Read { incoming, outgoing, warnings, valid_until } = read(settings)?;
        let tls = Tls {
            settings: settings.clone(),
            incoming: incoming.map(|config| Arc::new(Incoming::new(config))),
            outgoing: outgoing.map(Outgoing::start).transpose()?.map(Arc::new),
            valid_until: valid_until.into(),
        };
        Ok((tls, warnings))
    }

    /// For clients that connect. None: they do not use TLS.
    pub fn incoming(&self) -> Option<&Arc<Incoming>> {
        self.incoming.as_ref()
    }

    /// For connections to others. None: they are not encrypted.
    pub fn outgoing(&self) -> Option<&Arc<Outgoing>> {
        self.outgoing.as_ref()
    }

    /// Until when the certificate of this Sentinel is valid, in seconds since 1970.
    pub fn valid_until(&self) -> Option<u64> {
        Some(self.valid_until.load(Relaxed)).filter(|seconds| *seconds > 0)
    }

    /// What is wrong with the time for which the certificate of this Sentinel is valid, if anything is.
    pub fn ends_soon(&self) -> Option<String> {
        let seconds = self.valid_until()?;
        let until = DateTime::from_unix_duration(Duration::from_secs(seconds)).ok()?;
        let now = SystemTime::now();
        let how = match until.to_system_time() {
            at if now > at => "expired",
            at if now + SOON > at => "expires",
            _ => return None,
        };
        Some(format!("the certificate of this Sentinel (tls-cert-file) {how} at {until}"))
    }

    /// Whether there is anything that [`reload`](Self::reload) could read again.
    pub const fn is_used(&self) -> bool {
        self.incoming.is_some() || self.outgoing.is_some()
    }

    /// Reads all files again, and uses what they hold for connections from now on.
    ///
    /// # Errors
    ///
    /// As for [`load`](Self::load); then everything stays as it was.
    pub fn reload(&self) -> Result<Vec<String>, TlsError> {
        let read = read(&self.settings)?;
        self.valid_until.store(read.valid_until, Relaxed);
        if let (Some(incoming), Some(config)) = (&self.incoming, read.incoming) {
            incoming.replace(config);
        }
        if let (Some(outgoing), Some(config)) = (&self.outgoing, read.outgoing) {
            outgoing.replace(config);
        }
        Ok(read.warnings)
    }
}

/// What is wrong with the files and options, and what else should be known, without using them. Relative paths are under
/// `folder`.
pub fn check(settings: &config::Tls, folder: &Path) -> Result<Vec<String>, TlsError> {
    let mut settings = settings.clone();
    for path in [
        &mut settings.cert_file,
        &mut settings.key_file,
        &mut settings.client_cert_file,
        &mut settings.client_key_file,
        &mut settings.ca_cert_file,
        &mut settings.ca_cert_dir,
    ]
    .into_iter()
    .flatten()
    {
        *path = folder.join(&*path);
    }
    read(&settings).map(|read| read.warnings)
}

fn read(settings: &config::Tls) -> Result<Read, TlsError> {
    let mut warnings = Vec::new();
    let listens = settings.is_listened_with();
    if !listens && !settings.replication {
        return Ok(Read { incoming: None, outgoing: None, warnings, valid_until: 0 });
    }
    let spoken = ciphers::spoken(settings, &mut warnings)?;
    if settings.dh_params_file.is_some() {
        warnings.push(
            "tls-dh-params-file has no effect: keys are agreed on elliptic curves only, which need no parameters; \
             remove the line"
                .to_owned(),
        );
    }
    let server = pair(settings, Pair::Server, &mut warnings)?;
    let client = pair(settings, Pair::Client, &mut warnings)?;
    if listens && server.is_none() {
        return Err(TlsError::Missing {
            needs: if settings.port.is_some() { "tls-port" } else { "http-tls" },
            directive: "tls-cert-file",
            remedy: "name the certificate of this Sentinel, and its key in tls-key-file",
        });
    }
    let asks_clients = listens && settings.auth_clients != ClientCertificates::No;
    let authorities = if asks_clients || settings.replication {
        let file = settings.ca_cert_file.as_ref().map(|path| Named::new("tls-ca-cert-file", path));
        let folder = settings.ca_cert_dir.as_ref().map(|path| Named::new("tls-ca-cert-dir", path));
        if file.is_none() && folder.is_none() {
            return Err(TlsError::Missing {
                needs: if settings.replication { "tls-replication" } else { "tls-auth-clients" },
                directive: "tls-ca-cert-file or tls-ca-cert-dir",
                remedy: "name the authorities that are trusted",
            });
        }
        Some(Arc::new(Authorities::load(file, folder)?))
    } else {
        None
    };
    let valid_until = server.as_ref().and_then(|identity| end_of(identity.chain.first()?)).unwrap_or(0);
    let incoming = match server.clone().filter(|_| listens) {
        Some(identity) => {
            let asked = authorities.clone().filter(|_| asks_clients);
            Some(Arc::new(incoming_config(settings, &spoken, asked, identity)?))
        }
        None => None,
    };
    let outgoing = match authorities {
        Some(authorities) if settings.replication => {
            Some(Arc::new(outgoing_config(&spoken, authorities, client.or(server))?))
        }
        _ => None,
    };
    Ok(Read { incoming, outgoing, warnings, valid_until })
}

/// A certificate with its chain, its key, and where they come from.
#[derive(Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    certificate_file: Named,
    key_file: Named,
}

impl Identity {
    /// What is shown and signed with, once it is known that the key is that of the certificate.
    fn certified(self, provider: &CryptoProvider) -> Result<Arc<SingleCertAndKey>, TlsError> {
        let Identity { chain, key, certificate_file, key_file } = self;
        let certified = provider.key_provider.load_private_key(key).and_then(|key| {
            let old = chain.first().and_then(old_version::read);
            let certified = CertifiedKey::new(chain, key);
            let matching = match (&old, certified.key.public_key()) {
                (None, _) => certified.keys_match(),
                (Some(old), Some(key)) if old_version::key(old)? == key => Ok(()),
                (Some(_), Some(_)) => Err(InconsistentKeys::KeyMismatch.into()),
                (Some(_), None) => Err(InconsistentKeys::Unknown.into()),
            };
            match matching {
                // A key that does not tell its other half is believed, as by the library itself.
                Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
                Err(error) => Err(error),
            }
        });
        match certified {
            Ok(certified) => Ok(Arc::new(certified.into())),
            Err(error) => Err(unusable(error, certificate_file, key_file)),
        }
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Identity {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pair {
    Server,
    Client,
}

/// The certificate and key of one kind, if any of the two is configured.
fn pair(settings: &config::Tls, which: Pair, warnings: &mut Vec<String>) -> Result<Option<Identity>, TlsError> {
    let (certificate, key, password, names) = match which {
        Pair::Server => (
            &settings.cert_file,
            &settings.key_file,
            &settings.key_file_pass,
            ["tls-cert-file", "tls-key-file", "tls-key-file-pass"],
        ),
        Pair::Client => (
            &settings.client_cert_file,
            &settings.client_key_file,
            &settings.client_key_file_pass,
            ["tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass"],
        ),
    };
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(TlsError::Missing {
            needs: names[0],
            directive: names[1],
            remedy: "name the file with the key of the certificate",
        }),
        (None, Some(_)) => Err(TlsError::Missing {
            needs: names[1],
            directive: names[0],
            remedy: "name the file with the certificate of the key",
        }),
        (Some(certificate), Some(key)) => {
            let identity = identity([certificate, key], password.as_ref(), names)?;
            if let Some(leaf) = identity.chain.first() {
                warnings.extend(validity(&identity.certificate_file, leaf));
                warnings.extend(old_version::read(leaf).map(|_| error::first_version(&identity.certificate_file)));
            }
            Ok(Some(identity))
        }
    }
}

fn identity(paths: [&Path; 2], password: Option<&Secret>, names: [&'static str; 3]) -> Result<Identity, TlsError> {
    let (certificate_file, key_file) = (Named::new(names[0], paths[0]), Named::new(names[1], paths[1]));
    let chain = files::certificates(&certificate_file)?;
    let key = files::key(&key_file, password, names[2])?;
    Ok(Identity { chain, key, certificate_file, key_file })
}

/// When a certificate ends to be valid, in seconds since 1970.
pub(crate) fn end_of(certificate: &CertificateDer<'_>) -> Option<u64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs())
}

/// What should be known about how long a certificate is valid.
fn validity(file: &Named, certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate.validity;
    let now = SystemTime::now();
    let (from, until) = (validity.not_before, validity.not_after);
    if now > until.to_system_time() {
        Some(format!("{file}: this certificate expired at {until}; renew it"))
    } else if now < from.to_system_time() {
        Some(format!("{file}: this certificate is not valid before {from}; look at the clock of this host"))
    } else if now + SOON > until.to_system_time() {
        Some(format!("{file}: this certificate expires at {until}; renew it and send SIGHUP"))
    } else {
        None
    }
}

fn incoming_config(
    settings: &config::Tls,
    spoken: &Spoken,
    authorities: Option<Arc<Authorities>>,
    identity: Identity,
) -> Result<ServerConfig, TlsError> {
    let certified = identity.certified(&spoken.provider)?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&spoken.provider))
        .with_protocol_versions(&spoken.versions)
        .map_err(|error| no_common_ground(&error, &spoken.versions))?;
    let builder = match authorities {
        Some(authorities) => {
            let mandatory = settings.auth_clients == ClientCertificates::Required;
            builder.with_client_cert_verifier(Arc::new(ClientVerifier::new(authorities, &spoken.provider, mandatory)))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certified);
    config.ignore_client_order = settings.prefer_server_ciphers;
    if settings.session_caching {
        config.session_storage = Sessions::new(settings.session_cache_size, settings.session_cache_timeout);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn outgoing_config(
    spoken: &Spoken,
    authorities: Arc<Authorities>,
    identity: Option<Identity>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(&spoken.provider))
        .with_protocol_versions(&spoken.versions)
        .map_err(|error| no_common_ground(&error, &spoken.versions))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(Some(authorities), &spoken.provider)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder.with_client_cert_resolver(identity.certified(&spoken.provider)?),
    };
    config.enable_sni = false;
    // Every connection shows its certificate, so that one that is no longer trusted is noticed with the next.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The versions that are wanted have no cipher.
fn no_common_ground(error: &rustls::Error, versions: &[&'static SupportedProtocolVersion]) -> TlsError {
    TlsError::Option {
        directive: "tls-protocols",
        value: versions.iter().filter_map(|it| it.version.as_str()).collect::<Vec<_>>().join(" "),
        what: error.to_string(),
        remedy: "look at tls-protocols, tls-ciphers and tls-ciphersuites together",
    }
}

fn unusable(error: rustls::Error, certificate: Named, key: Named) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch { key, certificate },
        rustls::Error::InvalidCertificate(_) => TlsError::Unusable { file: certificate, why: error.to_string() },
        error => TlsError::Unusable { file: key, why: error.to_string() },
    }
}
