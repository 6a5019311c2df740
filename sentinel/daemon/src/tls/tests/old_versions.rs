//! Certificates of X.509 version 1.

use rcgen::{GeneralSubtree, KeyUsagePurpose, NameConstraints};
use rustls::pki_types::{UnixTime, pem::PemObject as _};
use sentinel_tests::of_first_version;

use super::*;
use crate::tls::old_version::{Purpose, read, verify};

impl Issuer {
    /// Writes `<name>.crt`, of version 1, and `<name>.key`.
    fn issue_old(&self, name: &str, adjust: impl FnOnce(&mut CertificateParams)) {
        self.issue_old_under(name, &self.issuer, &[], adjust);
    }

    /// The same from another issuer, with the certificates between.
    fn issue_old_under(
        &self,
        name: &str,
        issuer: &CertifiedIssuer<'static, KeyPair>,
        between: &[String],
        adjust: impl FnOnce(&mut CertificateParams),
    ) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, issuer).unwrap();
        let chain = of_first_version(certificate.der(), issuer.key()) + &between.concat();
        fs::write(self.path(&format!("{name}.crt")), chain).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// An authority below this one, not yet written.
    fn below(&self, adjust: impl FnOnce(&mut CertificateParams)) -> CertifiedIssuer<'static, KeyPair> {
        below(&self.issuer, adjust)
    }

    /// Makes the certificate of this authority one of version 1.
    fn grow_old(&self) {
        fs::write(self.path("ca.crt"), of_first_version(self.issuer.der(), self.issuer.key())).unwrap();
    }
}

fn below(
    issuer: &CertifiedIssuer<'static, KeyPair>,
    adjust: impl FnOnce(&mut CertificateParams),
) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let key = KeyPair::generate().unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("{:?}", key.public_key_raw()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    adjust(&mut params);
    CertifiedIssuer::signed_by(params, key, issuer).unwrap()
}

#[tokio::test]
async fn it_serves_and_connects_in_both_versions_of_tls() {
    let issuer = Issuer::new();
    issuer.issue_old("old", |_| {});
    issuer.issue("new", |_| {});
    let new = load(&issuer.settings("new"));
    for version in ["TLSv1.2", "TLSv1.3"] {
        let old = config::Tls { protocols: Some(version.into()), ..issuer.settings("old") };
        let (old, warnings) = Tls::load(&old).unwrap();
        assert!(warnings.iter().any(|it| it.contains("X.509 version 1")), "{warnings:?}");
        ping(&old, &old).await.unwrap();
        ping(&old, &new).await.unwrap();
        ping(&new, &old).await.unwrap();
    }
}

#[tokio::test]
async fn an_authority_may_be_of_version_1_and_a_chain_may_have_others_between() {
    let issuer = Issuer::new();
    issuer.grow_old();
    issuer.issue_old("old", |_| {});
    issuer.issue("new", |_| {});
    let (first, second) = (issuer.below(|_| {}), issuer.below(|_| {}));
    let third = below(&second, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    issuer.issue_old_under("below", &first, &[first.pem()], |_| {});
    issuer.issue_old_under("deep", &third, &[second.pem(), third.pem()], |_| {});
    let new = load(&issuer.settings("new"));
    for name in ["old", "below", "deep"] {
        let old = load(&issuer.settings(name));
        ping(&old, &new).await.unwrap_or_else(|told| panic!("{name} as a client: {told}"));
        ping(&new, &old).await.unwrap_or_else(|told| panic!("{name} as a server: {told}"));
    }
}

#[tokio::test]
async fn one_that_is_listed_itself_is_trusted_and_issues_nothing() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    stranger.issue_old("leaf", |_| {});
    stranger.issue_old("other", |_| {});
    fs::copy(stranger.path("leaf.crt"), issuer.path("ca.crt")).unwrap();
    let trusting = |name| config::Tls { ca_cert_file: Some(issuer.path("ca.crt")), ..stranger.settings(name) };
    let leaf = load(&trusting("leaf"));
    ping(&leaf, &leaf).await.unwrap();
    let other = config::Tls { auth_clients: ClientCertificates::No, ..trusting("other") };
    let told = ping(&leaf, &load(&other)).await.unwrap_err();
    assert!(told.contains("unknown issuer"), "{told}");
}

