//! Certificates for deployments that speak TLS.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority that issues certificates, with all its files in a folder of their own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// The files of a certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its key, in PEM.
    pub key: PathBuf,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("folder", &self.folder.path()).finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one, of that name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are no wrong names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, new_key()).expect("a certificate can be signed");
        let folder = TempDir::with_prefix("sentinel-test-authority-").expect("a temporary folder");
        let authority = Self { issuer, folder };
        authority.write("authority.crt", &authority.issuer.pem());
        authority
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.crt")
    }

    /// Issues a certificate for servers and clients: for this name, and for 127.0.0.1.
    pub fn issue(&self, name: &str) -> Pair {
        let params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).expect("a name");
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be signed");
        Pair {
            certificate: self.write(&format!("{name}.crt"), &certificate.pem()),
            key: self.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }

    /// The lines with which a server or a Sentinel speaks TLS everywhere, with a certificate of its own.
    pub fn lines(&self, name: &str) -> Vec<String> {
        lines(&self.issue(name), &self.certificate())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path
    }
}

/// The lines for a pair, and whom to trust.
pub fn lines(pair: &Pair, trusted: &Path) -> Vec<String> {
    vec![
        "tls-replication yes".to_owned(),
        format!("tls-cert-file {}", pair.certificate.display()),
        format!("tls-key-file {}", pair.key.display()),
        format!("tls-ca-cert-file {}", trusted.display()),
    ]
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
