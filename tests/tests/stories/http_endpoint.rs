//! The HTTP endpoint: what monitoring sees of a failover, who may read, and what others cannot do to it.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use sentinel_tests::{
    Authority, Deployment, eventually,
    http::{exchange, metric},
};
use serde_json::{Value, json};
use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use crate::given::{SOON, only_true_of_ours};
use crate::http_metrics::{page, sum};

const WHY: &str = "it has no HTTP endpoint";

#[test]
fn a_failover_is_seen_in_metrics_in_json_and_as_events() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given three Sentinels, and somebody who reads the events of one
    let deployment = Deployment::of_ours(3).with_http().start();
    let (group, sentinels) = (deployment.only_group(), deployment.sentinels());
    let http = sentinels[0].http();
    let mut events = http.events("/v1/events?master=mymaster", &[]);
    let first = page(&sentinels[0]);
    let address = group.master().address();
    let status = |address: &str, status: &str| {
        format!(
            "redis_sentinel_master_status{{master_name=\"mymaster\",master_address=\"{address}\",master_status=\"{status}\"}}"
        )
    };
    assert_eq!(metric(&first, "redis_sentinel_masters"), Some(1.0));
    assert_eq!(metric(&first, &status(&address, "ok")), Some(1.0));
    assert_eq!(metric(&first, "sentinel_quorum_reachable{master=\"mymaster\"}"), Some(1.0));
    let before = http.json("/v1/masters/mymaster");
    assert_eq!((&before["master"]["address"], &before["master"]["status"]), (&json!(address), &json!("ok")));
    assert_eq!(before["replicas"].as_array().map(Vec::len), Some(2), "{before}");
    assert_eq!(before["sentinels"].as_array().map(Vec::len), Some(2), "{before}");

    // When the master dies, then the events tell the switch, and that it is down as a replica, with the cause
    group.master().kill();
    let switch = events.wait_for("+switch-master", "mymaster");
    let down = events.wait_for("+sdown", "mymaster");
    assert_eq!(down.json()["cause"]["code"], "refused", "{down:?}");
    let new = deployment.wait_for_switch("mymaster", group.master().port());

    // Then all see the new master, and one that it has led the failover
    for sentinel in sentinels {
        eventually("the metrics name the new master", SOON, || {
            let page = page(sentinel);
            if metric(&page, &status(&new.address(), "ok")) == Some(1.0) { Ok(()) } else { Err(page) }
        });
        assert_eq!(sentinel.http().get("/readyz").status, 200, "a failover makes no Sentinel unready");
        assert_eq!(sentinel.http().get("/livez").status, 200);
    }
    let failovers = |trigger: &str| -> f64 {
        let labels = [trigger, "master=\"mymaster\"", "result=\"switched\""];
        sentinels.iter().map(|sentinel| sum(&page(sentinel), "sentinel_failovers_total", &labels)).sum()
    };
    assert_eq!((failovers("trigger=\"down\""), failovers("trigger=\"other-sentinel\"")), (1.0, 2.0));
    // Who votes before it has seen for itself that the master is down knows of no outage
    let outages = |sentinel| metric(&page(sentinel), "sentinel_outage_seconds_count").unwrap_or_default();
    assert!((1.0..=3.0).contains(&sentinels.iter().map(outages).sum()));
    let last = sum(&page(&sentinels[0]), "sentinel_last_failover_timestamp_seconds", &["mymaster"]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs_f64();
    assert!((0.0..60.0).contains(&(now - last)), "{last} {now}");

    // And it is told what happened, why, and what is wrong now
    let incident = eventually("the incident is over", SOON, || {
        let all = http.json("/v1/masters/mymaster/history");
        all[0]["id"].as_u64().ok_or_else(|| all.to_string())
    });
    let whole = http.json(&format!("/v1/masters/mymaster/history/{incident}"));
    let outcome = whole["outcome"].as_str().unwrap_or_default();
    // At least that another Sentinel told of the switch, and the switch.
    assert!(outcome.contains(&new.address()) && whole["lines"].as_array().is_some_and(|it| it.len() >= 2), "{whole}");
    eventually("the old master is listed as down", SOON, || {
        let problems = http.json("/v1/problems");
        let is_it = |it: &Value| it["code"] == "replica-down" && it["address"] == json!(address);
        let found = problems.as_array().is_some_and(|all| all.iter().any(is_it));
        if found { Ok(()) } else { Err(problems.to_string()) }
    });
    assert!(sum(&page(&sentinels[0]), "sentinel_problem", &["mymaster", "replica-down"]) >= 1.0);
    eventually("all are heard to name the new master", SOON, || {
        let consensus = http.json("/v1/masters/mymaster/consensus");
        let opinions = consensus["opinions"].as_array().expect("a list");
        let named = opinions.iter().filter(|it| it["master"] == json!(new.address())).count();
        if named == 3 { Ok(()) } else { Err(consensus.to_string()) }
    });
    eventually("the other replica could be promoted", SOON, || {
        let candidates = http.json("/v1/masters/mymaster/candidates");
        if candidates[0]["rank"] == 1 { Ok(()) } else { Err(candidates.to_string()) }
    });

    // When a reader comes back with the last event that it knows, then the next one is the first that it gets
    let mut again = http.events("/v1/events?master=mymaster", &[("Last-Event-ID", &switch.id)]);
    assert_ne!(again.next_event().id, switch.id);
    assert_eq!(again.wait_for("+sdown", "mymaster"), down);
    // And with one that another run has numbered, it is told that some may be missing, and gets all
    let mut anew = http.events("/v1/events?last_event_id=00000000-7", &[]);
    let gap = anew.next_event();
    assert_eq!((gap.event.as_str(), gap.data.as_str()), ("gap", "{\"missed\":null}"));
    assert_eq!(anew.wait_for("+switch-master", "mymaster"), switch);
}

