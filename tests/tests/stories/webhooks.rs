//! Events that are posted to a URL.

use std::{
    collections::VecDeque,
    io::{self, BufRead as _, BufReader, Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use hmac::{Hmac, Mac as _};
use sentinel_tests::{Authority, Deployment, Pair, eventually, http::metric};
use serde_json::Value;
use sha2::Sha256;
use tokio_rustls::rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::{
    given::{SOON, only_true_of_ours},
    http_metrics::page,
};

const WHY: &str = "it posts nothing";
const SECRET: &str = "4711-secret";

/// One request as it came.
#[derive(Clone, Debug)]
struct Posted {
    first_line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Posted {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn event(&self) -> String {
        self.json()["event"].as_str().unwrap_or_default().to_owned()
    }

    fn is_signed_with(&self, secret: &str) -> bool {
        let Some(signature) = self.header("sentinel-signature") else { return false };
        let (seconds, digits) =
            signature.strip_prefix("t=").and_then(|it| it.split_once(",v1=")).expect("time and digits");
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length is one");
        mac.update(format!("{seconds}.{}", self.body).as_bytes());
        let byte = |at: usize| digits.get(at..at + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let given: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
        given.is_some_and(|given| mac.verify_slice(&given).is_ok())
    }
}

/// A server that takes what is posted, and answers with these states first.
struct Receiver {
    port: u16,
    posted: Arc<Mutex<Vec<Posted>>>,
}

impl Receiver {
    fn start(answers: &[u16], tls: Option<&Pair>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it has one").port();
        let posted: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let tls = tls.map(server_config);
        let (all, mut answers) = (Arc::clone(&posted), VecDeque::from(answers.to_vec()));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let answer = |status: u16| format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                let mut take = |stream: &mut dyn ReadWrite| -> io::Result<()> {
                    let request = read(stream)?;
                    all.lock().expect("no writer panics").push(request);
                    stream.write_all(answer(answers.pop_front().unwrap_or(204)).as_bytes())
                };
                // Who does not trust the certificate goes away.
                let _ = match &tls {
                    None => take(&mut { stream }),
                    Some(config) => {
                        let session = ServerConnection::new(Arc::clone(config)).expect("a session");
                        take(&mut StreamOwned::new(session, stream))
                    }
                };
            }
        });
        Receiver { port, posted }
    }

    fn posted(&self) -> Vec<Posted> {
        self.posted.lock().expect("no writer panics").clone()
    }

    fn wait_for(&self, event: &str) -> Posted {
        let mut found = None;
        eventually("it is posted", SOON, || {
            let posted = self.posted();
            found = posted.iter().find(|it| it.event() == event).cloned();
            found.as_ref().map(|_| ()).ok_or_else(|| format!("{posted:?}"))
        });
        found.expect("it was found")
    }
}

trait ReadWrite: Read + Write {}

impl<S: Read + Write> ReadWrite for S {}

fn read(stream: &mut dyn ReadWrite) -> io::Result<Posted> {
    let mut reader = BufReader::new(stream);
    let mut line = || -> io::Result<String> {
        let mut text = String::new();
        reader.read_line(&mut text)?;
        Ok(text.trim_end().to_owned())
    };
    let first_line = line()?;
    let mut headers = Vec::new();
    loop {
        let text = line()?;
        let Some((name, value)) = text.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or_default()];
    reader.read_exact(&mut body)?;
    Ok(Posted { first_line, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

fn server_config(pair: &Pair) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(&pair.certificate).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(&pair.key).expect("a key");
    let builder = ServerConfig::builder().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate], key).expect("they belong together"))
}

