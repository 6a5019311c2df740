//! Every error text of the classic grammar: as documented, and as the installed redis-sentinel says it.

mod config_support;

use config_support::{Folder, Reference, reference_refusal};
use sentineld::config::{ConfigError, Fault, Source, load};

const M: &str = "sentinel monitor m 127.0.0.1 6379 1\n";

/// The file, the line at fault, the reference's text.
fn cases() -> Vec<(String, usize, &'static str)> {
    let of_m = |line: &str| format!("{M}sentinel {line}\n");
    let id = "a".repeat(40);
    let peer = format!("known-sentinel m 127.0.0.1 1 {id}");
    vec![
        ("bogus 1\n".into(), 1, "Bad directive or wrong number of arguments"),
        ("port\n".into(), 1, "wrong number of arguments"),
        ("port 1 2\n".into(), 1, "wrong number of arguments"),
        ("# comment\n\nport 26379 # no comment here\n".into(), 3, "wrong number of arguments"),
        ("loglevel \"notice\n".into(), 1, "Unbalanced quotes in configuration line"),
        ("loglevel \"notice\"x\n".into(), 1, "Unbalanced quotes in configuration line"),
        ("port x\n".into(), 1, "argument couldn't be parsed into an integer"),
        ("port 01\n".into(), 1, "argument couldn't be parsed into an integer"),
        ("port 70000\n".into(), 1, "argument must be between 0 and 65535 inclusive"),
        ("tls-port 70000\n".into(), 1, "argument must be between 0 and 65535 inclusive"),
        ("maxclients 0\n".into(), 1, "argument must be between 1 and 4294967295 inclusive"),
        ("timeout -1\n".into(), 1, "argument must be between 0 and 2147483647 inclusive"),
        ("acllog-max-len -1\n".into(), 1, "argument must be between 0 and 9223372036854775807 inclusive"),
        ("protected-mode maybe\n".into(), 1, "argument must be 'yes' or 'no'"),
        ("loglevel loud\n".into(), 1, "argument(s) must be one of the following: debug, verbose, notice, warning"),
        ("supervised foo\n".into(), 1, "argument(s) must be one of the following: upstart, systemd, auto, no"),
        (
            "syslog-facility foo\n".into(),
            1,
            "argument(s) must be one of the following: user, local0, local1, local2, local3, local4, local5, local6, local7",
        ),
        ("rename-command get x\n".into(), 1, "No such command in rename-command"),
        ("rename-command ping INFO\n".into(), 1, "Target command name already exists"),
        ("tls-auth-clients foo\n".into(), 1, "argument(s) must be one of the following: no, yes, optional"),
        ("acl-pubsub-default foo\n".into(), 1, "argument(s) must be one of the following: allchannels, resetchannels"),
        ("proto-max-bulk-len abc\n".into(), 1, "argument must be a memory value"),
        ("proto-max-bulk-len 5\n".into(), 1, "argument must be between 1048576 and 9223372036854775807 inclusive"),
        ("unixsocketperm 999\n".into(), 1, "argument couldn't be parsed as an octal number"),
        ("dir /nonexistent\n".into(), 1, "No such file or directory"),
        ("user\n".into(), 1, "Bad directive or wrong number of arguments"),
        ("user a on nonsense\n".into(), 1, "Error in user declaration 'a': Syntax error"),
        (
            "user a on #abc\n".into(),
            1,
            "Error in user declaration 'a': The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters",
        ),
        (
            "client-output-buffer-limit foo 1 1 1\n".into(),
            1,
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            "client-output-buffer-limit normal x 1 1\n".into(),
            1,
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
        ("client-output-buffer-limit normal 1\n".into(), 1, "Wrong number of arguments in buffer limit configuration."),
        ("bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n".into(), 1, "Too many bind addresses specified."),
        ("sentinel monitor m 127.0.0.1 36001 0\n".into(), 1, "Quorum must be 1 or greater."),
        ("sentinel monitor m 127.0.0.1 36001 x\n".into(), 1, "Quorum must be 1 or greater."),
        ("sentinel monitor m db.invalid 36001 1\n".into(), 1, "Can't resolve instance hostname."),
        ("sentinel monitor m 127.0.0.1 65536 1\n".into(), 1, "Invalid port number."),
        (format!("{M}{M}"), 2, "Duplicate master name."),
        ("sentinel monitor m 127.0.0.1 1\n".into(), 1, "Unrecognized sentinel configuration statement."),
        (of_m("down-after-milliseconds m 0"), 2, "negative or zero time parameter."),
        (of_m("failover-timeout m -1"), 2, "negative or zero time parameter."),
        (of_m("master-reboot-down-after-period m -1"), 2, "negative time parameter."),
        (of_m("notification-script m /nonexistent"), 2, "Notification script seems non existing or non executable."),
        (
            of_m("client-reconfig-script m /nonexistent"),
            2,
            "Client reconfiguration script seems non existing or non executable.",
        ),
        (
            format!("{M}sentinel rename-command m get x\nsentinel rename-command m GET y\n"),
            3,
            "Same command renamed multiple times with rename-command.",
        ),
        (
            format!("{M}sentinel known-replica m 127.0.0.1 1\nsentinel known-replica m 127.0.0.1 1\n"),
            3,
            "Duplicate hostname and port for replica.",
        ),
        (format!("{M}sentinel {peer}\nsentinel {peer}\n"), 3, "Duplicate runid for sentinel."),
        (of_m("myid abc"), 2, "Malformed Sentinel id in myid option."),
        (of_m("deny-scripts-reconfig x"), 2, "Please specify yes or no for the deny-scripts-reconfig options."),
        (of_m("resolve-hostnames x"), 2, "Please specify yes or no for the resolve-hostnames option."),
        (of_m("announce-hostnames x"), 2, "Please specify yes or no for the announce-hostnames option."),
        (of_m("quorum m 2"), 2, "Unrecognized sentinel configuration statement."),
        (of_m("auth-pass m a b"), 2, "Unrecognized sentinel configuration statement."),
        (of_m("down-after-milliseconds n 5"), 2, "No such master with specified name."),
    ]
}

fn faults(folder: &Folder, text: &str) -> Vec<Fault> {
    let path = folder.file("s.conf", text);
    match load(&Source::file(path)) {
        Err(ConfigError::Faults(faults)) => faults.faults,
        other => panic!("{text:?} should be refused, but gave {other:?}"),
    }
}

#[test]
fn every_documented_text_is_said_at_its_line() {
    let folder = Folder::new();
    for (text, line, said) in cases() {
        let faults = faults(&folder, &text);
        assert_eq!(faults.len(), 1, "{text:?}: {faults:?}");
        assert_eq!((faults[0].what.as_str(), faults[0].place.line()), (said, Some(line)), "{text:?}");
        assert!(!faults[0].remedy.is_empty());
    }
}

#[test]
fn the_reference_says_the_same() {
    let folder = Folder::new();
    for (text, line, said) in cases() {
        let Some(reference) = reference_refusal(&folder, &text) else { return };
        assert_eq!(reference.text, said, "{text:?}: {reference:?}");
        assert_eq!(reference.line, Some(line), "{text:?}: {reference:?}");
    }
}

#[test]
fn what_is_learnt_is_not_kept_in_the_configuration_itself() {
    let folder = Folder::new();
    for name in ["s.conf".to_owned(), folder.path().join("s.conf").display().to_string()] {
        let text = format!("{M}sentinel state-config-file {name}\n");
        let path = folder.file("s.conf", &text);
        let source = Source { directory: folder.path().to_owned(), ..Source::file(path) };
        let Err(ConfigError::Faults(faults)) = load(&source) else { panic!("{name} should be refused") };
        assert_eq!((faults.faults.len(), faults.faults[0].place.line()), (1, Some(2)), "{faults:?}");
        assert!(faults.faults[0].what.contains("the configuration itself"), "{faults:?}");
    }
}

#[test]
fn the_interface_of_a_link_local_address_is_dropped_as_by_the_reference() {
    let folder = Folder::new();
    let known = "sentinel monitor m fe80::1%lo 7000 1\n";
    let loaded = load(&Source::file(folder.file("s.conf", known))).unwrap();
    assert_eq!(loaded.config.masters[0].addr.to_string(), "[fe80::1]:7000");
    assert!(loaded.warnings.iter().any(|warning| warning.text.contains("is dropped")), "{:?}", loaded.warnings);

    let unknown = "sentinel monitor m fe80::1%no-such-one 7000 1\n";
    let error = load(&Source::file(folder.file("s.conf", unknown))).unwrap_err().to_string();
    assert!(error.contains("Can't resolve instance hostname."), "{error}");
    let Some(reference) = reference_refusal(&folder, unknown) else { return };
    assert_eq!(reference.text, "Can't resolve instance hostname.");
    let text = format!("{}{known}", Reference::listening(&folder));
    let reference = Reference::start(&folder.file("reference.conf", &text));
    assert!(reference.ask(&["SENTINEL", "MASTER", "m"]).contains("\r\nfe80::1\r\n"));
}

#[test]
fn a_script_whose_first_line_ends_with_cr_lf_is_told_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let script = folder.file("notify.sh", "#!/bin/sh\r\nexit 0\r\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let text = format!("{M}sentinel notification-script m {}\n", script.display());
    let loaded = load(&Source::file(folder.file("s.conf", &text))).unwrap();
    let told = |part: &str| loaded.warnings.iter().any(|warning| warning.text.contains(part));
    assert!(told("ends with CR LF") && told("`/bin/sh\\r`"), "{:?}", loaded.warnings);
}

#[test]
fn all_faults_are_told_at_once_and_secrets_are_not() {
    let folder = Folder::new();
    let path = folder.file(
        "s.conf",
        "port x\nprot 1\nrequirepass topsecret more\nsentinel monitor m 127.0.0.1 1 0\nsentinel auth-pass m topsecret \"\n",
    );
    let mut source = Source::file(path);
    source.options = ["--loglevel", "loud"].map(str::to_owned).into();
    let error = load(&source).unwrap_err().to_string();
    for part in [
        "s.conf:1: port: argument couldn't",
        "s.conf:2: prot: Bad directive",
        "did you mean `port`?",
        "s.conf:3: requirepass: wrong number",
        "s.conf:4: sentinel monitor: Quorum",
        "s.conf:5: sentinel: Unbalanced quotes",
        "command line: loglevel: argument(s) must be",
        "6 faults",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert!(!error.contains("topsecret"), "{error}");
}

#[test]
fn what_cannot_be_opened_is_said_in_the_references_words() {
    let folder = Folder::new();
    let error = load(&Source::file("/nonexistent/s.conf")).unwrap_err().to_string();
    let words = "Fatal error, can't open config file '/nonexistent/s.conf': No such file or directory";
    assert_eq!(error, format!("{words}\nhelp: name a file that this user may read"));
    let path = folder.file("s.conf", "include /nonexistent/more.conf\n");
    let error = load(&Source::file(&path)).unwrap_err().to_string();
    let words = "Fatal error, can't open config file '/nonexistent/more.conf': No such file or directory";
    let help = "help: name a file that this user may read, or remove the line";
    assert_eq!(error, format!("{words}\n{}:1: include\n    {help}", path.display()));
    let path = folder.file("logs.conf", "logfile /nonexistent/log\n");
    let error = load(&Source::file(path)).unwrap_err().to_string();
    assert!(error.contains("Can't open the log file: No such file or directory"), "{error}");
}

#[test]
fn users_stand_in_one_place_and_once() {
    let folder = Folder::new();
    let twice = faults(&folder, "user a on\nuser a on\n");
    assert!(
        twice[0].what.ends_with("Duplicate user found. A user can only be defined once in config files"),
        "{twice:?}"
    );
    let both = faults(&folder, "user a on\naclfile users.acl\n");
    assert!(
        both[0]
            .what
            .starts_with("Configuring Redis with users defined in redis.conf and at the same setting an ACL file"),
        "{both:?}"
    );
}

#[test]
fn an_include_that_includes_itself_is_a_fault() {
    let folder = Folder::new();
    let path = folder.file("s.conf", "");
    folder.file("s.conf", &format!("include {}\n", path.display()));
    let error = load(&Source::file(path)).unwrap_err().to_string();
    assert!(error.contains("includes itself"), "{error}");
}

#[test]
fn toml_faults_have_line_and_column() {
    let folder = Folder::new();
    let text = "stat-file = 'x'\n[server]\n  port = 70000\n  requirepass = 'topsecret'\n  requirepass-env = 'X'\n\
                [[master]]\nname = 'm'\naddress = '127.0.0.1'\nquorum = 0\ndown-after = '5'\nquorun = 2\n";
    let path = folder.file("s.toml", text);
    let error = load(&Source::file(path)).unwrap_err().to_string();
    for part in [
        "s.toml:1:1: stat-file: unknown key `stat-file`",
        "did you mean `state-file`?",
        "s.toml:3:3: server.port: argument must be between 0 and 65535 inclusive",
        "s.toml:5:3: server.requirepass: `requirepass-env` stands beside",
        "s.toml:8:1: master.address: a port must be",
        "s.toml:9:1: master.quorum: Quorum must be 1 or greater.",
        "s.toml:10:1: master.down-after: `5` is no time",
        "s.toml:11:1: master.quorun: unknown key",
        "did you mean `quorum`?",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert!(!error.contains("topsecret"), "{error}");
    assert!(!error.contains("FATAL CONFIG FILE ERROR"), "{error}");

    let path = folder.file("broken.toml", "[server]\nport = \n");
    let error = load(&Source::file(path)).unwrap_err().to_string();
    assert!(error.contains("broken.toml:2:"), "{error}");
}