#[tokio::test]
async fn each_that_openssl_refuses_is_refused() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    issuer.issue("good", |_| {});
    let mut cases: Vec<(&str, &str)> = Vec::new();

    issuer.issue_old("expired", |params| params.not_after = date_time_ymd(2020, 1, 1));
    cases.push(("expired", "its certificate has expired"));
    issuer.issue_old("early", |params| params.not_before = date_time_ymd(2099, 1, 1));
    cases.push(("early", "its certificate is not valid yet"));
    issuer.issue_old_under("strange", &stranger.issuer, &[], |_| {});
    cases.push(("strange", "unknown issuer"));
    issuer.issue_old_under("brought", &stranger.issuer, &[stranger.issuer.pem()], |_| {});
    cases.push(("brought", "unknown issuer"));

    // Another authority of the same name
    let mut named = CertificateParams::new(Vec::new()).unwrap();
    named.distinguished_name.push(DnType::OrganizationName, issuer.folder.path().display().to_string());
    named.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let named = CertifiedIssuer::self_signed(named, KeyPair::generate().unwrap()).unwrap();
    issuer.issue_old_under("forged", &named, &[], |_| {});
    cases.push(("forged", "not signed by the authority it names"));

    // What stands between
    let plain = issuer.below(|params| params.is_ca = IsCa::ExplicitNoCa);
    issuer.issue_old_under("by-a-leaf", &plain, &[plain.pem()], |_| {});
    cases.push(("by-a-leaf", "is none of an authority"));
    let first = issuer.below(|_| {});
    let old_first = of_first_version(first.der(), issuer.issuer.key());
    issuer.issue_old_under("by-version-1", &first, &[old_first], |_| {});
    cases.push(("by-version-1", "is of X.509 version 1, and may issue none"));
    let short = issuer.below(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let long = below(&short, |_| {});
    issuer.issue_old_under("too-long", &long, &[long.pem(), short.pem()], |_| {});
    cases.push(("too-long", "more certificates between it and the authority than that allows"));
    let signs = issuer.below(|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    issuer.issue_old_under("key-usage", &signs, &[signs.pem()], |_| {});
    cases.push(("key-usage", "a key that may not issue any"));
    let clients = issuer.below(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    issuer.issue_old_under("for-clients", &clients, &[clients.pem()], |_| {});
    cases.push(("for-clients", "is for another purpose"));
    let expired = issuer.below(|params| params.not_after = date_time_ymd(2020, 1, 1));
    issuer.issue_old_under("below-expired", &expired, &[expired.pem()], |_| {});
    cases.push(("below-expired", "has expired"));
    // OpenSSL compares what looks like the name of a host; here none is allowed
    let named = GeneralSubtree::DnsName("example.com".to_owned());
    let constraints = NameConstraints { permitted_subtrees: vec![named], excluded_subtrees: Vec::new() };
    let named = issuer.below(|params| params.name_constraints = Some(constraints));
    issuer.issue_old_under("names", &named, &[named.pem()], |_| {});
    cases.push(("names", "certain names or conditions only"));

    let good = load(&issuer.settings("good"));
    for (name, why) in cases {
        let it = config::Tls { auth_clients: ClientCertificates::No, ..issuer.settings(name) };
        let told = ping(&good, &load(&it)).await.expect_err(name);
        assert!(told.contains(why), "{name}: {told}");
        if name != "for-clients" {
            ping(&load(&issuer.settings(name)), &good).await.expect_err(name);
        }
    }
    ping(&load(&issuer.settings("for-clients")), &good).await.expect("clients are what it is for");
}

#[tokio::test]
async fn one_of_another_key_is_told_at_start_and_a_thief_without_the_key_is_refused() {
    let issuer = Issuer::new();
    issuer.issue_old("old", |_| {});
    issuer.issue_old("other", |_| {});
    let mixed = config::Tls { key_file: Some(issuer.path("other.key")), ..issuer.settings("old") };
    let told = refusal(&mixed);
    assert!(told.contains("other.key: this key does not match"), "{told}");

    // The certificate of one with the key of the other, past the check
    for version in ["TLSv1.2", "TLSv1.3"] {
        let settings = config::Tls {
            protocols: Some(version.into()),
            auth_clients: ClientCertificates::No,
            ..issuer.settings("old")
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::from_pem_file(issuer.path("other.key")).unwrap();
        let chain = vec![CertificateDer::from_pem_file(issuer.path("old.crt")).unwrap()];
        let stolen = CertifiedKey::new(chain, provider.key_provider.load_private_key(key).unwrap());
        let thief = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(stolen)));
        let tls = load(&settings);
        tls.incoming().unwrap().replace(Arc::new(thief));
        ping(&tls, &tls).await.expect_err(version);
    }
}

/// As `openssl x509 -req` made them: an authority with an RSA key, and what it issued.
const RSA: &[u8] = include_bytes!("version1-rsa.pem");

#[test]
fn what_openssl_made_is_verified_to_the_last_bit() {
    let made: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(RSA).map(Result::unwrap).collect();
    let [root, leaf] = &made[..] else { panic!("two certificates") };
    let authority = read(root).expect("of version 1");
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_900_000_000));
    let judge =
        |leaf: &CertificateDer<'_>| verify(leaf, &[], std::iter::once(&authority), &algorithms, now, Purpose::Server);
    judge(leaf).unwrap();
    judge(root).unwrap();
    for at in 0..leaf.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = leaf.to_vec();
            bytes[at] ^= bit;
            let changed = CertificateDer::from(bytes);
            assert!(judge(&changed).is_err(), "byte {at} was changed and nobody noticed");
        }
    }
    for length in 0..leaf.len() {
        assert!(judge(&CertificateDer::from(&leaf[..length])).is_err(), "{length} bytes were enough");
    }
}

#[test]
fn many_certificates_of_one_name_cost_a_bounded_number_of_signatures() {
    let issuer = Issuer::new();
    let ring: Vec<_> = (0..200)
        .map(|_| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, "loop");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        })
        .collect();
    issuer.issue_old_under("old", &ring[199], &[], |_| {});
    let leaf = CertificateDer::from_pem_file(issuer.path("old.crt")).unwrap();
    let sent: Vec<_> = ring.iter().map(|it| it.der().clone()).collect();
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
    let told = verify(&leaf, &sent, std::iter::empty(), &algorithms, UnixTime::now(), Purpose::Server).unwrap_err();
    assert!(told.to_string().contains("too many certificates"), "{told}");
}
