//! Every example in `configs/` loads, and says what its name promises.

mod config_support;

use std::{collections::BTreeMap, fs, path::PathBuf};

use config_support::{Folder, Reference, reference_installed};
use sentineld::{
    config::{Config, Loaded, Source, is_toml, load},
    persist::Store,
};

fn examples() -> BTreeMap<String, PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let entries = fs::read_dir(folder).expect("the folder of examples");
    entries
        .map(|entry| entry.unwrap().path())
        // The rest is for other programs.
        .filter(|path| path.extension().is_some_and(|ending| ending == "conf" || ending == "toml"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

fn loaded(path: &PathBuf, folder: &Folder) -> Loaded {
    let source = Source {
        directory: folder.path().to_owned(),
        environment: |name| Some(format!("value of {name}")),
        ..Source::file(path)
    };
    load(&source).unwrap_or_else(|error| panic!("{error}"))
}

/// What each example has to say.
fn promise(name: &str) -> Option<fn(&Config)> {
    let (stem, _) = name.rsplit_once('.')?;
    Some(match stem {
        "minimal" => |config| {
            assert_eq!(config.masters.len(), 1);
            assert_eq!(config.masters[0].settings.quorum.get(), 1);
        },
        "three-sentinels" => |config| {
            assert_eq!(config.masters[0].settings.quorum.get(), 2);
            assert_eq!(config.masters[0].settings.down_after.as_secs(), 5);
        },
        "several-masters" => |config| {
            let names: Vec<&str> = config.masters.iter().map(|master| master.name.as_str()).collect();
            assert_eq!(names, ["archive", "queue", "sessions"]);
            assert_eq!(config.masters[0].settings.reboot_down_after.as_secs(), 600);
        },
        "with-passwords" => |config| {
            assert!(config.globals.requirepass.is_some());
            assert!(config.masters[0].settings.auth_pass.is_some());
            assert_eq!(config.masters[0].settings.auth_user.as_deref(), Some("sentinel-user"));
        },
        "secrets-elsewhere" => |config| {
            assert_eq!(config.globals.requirepass.as_ref().unwrap().expose(), "value of SENTINEL_PASSWORD");
            assert_eq!(config.masters[0].settings.auth_pass.as_ref().unwrap().expose(), "value of REDIS_PASSWORD");
        },
        "nat-announce" => |config| {
            assert_eq!(config.globals.announce_port, Some(36379));
            assert_eq!(config.globals.announce_ip.as_ref().map(ToString::to_string).as_deref(), Some("203.0.113.7"));
        },
        "guards" => |config| {
            let settings = &config.masters[0].settings;
            assert!(settings.empty_master_failover && settings.promote_best_effort);
            assert_eq!(settings.max_lag.map(std::num::NonZero::get), Some(64 << 20));
            assert_eq!(settings.failover_pause.as_secs(), 600);
            assert_eq!((settings.reload_grace.as_secs(), settings.promote_empty), (60, false));
            assert!(config.globals.hello_auth_key.is_some());
        },
        "tls" => |config| {
            assert_eq!((config.globals.port, config.server.tls.port), (0, Some(26379)));
            assert!(config.server.tls.replication && config.server.tls.cert_file.is_some());
        },
        "http" => |config| {
            let http = &config.server.http;
            assert_eq!(http.listen.as_ref().map(|listen| listen.port), Some(26380));
            assert!(http.token.is_none() && !config.server.tls.http);
        },
        "read-only-config" => |config| assert_eq!(config.masters.len(), 1),
        _ => return None,
    })
}

#[test]
fn every_example_loads_and_keeps_its_promise() {
    let folder = Folder::new();
    let examples = examples();
    for (name, path) in &examples {
        let promise = promise(name).unwrap_or_else(|| panic!("{name} has no test: add what it promises"));
        let loaded = loaded(path, &folder);
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        promise(&loaded.config);
    }
    assert!(examples.len() >= 13, "{examples:?}");
}

#[test]
fn both_forms_of_an_example_mean_the_same() {
    let folder = Folder::new();
    let examples = examples();
    for (name, path) in examples.iter().filter(|(_, path)| !is_toml(path)) {
        let Some(toml) = examples.get(&name.replace(".conf", ".toml")) else { panic!("{name} has no TOML form") };
        let (classic, toml) = (loaded(path, &folder).config, loaded(toml, &folder).config);
        let names = |config: &Config| -> Vec<String> {
            config.masters.iter().map(|m| format!("{} {} {:?}", m.name, m.addr, m.settings.down_after)).collect()
        };
        assert_eq!(names(&classic), names(&toml), "{name}");
        assert_eq!(classic.server, toml.server, "{name}");
    }
}

#[test]
fn every_example_can_be_saved_and_loads_again() {
    let folder = Folder::new();
    for (name, path) in examples() {
        let copy = folder.path().join(&name);
        fs::copy(path, &copy).unwrap();
        let start = loaded(&copy, &folder);
        let id = sentinel_core::types::SentinelId::new(&"7".repeat(40)).unwrap();
        let snapshot = start.config.snapshot(id.clone());
        let separate = start.keep.is_separate();
        let before = fs::read_to_string(&copy).unwrap();
        Store::new(start.keep).save(&snapshot).unwrap();
        let after = fs::read_to_string(&copy).unwrap();
        assert!(after.starts_with(&before) && (separate == (after == before)), "{name}:\n{after}");
        assert!(!after.contains("value of "), "{name}: a secret from the environment was written:\n{after}");
        assert_eq!(loaded(&copy, &folder).config.snapshot(id), snapshot, "{name}");
    }
}

#[test]
fn the_reference_loads_the_classic_examples() {
    if !reference_installed() {
        return;
    }
    for (name, path) in examples().into_iter().filter(|(_, path)| !is_toml(path)) {
        let folder = Folder::new();
        // It would connect to the masters at once: to a port of this host, then, where nobody listens.
        // Nor are the certificates here.
        let text = fs::read_to_string(path).unwrap().replace("port 0", "port 26379");
        let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("tls-")).collect();
        let text = text
            .replace("port 26379", &Reference::listening(&folder))
            .replace("10.0.0.", "127.0.0.")
            .replace("203.0.113.10", "127.0.0.10")
            .replace(" 6379 ", " 1 ")
            .replace("requirepass \"for-clients-of-sentinel\"", "requirepass \"\"");
        let reference = Reference::start(&folder.file(&name, &text));
        let masters = reference.ask(&["SENTINEL", "MASTERS"]);
        assert!(masters.contains("\r\n127.0.0."), "{name}: {masters}");
    }
}
