//! What operators change over HTTP, and who may not.

use std::io::{Read as _, Write as _};

use sentinel_tests::{
    Deployment, eventually, free_port,
    http::{Answer, Http},
};
use serde_json::{Value, json};

use crate::given::{SOON, only_true_of_ours};

const WHY: &str = "it has no HTTP endpoint";
const TOKEN: &str = "4711-token";

fn with_token(builder: sentinel_tests::DeploymentBuilder) -> Deployment {
    builder.with_http().sentinel_line(&format!("http-token {TOKEN}")).start()
}

fn post(http: &Http, path: &str, body: &Value) -> Answer {
    http.send_json("POST", path, &[], &body.to_string())
}

#[track_caller]
fn done(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["result"].clone()
}

#[track_caller]
fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    answer.json()["error"].as_str().unwrap_or_else(|| panic!("{answer:?} says what was wrong")).to_owned()
}

#[test]
fn each_call_does_what_its_command_does() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = with_token(Deployment::of_ours(1).quorum(1).replicas(2));
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let http = sentinel.http().with_token(TOKEN);
    let of = |call: &str| format!("/v1/masters/mymaster/{call}");

    // Settings
    assert_eq!(done(&post(&http, &of("settings"), &json!({ "down-after": 1_500, "failover-timeout": "6000" }))), "OK");
    let settings = http.json(&of("settings"));
    assert_eq!((&settings["down-after"], &settings["failover-timeout"]), (&json!(1_500), &json!(6_000)));
    assert_eq!(done(&post(&http, &of("settings"), &json!({ "lossless-failover": true, "max-lag": "64mb" }))), "OK");
    assert_eq!(http.json(&of("settings"))["lossless-failover"], true);
    assert_eq!(done(&post(&http, &of("settings"), &json!({ "max-lag": null, "quorum": 1 }))), "OK");
    assert_eq!(http.json(&of("settings"))["max-lag"], 0);
    // With a wrong one none is changed
    let why = refused(&post(&http, &of("settings"), &json!({ "down-after": 2_000, "quorum": 0 })), 400);
    assert!(why.contains("quorum"), "{why}");
    refused(&post(&http, &of("settings"), &json!({ "down-after": 2_000, "notification-script": "/no/such" })), 400);
    refused(&post(&http, &of("settings"), &json!({ "down-after": [2_000] })), 400);
    refused(&post(&http, &of("settings"), &json!({})), 400);
    assert_eq!(http.json(&of("settings"))["down-after"], 1_500);

    // Pause and resume
    done(&post(&http, &of("pause"), &json!({ "ttl": "30m", "reason": "a new kernel" })));
    eventually("it is paused", SOON, || {
        let settings = http.json(&of("settings"));
        if settings["pause-reason"] == "a new kernel" { Ok(()) } else { Err(settings.to_string()) }
    });
    assert_eq!(http.json("/v1/masters/mymaster")["master"]["paused"], true);
    done(&http.send("POST", &of("resume"), &[]).clone());
    eventually("it is resumed", SOON, || {
        let master = http.json("/v1/masters/mymaster");
        if master["master"]["paused"] == false { Ok(()) } else { Err(master.to_string()) }
    });
    refused(&post(&http, &of("pause"), &json!({ "ttl": "soon" })), 400);

    // A failover, at first only asked about
    let to = group.replicas()[1].address();
    let told = done(&post(&http, &of("failover"), &json!({ "to": to, "dry_run": true })));
    assert!(told.to_string().contains(&group.replicas()[1].port().to_string()), "{told}");
    assert_eq!(sentinel.master_port("mymaster").unwrap(), Some(group.master().port()));
    refused(&post(&http, &of("failover"), &json!({ "to": "127.0.0.1:1" })), 404);
    let why = refused(&post(&http, &of("failover"), &json!({ "to": to, "force": true })), 409);
    assert!(why.contains("NOTDOWN"), "{why}");
    refused(&post(&http, &of("failover"), &json!({ "to": to, "reason": "two\nlines" })), 400);
    done(&post(&http, &of("failover"), &json!({ "to": to, "reason": "it is \"faster\"" })));
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.address(), to);
    eventually("the reason stands in the history", SOON, || {
        let history = http.json("/v1/masters/mymaster/history");
        let id = history[0]["id"].as_u64().ok_or_else(|| history.to_string())?;
        let told = http.json(&format!("/v1/masters/mymaster/history/{id}")).to_string();
        if told.contains(r#"FAILOVER of 'mymaster': it is \"faster\""#) { Ok(()) } else { Err(told) }
    });

    // A replica and Sentinels that are gone
    let gone = group.replicas()[0].address();
    eventually("it is refused, since it is there", SOON, || {
        let answer = post(&http, &of("forget"), &json!({ "replica": gone }));
        if answer.status == 400 && answer.body.contains("can be reached") { Ok(()) } else { Err(answer.body) }
    });
    group.replicas()[0].kill();
    eventually("it is forgotten", SOON, || {
        let answer = post(&http, &of("forget"), &json!({ "replica": gone }));
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    });
    refused(&post(&http, &of("forget"), &json!({ "replica": gone })), 404);
    refused(&post(&http, &of("forget"), &json!({ "sentinel": "0123456789012345678901234567890123456789" })), 404);
    done(&post(&http, &of("forget"), &json!({ "unverified": true })));
    refused(&post(&http, &of("forget"), &json!({ "unverified": true, "replica": gone })), 400);

    // Another master comes and goes
    let other = json!({ "address": format!("127.0.0.1:{}", free_port()), "quorum": 1 }).to_string();
    assert_eq!(done(&http.send_json("PUT", "/v1/masters/other", &[], &other)), "OK");
    assert_eq!(http.json("/v1/masters/other")["master"]["quorum"], 1);
    assert_eq!(done(&post(&http, "/v1/masters/other/settings", &json!({ "auth-pass": "never-told" }))), "OK");
    assert_eq!(http.json("/v1/masters/other/settings")["auth-pass"], "******");
    assert_eq!(done(&post(&http, "/v1/masters/other/settings", &json!({ "auth-pass": null }))), "OK");
    assert_eq!(http.json("/v1/masters/other/settings")["auth-pass"], Value::Null);
    refused(&http.send_json("PUT", "/v1/masters/other", &[], &other), 409);
    refused(&http.send_json("PUT", "/v1/masters/third", &[], "{\"address\":\"127.0.0.1:1\",\"quorum\":0}"), 400);
    refused(&http.send_json("PUT", "/v1/masters/third", &[], "{\"address\":\"nowhere\",\"quorum\":1}"), 400);
    assert_eq!(done(&http.send("DELETE", "/v1/masters/other", &[])), "OK");
    refused(&http.send("DELETE", "/v1/masters/other", &[]), 404);
    assert_eq!(http.get("/v1/masters/other").status, 404);

    // The file is read again
    let lines = done(&http.send("POST", "/v1/reload", &[]));
    assert!(lines.is_array() || lines.is_string(), "{lines}");
    // Nobody is told the secret, and an unknown name is one everywhere
    let log = sentinel.last_output(1_000);
    assert!(log.contains("FAILOVER mymaster") && !log.contains("never-told"), "{log}");
    for call in ["failover", "pause", "resume"] {
        refused(&http.send("POST", &format!("/v1/masters/nobody/{call}"), &[]), 404);
    }
}

