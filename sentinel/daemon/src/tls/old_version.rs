//! Certificates of X.509 version 1, which say nothing of what they are for: what `openssl x509 -req` makes without extensions.
//!
//! The library of certificates takes none. OpenSSL does, and so the reference: as the certificate of a server or client, and
//! as an authority that signed itself, never as one between the two. The same is done here for a certificate at the end of
//! a chain; authorities of version 1 the library knows itself. What it would judge is judged here, as OpenSSL does it.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio_rustls::rustls::{
    self, CertificateError, DigitallySignedStruct, OtherError, PeerMisbehaved,
    client::danger::HandshakeSignatureValid,
    crypto::{
        WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime},
};
use x509_cert::{
    Certificate, Version,
    der::{
        Decode, Encode, Reader, SliceReader,
        asn1::{AnyRef, ObjectIdentifier},
        oid::AssociatedOid as _,
    },
    ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, NameConstraints},
    spki::SubjectPublicKeyInfoOwned,
};

/// The most certificates between the one at the end and an authority, as in the library of certificates.
const LONGEST: usize = 6;
/// So many signatures are verified for one certificate: who sends many others of one name has each of them tried.
const MOST_SIGNATURES: usize = 64;

/// What a certificate is to be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

impl Purpose {
    const fn usage(self) -> ObjectIdentifier {
        match self {
            Purpose::Server => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1"),
            Purpose::Client => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2"),
        }
    }
}

/// A certificate, if it is of a version before the third.
pub(super) fn read(certificate: &CertificateDer<'_>) -> Option<Certificate> {
    Certificate::from_der(certificate).ok().filter(|read| read.tbs_certificate.version != Version::V3)
}

/// The key that a certificate is for.
pub(super) fn key(certificate: &Certificate) -> Result<SubjectPublicKeyInfoDer<'static>, rustls::Error> {
    let key = certificate.tbs_certificate.subject_public_key_info.to_der().map_err(|_| garbled())?;
    Ok(key.into())
}

/// Verifies that a certificate is valid now, and issued by one of these authorities, maybe over others that were sent with it.
pub(super) fn verify<'a>(
    certificate: &CertificateDer<'_>,
    sent: &[CertificateDer<'_>],
    authorities: impl Iterator<Item = &'a Certificate>,
    algorithms: &WebPkiSupportedAlgorithms,
    now: UnixTime,
    purpose: Purpose,
) -> Result<(), rustls::Error> {
    let leaf = Signed::read(certificate).ok_or_else(garbled)?;
    // Only the third version has extensions; whatever these say, nobody reads them.
    if leaf.read.tbs_certificate.extensions.as_ref().is_some_and(|extensions| !extensions.is_empty()) {
        return Err(garbled());
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now.as_secs());
    is_valid(&leaf.read, now)?;
    let (sent, authorities): (Vec<Signed<'_>>, _) =
        (sent.iter().filter_map(Signed::read).collect(), authorities.collect());
    let mut search = Search { sent: &sent, authorities, algorithms, now, purpose, signatures: 0 };
    search.trusts_issuer(&leaf, 0)
}

/// A certificate, and which of its bytes are signed.
struct Signed<'a> {
    read: Certificate,
    bytes: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(certificate: &'a CertificateDer<'_>) -> Option<Self> {
        let parts = AnyRef::from_der(certificate).ok()?.value();
        let bytes = SliceReader::new(parts).ok()?.tlv_bytes().ok()?;
        Some(Signed { read: Certificate::from_der(certificate).ok()?, bytes })
    }
}

/// The search for a chain.
struct Search<'a> {
    sent: &'a [Signed<'a>],
    authorities: Vec<&'a Certificate>,
    algorithms: &'a WebPkiSupportedAlgorithms,
    now: SystemTime,
    purpose: Purpose,
    signatures: usize,
}

impl Search<'_> {
    /// Whether a certificate is issued by an authority, or by one that is. So many others stand between it and the one that
    /// is to be verified. An error says why the last that has the issuer's name is none.
    fn trusts_issuer(&mut self, certificate: &Signed<'_>, above: usize) -> Result<(), rustls::Error> {
        let mut why: rustls::Error = CertificateError::UnknownIssuer.into();
        let issuer = &certificate.read.tbs_certificate.issuer;
        for authority in self.authorities.clone() {
            if authority.tbs_certificate.subject == *issuer {
                match self.issued(certificate, authority, above) {
                    Ok(()) => return Ok(()),
                    Err(error) => why = error,
                }
            }
        }
        if above == LONGEST {
            return Err(why);
        }
        for other in self.sent {
            if other.read.tbs_certificate.subject == *issuer {
                let trusted = is_authority(&other.read)
                    .and_then(|()| self.issued(certificate, &other.read, above))
                    .and_then(|()| self.trusts_issuer(other, above + 1));
                match trusted {
                    Ok(()) => return Ok(()),
                    Err(error) => why = error,
                }
            }
        }
        Err(why)
    }

    /// Whether a certificate is signed by this one, which may do so.
    fn issued(&mut self, certificate: &Signed<'_>, by: &Certificate, above: usize) -> Result<(), rustls::Error> {
        is_valid(by, self.now)?;
        may_issue(by, above, self.purpose)?;
        if self.signatures == MOST_SIGNATURES {
            return Err(refused("too many certificates were sent with it"));
        }
        self.signatures += 1;
        let body = &certificate.read.tbs_certificate;
        if body.signature != certificate.read.signature_algorithm {
            return Err(garbled());
        }
        let algorithm = certificate.read.signature_algorithm.to_der().map_err(|_| garbled())?;
        let algorithm = AnyRef::from_der(&algorithm).map_err(|_| garbled())?.value();
        let fitting = self.algorithms.all.iter().filter(|known| known.signature_alg_id().as_ref() == algorithm);
        let key = &by.tbs_certificate.subject_public_key_info;
        let signature = certificate.read.signature.as_bytes().ok_or_else(garbled)?;
        is_signed(key, fitting, certificate.bytes, signature)
    }
}