#[test]
fn a_failover_is_posted_in_order_and_signed_and_again_until_it_is_taken() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a receiver that is busy twice, and refuses the third event
    let receiver = Receiver::start(&[503, 500, 204, 204, 400], None);
    let url = format!("webhook-url http://127.0.0.1:{}/hook?key=1", receiver.port);
    let secret = format!("webhook-secret {SECRET}");
    let deployment =
        Deployment::of_ours(1).quorum(1).replicas(1).with_http().sentinel_line(&url).sentinel_line(&secret).start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    // When the master dies
    group.master().kill();
    deployment.wait_for_switch("mymaster", group.master().port());
    // Then that is posted
    let switch = receiver.wait_for("+switch-master");
    let new = group.replicas()[0].port();
    assert_eq!(switch.first_line, "POST /hook?key=1 HTTP/1.1");
    assert_eq!(switch.header("content-type"), Some("application/json"));
    let payload = format!("mymaster 127.0.0.1 {} 127.0.0.1 {new}", group.master().port());
    let json = switch.json();
    assert_eq!(
        (&json["payload"], &json["master"], &json["level"]),
        (&payload.into(), &"mymaster".into(), &"warning".into())
    );
    let id: String = sentinel.command(&["SENTINEL", "MYID"]).expect("it answers");
    assert_eq!(json["sentinel"], id);
    assert_eq!(switch.header("sentinel-delivery"), json["id"].as_str());
    let posted = receiver.posted();
    assert!(posted.iter().all(|it| it.is_signed_with(SECRET)), "{posted:?}");
    // The first three are the same event: it came again until it was taken. None else came twice
    let names: Vec<_> = posted.iter().map(|it| it.header("sentinel-delivery").unwrap_or_default()).collect();
    assert!(names[0] == names[1] && names[1] == names[2], "{names:?}");
    let mut once = names.clone();
    once.dedup();
    assert_eq!(once.len(), names.len() - 2, "{names:?}");
    let place = |event: &str| posted.iter().position(|it| it.event() == event);
    assert!(place("+sdown") < place("+odown") && place("+odown") < place("+switch-master"), "{posted:?}");
    // So is a problem, and its end
    let of_problem = |it: &Posted| it.json()["problem"]["code"] == "master-down";
    for event in ["+problem", "-problem"] {
        eventually("the problem is posted", SOON, || {
            let posted = receiver.posted();
            let found = posted.iter().any(|it| it.event() == event && of_problem(it));
            if found { Ok(()) } else { Err(format!("{posted:?}")) }
        });
    }
    // And counted
    let counted = |result: &str| metric(&page(sentinel), &format!("sentinel_webhooks_total{{result=\"{result}\"}}"));
    eventually("the refused one is counted", SOON, || match (counted("ok"), counted("failed"), counted("dropped")) {
        (Some(ok), Some(failed), Some(dropped)) if ok >= 4.0 && (failed - 1.0).abs() < 0.1 && dropped < 0.1 => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn https_is_posted_to_who_has_a_certificate_for_the_name() {
    if only_true_of_ours(WHY) {
        return;
    }
    let authority = Authority::new("hooks");
    let pair = authority.issue("receiver");
    let trusted = format!("webhook-ca-cert-file {}", authority.certificate().display());
    for (host, is_named) in [("127.0.0.1", true), ("localhost", false)] {
        let receiver = Receiver::start(&[], Some(&pair));
        let url = format!("webhook-url https://{host}:{}/", receiver.port);
        let deployment =
            Deployment::of_ours(1).quorum(1).replicas(1).sentinel_line(&url).sentinel_line(&trusted).start();
        let group = deployment.only_group();
        group.master().kill();
        deployment.wait_for_switch("mymaster", group.master().port());
        if is_named {
            assert!(receiver.wait_for("+switch-master").header("sentinel-signature").is_none());
        } else {
            let sentinel = &deployment.sentinels()[0];
            eventually("it is said that nobody is trusted there", SOON, || {
                let log = sentinel.last_output(200);
                let told = log.contains("Cannot post events to https://localhost:") && log.contains("certificate");
                if told { Ok(()) } else { Err(log) }
            });
            assert!(receiver.posted().is_empty());
        }
    }
}

#[test]
fn a_receiver_that_hangs_keeps_nobody_from_the_failover() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a receiver that takes connections and says nothing
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it has one").port();
    let url = format!("webhook-url http://127.0.0.1:{port}/");
    let deployment =
        Deployment::of_ours(1).quorum(1).replicas(1).sentinel_line(&url).sentinel_line("webhook-level verbose").start();
    let group = deployment.only_group();
    // When the master dies, then it is replaced
    group.master().kill();
    deployment.wait_for_switch("mymaster", group.master().port());
    // And the process ends when it is told to
    deployment.sentinels()[0].terminate();
}
