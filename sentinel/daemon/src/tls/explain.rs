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
    /// A command of this program connected to a Sentinel.
    Asking,
}

/// What things are called on one side.
struct Words {
    /// Who is trusted.
    authorities: &'static str,
    /// Our certificate.
    own: &'static str,
    /// How to have one.
    demanded: &'static str,
    /// What to do about one who speaks no TLS.
    no_tls: &'static str,
}

impl Side {
    const fn words(self) -> Words {
        match self {
            Side::Connecting => Words {
                authorities: "tls-ca-cert-file or tls-ca-cert-dir",
                own: "tls-client-cert-file, or else tls-cert-file",
                demanded: "set tls-client-cert-file and tls-client-key-file, or tls-cert-file and tls-key-file",
                no_tls: "configure its tls-port, or remove tls-replication here",
            },
            Side::Accepting => Words {
                authorities: "tls-ca-cert-file or tls-ca-cert-dir",
                own: "tls-cert-file",
                demanded: "set tls-cert-file and tls-key-file",
                no_tls: "have it speak TLS, or open a port without",
            },
            Side::Asking => Words {
                authorities: "--cacert or --cacertdir",
                own: "--cert",
                demanded: "give --cert and --key",
                no_tls: "leave --tls out, or give another port",
            },
        }
    }
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
    pub(crate) fn of_handshake(error: &io::Error, side: Side) -> Self {
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
            Side::Accepting => "it closed the connection during the TLS handshake".to_owned(),
            Side::Connecting | Side::Asking => format!(
                "the connection was closed during the TLS handshake; if no TLS is spoken there, {}",
                side.words().no_tls
            ),
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
        Error::InvalidMessage(_) => format!("what is there does not speak TLS; {}", side.words().no_tls),
        Error::PeerIncompatible(why) => {
            format!("there is no version or cipher of TLS that both speak ({why:?}); see tls-protocols and tls-ciphers")
        }
        other => other.to_string(),
    }
}

fn certificate(error: &CertificateError, side: Side) -> String {
    let authorities = side.words().authorities;
    match error {
        CertificateError::UnknownIssuer => format!(
            "its certificate is not issued by an authority of {authorities} (unknown issuer); have one of them issue it, \
             or add the one that did"
        ),
        CertificateError::BadSignature => format!(
            "its certificate is not signed by the authority it names, although one of that name is in {authorities}; was \
             the authority made anew?"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired; renew it".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; look at the clocks of both hosts".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            let purpose = if side == Side::Accepting { "clientAuth" } else { "serverAuth" };
            format!("its certificate is for another purpose; issue one with {purpose} among its extended key usages")
        }
        // The library of certificates has no names of its own for these.
        other => {
            let text = format!("{other:?}");
            if text.contains("CaUsedAsEndEntity") {
                format!(
                    "its certificate is one of an authority; issue one for it, or list this very certificate in \
                     {authorities}"
                )
            } else {
                format!("its certificate is not accepted: {other}")
            }
        }
    }
}

/// What the other side said before it closed the connection.
fn told(alert: Alert, side: Side) -> String {
    let Words { own, demanded, .. } = side.words();
    match alert {
        Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate => {
            format!("it does not accept our certificate ({alert:?}); have an authority that it trusts issue {own}")
        }
        Alert::CertificateExpired => format!("our certificate has expired; renew {own}"),
        Alert::CertificateRevoked => format!("our certificate was revoked; renew {own}"),
        Alert::CertificateRequired => format!("it demands a certificate; {demanded}"),
        Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity => format!(
            "it refuses the handshake ({alert:?}): it demands a certificate, or both sides share no version or cipher"
        ),
        other => format!("it ended the TLS session ({other:?})"),
    }
}
