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
#[non_exhaustive]
pub enum TlsError {
    /// A directive without which there is no TLS.
    #[error("{needs} needs {directive}, which is not configured; {remedy}")]
    Missing {
        /// What was wanted.
        needs: &'static str,
        /// What is missing.
        directive: &'static str,
        /// What to write.
        remedy: &'static str,
    },
    /// A file cannot be read.
    #[error("{file}: {}; name a file that this user may read", system_text(.error))]
    Unreadable {
        /// The file.
        file: Named,
        /// What the system says.
        error: io::Error,
    },
    /// A file without what is looked for in it.
    #[error("{file}: there is no {what} in it; name a PEM file with one")]
    Empty {
        /// The file.
        file: Named,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// A directory without a certificate under a hashed name.
    #[error(
        "{file}: no authority is found in it; as with OpenSSL each needs a name made of its hash, such as 5ed36f99.0: \
         run `openssl rehash {}`, or name one file with them instead", .file.path.display()
    )]
    NoHashes {
        /// The directory.
        file: Named,
    },
    /// No certificate of a file can serve as an authority.
    #[error("{file}: none of its certificates can be used: {why}; name the certificate of the authority")]
    NoAuthority {
        /// The file.
        file: Named,
        /// The last reason.
        why: String,
    },
    /// The key is encrypted and there is no password.
    #[error("{file}: the key is encrypted; set {directive}, or name a key without a password")]
    Locked {
        /// The key.
        file: Named,
        /// Where the password belongs.
        directive: &'static str,
    },
    /// The password does not open the key, or the way of encryption is not known.
    #[error(
        "{file}: the key cannot be decrypted with {directive}: {why}; check the password, or encrypt the key anew \
             with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
    )]
    WrongPassword {
        /// The key.
        file: Named,
        /// Where the password stands.
        directive: &'static str,
        /// What the decryption says.
        why: String,
    },
    /// A key encrypted in the way before PKCS#8.
    #[error("{file}: the key is encrypted in the old way of OpenSSL (Proc-Type: 4,ENCRYPTED), which is not supported; \
             convert it with `openssl pkcs8 -topk8 -in {} -out NEW`", .file.path.display())]
    OldEncryption {
        /// The key.
        file: Named,
    },
    /// Key and certificate are not of one pair.
    #[error("{key}: this key does not match the certificate of {certificate}; name the key it was made with")]
    Mismatch {
        /// The key.
        key: Named,
        /// The certificate.
        certificate: Named,
    },
    /// A certificate or key that the TLS library does not take.
    #[error("{file}: {why}; have it issued anew")]
    Unusable {
        /// The file.
        file: Named,
        /// What the library says.
        why: String,
    },
    /// An option that leaves nothing to speak.
    #[error("{directive} \"{value}\": {what}; {remedy}")]
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
    #[error("cannot start the thread for TLS handshakes: {0}")]
    Thread(io::Error),
}
