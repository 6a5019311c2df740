//! Encrypted connections: whom they trust, and how a client shows who it is.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
pub use tokio_rustls::rustls;

use crate::address::Address;
use crate::config_error::ConfigError;

/// The connection to a server after the handshake.
pub(crate) type TlsStream = tokio_rustls::client::TlsStream<TcpStream>;

/// How connections are encrypted: TLS 1.2 or 1.3, with the certificate of the server always verified.
///
/// The name in that certificate must be the host as the pool was told it, by its user or by a Sentinel. Where servers know
/// each other by numeric addresses, either these stand in the certificates, or all of them have one name in common
/// ([`with_server_name`](Self::with_server_name)), or the signature alone must do
/// ([`with_any_server_name`](Self::with_any_server_name)), as it does between redis-servers.
///
/// ```no_run
/// # use sentinel_sdk::{SentinelPool, Tls};
/// # fn example() -> Result<(), sentinel_sdk::Error> {
/// let tls = Tls::authority_file("/etc/redis/tls/ca.crt")?
///     .with_certificate_files("/etc/redis/tls/app.crt", "/etc/redis/tls/app.key")?
///     .with_server_name("redis.internal")?;
/// let pool = SentinelPool::builder().master("mymaster").sentinel("s1")?.tls(tls.clone()).sentinel_tls(tls).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    trust: Trust,
    identity: Option<Arc<Identity>>,
    names: Names,
}

/// Whose signatures count.
#[derive(Clone)]
enum Trust {
    Roots(Arc<RootCertStore>),
    /// Whoever made the configuration has decided.
    Decided,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// What name a certificate must have.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    TheHost,
    Given(ServerName<'static>),
    Any,
}

impl Tls {
    /// Trusts the authorities that this machine trusts.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Tls`] when it has none.
    pub fn system() -> Result<Self, ConfigError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let causes: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            let causes = if causes.is_empty() { "nothing was found".to_owned() } else { causes.join("; ") };
            return Err(refuse(format!(
                "this machine trusts no authority ({causes}); install its certificates, or give the authority's file"
            )));
        }
        Self::trusting(roots)
    }

    /// Trusts the authorities in a PEM file (`tls-ca-cert-file` of the servers), and no others.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Tls`] when the file cannot be read or holds no usable certificate.
    pub fn authority_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)? {
            let refused = |error: rustls::Error| refuse(format!("{}: {error}", path.display()));
            roots.add(certificate).map_err(refused)?;
        }
        Self::trusting(roots)
    }

    /// Everything as in a configuration made elsewhere; only the name to be verified can still be given.
    pub fn from_config(config: Arc<ClientConfig>) -> Self {
        Self { config, trust: Trust::Decided, identity: None, names: Names::TheHost }
    }

    /// Shows this certificate to servers that ask for one (`tls-auth-clients`).
    ///
    /// # Errors
    ///
    /// [`ConfigError::Tls`] when a file cannot be read, holds no certificate or key, the two do not belong together, or this
    /// came from [`from_config`](Self::from_config).
    pub fn with_certificate_files(self, chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = key.as_ref();
        let key = PrivateKeyDer::from_pem_file(path).map_err(|error| unreadable(path, "private key", &error))?;
        let identity = Identity { chain: certificates(chain.as_ref())?, key };
        Self { identity: Some(Arc::new(identity)), ..self }.renewed()
    }

    /// The certificates of all servers must have this name, whatever the address says.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Tls`] when it is neither a host name nor a numeric address.
    pub fn with_server_name(self, name: &str) -> Result<Self, ConfigError> {
        let name = server_name(name)?;
        Self { names: Names::Given(name), ..self }.renewed()
    }

    /// Certificates may have any name: whoever has one of a trusted authority is trusted, as between redis-servers. It
    /// suits an authority that signs nothing but these servers.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Tls`] when this came from [`from_config`](Self::from_config).
    pub fn with_any_server_name(self) -> Result<Self, ConfigError> {
        Self { names: Names::Any, ..self }.renewed()
    }

    fn trusting(roots: RootCertStore) -> Result<Self, ConfigError> {
        let roots = Arc::new(roots);
        let config = client_config(&roots, None, &Names::TheHost)?;
        Ok(Self { config, trust: Trust::Roots(roots), identity: None, names: Names::TheHost })
    }

    /// With the configuration that follows from the rest.
    fn renewed(self) -> Result<Self, ConfigError> {
        let config = match &self.trust {
            Trust::Roots(roots) => client_config(roots, self.identity.as_deref(), &self.names)?,
            Trust::Decided if self.identity.is_some() || self.names == Names::Any => {
                return Err(refuse(
                    "a configuration made elsewhere decides itself about certificates; change it there".to_owned(),
                ));
            }
            Trust::Decided => self.config,
        };
        Ok(Self { config, ..self })
    }

    /// The handshake. The error is for people.
    pub(crate) async fn connect(&self, stream: TcpStream, address: &Address) -> Result<TlsStream, Refused> {
        let name = match &self.names {
            Names::Given(name) => name.clone(),
            Names::TheHost => {
                server_name(address.host()).map_err(|error| Refused { reason: error.to_string(), lasting: true })?
            }
            // What cannot be a name in a certificate may still be one in /etc/hosts.
            Names::Any => server_name(address.host()).unwrap_or_else(|_| Ipv4Addr::UNSPECIFIED.into()),
        };
        TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await.map_err(|error| explain(&error))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("names", &self.names)
            .field("certificate", &self.identity.is_some())
            .finish_non_exhaustive()
    }
}

