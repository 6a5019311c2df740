use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use pkcs8::{LineEnding, PrivateKeyInfo, pkcs5::pbes2};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

mod old_versions;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Files in a folder of their own: `ca.crt` of an authority, and what it issues.
struct Issuer {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Issuer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Of two authorities of one name only the signatures could be told apart.
        params.distinguished_name.push(DnType::OrganizationName, folder.path().display().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Issuer { folder, issuer }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `<name>.crt` and `<name>.key`.
    fn issue(&self, name: &str, adjust: impl FnOnce(&mut CertificateParams)) -> KeyPair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.path(&format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        key
    }

    /// Both directions with the pair of that name and this authority.
    fn settings(&self, name: &str) -> config::Tls {
        config::Tls {
            port: Some(1),
            replication: true,
            cert_file: Some(self.path(&format!("{name}.crt"))),
            key_file: Some(self.path(&format!("{name}.key"))),
            ca_cert_file: Some(self.path("ca.crt")),
            ..config::Tls::default()
        }
    }
}

fn load(settings: &config::Tls) -> Tls {
    Tls::load(settings).unwrap().0
}

fn refusal(settings: &config::Tls) -> String {
    Tls::load(settings).map(|_| ()).unwrap_err().to_string()
}

/// What comes of a connection from one to the other: PING and its answer, or why not, as the side says that connects.
async fn ping(from: &Tls, to: &Tls) -> Result<(), String> {
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = Arc::clone(to.incoming().unwrap());
    let serving = tokio::spawn(async move {
        let (stream, peer) = listener.accept().await.unwrap();
        let Some(mut stream) = incoming.accept(stream, &peer).await else { return };
        let mut request = [0; 4];
        if stream.read_exact(&mut request).await.is_ok() {
            stream.write_all(b"PONG").await.unwrap();
        }
    });
    let told = async {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = from.outgoing().unwrap().connect(stream, HERE).await.map_err(|failure| failure.to_string())?;
        stream.write_all(b"PING").await.map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map_err(|error| error.to_string())?;
        assert_eq!(answer, b"PONG");
        Ok(())
    };
    let outcome = tokio::time::timeout(Duration::from_secs(20), told).await.expect("a handshake ends");
    serving.await.unwrap();
    outcome
}

#[tokio::test]
async fn two_of_one_authority_talk_whatever_the_names_say() {
    let issuer = Issuer::new();
    issuer.issue("some-other-host", |_| {});
    let tls = load(&issuer.settings("some-other-host"));
    ping(&tls, &tls).await.unwrap();
    for version in ["TLSv1.2", "TLSv1.3"] {
        let one = config::Tls { protocols: Some(version.into()), ..issuer.settings("some-other-host") };
        ping(&load(&one), &tls).await.unwrap();
        ping(&tls, &load(&one)).await.unwrap();
    }
}

#[tokio::test]
async fn each_reason_not_to_trust_has_its_own_words() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    issuer.issue("good", |_| {});
    stranger.issue("good", |_| {});
    issuer.issue("old", |params| params.not_after = date_time_ymd(2020, 1, 1));
    issuer.issue("client-only", |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let open = |settings| config::Tls { auth_clients: ClientCertificates::No, ..settings };
    let good = load(&issuer.settings("good"));

    let told = ping(&good, &load(&open(stranger.settings("good")))).await.unwrap_err();
    assert!(told.contains("not issued by an authority of tls-ca-cert-file"), "{told}");
    let told = ping(&good, &load(&open(issuer.settings("old")))).await.unwrap_err();
    assert_eq!(told, "its certificate has expired; renew it");
    let told = ping(&good, &load(&open(issuer.settings("client-only")))).await.unwrap_err();
    assert!(told.contains("serverAuth"), "{told}");

    // With TLS 1.3 the one that connects hears of it when it reads.
    for protocols in [None, Some("TLSv1.2".to_owned())] {
        let nobody = config::Tls { cert_file: None, key_file: None, port: None, ..issuer.settings("good") };
        let told = ping(&load(&config::Tls { protocols: protocols.clone(), ..nobody }), &good).await.unwrap_err();
        assert!(told.contains("it demands a certificate"), "{told}");
        let mut strange = stranger.settings("good");
        strange.ca_cert_file = Some(issuer.path("ca.crt"));
        let told = ping(&load(&config::Tls { protocols, ..strange }), &good).await.unwrap_err();
        assert!(told.contains("does not accept our certificate"), "{told}");
    }
    let (old, new) = ("TLSv1.2".to_owned(), "TLSv1.3".to_owned());
    let old = load(&config::Tls { protocols: Some(old), ..issuer.settings("good") });
    let new = load(&config::Tls { protocols: Some(new), ..issuer.settings("good") });
    let told = ping(&old, &new).await.unwrap_err();
    assert!(told.contains("share no version"), "{told}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_named_so() {
    let issuer = Issuer::new();
    issuer.issue("good", |_| {});
    let tls = load(&issuer.settings("good"));
    let listener = TcpListener::bind((HERE, 0)).await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (stream, plain) = tokio::join!(connect, async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"-ERR Protocol error\r\n").await.unwrap();
        stream
    });
    let failure = tls.outgoing().unwrap().connect(stream.unwrap(), HERE).await.unwrap_err();
    assert!(matches!(&failure, Failure::Refused(why) if why.contains("does not speak TLS")), "{failure}");
    drop(plain);
}

