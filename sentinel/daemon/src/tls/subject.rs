//! What a certificate says of whom it is for.

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{Decode, Tag, Tagged, asn1::ObjectIdentifier},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::config::UserField;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// The users that it may name: its first common name, or all URIs in their order. Names are compared byte for byte with those
/// of users, so one in an encoding of two bytes a character is nobody's; nor is one with a NUL, where the reference
/// reads what is before it.
pub(super) fn names(certificate: &CertificateDer<'_>, field: UserField) -> Vec<Vec<u8>> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let body = &certificate.tbs_certificate;
    let mut names: Vec<Vec<u8>> = match field {
        UserField::CommonName => {
            let mut attributes = body.subject.0.iter().flat_map(|set| set.0.iter());
            let first = attributes.find(|attribute| attribute.oid == COMMON_NAME);
            let first = first.filter(|name| name.value.tag() != Tag::BmpString);
            first.map(|name| name.value.value().to_vec()).into_iter().collect()
        }
        UserField::Uri => {
            let others = body.get::<SubjectAltName>().ok().flatten().map(|(_, others)| others.0).unwrap_or_default();
            let uri = |name| match name {
                GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_bytes().to_vec()),
                _ => None,
            };
            others.into_iter().filter_map(uri).collect()
        }
    };
    names.retain(|name| !name.is_empty() && !name.contains(&0));
    names
}
