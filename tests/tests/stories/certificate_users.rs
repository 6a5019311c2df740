//! `tls-auth-clients-user`: who shows the certificate of a user is that user.

use std::process::Command;

use sentinel_tests::{Authority, Kind, Pair, SentinelProcess, eventually, programs};
use tempfile::TempDir;

use crate::given::{SOON, only_true_of_ours};

/// One Sentinel that speaks TLS, and whoever shows certificates of its authority.
struct Asked {
    authority: Authority,
    sentinel: SentinelProcess,
    _folder: TempDir,
}

impl Asked {
    fn start(kind: Kind, lines: &[&str]) -> Self {
        let authority = Authority::new("ours");
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let users = [
            "user alice on nopass ~* &* +@all",
            "user urn:alice on nopass ~* &* +@all",
            "user urn:second on nopass ~* &* +@all",
            "user retired off nopass ~* &* +@all",
            "requirepass secret",
            "loglevel verbose",
        ];
        let lines: Vec<String> = users.iter().chain(lines).map(|line| (*line).to_owned()).collect();
        let mut tls = authority.lines("sentinel");
        tls.retain(|line| !line.starts_with("tls-replication"));
        let sentinel = SentinelProcess::start_encrypted(folder.path(), "sentinel", kind, &lines, &tls);
        Self { authority, sentinel, _folder: folder }
    }