fn client_config(
    roots: &Arc<RootCertStore>,
    identity: Option<&Identity>,
    names: &Names,
) -> Result<Arc<ClientConfig>, ConfigError> {
    let failed = |error: rustls::Error| refuse(error.to_string());
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = if *names == Names::Any {
        let verifier = AnyName::new(roots, &provider)?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_root_certificates(Arc::clone(roots))
    };
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => builder
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|error| refuse(format!("the certificate and its key: {error}")))?,
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(path, "certificate", &error))?;
    if found.is_empty() {
        return Err(unreadable(path, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(found)
}

fn unreadable(path: &Path, what: &str, error: &pem::Error) -> ConfigError {
    refuse(match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", path.display()),
        pem::Error::NoItemsFound => format!("{} holds no {what} in PEM form", path.display()),
        error => format!("{} holds no usable {what}: {error}", path.display()),
    })
}

fn server_name(host: &str) -> Result<ServerName<'static>, ConfigError> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| refuse(format!("`{host}` is neither a host name nor a numeric address")))
}

fn refuse(reason: String) -> ConfigError {
    ConfigError::Tls(reason)
}

/// Why there is no encrypted connection.
pub(crate) struct Refused {
    pub(crate) reason: String,
    /// Both ends are set up so that it will not be otherwise in a moment.
    pub(crate) lasting: bool,
}

/// The same, with what could be done about it.
fn explain(error: &std::io::Error) -> Refused {
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let remedy = match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; no trusted authority has signed it"
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "; give the name that it has (with_server_name), or accept any",
        Some(rustls::Error::InvalidMessage(_)) => "; is TLS spoken on this port?",
        _ => "",
    };
    let lasting = matches!(cause, Some(rustls::Error::InvalidCertificate(_) | rustls::Error::InvalidMessage(_)));
    Refused { reason: format!("TLS: {error}{remedy}"), lasting }
}

/// Verifies all but the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl AnyName {
    fn new(roots: &Arc<RootCertStore>, provider: &Arc<CryptoProvider>) -> Result<Self, ConfigError> {
        WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
            .build()
            .map(Self)
            .map_err(|error| refuse(error.to_string()))
    }
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is the last thing that is looked at: by then everything else was in order.
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