#[test]
fn nothing_but_health_is_told_without_the_token() {
    if only_true_of_ours(WHY) {
        return;
    }
    let token = "5f2d8a0c-secret";
    let deployment = Deployment::of_ours(1)
        .quorum(1)
        .replicas(0)
        .with_http()
        .sentinel_line(&format!("http-token {token}"))
        .sentinel_line("sentinel sentinel-pass not-to-be-shown")
        .start();
    let sentinel = &deployment.sentinels()[0];
    let http = sentinel.http();
    let _: String =
        sentinel.command(&["SENTINEL", "SET", "mymaster", "auth-pass", "not-to-be-shown"]).expect("it obeys");
    for path in ["/metrics", "/v1/status", "/v1/masters", "/v1/events", "/openapi.json"] {
        for stranger in [&http, &http.with_token("wrong"), &http.with_token("")] {
            let answer = stranger.get(path);
            assert_eq!((answer.status, answer.headers["www-authenticate"].as_str()), (401, "Bearer"), "{path}");
            assert!(answer.json()["error"].is_string() && !answer.body.contains("mymaster"), "{answer:?}");
        }
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(http.get(path).status, 200);
    }
    let friend = http.with_token(token);
    for path in ["/metrics", "/v1/config", "/v1/masters/mymaster", "/v1/masters/mymaster/settings", "/v1/status"] {
        let answer = friend.get(path);
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("not-to-be-shown") && !answer.body.contains(token), "{path} tells a secret");
    }
    assert_eq!(friend.json("/v1/masters/mymaster/settings")["auth-pass"], "******");
    assert_eq!(friend.json("/v1/masters/mymaster/settings")["down-after"], 1_000);
}