/// Whether this is a time in which a certificate counts.
pub(super) fn is_valid(certificate: &Certificate, now: SystemTime) -> Result<(), rustls::Error> {
    let validity = &certificate.tbs_certificate.validity;
    if now < validity.not_before.to_system_time() {
        Err(CertificateError::NotValidYet.into())
    } else if now > validity.not_after.to_system_time() {
        Err(CertificateError::Expired.into())
    } else {
        Ok(())
    }
}

/// Whether a certificate that was sent is one of an authority.
fn is_authority(certificate: &Certificate) -> Result<(), rustls::Error> {
    let body = &certificate.tbs_certificate;
    if body.version != Version::V3 {
        return Err(refused("a certificate between it and the authority is of X.509 version 1, and may issue none"));
    }
    match body.get::<BasicConstraints>() {
        Ok(Some((_, constraints))) if constraints.ca => Ok(()),
        Ok(_) => Err(refused("a certificate between it and the authority is none of an authority")),
        Err(_) => Err(garbled()),
    }
}

/// Whether what a certificate says of itself allows it to issue one for this purpose, over so many others.
fn may_issue(certificate: &Certificate, above: usize, purpose: Purpose) -> Result<(), rustls::Error> {
    let body = &certificate.tbs_certificate;
    let limit = body.get::<BasicConstraints>().map_err(|_| garbled())?.and_then(|(_, it)| it.path_len_constraint);
    if limit.is_some_and(|limit| above > usize::from(limit)) {
        return Err(refused("there are more certificates between it and the authority than that allows"));
    }
    let usage = body.get::<KeyUsage>().map_err(|_| garbled())?;
    if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
        return Err(refused("it is issued with a key that may not issue any"));
    }
    let purposes = body.get::<ExtendedKeyUsage>().map_err(|_| garbled())?;
    if purposes.is_some_and(|(_, purposes)| !purposes.0.contains(&purpose.usage())) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    // Version 1 has no names to compare with these, so none is allowed rather than all.
    let known = [BasicConstraints::OID, KeyUsage::OID, ExtendedKeyUsage::OID];
    let mut extensions = body.extensions.iter().flatten();
    if extensions.any(|it| it.extn_id == NameConstraints::OID || (it.critical && !known.contains(&it.extn_id))) {
        return Err(refused("its authority issues for certain names or conditions only, which version 1 cannot meet"));
    }
    Ok(())
}

/// Whether one of these ways of signing, with this key, gives this signature.
fn is_signed<'a>(
    key: &SubjectPublicKeyInfoOwned,
    ways: impl Iterator<Item = &'a &'static dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), rustls::Error> {
    let kind = key.algorithm.to_der().map_err(|_| garbled())?;
    let kind = AnyRef::from_der(&kind).map_err(|_| garbled())?.value();
    let public = key.subject_public_key.as_bytes().ok_or_else(garbled)?;
    let mut why = refused("it is signed in a way that is not supported");
    for way in ways.filter(|way| way.public_key_alg_id().as_ref() == kind) {
        match way.verify_signature(public, message, signature) {
            Ok(()) => return Ok(()),
            Err(_) => why = CertificateError::BadSignature.into(),
        }
    }
    Err(why)
}

/// Whether the other side has the key of its certificate, of whatever version.
pub(super) fn tls12_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let Some(old) = read(certificate) else {
        return verify_tls12_signature(message, certificate, signed, algorithms);
    };
    let Some((_, ways)) = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme) else {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    };
    is_signed(&old.tbs_certificate.subject_public_key_info, ways.iter(), message, signed.signature())?;
    Ok(HandshakeSignatureValid::assertion())
}

/// The same for TLS 1.3.
pub(super) fn tls13_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    match read(certificate) {
        None => verify_tls13_signature(message, certificate, signed, algorithms),
        Some(old) => verify_tls13_signature_with_raw_key(message, &key(&old)?, signed, algorithms),
    }
}

fn garbled() -> rustls::Error {
    CertificateError::BadEncoding.into()
}

fn refused(why: &'static str) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(io::Error::other(why)))).into()
}
