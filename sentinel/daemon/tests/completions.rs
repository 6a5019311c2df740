//! What shells complete, driven as a shell drives it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sentinel_tests::free_port;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sentinel");
const PATIENCE: Duration = Duration::from_secs(20);

/// A Sentinel of three masters in a temporary folder. Killed when dropped.
struct Running {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder can be made"), free_port());
        let path = folder.path().join("s.conf");
        let masters = "sentinel monitor shop 127.0.0.1 1 1\nsentinel monitor search 127.0.0.1 2 1\n\
                       sentinel monitor \"my $old's\" 127.0.0.1 4 1\n";
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\n{masters}sentinel known-replica shop 127.0.0.1 3\n",
            folder.path().display()
        );
        fs::write(&path, text).expect("a file can be written there");
        let process =
            Command::new(PROGRAM).arg(&path).stdout(Stdio::null()).spawn().expect("the program can be started");
        let running = Running { process, port, _folder: folder };
        let deadline = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What bash offers for the last of these words, with the program found on PATH and its script sourced.
fn completed(words: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    const SCRIPT: &str = r#"
        source <(sentinel completions bash)
        # As bash calls the function at a Tab.
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        function_of=$(complete -p sentinel | sed 's/.*-F \([^ ]*\).*/\1/')
        "$function_of" sentinel "${@: -1}" "${@: -2:1}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let path = format!(
        "{}:{}",
        Path::new(PROGRAM).parent().expect("it is in a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut command = Command::new("bash");
    for name in ["SENTINEL_ADDRS", "SENTINEL_USER", "SENTINEL_PASSWORD", "REDISCLI_AUTH"] {
        command.env_remove(name);
    }
    command.args(["--norc", "-c", SCRIPT, "bash"]).args(words).env("PATH", path).envs(environment.iter().copied());
    let output = command.output().expect("bash can be started");
    assert!(output.stderr.is_empty(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_the_masters_of_a_running_sentinel() {
    let running = Running::start();
    let (port, address) = (running.port.to_string(), format!("127.0.0.1:{}", running.port));
    let there = [("SENTINEL_ADDRS", address.as_str())];
    for verb in ["failover", "switchover", "replicas", "explain", "pause", "set", "forget", "doctor", "resume"] {
        let offered = completed(&["sentinel", verb, "s"], &there);
        assert_eq!(offered, ["search", "shop"], "{verb}");
    }
    assert_eq!(completed(&["sentinel", "failover", "sh"], &there), ["shop"]);
    // The Sentinel that the words name
    assert_eq!(completed(&["sentinel", "ckquorum", "-p", &port, "se"], &[]), ["search"]);
    assert_eq!(completed(&["sentinel", "failover", "shop", "--to", ""], &there), ["127.0.0.1:3"]);
    // A name that bash would take for two words, or for something else, is offered as it has to be typed
    assert_eq!(completed(&["sentinel", "failover", "m"], &there), [r"my\ \$old\'s"]);
}

#[test]
fn without_a_sentinel_commands_and_options_are_completed_all_the_same() {
    let nowhere = format!("127.0.0.1:{}", free_port());
    let there = [("SENTINEL_ADDRS", nowhere.as_str())];
    assert_eq!(completed(&["sentinel", "failover", "s"], &there), [""; 0]);
    assert_eq!(completed(&["sentinel", "switch"], &there), ["switchover"]);
    assert_eq!(completed(&["sentinel", "failover", "shop", "--dry"], &there), ["--dry-run"]);
}

#[test]
fn every_shell_has_a_script_that_asks_the_program() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = Command::new(PROGRAM).args(["completions", shell]).output().expect("the program can be started");
        let script = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && script.contains("SENTINEL_COMPLETE"), "{shell}: {script}");
    }
}
