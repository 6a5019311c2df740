//! Certificates for deployments that speak TLS.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, SanType, SigningKey,
};
use tempfile::TempDir;
use x509_cert::der::asn1::BitString;
use x509_cert::der::{Decode, Encode, EncodePem, pem::LineEnding};
use x509_cert::{Certificate, Version};

/// An authority that issues certificates, with all its files in a folder of their own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
    of_first_version: bool,
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
        let authority = Self { issuer, folder, of_first_version: false };
        authority.write("authority.crt", &authority.issuer.pem());
        authority
    }

    /// A new one whose certificate is of X.509 version 1, and so are those that it issues: without extensions, as
    /// `openssl x509 -req` makes them.
    pub fn of_first_version(name: &str) -> Self {
        let authority = Self::new(name);
        authority.write("authority.crt", &of_first_version(authority.issuer.der(), authority.issuer.key()));
        Self { of_first_version: true, ..authority }
    }

    /// Its own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.crt")
    }

    /// Issues a certificate for servers and clients: for this name, which is its common name, and for 127.0.0.1.
    pub fn issue(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned(), "127.0.0.1".to_owned()]).expect("a name");
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        self.issue_with(name, &params)
    }

    /// Issues one whose other names are these URIs.
    pub fn issue_with_uris(&self, name: &str, uris: &[&str]) -> Pair {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are no wrong names");
        let uri = |uri: &&str| SanType::URI(Ia5String::try_from(*uri).expect("letters of ASCII"));
        params.subject_alt_names = uris.iter().map(uri).collect();
        self.issue_with(name, &params)
    }

    fn issue_with(&self, name: &str, params: &CertificateParams) -> Pair {
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be signed");
        let text = if self.of_first_version {
            of_first_version(certificate.der(), self.issuer.key())
        } else {
            certificate.pem()
        };
        Pair {
            certificate: self.write(&format!("{name}.crt"), &text),
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

/// A certificate as version 1 has it, without extensions, in PEM. It is signed anew with the key of its issuer.
pub fn of_first_version(certificate: &[u8], issuer: &impl SigningKey) -> String {
    let mut certificate = Certificate::from_der(certificate).expect("what was made can be read");
    let body = &mut certificate.tbs_certificate;
    body.version = Version::V1;
    body.extensions = None;
    let signed = body.to_der().expect("what was read can be written");
    let signature = issuer.sign(&signed).expect("a key signs");
    certificate.signature = BitString::from_bytes(&signature).expect("whole bytes");
    certificate.to_pem(LineEnding::LF).expect("what was read can be written")
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("a key can be made")
}