#[test]
fn the_page_is_served_to_everybody_and_its_data_are_not() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment =
        Deployment::of_ours(1).quorum(1).replicas(0).with_http().sentinel_line("http-token secret").start();
    let http = deployment.sentinels()[0].http();
    let page = http.get("/");
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(!page.body.contains("mymaster"), "it holds no data");
    // Everything that it names is there, of its kind, and may load nothing from elsewhere
    let named: Vec<_> = page.body.split("\"page/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(named.len() > 5, "{named:?}");
    for path in named.iter().map(|name| format!("/page/{name}")).chain(["/".to_owned()]) {
        let file = http.get(&path);
        let kind = match path.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!((file.status, file.headers["content-type"].as_str()), (200, kind), "{path}");
        let policy = &file.headers["content-security-policy"];
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(file.headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(file.headers["referrer-policy"], "no-referrer", "{path}");
        // Who has it is not sent it again
        let again = http.get_with(&path, &[("If-None-Match", &file.headers["etag"])]);
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(again.headers["etag"], file.headers["etag"], "{path}");
    }
    assert_eq!(http.get("/v1/masters").status, 401);
    for path in ["/page/", "/page/nothing.js", "/page/../Cargo.toml", "/page/%2e%2e/Cargo.toml", "/index.html"] {
        assert_ne!(http.with_token("secret").get(path).status, 200, "{path}");
    }
}

#[test]
fn what_is_not_there_is_said_and_nothing_is_changed() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(0).with_http().start();
    let sentinel = &deployment.sentinels()[0];
    let http = sentinel.http();
    for path in ["/nothing", "/v1/masters/nobody", "/v1/masters/nobody/consensus", "/v1/masters/mymaster/history/7"] {
        let answer = http.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["error"].is_string(), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        assert_eq!(http.send(method, "/v1/masters/mymaster", &[]).status, 404, "{method}");
    }
    let document = http.json("/openapi.json");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.values().all(|item| item["post"].is_null() && item["put"].is_null() && item["delete"].is_null()));
    assert_eq!(http.send("HEAD", "/v1/status", &[]).body, "");
    let answer = http.get("/v1/status");
    for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(answer.headers[name], value);
    }
    // Names are what operators make them
    let _: String = sentinel.command(&["SENTINEL", "MONITOR", "a\"b\\c /é", "127.0.0.1", "1", "1"]).expect("it obeys");
    let named = http.json("/v1/masters/a%22b%5Cc%20%2F%C3%A9");
    assert_eq!(named["master"]["name"], "a\"b\\c /é");
    let line = "redis_sentinel_master_slaves{master_name=\"a\\\"b\\\\c /é\",master_address=\"127.0.0.1:1\"}";
    assert_eq!(metric(&page(sentinel), line), Some(0.0), "{}", page(sentinel));
    let open = http.get_with("/metrics", &[("Accept", "application/openmetrics-text;version=1.0.0")]);
    assert!(open.headers["content-type"].starts_with("application/openmetrics-text; version=1.0.0"), "{open:?}");
    assert!(open.body.ends_with("# EOF\n"));
}

#[test]
fn connections_and_heads_have_bounds_that_keep_nobody_else_out() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(0).with_http().start();
    let sentinel = &deployment.sentinels()[0];
    let http = sentinel.http();
    let long = "x".repeat(40_000);
    assert_eq!(http.get_with("/v1/status", &[("X-Long", &long)]).status, 431);
    let many: Vec<_> = (0..100).map(|number| (format!("X-{number}"), "1")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(http.get_with("/v1/status", &many).status, 431);
    assert_eq!(http.send("GET", "/v1/status", &[("Content-Length", "99999999999")]).status, 200, "no body is read");

    // When many connect and say nothing, or half of it
    let mut silent: Vec<_> = (0..256).map(|_| http.connect()).collect();
    for stream in &mut silent {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost").expect("it is taken");
    }
    // Then one more hears that there is no room, and the Redis port is what it was
    eventually("one more is refused", SOON, || {
        let mut text = String::new();
        let mut stream = http.connect();
        let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
        let _ = stream.read_to_string(&mut text);
        if text.starts_with("HTTP/1.1 503 ") { Ok(()) } else { Err(text) }
    });
    let pong: String = sentinel.command(&["PING"]).expect("it answers");
    assert_eq!(pong, "PONG");
    // When they leave, there is room again
    drop(silent);
    eventually("there is room", SOON, || {
        let mut stream = http.connect();
        let _ = stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n");
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        if text.contains(" 200 OK") { Ok(()) } else { Err(text) }
    });

    // When many read events, then one more hears that they are too many
    let readers: Vec<_> = (0..64).map(|_| http.events("/v1/events", &[])).collect();
    assert_eq!(http.get("/v1/events").status, 503);
    assert_eq!(http.get("/v1/status").status, 200);
    drop(readers);
}

/// Whether a value is as a schema of the description says; else what is wrong.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = document.pointer(name.trim_start_matches('#')).ok_or_else(|| format!("{name} is not there"))?;
        return check(document, target, value, at);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().try_for_each(|one| check(document, one, value, at));
    }
    if let Some(any) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let fits = any.iter().any(|one| check(document, one, value, at).is_ok());
        return if fits { Ok(()) } else { Err(format!("{at}: {value} is none of {any:?}")) };
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => return Ok(()),
    };
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !kinds.contains(&kind) {
        return Err(format!("{at}: {value} is not {kinds:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        check(document, &schema["items"], item, &format!("{at}[]"))?;
    }
    if let (Some(fields), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(required) {
                return Err(format!("{at}: {required} is missing"));
            }
        }
        for (name, property) in properties {
            if let Some(field) = fields.get(name) {
                check(document, property, field, &format!("{at}.{name}"))?;
            }
        }
    }
    Ok(())
}

/// Every name that a schema, with all of its parts, knows.
fn names(document: &Value, schema: &Value) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        return names(document, document.pointer(name.trim_start_matches('#')).unwrap_or(&Value::Null));
    }
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(|part| names(document, part));
    own.chain(parts).collect()
}

