//! Secrets stand where their owner put them: read from there, written nowhere else, told to nobody.

mod config_support;

use std::{fs, sync::Arc};

use config_support::{Folder, Reference, reference_installed};
use sentinel_core::{snapshot::Snapshot, types::Secret};
use sentineld::{
    config::{Loaded, Source, load},
    persist::Store,
};

const FROM_FILE: &str = "from-a-file";
const FROM_ENVIRONMENT: &str = "from-the-environment";

fn source(folder: &Folder, name: &str, text: &str) -> Source {
    folder.file("pass", &format!("{FROM_FILE}\n"));
    folder.file("users", "# who\nuser alice on >alices-password +@all\n\nbob on >bobs-password ~*\n");
    Source {
        directory: folder.path().to_owned(),
        environment: |name| match name {
            "PASS" => Some(FROM_ENVIRONMENT.to_owned()),
            "USERS" => Some("carol on >carols-password +@all".to_owned()),
            _ => None,
        },
        ..Source::file(folder.file(name, text))
    }
}

fn loaded(source: &Source) -> Loaded {
    load(source).unwrap_or_else(|error| panic!("{error}"))
}

fn snapshot(loaded: &Loaded) -> Snapshot {
    loaded.config.snapshot(sentinel_core::types::SentinelId::new(&"7".repeat(40)).unwrap())
}

fn with_auth_pass(snapshot: &Snapshot, pass: &str) -> Snapshot {
    let mut snapshot = snapshot.clone();
    let mut master = (*snapshot.masters[0]).clone();
    let mut settings = (*master.settings).clone();
    settings.auth_pass = Some(Secret::new(pass));
    master.settings = Arc::new(settings);
    snapshot.masters[0] = Arc::new(master);
    snapshot
}

const CLASSIC: &str = "requirepass-env PASS\nusers-file users\n#@ users-env USERS\n\
                       sentinel monitor m 127.0.0.1 1 1\n# why\nsentinel Auth-Pass-File m pass\n\
                       #@ sentinel sentinel-pass-env PASS\n#@ sentinel monitor n 127.0.0.1 1 1\n#@ anything else\n";

const TOML: &str = "[server]\nrequirepass-env = 'PASS'\n[acl]\nusers-file = 'users'\n[sentinel]\nsentinel-pass-env = 'PASS'\n\
                    [[master]]\nname = 'm'\naddress = '127.0.0.1:1'\nquorum = 1\nauth-pass-file = 'pass'\n";

#[test]
fn they_are_read_from_files_and_from_the_environment_in_both_grammars() {
    for (name, text) in [("s.conf", CLASSIC), ("s.toml", TOML)] {
        let folder = Folder::new();
        let config = loaded(&source(&folder, name, text)).config;
        let told = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
        assert_eq!(told(&config.globals.requirepass).as_deref(), Some(FROM_ENVIRONMENT), "{name}");
        assert_eq!(told(&config.globals.sentinel_pass).as_deref(), Some(FROM_ENVIRONMENT), "{name}");
        assert_eq!(config.masters.len(), 1, "{name}: only what the reference does not know stands behind #@");
        assert_eq!(told(&config.masters[0].settings.auth_pass).as_deref(), Some(FROM_FILE), "{name}");
        let users: Vec<&str> = config.server.acl.users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(users, if name == "s.conf" { vec!["alice", "bob", "carol"] } else { vec!["alice", "bob"] });
        assert_eq!(config.server.acl.users[1].rules, ["on", ">bobs-password", "~*"]);
        assert!(!format!("{config:?}").contains("password"), "{config:?}");
    }
}

