//! Every directive in the classic grammar, as its TOML twin, and as an option of the command line.

mod config_support;

use std::{fmt::Write as _, fs};

use config_support::Folder;
use sentinel_core::settings::{master::MASTER, row as setting};
use sentineld::config::{
    Config, Source, convert,
    keys::{KEYS, Key, Kind, TABLES},
    load,
};

/// Directives as they are documented, and what of the configuration shows that they were understood.
const DOCUMENTED: &[(&str, &str)] = &[
    ("port 26380", "port: 26380"),
    ("bind 127.0.0.1 -::1", r#"BindAddress { address: "::1", optional: true }"#),
    ("protected-mode yes", "protected_mode: true"),
    ("unixsocket /tmp/s.sock", r#"unix_socket: Some("/tmp/s.sock")"#),
    ("unixsocketperm 700", "unix_socket_mode: 448"),
    ("tcp-backlog 77", "tcp_backlog: 77"),
    ("timeout 9", "idle_timeout: Some(9s)"),
    ("tcp-keepalive 0", "tcp_keepalive: None"),
    ("maxclients 77", "max_clients: 77"),
    ("client-output-buffer-limit pubsub 1mb 2kb 3", "OutputLimit { hard: 1048576, soft: 2048, soft_for: 3s }"),
    ("client-query-buffer-limit 64mb", "query_buffer_limit: 67108864"),
    ("proto-max-bulk-len 2mb", "max_bulk_len: 2097152"),
    ("daemonize yes", "daemonize: true"),
    ("pidfile /run/s.pid", r#"pid_file: Some("/run/s.pid")"#),
    ("supervised systemd", "supervised: Systemd"),
    ("loglevel debug", "level: Debug"),
    ("loglevel nothing", "level: Nothing"),
    ("compatible-version valkey-9.1", "compatible: Valkey91"),
    ("log-format logfmt", "format: Some(Logfmt)"),
    ("log-timestamp-format iso8601", "timestamp: Iso8601"),
    ("unixsocketgroup adm", r#"unix_socket_group: Some("adm")"#),
    ("tls-auto-reload-interval 60", "reload_every: Some(60s)"),
    ("logfile log", r#"file: Some("log")"#),
    ("syslog-enabled yes", "syslog: true"),
    ("syslog-ident me", r#"syslog_ident: "me""#),
    ("syslog-facility local7", "syslog_facility: Local(7)"),
    ("dir /tmp", r#"dir: Some("/tmp")"#),
    ("requirepass word", "requirepass: Some(******)"),
    ("user alice on >x +ping", r#"AclUser { name: "alice", .. }"#),
    ("aclfile users.acl", r#"file: Some("users.acl")"#),
    ("acllog-max-len 5", "log_max_len: 5"),
    ("acl-pubsub-default allchannels", "all_channels_by_default: true"),
    ("bind-source-addr 127.0.0.2", "bind_source: Some(127.0.0.2)"),
    ("bind-source-addr fe80::1%no-such-one", "bind_source: Some(fe80::1%no-such-one)"),
    ("tls-port 26390", "port: Some(26390)"),
    ("tls-replication yes", "replication: true"),
    ("tls-auth-clients-user CN", "auth_clients_user: Some(CommonName)"),
    ("tls-auth-clients-user uri", "auth_clients_user: Some(Uri)"),
    ("hide-user-data-from-log no", "hide_user_data: Some(false)"),
    ("sentinel monitor n 127.0.0.1 1 3", r#"MasterName("n")"#),
    ("sentinel down-after-milliseconds m 1234", "down_after: 1.234s"),
    ("sentinel failover-timeout m 1234", "failover_timeout: 1.234s"),
    ("sentinel parallel-syncs m 7", "parallel_syncs: 7"),
    ("sentinel master-reboot-down-after-period m 1234", "reboot_down_after: 1.234s"),
    ("sentinel primary-reboot-down-after-period m 1234", "reboot_down_after: 1.234s"),
    ("sentinel notification-script m /bin/true", r#"notification_script: Some("/bin/true")"#),
    ("sentinel client-reconfig-script m /bin/true", r#"client_reconfig_script: Some("/bin/true")"#),
    ("sentinel auth-pass m word", "auth_pass: Some(******)"),
    ("sentinel auth-user m someone", r#"auth_user: Some("someone")"#),
    ("sentinel rename-command m config x", r#"rename_commands: {"CONFIG": "x"}"#),
    ("sentinel config-epoch m 7", "config_epoch: Epoch(7)"),
    ("sentinel leader-epoch m 7", "leader_epoch: Epoch(7)"),
    ("sentinel known-replica m 127.0.0.1 7", "port: 7 }]"),
    ("sentinel known-slave m 127.0.0.1 7", "port: 7 }]"),
    ("sentinel in-sync m 127.0.0.1 7 9", "port: 7 }, 9)]"),
    ("sentinel known-sentinel m 127.0.0.1 7 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee", r#"SentinelId("eeee"#),
    ("sentinel myid ffffffffffffffffffffffffffffffffffffffff", r#"id: Some(SentinelId("ffff"#),
    ("sentinel current-epoch 7", "current_epoch: Epoch(7)"),
    ("sentinel announce-ip 10.0.0.9", "announce_ip: Some(Ip(10.0.0.9))"),
    ("sentinel announce-port 7", "announce_port: Some(7)"),
    ("sentinel deny-scripts-reconfig no", "deny_scripts_reconfig: false"),
    ("sentinel sentinel-user me", r#"sentinel_user: Some("me")"#),
    ("sentinel sentinel-pass word", "sentinel_pass: Some(******)"),
    ("sentinel resolve-hostnames yes", "resolve_hostnames: true"),
    ("sentinel announce-hostnames yes", "announce_hostnames: true"),
];

const BASE: &str = "sentinel monitor m 127.0.0.1 6379 2\n";

fn source(folder: &Folder, name: &str, text: &str) -> Source {
    Source {
        directory: folder.path().to_owned(),
        environment: |name| {
            Some(match name {
                // A token has no blanks, and a URL has a scheme.
                "TOKEN" => "a-token".to_owned(),
                "URL" => "https://hooks.example/8".to_owned(),
                name => format!("value of {name}"),
            })
        },
        ..Source::file(folder.file(name, text))
    }
}

fn config(source: &Source) -> Config {
    let text = || fs::read_to_string(&source.path).unwrap();
    load(source).unwrap_or_else(|error| panic!("{error}\n{}\n{:?}", text(), source.options)).config
}

/// A line of a file as options of the command line.
fn options(line: &str) -> Vec<String> {
    let line = line.strip_prefix("#@ ").unwrap_or(line);
    format!("--{line}").split(' ').map(|word| word.trim_matches('"').to_owned()).collect()
}

#[test]
fn every_documented_directive_is_understood_in_a_file_and_on_the_command_line() {
    for (line, shown) in DOCUMENTED {
        let folder = Folder::new();
        let base = source(&folder, "s.conf", BASE);
        let before = format!("{:?}", config(&base));
        assert!(!before.contains(shown), "{line}: {shown} shows nothing, it is the default");
        let written = config(&source(&folder, "written.conf", &format!("{BASE}{line}\n")));
        assert!(format!("{written:?}").contains(shown), "{line}: no {shown} in {written:?}");
        // The order of lines is free, and so is the case of names.
        let (name, rest) = line.split_once(' ').unwrap();
        let upper = format!("   {}\t {rest}  \n\n{BASE}", name.to_uppercase());
        assert_eq!(config(&source(&folder, "upper.conf", &upper)), written, "{line}");
        let given = config(&Source { options: options(line), ..base });
        assert_eq!(given, written, "{line}: on the command line");
    }
}

/// Names that a Sentinel of a later version accepts, whatever stands behind them; the whole table is compared with the servers
/// elsewhere.
#[test]
fn directives_of_later_versions_and_of_modules_are_no_reason_not_to_start() {
    let folder = Folder::new();
    let lines = "enable-debug-assert yes\nmax-new-connections-per-cycle 10\nmax-new-tls-connections-per-cycle 1\n\
                 locale-collate \"\"\nprimaryuser u\nprimaryauth p\navailability-zone z\n\
                 extended-redis-compatibility yes\nset-max-listpack-entries 128\nsearch-module.timeout 5\n";
    let loaded = load(&source(&folder, "s.conf", &format!("{BASE}{lines}"))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.config, config(&source(&folder, "plain.conf", BASE)), "none has an effect here");
    let wrong =
        load(&source(&folder, "wrong.conf", &format!("{BASE}enable-debug-asert yes\n"))).unwrap_err().to_string();
    assert!(wrong.contains("did you mean `enable-debug-assert`?"), "{wrong}");
}

/// A value that is not the default.
fn sample(key: &Key) -> String {
    let text = match (key.section, key.name) {
        ("server", "dir") => r#""/""#,
        ("server", "loglevel") => r#""debug""#,
        ("server", "compatible-version") => r#""valkey-8.1""#,
        ("server", "log-format") => r#""logfmt""#,
        ("server", "log-timestamp-format") => r#""iso8601""#,
        ("server", "unixsocketperm") => r#""700""#,
        // Only what a Sentinel has can be renamed.
        ("server", "rename-command") => r#"{ PING = "x7" }"#,
        ("server", "syslog-facility") => r#""local3""#,
        ("server", "supervised") => r#""systemd""#,
        ("server", "bind-source-addr") => r#""127.0.0.3""#,
        ("acl", "acl-pubsub-default") => r#""allchannels""#,
        ("tls", "auth-clients-user") => r#""CN""#,
        ("tls", "auth-clients") => r#""optional""#,
        ("tls", "protocols") => r#""TLSv1.3""#,
        ("tls", "ciphersuites") => r#""TLS_AES_256_GCM_SHA384""#,
        ("tls", "ciphers") => r#""ECDHE-RSA-AES256-GCM-SHA384""#,
        ("master", "notification-script" | "client-reconfig-script") => r#""/bin/true""#,
        ("http", "listen") | ("master", "address") => r#""127.0.0.1:7""#,
        ("webhook", "url") => r#""https://hooks.example/7""#,
        ("webhook", "level") => r#""notice""#,
        ("master", "name") => r#""other""#,
        _ => "",
    };
    if !text.is_empty() {
        return text.to_owned();
    }
    match key.kind {
        Kind::Text | Kind::Secret => r#""something""#.to_owned(),
        Kind::Number => "7".to_owned(),
        Kind::Switch => (key.default != "true").to_string(),
        Kind::Milliseconds => r#""1m 17s 3ms""#.to_owned(),
        Kind::Seconds => r#""1m 17s""#.to_owned(),
        Kind::Bytes => r#""7mb""#.to_owned(),
        Kind::List => r#"["127.0.0.1"]"#.to_owned(),
        Kind::Lines => r#"["alice on >x +ping"]"#.to_owned(),
        Kind::Pairs => r#"{ CONFIG = "x7" }"#.to_owned(),
        Kind::Limit => r#"{ hard = "7mb", soft = 5, for = "7s" }"#.to_owned(),
        Kind::Address => r#""127.0.0.1:7""#.to_owned(),
    }
}

/// A configuration with one key set. The top comes first, and every master has what it needs.
fn with(key: Option<(&Key, &str, &str)>) -> String {
    let line = |section: &str| match key {
        Some((key, name, value)) if key.section == section => format!("{name} = {value}\n"),
        _ => String::new(),
    };
    let mut text = line("");
    for section in TABLES {
        let _ = write!(text, "[{section}]\n{}", line(section));
    }
    text += "[[master]]\n";
    for (name, value) in [("name", "\"m\""), ("address", "\"127.0.0.1:6379\""), ("quorum", "2")] {
        if key.is_none_or(|(key, _, _)| key.section != "master" || key.name != name) {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text + &line("master")
}

#[test]
fn every_toml_key_has_an_effect_and_a_classic_twin() {
    let folder = Folder::new();
    let before = source(&folder, "base.toml", &with(None));
    let base = config(&before);
    folder.file("secret", "from-a-file\n");
    folder.file("url", "https://hooks.example/9\n");
    folder.file("users", "alice on >x +ping\n");
    for key in &*KEYS {
        let own = sample(key);
        let mut forms = vec![(key.name.to_owned(), own)];
        if key.is_secret() {
            let file = if key.kind == Kind::Lines { "\"users\"" } else { "\"secret\"" };
            let file = if (key.section, key.name) == ("webhook", "url") { "\"url\"" } else { file };
            forms.push((format!("{}-file", key.name), file.to_owned()));
            if key.kind == Kind::Secret {
                let variable = match (key.section, key.name) {
                    ("http", _) => "\"TOKEN\"",
                    ("webhook", "url") => "\"URL\"",
                    _ => "\"SECRET\"",
                };
                forms.push((format!("{}-env", key.name), variable.to_owned()));
            }
        }
        for (name, value) in forms {
            let called = format!("{}.{name} = {value}", key.section);
            let toml = source(&folder, "s.toml", &with(Some((key, &name, &value))));
            let written = config(&toml);
            if key.name != "state-file" {
                assert_ne!(written, base, "{called} has no effect");
            }
            let text = convert(&toml, None).unwrap_or_else(|error| panic!("{called}: {error}")).text;
            let classic = source(&folder, "s.conf", &text);
            assert_eq!(config(&classic), written, "{called}:\n{text}");

            // All its lines as options behind an empty file.
            let nothing = source(&folder, "nothing.conf", "");
            let lines = text.lines().filter(|line| !line.is_empty());
            let given = config(&Source { options: lines.flat_map(options).collect(), ..nothing });
            assert_eq!(given, written, "{called}: on the command line");
        }
    }
}

#[test]
fn users_that_commands_changed_stand_in_the_state_until_the_configured_ones_are_edited() {
    for apart in [false, true] {
        let folder = Folder::new();
        let state = if apart { "state-file = 'state'\n" } else { "" };
        let text = format!("{state}[acl]\nusers = ['alice on >x +ping']\n");
        let toml = source(&folder, "s.toml", &text);
        let start = load(&toml).unwrap();
        let snapshot = start
            .config
            .snapshot(sentinel_core::types::SentinelId::new(&"7".repeat(40)).expect("40 hex digits are an id"));
        let lines = start.keep.user_lines().expect("the state has a place for users");
        let digest = "a".repeat(64);
        let kept = vec![
            ("bob".to_owned(), format!("user bob on #{digest} ~* +@all")),
            ("default".to_owned(), "user default off".to_owned()),
        ];
        lines.set(kept.clone());
        let mut store = sentineld::persist::Store::new(start.keep);
        store.save(&snapshot).unwrap();
        let names = |config: &Config| -> Vec<String> {
            config.server.acl.users.iter().map(|user| format!("{} {}", user.name, user.rules.join(" "))).collect()
        };
        let expected = [format!("bob on #{digest} ~* +@all"), "default off".to_owned()];
        let again = load(&toml).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(names(&again.config), expected, "apart: {apart}");

        // They stay when nothing is said of users again, and go to the classic form as lines.
        let later =
            sentinel_core::snapshot::Snapshot { current_epoch: sentinel_core::types::Epoch::new(5), ..snapshot };
        sentineld::persist::Store::new(again.keep).save(&later).unwrap();
        assert_eq!(names(&config(&toml)), expected);
        let classic = source(&folder, "s.conf", &convert(&toml, None).unwrap().text);
        assert_eq!(names(&config(&classic)), expected, "apart: {apart}");

        let written = fs::read_to_string(&toml.path).unwrap();
        fs::write(&toml.path, written.replace("'alice on >x +ping'", "'carol on >x +ping'")).unwrap();
        let edited = load(&toml).unwrap();
        assert_eq!(names(&edited.config), ["carol on >x +ping"], "apart: {apart}");
        assert!(edited.warnings.iter().any(|warning| warning.text.contains("the edited ones count")));
    }
}

/// What a command accepts, and saves, the next start accepts, with the same meaning.
#[test]
fn whatever_sentinel_set_accepts_the_file_accepts() {
    let folder = Folder::new();
    let words =
        ["0", "1", "7", "4294967295", "4294967296", "5000000000", "9223372036854775807", "64mb", "Yes", "no", "x"];
    let mut accepted = 0;
    for row in MASTER.iter().filter(|row| !matches!(row.kind, setting::Kind::Script { .. })) {
        for word in words {
            let Some(value) = row.kind.read(word) else { continue };
            accepted += 1;
            let line = format!("{BASE}sentinel {} m {word}\n", row.name);
            let config = config(&source(&folder, "s.conf", &line));
            let settings = &config.masters[0].settings;
            assert_eq!(row.value(settings), value, "sentinel {} m {word}", row.name);
        }
    }
    assert!(accepted > 80, "{accepted}");
}