    /// What the holder of a certificate is told, over TLS.
    fn told(&self, pair: &Pair, words: &[&str]) -> String {
        let output = Command::new(programs::redis_cli())
            .args(["--tls", "-p", &self.sentinel.port().to_string(), "--cacert"])
            .arg(self.authority.certificate())
            .arg("--cert")
            .arg(&pair.certificate)
            .arg("--key")
            .arg(&pair.key)
            .args(words)
            .output()
            .expect("redis-cli can be started");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn who_is(&self, pair: &Pair) -> String {
        self.told(pair, &["ACL", "WHOAMI"])
    }
}

const STRANGER: &str = "NOAUTH Authentication required.";

/// Whose rules these are: ours, and those of the reference where that knows the directive.
fn kinds() -> Vec<Kind> {
    let known = Kind::Reference.version().contains("Valkey") && Kind::Reference.version().contains("v=9.");
    if known { vec![Kind::Ours, Kind::Reference] } else { vec![Kind::Ours] }
}

#[test]
fn the_common_name_of_a_certificate_is_a_user() {
    if only_true_of_ours("7.0.15 does not know the directive") {
        return;
    }
    for kind in kinds() {
        let asked = Asked::start(kind, &["tls-auth-clients-user CN"]);
        let issue = |name: &str| asked.authority.issue(name);

        // A user is who it is, without a password; so is the default user
        assert_eq!(asked.who_is(&issue("alice")), "alice", "{kind:?}");
        assert_eq!(asked.who_is(&issue("default")), "default", "{kind:?}");
        // Nobody of that name, and one that is off, are strangers, and ACL LOG tells of them
        assert_eq!(asked.who_is(&issue("nobody")), STRANGER, "{kind:?}");
        assert_eq!(asked.who_is(&issue("retired")), STRANGER, "{kind:?}");
        // URIs do not count
        let uris = asked.authority.issue_with_uris("uris", &["urn:alice"]);
        assert_eq!(asked.who_is(&uris), STRANGER, "{kind:?}");
        let log = asked.told(&issue("alice"), &["ACL", "LOG"]);
        let lines: Vec<&str> = log.lines().collect();
        for name in ["nobody", "retired"] {
            let at =
                lines.iter().position(|line| *line == name).unwrap_or_else(|| panic!("{kind:?}: no {name}: {log}"));
            let entry = &lines[at - 7..at];
            let expected = ["reason", "tls-cert", "context", "toplevel", "object", "", "username"];
            assert_eq!(entry, expected, "{kind:?}");
        }
        // Whoever it is may log in as another
        let words = ["-a", "secret", "--no-auth-warning", "ACL", "WHOAMI"];
        assert_eq!(asked.told(&issue("alice"), &words), "default", "{kind:?}");
    }
}

#[test]
fn a_uri_of_a_certificate_is_a_user() {
    if only_true_of_ours("7.0.15 does not know the directive") {
        return;
    }
    for kind in kinds() {
        let asked = Asked::start(kind, &["tls-auth-clients-user URI"]);
        let issue = |name: &str, uris: &[&str]| asked.authority.issue_with_uris(name, uris);
        assert_eq!(asked.who_is(&issue("one", &["urn:alice"])), "urn:alice", "{kind:?}");
        assert_eq!(asked.who_is(&issue("next", &["urn:nobody", "urn:second", "urn:alice"])), "urn:second", "{kind:?}");
        assert_eq!(asked.who_is(&issue("none", &["urn:nobody", "urn:last"])), STRANGER, "{kind:?}");
        assert_eq!(asked.who_is(&asked.authority.issue("alice")), STRANGER, "{kind:?}");
        let log = asked.told(&issue("again", &["urn:alice"]), &["ACL", "LOG"]);
        // Of several the last is told, and of none nothing
        assert!(log.contains("tls-cert") && log.contains("\nurn:last\n"), "{kind:?}: {log}");
        assert_eq!(log.matches("tls-cert").count(), 1, "{kind:?}: {log}");
    }
}

#[test]
fn without_the_directive_a_certificate_names_nobody() {
    let kind = Kind::under_test();
    let asked = Asked::start(kind, &[]);
    assert_eq!(asked.who_is(&asked.authority.issue("alice")), STRANGER);
}

#[test]
fn the_log_hides_or_shows_what_belongs_to_clients() {
    if only_true_of_ours("7.0.15 does not know the directive") {
        return;
    }
    // Valkey hides what it can unless told otherwise; ours shows names then, and never what was sent
    for (kind, line, hides, shows_sent) in kinds().into_iter().flat_map(|kind| {
        let silent = kind == Kind::Reference;
        [(kind, "yes", true, false), (kind, "no", false, true), (kind, "", silent, false)]
    }) {
        let mut lines = vec!["tls-auth-clients-user CN".to_owned()];
        if !line.is_empty() {
            lines.push(format!("hide-user-data-from-log {line}"));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let asked = Asked::start(kind, &lines);
        asked.who_is(&asked.authority.issue("alice"));
        asked.who_is(&asked.authority.issue("nobody"));
        send_garbled(&asked.sentinel);

        let log = eventually("the log tells of the broken protocol", SOON, || {
            let log = asked.sentinel.last_output(100);
            if log.contains("Protocol error (") { Ok(log) } else { Err(log) }
        });
        let case = format!("{kind:?} with {line:?}: {log}");
        assert_eq!(log.contains("TLS: Auto-authenticated client as alice"), !hides, "{case}");
        assert_eq!(log.contains("TLS: Auto-authenticated client as *redacted*"), hides, "{case}");
        assert_eq!(log.contains("TLS: No matching user found for certificate CN \"nobody\""), !hides, "{case}");
        assert_eq!(log.contains(" name=*redacted* "), hides, "{case}");
        assert_eq!(log.contains(" user=*redacted* "), hides, "{case}");
        assert_eq!(log.contains(". Query buffer: 'GET my-secret..'"), shows_sent, "{case}");
        assert_eq!(log.contains("my-secret"), shows_sent, "{case}");
        assert_eq!(log.contains(". Query buffer: *redacted*"), hides, "{case}");
    }
}

/// Breaks the protocol with a secret in it.
fn send_garbled(sentinel: &SentinelProcess) {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    let socket = sentinel.config_file().with_file_name("door");
    let mut stream = UnixStream::connect(&socket).expect("the socket beside its port");
    stream.write_all(b"*1\r\nGET my-secret\r\n").expect("it is open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    assert_eq!(answer, "-ERR Protocol error: expected '$', got 'G'\r\n");
}