#[tokio::test]
async fn a_reload_changes_new_connections_and_a_bad_one_changes_nothing() {
    let (issuer, next) = (Issuer::new(), Issuer::new());
    issuer.issue("good", |_| {});
    next.issue("good", |_| {});
    let open = |settings| config::Tls { auth_clients: ClientCertificates::No, ..settings };
    let tls = load(&open(issuer.settings("good")));
    let next_tls = load(&open(next.settings("good")));
    ping(&tls, &tls).await.unwrap();
    ping(&next_tls, &tls).await.unwrap_err();

    // A connection that was there before
    let (near, far) = tokio::io::duplex(64 * 1024);
    let config = tls.outgoing().unwrap();
    let name = rustls::pki_types::ServerName::IpAddress(HERE.into());
    let connector = tokio_rustls::TlsConnector::from(config.config.load_full());
    let (client, server) = tokio::join!(connector.connect(name, near), tls.incoming().unwrap().accept(far, &"a test"));
    let mut server = server.unwrap();
    let mut client = stream::Stream::new(tokio_rustls::TlsStream::from(client.unwrap()), explain::Side::Connecting);

    // A key of another pair
    fs::copy(next.path("good.key"), issuer.path("good.key")).unwrap();
    let error = tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
    ping(&tls, &tls).await.unwrap();

    // The whole pair, and its authority
    fs::copy(next.path("good.crt"), issuer.path("good.crt")).unwrap();
    fs::copy(next.path("ca.crt"), issuer.path("ca.crt")).unwrap();
    tls.reload().unwrap();
    ping(&tls, &tls).await.unwrap();
    ping(&next_tls, &tls).await.unwrap();

    // And the old connection lives
    client.write_all(b"PING").await.unwrap();
    let mut request = [0; 4];
    server.read_exact(&mut request).await.unwrap();
    assert_eq!(&request, b"PING");
}

#[tokio::test]
async fn a_certificate_that_is_listed_itself_is_trusted_and_issues_nothing() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    // Signed by nobody known, and no authority
    let key = stranger.issue("leaf", |_| {});
    // Whoever has its key signs another one with it
    let leaf = rcgen::Issuer::new(CertificateParams::new(vec!["leaf".to_owned()]).unwrap(), key);
    let forged_key = KeyPair::generate().unwrap();
    let forged = CertificateParams::new(vec!["forged".to_owned()]).unwrap().signed_by(&forged_key, &leaf).unwrap();
    fs::write(stranger.path("forged.crt"), forged.pem()).unwrap();
    fs::write(stranger.path("forged.key"), forged_key.serialize_pem()).unwrap();

    fs::copy(stranger.path("leaf.crt"), issuer.path("ca.crt")).unwrap();
    let mut settings = stranger.settings("leaf");
    settings.ca_cert_file = Some(issuer.path("ca.crt"));
    let trusting = load(&settings);
    ping(&trusting, &trusting).await.unwrap();
    let forged = config::Tls { auth_clients: ClientCertificates::No, ..stranger.settings("forged") };
    let told = ping(&trusting, &load(&forged)).await.unwrap_err();
    assert!(told.contains("unknown issuer"), "{told}");
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    issuer.issue("good", |_| {});
    stranger.issue("good", |_| {});
    let settings = config::Tls { auth_clients: ClientCertificates::Optional, ..issuer.settings("good") };
    let optional = load(&settings);
    let nobody = config::Tls { cert_file: None, key_file: None, port: None, ..issuer.settings("good") };
    ping(&load(&nobody), &optional).await.unwrap();
    ping(&load(&issuer.settings("good")), &optional).await.unwrap();
    let mut strange = stranger.settings("good");
    strange.ca_cert_file = Some(issuer.path("ca.crt"));
    ping(&load(&strange), &optional).await.unwrap_err();
}