#[test]
fn nothing_is_changed_without_the_token_by_other_pages_or_by_garbage() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = with_token(Deployment::of_ours(1).quorum(1).replicas(0));
    let open = deployment.sentinels()[0].http();
    let http = open.with_token(TOKEN);
    let calls = [
        ("POST", "/v1/masters/mymaster/failover"),
        ("POST", "/v1/masters/mymaster/pause"),
        ("POST", "/v1/masters/mymaster/resume"),
        ("POST", "/v1/masters/mymaster/forget"),
        ("POST", "/v1/masters/mymaster/settings"),
        ("PUT", "/v1/masters/mymaster"),
        ("DELETE", "/v1/masters/mymaster"),
        ("POST", "/v1/reload"),
    ];
    for (method, path) in calls {
        refused(&open.send(method, path, &[]), 401);
        refused(&open.with_token("wrong").send(method, path, &[]), 401);
        for origin in ["http://evil.example", "https://127.0.0.1:1", "null"] {
            refused(&http.send(method, path, &[("Origin", origin)]), 403);
        }
        refused(&http.send(method, path, &[("Sec-Fetch-Site", "cross-site")]), 403);
        let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(20_000));
        refused(&http.send_json(method, path, &[], &long), 413);
        for garbage in ["{", "[]", "\"text\"", "{\"no-such-field\":1}", "{}{}", "\u{0}"] {
            // It is told before anything is done; an unknown setting is one of the command's own errors.
            refused(&http.send_json(method, path, &[], garbage), 400);
        }
        let form = [("Content-Type", "text/plain"), ("Content-Length", "2")];
        let mut stream = http.connect();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n");
        let lines: Vec<_> = form.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let lines = lines.concat();
        stream.write_all(format!("{head}{lines}\r\n{{}}").as_bytes()).expect("it is taken");
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        assert!(text.starts_with("HTTP/1.1 415 "), "{text}");
    }
    // A page of this endpoint itself may
    let own = [("Origin", "http://127.0.0.1"), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(http.send("POST", "/v1/masters/mymaster/resume", &own).status, 200);
    // And nothing has happened meanwhile
    let master = http.json("/v1/masters/mymaster");
    assert_eq!(
        (&master["master"]["paused"], &master["master"]["config_epoch"]),
        (&json!(false), &json!(0)),
        "{master}"
    );
    // Other methods are still none, and the document tells of each call
    assert_eq!(http.send("PATCH", "/v1/masters/mymaster", &[]).status, 405);
    let document = http.json("/openapi.json");
    for (method, path) in calls {
        let path = path.replace("mymaster", "{master}");
        let operation = &document["paths"][&path][method.to_ascii_lowercase()];
        assert!(operation["responses"]["403"].is_object(), "{method} {path}: {operation}");
    }
}

#[test]
fn without_a_token_the_calls_do_not_exist() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(0).with_http().start();
    let http = deployment.sentinels()[0].http();
    for call in ["failover", "pause", "resume", "forget", "settings"] {
        refused(&post(&http, &format!("/v1/masters/mymaster/{call}"), &json!({})), 404);
    }
    for (method, path) in [("PUT", "/v1/masters/other"), ("DELETE", "/v1/masters/mymaster"), ("POST", "/v1/reload")] {
        refused(&http.send_json(method, path, &[], "{}"), 404);
    }
    assert_eq!(http.json("/v1/masters/mymaster")["master"]["paused"], false);
}
