//! What went wrong in a handshake, in words that say what to do.

use std::io;

use tokio_rustls::rustls::{AlertDescription as Alert, CertificateError, Error};

/// Whose handshake it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// We connected.
    Connecting,
    /// A client connected to us.
    Accepting,
}

/// Why a connection over TLS cannot be had, or was ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The two sides do not agree: on a certificate, a version, or on TLS itself.
    #[error("{0}")]
    Refused(String),
    /// The connection below it failed.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// What a handshake came to.
    pub(super) fn of_handshake(error: &io::Error, side: Side) -> Self {
        match tls_error(error) {
            Some(_) => Failure::Refused(handshake(error, side)),
            None => Failure::Broken(handshake(error, side)),
        }
    }

    /// What an open connection ended with, if it was TLS that ended it.
    pub(crate) fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref::<Self>()
    }
}

/// Why a connection failed, if it was TLS that failed.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref::<Error>()
}

/// Says why a handshake failed.
pub(super) fn handshake(error: &io::Error, side: Side) -> String {
    match tls_error(error) {
        Some(error) => explain(error, side),
        None if error.kind() == io::ErrorKind::UnexpectedEof => match side {
            Side::Connecting => "the connection was closed during the TLS handshake; if no TLS is spoken there, \
                                 configure it there or remove tls-replication here"
                .to_owned(),
            Side::Accepting => "it closed the connection during the TLS handshake".to_owned(),
        },
        None => error.to_string(),
    }
}

/// Says what a failure of TLS means.
pub(super) fn explain(error: &Error, side: Side) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate(why, side),
        Error::NoCertificatesPresented => {
            "it shows no certificate; give it one, or set tls-auth-clients to optional or no".to_owned()
        }
        Error::AlertReceived(alert) => told(*alert, side),
        Error::InvalidMessage(_) => match side {
            Side::Connecting => "what answers there does not speak TLS; configure its tls-port, or remove \
                                 tls-replication here"
                .to_owned(),
            Side::Accepting => "it does not speak TLS".to_owned(),
        },
        Error::PeerIncompatible(why) => {
            format!("there is no version or cipher of TLS that both speak ({why:?}); see tls-protocols and tls-ciphers")
        }
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError, side: Side) -> String {
    let place = match side {
        Side::Connecting => "issue it by one of them, or add its authority there",
        Side::Accepting => "have the client use one that they issued",
    };
    match error {
        CertificateError::UnknownIssuer => format!(
            "its certificate is not issued by an authority of tls-ca-cert-file or tls-ca-cert-dir (unknown issuer); {place}"
        ),
        CertificateError::BadSignature => {
            "its certificate is not signed by the authority it names, although one of that \
                                           name is in tls-ca-cert-file or tls-ca-cert-dir; was the authority made anew?"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; look at the clocks of both hosts".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            let purpose = match side {
                Side::Connecting => "serverAuth",
                Side::Accepting => "clientAuth",
            };
            format!("its certificate is for another purpose; issue one with {purpose} among its extended key usages")
        }
        // The library of certificates has no names of its own for these.
        other => {
            let text = format!("{other:?}");
            if text.contains("UnsupportedCertVersion") {
                "its certificate is of X.509 version 1, which is not accepted; issue it with extensions (version 3), such \
                 as `openssl x509 -req -extfile`"
                    .to_owned()
            } else if text.contains("CaUsedAsEndEntity") {
                "its certificate is one of an authority; issue one for the server, or list this very certificate in \
                 tls-ca-cert-file"
                    .to_owned()
            } else {
                format!("its certificate is not accepted: {other}")
            }
        }
    }
}

/// What the other side said before it closed the connection.
fn told(alert: Alert, side: Side) -> String {
    let ours = match side {
        Side::Connecting => "tls-client-cert-file, or else tls-cert-file",
        Side::Accepting => "tls-cert-file",
    };
    match alert {
        Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => {
            format!("it does not accept our certificate ({alert:?}); have an authority that it trusts issue {ours}")
        }
        Alert::CertificateExpired => format!("our certificate has expired; renew {ours}"),
        Alert::CertificateRevoked => format!("our certificate was revoked; renew {ours}"),
        Alert::CertificateRequired => {
            "it demands a certificate; set tls-client-cert-file and tls-client-key-file, or tls-cert-file and tls-key-file"
                .to_owned()
        }
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => format!(
            "it refuses the handshake ({alert:?}): it demands a certificate, or both sides share no version or cipher"
        ),
        other => format!("it ended the TLS session ({other:?})"),
    }
}
