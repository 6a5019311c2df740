//! Who is trusted: the authorities, and the two verifiers that ask them.
//!
//! As in the reference a chain to an authority is all that is asked for: the name in a certificate need not be that of
//! the host, since nodes are known by address and addresses change.

use std::{path::Path, sync::Arc, time::SystemTime};

use tokio_rustls::rustls::{
    self, CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_cert::{Certificate, der::Decode, ext::pkix::BasicConstraints};

use super::{
    error::{Named, TlsError},
    files,
    old_version::{self, Purpose},
};

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct Authorities {
    /// Those that may issue others.
    roots: Arc<RootCertStore>,
    /// All of them: a certificate that is listed itself is trusted, such as one that signed itself.
    listed: Vec<Listed>,
}

/// A certificate that is trusted itself, and whether those that it issues are, too.
#[derive(Debug)]
struct Listed {
    certificate: CertificateDer<'static>,
    read: Certificate,
    issues: bool,
}

impl Authorities {
    /// Reads a file and a directory, at least one of which must be named.
    pub(super) fn load(file: Option<Named>, folder: Option<Named>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let mut authorities = Authorities { roots: Arc::new(RootCertStore::empty()), listed: Vec::new() };
        if let Some(file) = file {
            let before = authorities.listed.len();
            let mut last = String::new();
            for certificate in files::certificates(&file)? {
                if let Err(why) = authorities.add(&mut roots, certificate) {
                    last = why;
                }
            }
            if authorities.listed.len() == before {
                return Err(TlsError::NoAuthority { file, why: last });
            }
        }
        if let Some(file) = folder {
            let hashed =
                hashed_names(&file.path).map_err(|error| TlsError::Unreadable { file: file.clone(), error })?;
            let before = authorities.listed.len();
            let mut last = None;
            for path in hashed {
                for certificate in files::certificates(&Named::new(file.directive, &path))? {
                    if let Err(why) = authorities.add(&mut roots, certificate) {
                        last = Some(why);
                    }
                }
            }
            if authorities.listed.len() == before {
                return Err(match last {
                    Some(why) => TlsError::NoAuthority { file, why },
                    None => TlsError::NoHashes { file },
                });
            }
        }
        authorities.roots = Arc::new(roots);
        Ok(authorities)
    }

    /// Those that may issue others.
    pub(super) fn into_roots(self) -> Arc<RootCertStore> {
        self.roots
    }

    fn add(&mut self, roots: &mut RootCertStore, certificate: CertificateDer<'static>) -> Result<(), String> {
        let read = Certificate::from_der(&certificate).map_err(|error| error.to_string())?;
        // One that may not issue others is trusted itself only: whoever has its key is no authority.
        let issues = may_issue(&read);
        if issues {
            roots.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        self.listed.push(Listed { certificate, read, issues });
        Ok(())
    }

    /// Whether a certificate is listed itself. An error: it is, and does not count now.
    fn lists(&self, certificate: &CertificateDer<'_>, now: UnixTime) -> Result<bool, rustls::Error> {
        let Some(listed) = self.listed.iter().find(|listed| listed.certificate == *certificate) else {
            return Ok(false);
        };
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
        old_version::is_valid(&listed.read, now).map(|()| true)
    }

    /// Those that may issue others.
    fn issuing(&self) -> impl Iterator<Item = &Certificate> {
        self.listed.iter().filter(|listed| listed.issues).map(|listed| &listed.read)
    }
}

/// Whether a certificate is one of an authority. The first version of X.509 had no way to say so.
fn may_issue(certificate: &Certificate) -> bool {
    let body = &certificate.tbs_certificate;
    match body.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) => constraints.ca,
        Ok(None) => body.version == x509_cert::Version::V1 && body.issuer == body.subject,
        Err(_) => false,
    }
}

/// The files of a directory that OpenSSL would look at: eight hexadecimal digits, a dot, a number.
fn hashed_names(folder: &Path) -> std::io::Result<Vec<std::path::PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let hashed = name.to_str().and_then(|name| name.split_once('.')).is_some_and(|(hash, number)| {
            hash.len() == 8
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if hashed {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// Judges the certificates of data nodes and other Sentinels.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    /// None: anybody is trusted who has the key of the certificate.
    authorities: Option<Arc<Authorities>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(super) fn new(authorities: Option<Arc<Authorities>>, provider: &CryptoProvider) -> Self {
        ServerVerifier { authorities, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(authorities) = &self.authorities
            && !authorities.lists(end_entity, now)?
        {
            if old_version::read(end_entity).is_some() {
                let (issuing, purpose) = (authorities.issuing(), Purpose::Server);
                old_version::verify(end_entity, intermediates, issuing, &self.algorithms, now, purpose)?;
                return Ok(ServerCertVerified::assertion());
            }
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let (roots, algorithms) = (&authorities.roots, self.algorithms.all);
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        old_version::tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        old_version::tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Judges the certificates that clients show.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    authorities: Arc<Authorities>,
    algorithms: WebPkiSupportedAlgorithms,
    /// Asks the issuing authorities. None: there is none.
    chains: Option<Arc<dyn ClientCertVerifier>>,
    subjects: Vec<DistinguishedName>,
    mandatory: bool,
}

impl ClientVerifier {
    pub(super) fn new(authorities: Arc<Authorities>, provider: &Arc<CryptoProvider>, mandatory: bool) -> Self {
        let roots = Arc::clone(&authorities.roots);
        // Fails for a store without roots only.
        let chains = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider)).build().ok();
        ClientVerifier {
            subjects: authorities.roots.subjects(),
            authorities,
            algorithms: provider.signature_verification_algorithms,
            chains,
            mandatory,
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.authorities.lists(end_entity, now)? {
            return Ok(ClientCertVerified::assertion());
        }
        if old_version::read(end_entity).is_some() {
            let (issuing, purpose) = (self.authorities.issuing(), Purpose::Client);
            old_version::verify(end_entity, intermediates, issuing, &self.algorithms, now, purpose)?;
            return Ok(ClientCertVerified::assertion());
        }
        match &self.chains {
            Some(chains) => chains.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        old_version::tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        old_version::tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
