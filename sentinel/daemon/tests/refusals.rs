//! One wrong input for everything that can be given: the answer names the file, the line, the directive, what is wrong and
//! what to write instead, the exit status is not 0, and nothing was changed.

mod config_support;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use config_support::Folder;

const M: &str = "bind 127.0.0.1\nsentinel monitor m 127.0.0.1 6379 2\n";

/// A wrong line, and what its remedy says.
const WRONG: &[(&str, &str)] = &[
    ("port abc", "write a whole number from 0 to 65535"),
    ("port 65536", "write a number from 0 to 65535"),
    ("port", "write `port VALUE`"),
    ("port 1 2", "write `port VALUE`"),
    ("protected-mode maybe", "write yes or no"),
    ("unixsocketperm 999", "write octal permissions, such as 700"),
    ("tcp-backlog x", "write a whole number"),
    ("timeout -1", "write a number from 0"),
    ("tcp-keepalive x", "write a whole number"),
    ("maxclients 0", "write a number from 1"),
    ("client-output-buffer-limit pubsub 1", "write `client-output-buffer-limit CLASS HARD SOFT SECONDS`"),
    ("client-query-buffer-limit x", "write a number of bytes, or one with a unit"),
    ("proto-max-bulk-len 1", "write a number from 1048576"),
    ("daemonize x", "write yes or no"),
    ("supervised x", "write one of upstart, systemd, auto, no"),
    ("loglevel loud", "write one of debug, verbose, notice, warning, nothing"),
    ("logfile /nonexistent/log", "create the folder /nonexistent"),
    ("logfile /", "name a file, or write `logfile \"\"` for standard output"),
    ("syslog-enabled x", "write yes or no"),
    ("syslog-facility mail", "write one of user, local0"),
    ("dir /nonexistent", "create /nonexistent, or name another directory"),
    ("dir /etc/passwd", "name a directory"),
    ("requirepass", "write `requirepass VALUE`"),
    ("requirepass-file /nonexistent", "name a file that this user may read and that holds the secret alone"),
    ("requirepass-file /", "name a file that this user may read and that holds the secret alone"),
    ("requirepass-env NOBODY_SETS_THIS", "set NOBODY_SETS_THIS before the start"),
    ("user", "write `user NAME RULE ...`"),
    ("user alice +nonsense", "each word behind the name is a rule"),
    ("aclfile /nonexistent", "name a file that this user may read, in which each line is `user NAME RULE ...`"),
    ("aclfile /", "name a file that this user may read"),
    ("acllog-max-len x", "write a whole number"),
    ("acl-pubsub-default x", "write one of allchannels, resetchannels"),
    ("bind-source-addr x", "write the address of this host"),
    ("tls-port x", "write a whole number"),
    ("tls-replication x", "write yes or no"),
    ("tls-auth-clients x", "write one of no, yes, optional"),
    ("tls-session-caching x", "write yes or no"),
    ("tls-session-cache-size -1", "write a number from 0"),
    ("tls-session-cache-timeout x", "write a whole number"),
    ("tls-prefer-server-ciphers x", "write yes or no"),
    ("rename-command nonsense x", "name a command of a Sentinel"),
    ("loadmodule", "write `loadmodule PATH"),
    ("include", "write `include FILE`"),
    ("include /nonexistent", "name a file that this user may read, or remove the line"),
    ("include /", "name a file that this user may read, or remove the line"),
    ("include s.conf", "remove one of the include lines"),
    ("prot 1", "did you mean `port`?"),
    ("hello-auth-key x", "write `sentinel hello-auth-key ...`"),
    ("hello-auth-required no", "write `sentinel hello-auth-required ...`"),
    ("nonsense x", "remove the line, or put a # before it"),
    ("sentinel nonsense", "remove the line, or put a # before it"),
    ("sentinel monitor n", "write `sentinel monitor MASTER-NAME HOST PORT QUORUM`"),
    ("sentinel monitor n 127.0.0.1 1 0", "1 or more, usually the majority"),
    ("sentinel monitor n 127.0.0.1 65536 1", "write a port from 0 to 65535"),
    ("sentinel monitor n host.invalid 1 1", "allow names with `sentinel resolve-hostnames yes`"),
    ("sentinel monitor m 127.0.0.1 1 1", "give each master a name of its own"),
    ("sentinel down-after-milliseconds m 0", "write milliseconds from 1 up"),
    ("sentinel down-after-milliseconds x 1", "add `sentinel monitor x HOST PORT QUORUM`"),
    ("sentinel failover-timeout m x", "write milliseconds from 1 up"),
    ("sentinel parallel-syncs m", "write `sentinel parallel-syncs MASTER-NAME` and 1 value"),
    ("sentinel master-reboot-down-after-period m -1", "write milliseconds, or 0 for no limit"),
    ("sentinel notification-script m /nonexistent", "create /nonexistent and make it executable"),
    ("sentinel client-reconfig-script m /etc/passwd", "make it executable (chmod +x)"),
    ("sentinel auth-pass m a b", "a value with blanks needs \"quotes\""),
    ("sentinel auth-pass m \"a", "close the quotes"),
    ("sentinel auth-user m", "write `sentinel auth-user MASTER-NAME` and 1 value"),
    ("sentinel auth-pass-file m /nonexistent", "holds the secret alone"),
    ("sentinel rename-command m a", "write `sentinel rename-command MASTER-NAME` and 2 values"),
    ("sentinel known-replica m host.invalid 1", "allow names with `sentinel resolve-hostnames yes`"),
    ("sentinel known-sentinel m 127.0.0.1 65536 x", "write a port from 0 to 65535"),
    ("sentinel myid x", "write 40 hex digits"),
    ("sentinel deny-scripts-reconfig x", "write yes or no"),
    ("sentinel resolve-hostnames x", "write yes or no"),
    ("sentinel announce-hostnames x", "write yes or no"),
    ("sentinel announce-ip a b", "write `sentinel announce-ip VALUE`"),
    ("sentinel sentinel-pass", "write `sentinel sentinel-pass VALUE`"),
    ("sentinel state-config-file /", "name a file that this user may read, or remove the line"),
    ("sentinel state-config-file /nonexistent/state", "create the folder /nonexistent, or name another file"),
    ("sentinel hello-auth-key", "write `sentinel hello-auth-key VALUE`"),
    ("sentinel hello-auth-required x", "write yes or no"),
    ("sentinel down-on-refused m x", "write a whole number"),
    ("sentinel lossless-failover m x", "write yes or no"),
    ("sentinel lossless-catch-up m x", "write a whole number"),
    ("sentinel empty-master-failover m x", "write yes or no"),
    ("sentinel promote-best-effort m x", "write yes or no"),
    ("sentinel max-lag m x", "write a number of bytes"),
    ("sentinel failover-pause m x", "write a whole number"),
    ("sentinel in-sync m 127.0.0.1 7 x", "write a whole number"),
    ("sentinel in-sync m host.invalid 7 1", "allow names with `sentinel resolve-hostnames yes`"),
    ("sentinel reload-grace m x", "write a whole number"),
    ("sentinel promote-empty m x", "write yes or no"),
    ("sentinel ping-period m x", "write a whole number"),
];

fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    command.args(words).current_dir(folder).env_remove("NOBODY_SETS_THIS").output().expect("the program can be started")
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_wrong_line_is_told_with_its_place_its_directive_and_the_remedy_by_check_and_at_the_start() {
    for (line, remedy) in WRONG {
        let folder = Folder::new();
        let text = format!("{M}{line}\n");
        let path = folder.file("s.conf", &text);
        let mut words = line.split_whitespace();
        let mut directive = words.next().unwrap_or_default().to_owned();
        if directive == "sentinel" && !line.contains('"') {
            directive = format!("sentinel {}", words.next().unwrap_or_default());
        }
        for command in [&["check", "s.conf"][..], &["s.conf"]] {
            let output = run(folder.path(), command);
            let told = told(&output);
            assert_eq!(output.status.code(), Some(1), "{command:?} of {line:?}: {told}");
            for part in [&format!("s.conf:3: {directive}"), "help: ", remedy] {
                assert!(told.contains(part), "{command:?} of {line:?}: no {part:?} in {told}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{command:?} of {line:?} changed the file");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "{line:?} left something behind");
    }
}

#[test]
fn what_is_no_text_is_not_shown_to_the_terminal_as_it_is() {
    let folder = Folder::new();
    let garbled = format!("{M}\x1b[2J\x07\"{}\n", "x".repeat(5000));
    folder.file("s.conf", &garbled);
    let output = run(folder.path(), &["check", "s.conf"]);
    let told = told(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("s.conf:3: ") && told.contains("\\u{1b}[2J\\u{7}"), "{told}");
    assert!(!told.contains(|c: char| c.is_control() && c != '\n') && told.len() < 2000, "{} bytes: {told}", told.len());
}

#[test]
fn a_wrong_option_of_the_command_line_is_told_as_one() {
    let folder = Folder::new();
    folder.file("s.conf", M);
    for (words, parts) in [
        (
            &["s.conf", "--nonsense", "x"][..],
            ["command line: nonsense", "help: remove it; an option is `--DIRECTIVE VALUE`"],
        ),
        (&["s.conf", "--port"], ["command line: port", "help: write `port VALUE`"]),
        (&["s.conf", "26380"], ["command line: 26380", "help: remove it"]),
        (&["s.conf", "--log-format", "xml"], ["--log-format xml", "`legacy` (also called `text`), `logfmt` or `json`"]),
        (&[], ["Sentinel needs config file on disk", "help: name it first: `sentinel FILE`"]),
        (&["nonsense"], ["can't open config file 'nonsense'", "`nonsense` is no command either: `sentinel --help`"]),
        (&["."], ["can't open config file '.': Is a directory", "help: name a file that this user may read"]),
        (&["check", "none.conf"], ["can't open config file 'none.conf'", "help: name a file that this user may read"]),
        (
            &["convert", "none.conf"],
            ["can't open config file 'none.conf'", "help: name a file that this user may read"],
        ),
    ] {
        let output = run(folder.path(), words);
        let told = told(&output);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {told}");
        for part in parts {
            assert!(told.contains(part), "{words:?}: no {part:?} in {told}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_defect() {
    let folder = Folder::new();
    folder.file("s.conf", M);
    for words in [&["check", "s.conf"][..], &["convert", "s.conf"], &["completions", "bash"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = Command::new(env!("CARGO_BIN_EXE_sentinel"))
            .args(words)
            .current_dir(folder.path())
            .stdout(writer)
            .output()
            .expect("the program can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("panicked") && output.status.code().is_some_and(|code| code < 2), "{words:?}: {told}");
    }
}
