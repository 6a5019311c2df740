//! The HTTP endpoint in both grammars: what is read, and what is refused with file, line and directive.

mod config_support;

use config_support::Folder;
use sentineld::config::{ConfigError, Fault, HttpAddress, Source, dangers, load};

fn source(folder: &Folder, name: &str, text: &str) -> Source {
    folder.file("token", "a-token-from-a-file\n");
    Source {
        directory: folder.path().to_owned(),
        environment: |name| (name == "TOKEN").then(|| "a-token-from-the-environment".to_owned()),
        ..Source::file(folder.file(name, text))
    }
}

fn faults(name: &str, text: &str) -> Vec<Fault> {
    let folder = Folder::new();
    match load(&source(&folder, name, text)) {
        Err(ConfigError::Faults(faults)) => faults.faults,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn it_is_off_unless_asked_for_and_the_same_in_both_grammars() {
    let folder = Folder::new();
    let off = load(&source(&folder, "off.conf", "port 1\n")).expect("it loads").config.server;
    assert_eq!((off.http.listen, off.http.token, off.tls.http), (None, None, false));
    let classic = "http-listen [::1]:26380\n#@ http-token-file token\nhttp-tls yes\ntls-cert-file c\ntls-key-file k\n";
    let toml =
        "[http]\nlisten = '[::1]:26380'\ntoken-file = 'token'\ntls = true\n[tls]\ncert-file = 'c'\nkey-file = 'k'\n";
    for (name, text) in [("s.conf", classic), ("s.toml", toml)] {
        let server = load(&source(&folder, name, text)).expect("it loads").config.server;
        assert_eq!(server.http.listen, Some(HttpAddress { host: "::1".into(), port: 26380 }), "{name}");
        assert_eq!(
            server.http.token.map(|it| it.expose().to_owned()).as_deref(),
            Some("a-token-from-a-file"),
            "{name}"
        );
        assert!(server.tls.http, "{name}");
    }
    let toml = "[http]\nlisten = '*:80'\ntoken-env = 'TOKEN'\n";
    let server = load(&source(&folder, "env.toml", toml)).expect("it loads").config.server;
    assert_eq!(server.http.token.map(|it| it.expose().to_owned()).as_deref(), Some("a-token-from-the-environment"));
}

#[test]
fn what_is_no_address_or_no_token_is_refused_at_its_line() {
    for wrong in
        ["26380", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", ":80", "::1:80", "[x]:80", "[::1:80"]
    {
        let found = faults("s.conf", &format!("port 1\nhttp-listen {wrong}\n"));
        assert_eq!((found.len(), found[0].directive.as_str()), (1, "http-listen"), "{wrong}");
        assert!(found[0].place.to_string().ends_with("s.conf:2"), "{}", found[0].place);
        assert!(found[0].remedy.contains("127.0.0.1:26380"), "{}", found[0].remedy);
        let found = faults("s.toml", &format!("[server]\nport = 1\n[http]\nlisten = '{wrong}'\n"));
        assert!(found[0].place.to_string().contains("s.toml:4"), "{wrong}: {}", found[0].place);
    }
    let found = faults("s.conf", "http-token \"with a blank\"\n");
    let text = format!("{} {} {}", found[0].what, found[0].line, found[0].remedy);
    assert!(found[0].directive == "http-token" && !text.contains("with a blank"), "{text}");
    assert_eq!(faults("s.conf", "http-tls maybe\n")[0].what, "argument must be 'yes' or 'no'");
}

#[test]
fn an_open_endpoint_and_a_token_in_clear_are_warned_of() {
    let warned = |text: &str| {
        let folder = Folder::new();
        let loaded = load(&source(&folder, "s.conf", text)).expect("it loads");
        let all = dangers(&loaded, false).into_iter().filter(|it| it.directive == "http-listen");
        all.map(|it| it.text).collect::<Vec<_>>()
    };
    assert!(warned("http-listen 127.0.0.1:1\n").is_empty() && warned("http-listen [::1]:1\n").is_empty());
    assert!(warned("http-listen *:1\n")[0].contains("Set http-token-file"));
    assert!(warned("http-listen 10.0.0.1:1\nhttp-token t\n")[0].contains("http-tls yes"));
    assert!(warned("http-listen *:1\nhttp-token t\nhttp-tls yes\n").is_empty());
}

#[test]
fn where_events_are_posted_is_the_same_in_both_grammars_and_refused_without_being_shown() {
    let folder = Folder::new();
    let classic = "webhook-url https://hooks.example/a/b?c\n#@ webhook-secret-file token\nwebhook-level notice\n";
    let toml = "[webhook]\nurl = 'https://hooks.example/a/b?c'\nsecret-file = 'token'\nlevel = 'notice'\n";
    for (name, text) in [("s.conf", classic), ("s.toml", toml)] {
        let webhook = load(&source(&folder, name, text)).expect("it loads").config.server.webhook;
        let url = webhook.url.expect("there is one");
        assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("hooks.example", 443, "/a/b?c"), "{name}");
        assert_eq!(webhook.secret.map(|it| it.expose().to_owned()).as_deref(), Some("a-token-from-a-file"), "{name}");
        assert_eq!(webhook.level, sentinel_core::events::Level::Notice, "{name}");
    }
    let found = faults("s.conf", "port 1\nwebhook-url hooks.example/very-secret\n");
    let text = format!("{} {} {}", found[0].what, found[0].line, found[0].remedy);
    assert!(found[0].place.to_string().ends_with("s.conf:2") && found[0].remedy.contains("https://HOST"), "{text}");
    assert!(found[0].directive == "webhook-url" && !text.contains("very-secret"), "{text}");
    assert_eq!(faults("s.conf", "webhook-level loud\n").len(), 1);
}

#[test]
fn events_in_clear_and_a_secret_for_nobody_are_warned_of() {
    let warned = |text: &str| {
        let folder = Folder::new();
        let loaded = load(&source(&folder, "s.conf", text)).expect("it loads");
        let all = dangers(&loaded, false).into_iter().filter(|it| it.directive.starts_with("webhook-"));
        all.map(|it| it.text).collect::<Vec<_>>()
    };
    assert!(warned("webhook-url https://hooks.example/x\n").is_empty());
    assert!(warned("webhook-url http://127.0.0.1:1/x\n").is_empty());
    assert_eq!(warned("webhook-url http://hooks.example/x\n").len(), 1);
    assert_eq!(warned("webhook-secret x\n").len(), 1);
}