#[test]
fn what_is_written_names_them_and_does_not_hold_them() {
    for (name, text) in [("s.conf", CLASSIC), ("s.toml", TOML)] {
        let folder = Folder::new();
        let source = source(&folder, name, text);
        let start = loaded(&source);
        assert!(start.keep.user_lines().is_none() || name == "s.toml", "users that stand elsewhere are not written");
        let before = snapshot(&start);
        Store::new(start.keep).save(&before).unwrap();
        let written = fs::read_to_string(&source.path).unwrap();
        for secret in [FROM_FILE, FROM_ENVIRONMENT, "password"] {
            assert!(!written.contains(secret), "{name}: {secret} was written:\n{written}");
        }
        assert!(written.contains(text.trim_end()), "{name}: the lines stay as they were:\n{written}");
        assert_eq!(snapshot(&loaded(&source)), before, "{name}");

        // A password that was changed where it stands counts at the next start.
        folder.file("pass", "rotated\r\n");
        let rotated = loaded(&source);
        assert_eq!(snapshot(&rotated), with_auth_pass(&before, "rotated"), "{name}");

        // One that a command set stands in the file, since it stands nowhere else, and survives.
        let changed = with_auth_pass(&before, "set by a command");
        Store::new(rotated.keep).save(&changed).unwrap();
        let written = fs::read_to_string(&source.path).unwrap();
        assert!(!written.contains("rotated") && written.contains("set by a command"), "{name}:\n{written}");
        assert_eq!(snapshot(&loaded(&source)), changed, "{name}:\n{written}");
    }
}

#[test]
fn a_secret_named_on_the_command_line_is_not_written_either() {
    let folder = Folder::new();
    let mut source = source(&folder, "s.conf", "sentinel monitor m 127.0.0.1 1 1\n");
    source.options = ["--sentinel", "auth-pass-file", "m", "pass"].map(str::to_owned).into();
    let start = loaded(&source);
    let before = snapshot(&start);
    Store::new(start.keep).save(&before).unwrap();
    let written = fs::read_to_string(&source.path).unwrap();
    assert!(written.contains("\n#@ sentinel auth-pass-file m pass\n") && !written.contains(FROM_FILE), "{written}");
    assert_eq!(snapshot(&loaded(&source)), before);
}

#[test]
fn what_cannot_be_had_is_said_without_what_was_there() {
    let folder = Folder::new();
    folder.file("empty", "\n");
    folder.file("lines", "topsecret\nmore\n");
    folder.file("badusers", "user a on >topsecret nonsense\n");
    for (line, said) in [
        ("requirepass-file missing", "can't read"),
        ("requirepass-env MISSING", "the environment variable MISSING is not set"),
        ("requirepass-file empty", "the secret is empty"),
        ("requirepass-file lines", "the secret has several lines"),
        ("requirepass-file", "wrong number of arguments"),
        ("users-file badusers", "Syntax error"),
        ("sentinel sentinel-pass-file", "Unrecognized sentinel configuration statement."),
        ("sentinel auth-pass-file nobody pass", "No such master with specified name."),
        ("loglevel-file pass", "Bad directive or wrong number of arguments"),
    ] {
        let error = load(&source(&folder, "s.conf", &format!("{line}\n"))).unwrap_err().to_string();
        assert!(error.contains(said), "{line}: {error}");
        assert!(error.contains("s.conf:1: "), "{line}: {error}");
        assert!(!error.contains("topsecret") && !error.contains(FROM_FILE), "{line}: {error}");
    }
}

#[test]
fn the_reference_loads_a_file_with_our_lines_behind_the_mark() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let text = format!(
        "{}#@ requirepass-file pass\nsentinel monitor m 127.0.0.1 1 1\n#@ sentinel ping-period m 77\n",
        Reference::listening(&folder)
    );
    let source = source(&folder, "s.conf", &text);
    let start = loaded(&source);
    let mut changed = snapshot(&start);
    let mut master = (*changed.masters[0]).clone();
    let mut settings = (*master.settings).clone();
    assert_eq!(settings.ping_period.map(|period| period.as_millis()), Some(77));
    settings.down_on_refused = std::num::NonZeroU32::new(3);
    settings.lossless_failover = false;
    master.settings = Arc::new(settings);
    changed.masters[0] = Arc::new(master);
    Store::new(start.keep).save(&changed).unwrap();
    assert_eq!(snapshot(&loaded(&source)), changed, "it survives the restart");
    let reference = Reference::start(&source.path);
    assert!(reference.ask(&["SENTINEL", "MYID"]).contains(&"7".repeat(40)));
    assert!(reference.ask(&["SENTINEL", "FLUSHCONFIG"]).contains("+OK"));
    drop(reference);
    assert_eq!(snapshot(&loaded(&source)), changed, "and a while with the reference");
}
