//! Why TLS cannot be set up: which directive, which file, and what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::config::system_text;

/// A file, and the directive that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Such as `tls-cert-file`.
    pub directive: &'static str,
    /// As it is opened.
    pub path: PathBuf,
}

impl Named {
    pub(super) fn new(directive: &'static str, path: &Path) -> Self {
        Named { directive, path: path.to_owned() }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.directive, self.path.display())
    }
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{} {}; {}", self.directive(), self.what(), self.remedy())]
#[non_exhaustive]
pub enum TlsError {
    /// A directive without which there is no TLS.
    Missing {
        /// What was wanted.
        needs: &'static str,
        /// What is missing.
        directive: &'static str,
        /// What to write.
        remedy: &'static str,
    },
    /// A file cannot be read.
    Unreadable {
        /// The file.
        file: Named,
        /// What the system says.
        error: io::Error,
    },
    /// A file without what is looked for in it.
    Empty {
        /// The file.
        file: Named,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// A directory without a certificate under a hashed name.
    NoHashes {
        /// The directory.
        file: Named,
    },
    /// No certificate of a file can serve as an authority.
    NoAuthority {
        /// The file.
        file: Named,
        /// The last reason.
        why: String,
    },
    /// The key is encrypted and there is no password.
    Locked {
        /// The key.
        file: Named,
        /// Where the password belongs.
        directive: &'static str,
    },
    /// The password does not open the key, or the way of encryption is not known.
    WrongPassword {
        /// The key.
        file: Named,
        /// Where the password stands.
        directive: &'static str,
        /// What the decryption says.
        why: String,
    },
    /// A key encrypted in the way before PKCS#8.
    OldEncryption {
        /// The key.
        file: Named,
    },
    /// Key and certificate are not of one pair.
    Mismatch {
        /// The key.
        key: Named,
        /// The certificate.
        certificate: Named,
    },
    /// A certificate or key that the TLS library does not take.
    Unusable {
        /// The file.
        file: Named,
        /// What the library says.
        why: String,
    },
    /// An option that leaves nothing to speak.
    Option {
        /// The directive.
        directive: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        what: String,
        /// What to write.
        remedy: &'static str,
    },
    /// The system refused a thread.
    Thread(io::Error),
}

/// What should be known of a certificate of version 1.
pub(super) fn first_version(file: &Named) -> String {
    format!(
        "{file}: this certificate is of X.509 version 1, which OpenSSL takes and other libraries may refuse; better issue it \
         {ISSUED_WITH_EXTENSIONS}"
    )
}

/// How a certificate comes to be of version 3.
const ISSUED_WITH_EXTENSIONS: &str = "with extensions (version 3), such as `openssl x509 -req -extfile FILE`, where FILE says subjectAltName = IP:10.0.0.1";

impl TlsError {
    /// The directive at fault: one that is configured, wherever there is one.
    pub fn directive(&self) -> &'static str {
        match self {
            TlsError::Missing { needs, .. } => needs,
            TlsError::Unreadable { file, .. }
            | TlsError::Empty { file, .. }
            | TlsError::NoHashes { file }
            | TlsError::NoAuthority { file, .. }
            | TlsError::Locked { file, .. }
            | TlsError::WrongPassword { file, .. }
            | TlsError::OldEncryption { file }
            | TlsError::Unusable { file, .. }
            | TlsError::Mismatch { key: file, .. } => file.directive,
            TlsError::Option { directive, .. } => directive,
            TlsError::Thread(_) => "tls-replication",
        }
    }

    /// What is wrong with it.
    pub fn what(&self) -> String {
        let of = |file: &Named, what: &str| format!("{}: {what}", file.path.display());
        match self {
            TlsError::Missing { directive, .. } => format!("needs {directive}, which is not configured"),
            TlsError::Unreadable { file, error } => of(file, &system_text(error)),
            TlsError::Empty { file, what } => of(file, &format!("there is no {what} in it")),
            TlsError::NoHashes { file } => of(
                file,
                "no authority is found in it; as with OpenSSL each needs a name made of its hash, such as 5ed36f99.0",
            ),
            TlsError::NoAuthority { file, why } => of(file, &format!("none of its certificates can be used: {why}")),
            TlsError::Locked { file, .. } => of(file, "the key is encrypted"),
            TlsError::WrongPassword { file, directive, why } => {
                of(file, &format!("the key cannot be decrypted with {directive}: {why}"))
            }
            TlsError::OldEncryption { file } => of(
                file,
                "the key is encrypted in the old way of OpenSSL (Proc-Type: 4,ENCRYPTED), which is not supported",
            ),
            TlsError::Mismatch { key, certificate } => {
                of(key, &format!("this key does not match the certificate of {certificate}"))
            }
            TlsError::Unusable { file, why } => of(file, why),
            TlsError::Option { value, what, .. } => format!("\"{value}\": {what}"),
            TlsError::Thread(error) => format!("cannot start the thread for TLS handshakes: {}", system_text(error)),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            TlsError::Missing { remedy, .. } | TlsError::Option { remedy, .. } => (*remedy).to_owned(),
            TlsError::Unreadable { .. } => "name a file that this user may read".to_owned(),
            TlsError::Empty { .. } => "name a PEM file with one".to_owned(),
            TlsError::NoHashes { file } => {
                let path = file.path.display();
                format!("run `openssl rehash {path}`, or name one file with them instead")
            }
            TlsError::NoAuthority { .. } => "name the certificate of the authority".to_owned(),
            TlsError::Locked { directive, .. } => format!("set {directive}, or name a key without a password"),
            TlsError::WrongPassword { .. } => "check the password, or encrypt the key anew with \
                                               `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
                .to_owned(),
            TlsError::OldEncryption { file } => {
                format!("convert it with `openssl pkcs8 -topk8 -in {} -out NEW`", file.path.display())
            }
            TlsError::Mismatch { .. } => "name the key it was made with".to_owned(),
            TlsError::Unusable { .. } => "have it issued anew".to_owned(),
            TlsError::Thread(_) => "allow this user another thread (ulimit -u)".to_owned(),
        }
    }
}
