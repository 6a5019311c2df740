//! TLS of the command line, which asks one Sentinel one thing, and of the webhook.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::rustls::{ClientConfig, crypto::ring};

use super::{
    TlsError,
    authorities::{Authorities, ServerVerifier},
    error::Named,
    identity,
};

/// What is trusted and shown, as `redis-cli` has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asking {
    /// `--cacert`
    pub(crate) authorities: Option<PathBuf>,
    /// `--cacertdir`
    pub(crate) authorities_folder: Option<PathBuf>,
    /// `--cert`
    pub(crate) certificate: Option<PathBuf>,
    /// `--key`
    pub(crate) key: Option<PathBuf>,
    /// `--insecure`
    pub(crate) anyone: bool,
}

/// Where systems keep the authorities that browsers trust, too.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

impl Asking {
    /// Reads what is named. Without `--cacert` and `--cacertdir` the authorities of the system are trusted.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let authorities = if self.anyone { None } else { Some(Arc::new(self.authorities()?)) };
        let verifier = Arc::new(ServerVerifier::new(authorities, &provider));
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| super::no_common_ground(&error, &[]))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let identity = identity([certificate, key], None, ["--cert", "--key", "a key without a password"])?;
                builder.with_client_cert_resolver(identity.certified(&provider)?)
            }
            // The command line demands both or none.
            _ => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    fn authorities(&self) -> Result<Authorities, TlsError> {
        let file = self.authorities.as_ref().map(|path| Named::new("--cacert", path));
        let folder = self.authorities_folder.as_ref().map(|path| Named::new("--cacertdir", path));
        if file.is_some() || folder.is_some() {
            return Authorities::load(file, folder);
        }
        of_system().unwrap_or(Err(TlsError::Missing {
            needs: "--tls",
            directive: "--cacert",
            remedy: "name the authority that issued the Sentinel's certificate, since the system has no list of any",
        }))
    }
}

/// The authorities of the system. None: it has no list of any.
fn of_system() -> Option<Result<Authorities, TlsError>> {
    let given = std::env::var_os("SSL_CERT_FILE").map(|path| Named::new("SSL_CERT_FILE", path.as_ref()));
    let system = SYSTEM.iter().map(|path| Named::new("the authorities of the system in", path.as_ref()));
    let file = given.into_iter().chain(system).find(|file| file.path.exists())?;
    Some(Authorities::load(Some(file), None))
}

/// What `webhook-url` is reached with: the authorities in this file, or those of the system. Unlike between Sentinels and data nodes the
/// certificate must be for the name in the URL.
pub(crate) fn of_webhook(authorities: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let authorities = match authorities {
        Some(path) => Authorities::load(Some(Named::new("webhook-ca-cert-file", path)), None)?,
        None => of_system().unwrap_or(Err(TlsError::Missing {
            needs: "webhook-url",
            directive: "webhook-ca-cert-file",
            remedy: "name the authority that issued the certificate there, since the system has no list of any",
        }))?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| super::no_common_ground(&error, &[]))?;
    Ok(Arc::new(builder.with_root_certificates(authorities.into_roots()).with_no_client_auth()))
}