#[test]
fn every_answer_is_as_the_openapi_document_says() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a deployment to which something has happened
    let deployment = Deployment::of_ours(2).quorum(2).replicas(1).with_http().start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let http = sentinel.http();
    sentinel.failover("mymaster");
    deployment.wait_for_switch("mymaster", group.master().port());
    let incident = eventually("the incident is over", SOON, || {
        http.json("/v1/masters/mymaster/history")[0]["id"].as_u64().ok_or_else(|| "none yet".to_owned())
    });
    // Then each path of the document gives what it says
    let document = http.json("/openapi.json");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 19, "{:?}", paths.keys());
    for (path, item) in paths {
        let schema = &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        if path == "/v1/events" {
            continue; // It does not end.
        }
        let mut path = path.replace("{master}", "mymaster").replace("{id}", &incident.to_string());
        // The nodes that these ask about.
        if path.ends_with("/primary") {
            path = format!("{path}?addr={}", group.replicas()[0].address());
        } else if path.ends_with("/replica") {
            path = format!("{path}?addr={}", group.master().address());
            eventually("the old master is a replica", SOON, || {
                let answer = http.get(&path);
                if answer.status == 200 { Ok(()) } else { Err(answer.body) }
            });
        }
        let answer = http.get(&path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        if schema.is_null() {
            continue;
        }
        let value = answer.json();
        check(&document, schema, &value, &path).unwrap_or_else(|error| panic!("{error}"));
        // And nothing that it does not know
        let (schema, sample) = if value.is_array() { (&schema["items"], &value[0]) } else { (schema, &value) };
        let known = names(&document, schema);
        for name in sample.as_object().into_iter().flatten().map(|(name, _)| name).filter(|_| !known.is_empty()) {
            assert!(known.contains(name), "{path}: {name} is not in the document");
        }
    }
    // And so is an event
    let mut events = http.events("/v1/events?last_event_id=none", &[]);
    let event = events.wait_for("+switch-master", "mymaster");
    let schema = json!({ "$ref": "#/components/schemas/Event" });
    check(&document, &schema, &event.json(), "event").unwrap_or_else(|error| panic!("{error}"));
    let refusal = http.get("/v1/masters/nobody").json();
    check(&document, &json!({ "$ref": "#/components/schemas/Refusal" }), &refusal, "refusal").expect("a refusal");
}

#[test]
fn with_tls_it_shows_the_certificate_and_refuses_plain_text() {
    if only_true_of_ours(WHY) {
        return;
    }
    let authority = Arc::new(Authority::new("authority"));
    let pair = authority.issue("endpoint");
    let deployment = Deployment::of_ours(1)
        .quorum(1)
        .replicas(0)
        .with_http()
        .sentinel_line("http-tls yes")
        .sentinel_line("tls-auth-clients no")
        .sentinel_line(&format!("tls-cert-file {}", pair.certificate.display()))
        .sentinel_line(&format!("tls-key-file {}", pair.key.display()))
        .start();
    let sentinel = &deployment.sentinels()[0];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.certificate()).expect("a certificate")).expect("an authority");
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let stream = rustls::StreamOwned::new(session, sentinel.http().connect());
    let request = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let answer = exchange(stream, request).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    let expiry = metric(&answer.body, "sentinel_certificate_expiry_timestamp_seconds").expect("a certificate");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs_f64();
    assert!(expiry > now, "{expiry}");
    // And who speaks no TLS gets no answer
    let mut text = Vec::new();
    let mut stream = sentinel.http().connect();
    stream.write_all(request.as_bytes()).expect("it is taken");
    let _ = stream.read_to_end(&mut text);
    assert!(!text.starts_with(b"HTTP"), "{}", text.escape_ascii());
}

#[test]
fn a_port_that_is_taken_is_named_when_it_does_not_start() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(0).with_http().start();
    let sentinel = &deployment.sentinels()[0];
    let listen = sentinel.configured("http-listen").expect("an endpoint");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("s.conf");
    let port = sentinel_tests::free_port();
    std::fs::write(&file, format!("port {port}\nbind 127.0.0.1\nhttp-listen {listen}\n")).expect("a file");
    let (program, arguments) = sentinel_tests::Kind::Ours.command(&file);
    let ended = std::process::Command::new(program).args(arguments).output().expect("it runs");
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(!ended.status.success() && text.contains(&listen) && text.contains("change `http-listen`"), "{text}");
}