/// Sends a megabyte, and takes one.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let (mut from, mut to) = tokio::io::split(stream);
    let (sending, receiving) = (async { to.write_all(&vec![7; 1 << 20]).await.unwrap() }, async {
        let mut all = vec![0; 1 << 20];
        from.read_exact(&mut all).await.unwrap();
        assert!(all.iter().all(|byte| *byte == 7));
    });
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_megabyte_gets_through_a_narrow_pipe_and_nobody_flushes() {
    let issuer = Issuer::new();
    issuer.issue("good", |_| {});
    let tls = load(&issuer.settings("good"));
    let (near, far) = tokio::io::duplex(1000);
    let connector = tokio_rustls::TlsConnector::from(tls.outgoing().unwrap().config.load_full());
    let name = rustls::pki_types::ServerName::IpAddress(HERE.into());
    let (client, server) = tokio::join!(connector.connect(name, near), tls.incoming().unwrap().accept(far, &"a test"));
    let client = stream::Stream::new(tokio_rustls::TlsStream::from(client.unwrap()), explain::Side::Connecting);

    let both = async { tokio::join!(echo(client), echo(server.unwrap())) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("nothing is stuck inside");
}

#[test]
fn faults_name_the_file_and_the_remedy() {
    let issuer = Issuer::new();
    let key = issuer.issue("good", |_| {});
    issuer.issue("other", |_| {});
    let good = issuer.settings("good");

    let missing = config::Tls { cert_file: None, key_file: None, ..good.clone() };
    assert!(refusal(&missing).starts_with("tls-port needs tls-cert-file"), "{}", refusal(&missing));
    let no_key = config::Tls { key_file: None, ..good.clone() };
    assert!(refusal(&no_key).starts_with("tls-cert-file needs tls-key-file"), "{}", refusal(&no_key));
    let no_authority = config::Tls { ca_cert_file: None, ..good.clone() };
    assert!(refusal(&no_authority).contains("needs tls-ca-cert-file or tls-ca-cert-dir"), "{}", refusal(&no_authority));
    let nowhere = config::Tls { cert_file: Some(issuer.path("no.crt")), ..good.clone() };
    assert!(refusal(&nowhere).contains("no.crt: No such file or directory; name a file"), "{}", refusal(&nowhere));
    let swapped = config::Tls { cert_file: good.key_file.clone(), ..good.clone() };
    assert!(refusal(&swapped).contains("good.key: there is no certificate in it"), "{}", refusal(&swapped));
    let swapped = config::Tls { key_file: good.cert_file.clone(), ..good.clone() };
    assert!(refusal(&swapped).contains("good.crt: there is no private key in it"), "{}", refusal(&swapped));
    let mixed = config::Tls { key_file: Some(issuer.path("other.key")), ..good.clone() };
    let told = refusal(&mixed);
    assert!(told.contains("other.key: this key does not match") && told.contains("good.crt"), "{told}");
    let unhashed = config::Tls { ca_cert_dir: Some(issuer.folder.path().to_owned()), ..good.clone() };
    assert!(refusal(&unhashed).contains("openssl rehash"), "{}", refusal(&unhashed));
    fs::copy(issuer.path("ca.crt"), issuer.path("5ed36f99.0")).unwrap();
    load(&config::Tls { ca_cert_file: None, ..unhashed });

    // A key with a password
    let document = key.serialize_der();
    let plain = PrivateKeyInfo::try_from(document.as_slice()).unwrap();
    let encryption = pbes2::Parameters::pbkdf2_sha256_aes256cbc(2048, b"saltsalt", &[3; 16]).unwrap();
    let encrypted = plain.encrypt_with_params(encryption, "secret").unwrap();
    let pem = encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap();
    fs::write(issuer.path("good.key"), format!("Bag Attributes\n{}", *pem)).unwrap();
    assert!(refusal(&good).contains("encrypted; set tls-key-file-pass"), "{}", refusal(&good));
    let wrong = config::Tls { key_file_pass: Some(Secret::new("wrong")), ..good.clone() };
    let told = refusal(&wrong);
    assert!(told.contains("cannot be decrypted with tls-key-file-pass") && !told.contains("\"wrong\""), "{told}");
    load(&config::Tls { key_file_pass: Some(Secret::new("secret")), ..good });
}

#[test]
fn certificates_that_end_soon_are_told() {
    let issuer = Issuer::new();
    issuer.issue("old", |params| params.not_after = date_time_ymd(2020, 1, 1));
    let warnings = check(&issuer.settings("old"), issuer.folder.path()).unwrap();
    assert!(
        matches!(&warnings[..], [one] if one.contains("old.crt: this certificate expired at 2020-01-01")),
        "{warnings:?}"
    );
    let told = load(&issuer.settings("old")).ends_soon();
    assert_eq!(
        told.as_deref(),
        Some("the certificate of this Sentinel (tls-cert-file) expired at 2020-01-01T00:00:00Z")
    );
    // Renewed, nothing is wrong any more.
    let tls = load(&issuer.settings("old"));
    issuer.issue("old", |_| {});
    tls.reload().unwrap();
    assert_eq!(tls.ends_soon(), None);
}
