//! Certificates and keys from PEM files.

use std::{fs, io, path::Path};

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use tokio_rustls::rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer,
    pem::{Error as PemError, PemObject},
};

use super::error::{Named, TlsError};
use sentinel_core::types::Secret;

/// Longer files are not read: a bundle of all public authorities has some 200 KiB.
const LONGEST: u64 = 8 << 20;

/// All certificates of a file, in its order; at least one.
pub(super) fn certificates(file: &Named) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(&file.path).map_err(|error| TlsError::Unreadable { file: file.clone(), error })?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::Empty { file: file.clone(), what: "certificate" }),
        Ok(found) => Ok(found),
        Err(error) => Err(TlsError::Unusable { file: file.clone(), why: error.to_string() }),
    }
}

/// The key of a file, decrypted if need be. A password for a key that has none does no harm, as with OpenSSL.
pub(super) fn key(
    file: &Named,
    password: Option<&Secret>,
    password_directive: &'static str,
) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = read(&file.path).map_err(|error| TlsError::Unreadable { file: file.clone(), error })?;
    let text = String::from_utf8_lossy(&bytes);
    if let Some(block) = block(&text, "ENCRYPTED PRIVATE KEY") {
        let Some(password) = password else {
            return Err(TlsError::Locked { file: file.clone(), directive: password_directive });
        };
        return decrypt(block, password).map_err(|why| TlsError::WrongPassword {
            file: file.clone(),
            directive: password_directive,
            why,
        });
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::OldEncryption { file: file.clone() });
    }
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::Empty { file: file.clone(), what: "private key" },
        other => TlsError::Unusable { file: file.clone(), why: other.to_string() },
    })
}

fn decrypt(block: &str, password: &Secret) -> Result<PrivateKeyDer<'static>, String> {
    let (_, document) = SecretDocument::from_pem(block).map_err(|error| error.to_string())?;
    let encrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).map_err(|error| error.to_string())?;
    let key = encrypted.decrypt(password.bytes()).map_err(|error| error.to_string())?;
    Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into())
}

/// The first PEM block with this label, with its first and last line.
fn block<'a>(text: &'a str, label: &str) -> Option<&'a str> {
    let (first, last) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&first)?;
    let end = text[start..].find(&last)? + start + last.len();
    text.get(start..end)
}

pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let found = fs::metadata(path)?;
    if found.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    if found.len() > LONGEST {
        return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
    }
    fs::read(path)
}
