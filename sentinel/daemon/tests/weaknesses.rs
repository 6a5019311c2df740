//! What the reference gets wrong with its file, shown on the reference itself, and that this program does not share it.

mod config_support;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use config_support::{Folder, Listening, Reference, reference_installed, reference_refusal};
use sentinel_tests::free_port;

const PATIENCE: Duration = Duration::from_secs(30);

/// Our program with a file, on a port of its own.
struct Ours(Listening);

impl Ours {
    /// Starts it with options, and waits for its first answer.
    fn start(config: &Path, options: &[&str]) -> Self {
        let port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
        command.arg(config).args(["--port", &port.to_string(), "--bind", "127.0.0.1"]).args(options);
        Ours(Listening::start(command, port, config.with_extension("output")))
    }

    /// The raw answer.
    fn ask(&self, words: &[&str]) -> String {
        let mut stream = self.0.connect();
        let coded: Vec<String> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let coded = coded.concat();
        // The answer to a PING behind it marks the end of the other one.
        let request = format!("*{}\r\n{coded}*1\r\n$4\r\nPING\r\n", words.len());
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        while !(answer.ends_with(b"+PONG\r\n") && answer.len() > 7) {
            let length = stream.read(&mut chunk).expect("it answers");
            assert!(length > 0, "it closed after {words:?}: {answer:?}");
            answer.extend_from_slice(&chunk[..length]);
        }
        answer.truncate(answer.len() - 7);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

const M: &str = "sentinel monitor m 127.0.0.1 1 1\n";

/// Has the reference do something and save, and says why its next start fails with what it wrote.
fn reference_trapped(folder: &Folder, text: &str, commands: &[&[&str]]) -> (String, String) {
    let path = folder.file("theirs.conf", &format!("{}{text}", Reference::listening(folder)));
    let reference = Reference::start(&path);
    for words in commands.iter().chain(&[&["SENTINEL", "FLUSHCONFIG"][..]]) {
        let answer = reference.ask(words);
        assert!(answer.starts_with("+OK"), "{words:?}: {answer}");
    }
    drop(reference);
    let written = fs::read_to_string(&path).unwrap();
    let refused = reference_refusal(folder, &written).expect("it is installed");
    (refused.text, written)
}

/// Has our program do the same, and starts it again with what it wrote.
fn ours_again(folder: &Folder, text: &str, commands: &[&[&str]]) -> (Ours, PathBuf) {
    let path = folder.file("ours.conf", &format!("dir {}\n{text}", folder.path().display()));
    let ours = Ours::start(&path, &[]);
    for words in commands.iter().chain(&[&["SENTINEL", "FLUSHCONFIG"][..]]) {
        let answer = ours.ask(words);
        assert_eq!(answer, "+OK\r\n", "{words:?}");
    }
    drop(ours);
    (Ours::start(&path, &[]), path)
}

/// What our file says, as the reference reads it: the way back stays open.
fn reference_reads(folder: &Folder, ours: &Path, words: &[&str]) -> String {
    let text = fs::read_to_string(ours).unwrap();
    let path = folder.file("back.conf", &format!("{text}{}", Reference::listening(folder)));
    Reference::start(&path).ask(words)
}

#[test]
fn weakness_values_are_written_without_quotes() {
    if !reference_installed() {
        return;
    }
    for (pass, said) in [
        ("a b\"c", "Unbalanced quotes in configuration line"),
        ("a b", "Unrecognized sentinel configuration statement."),
    ] {
        let folder = Folder::new();
        let commands: &[&[&str]] = &[&["SENTINEL", "SET", "m", "auth-pass", pass]];
        let (refused, written) = reference_trapped(&folder, M, commands);
        assert_eq!(refused, said, "{written}");
        let (_ours, path) = ours_again(&folder, M, commands);
        let text = fs::read_to_string(&path).unwrap();
        let quoted = format!("sentinel auth-pass m \"{}\"\n", pass.replace('"', "\\\""));
        assert!(text.contains(&quoted), "{text}");
        assert!(reference_reads(&folder, &path, &["SENTINEL", "MASTER", "m"]).contains("\r\nm\r\n"));
    }
}

#[test]
fn weakness_a_line_break_in_a_value_is_another_directive() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let commands: &[&[&str]] = &[&["SENTINEL", "SET", "m", "auth-pass", "pw\nsentinel announce-ip 9.9.9.9"]];
    let path = folder.file("theirs.conf", &format!("{}{M}", Reference::listening(&folder)));
    let reference = Reference::start(&path);
    assert!(reference.ask(commands[0]).starts_with("+OK"));
    drop(reference);
    let injected = Reference::start(&path).ask(&["SENTINEL", "CONFIG", "GET", "announce-ip"]);
    assert!(injected.contains("9.9.9.9"), "{injected}");

    // Ours does not take it, as later versions do not.
    let (ours, path) = ours_again(&folder, M, &[]);
    let answer = ours.ask(commands[0]);
    assert!(answer.starts_with("-ERR") && answer.contains("control characters"), "{answer}");
    assert_eq!(ours.ask(&["SENTINEL", "FLUSHCONFIG"]), "+OK\r\n");
    let kept = ours.ask(&["SENTINEL", "CONFIG", "GET", "announce-ip"]);
    let written = fs::read_to_string(&path).unwrap();
    assert!(!kept.contains("9.9.9.9") && !written.contains("9.9.9.9"), "{kept}\n{written}");
}

#[test]
fn weakness_a_master_name_with_a_blank_makes_the_file_unloadable() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let commands: &[&[&str]] = &[&["SENTINEL", "MONITOR", "x y", "127.0.0.1", "1", "1"]];
    let (refused, written) = reference_trapped(&folder, "", commands);
    assert_eq!(refused, "Unrecognized sentinel configuration statement.", "{written}");
    let (ours, path) = ours_again(&folder, "", commands);
    let masters = ours.ask(&["SENTINEL", "MASTERS"]);
    assert!(masters.contains("\r\nx y\r\n"), "{masters}");
    assert!(reference_reads(&folder, &path, &["SENTINEL", "MASTERS"]).contains("\r\nx y\r\n"));
}

#[test]
fn weakness_a_renamed_command_with_a_blank_makes_the_file_unloadable() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let commands: &[&[&str]] = &[&["SENTINEL", "SET", "m", "rename-command", "CONFIG", "a b"]];
    let (refused, written) = reference_trapped(&folder, M, commands);
    assert_eq!(refused, "Unrecognized sentinel configuration statement.", "{written}");
    let (_ours, path) = ours_again(&folder, M, commands);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("sentinel rename-command m CONFIG \"a b\"\n"), "{text}");
    assert!(reference_reads(&folder, &path, &["SENTINEL", "MASTERS"]).contains("\r\nm\r\n"));
}

#[test]
fn weakness_a_host_that_does_not_resolve_is_lost() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let text = "sentinel resolve-hostnames yes\nsentinel monitor m no-such-host.invalid 1 1\n";
    let (refused, written) = reference_trapped(&folder, text, &[]);
    assert!(written.contains("sentinel monitor m  1 1\n"), "{written}");
    assert_eq!(refused, "Unrecognized sentinel configuration statement.");
    let (_ours, path) = ours_again(&folder, text, &[]);
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.contains("sentinel monitor m no-such-host.invalid 1 1\n"), "{kept}");
}

#[test]
fn weakness_a_replica_or_peer_that_does_not_resolve_is_lost() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let learnt = format!(
        "sentinel known-replica m gone.invalid 99\nsentinel known-sentinel m gone.invalid 98 {}\n",
        "d".repeat(40)
    );
    let text = format!("sentinel resolve-hostnames yes\n{M}{learnt}");
    let (refused, written) = reference_trapped(&folder, &text, &[]);
    assert!(written.contains("sentinel known-replica m  99\n"), "{written}");
    assert_eq!(refused, "Unrecognized sentinel configuration statement.");
    let (_ours, path) = ours_again(&folder, &text, &[]);
    let kept = fs::read_to_string(&path).unwrap();
    assert!(learnt.lines().all(|line| kept.contains(line)), "{kept}");
}

#[test]
fn weakness_an_included_master_is_written_into_the_main_file_too() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let more = folder.file("more.conf", M);
    let text = format!("include {}\n", more.display());
    let (refused, written) = reference_trapped(&folder, &text, &[]);
    assert_eq!(refused, "Duplicate master name.", "{written}");
    let (ours, path) = ours_again(&folder, &text, &[]);
    assert!(ours.ask(&["SENTINEL", "MASTERS"]).contains("\r\nm\r\n"));
    let kept = fs::read_to_string(&path).unwrap();
    assert!(!kept.contains("sentinel monitor"), "{kept}");
}

#[test]
fn weakness_known_slave_lines_get_a_twin() {
    if !reference_installed() {
        return;
    }
    let folder = Folder::new();
    let text = format!("{M}sentinel known-slave m 127.0.0.1 99\n");
    let (refused, written) = reference_trapped(&folder, &text, &[]);
    assert_eq!(refused, "Duplicate hostname and port for replica.", "{written}");
    let (_ours, path) = ours_again(&folder, &text, &[]);
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.contains("known-replica m 127.0.0.1 99") && !kept.contains("known-slave"), "{kept}");
    assert!(reference_reads(&folder, &path, &["SENTINEL", "MASTERS"]).contains("\r\nm\r\n"));
}

#[test]
fn weakness_lines_that_cannot_be_read_become_comments_and_are_written_again() {
    if !reference_installed() {
        return;
    }
    // Somebody edits the file while the Sentinel runs, and leaves a quote open.
    let broken = "sentinel auth-pass m \"half\n";
    let folder = Folder::new();
    let path = folder.file("theirs.conf", &format!("{}{M}", Reference::listening(&folder)));
    let reference = Reference::start(&path);
    fs::write(&path, fs::read_to_string(&path).unwrap() + broken).unwrap();
    assert!(reference.ask(&["SENTINEL", "FLUSHCONFIG"]).starts_with("+OK"));
    let theirs = fs::read_to_string(&path).unwrap();
    assert!(theirs.contains("# ??? sentinel auth-pass m \"half"), "{theirs}");

    let path = folder.file("ours.conf", M);
    let ours = Ours::start(&path, &[]);
    fs::write(&path, fs::read_to_string(&path).unwrap() + broken).unwrap();
    assert_eq!(ours.ask(&["SENTINEL", "SET", "m", "quorum", "2"]), "+OK\r\n");
    let kept = fs::read_to_string(&path).unwrap();
    assert!(kept.contains(broken) && !kept.contains("???") && kept.contains("127.0.0.1 1 2"), "{kept}");
}

#[test]
fn weakness_a_master_on_the_command_line_fails_the_second_start() {
    if !reference_installed() {
        return;
    }
    let option = ["--sentinel", "monitor", "m", "127.0.0.1", "1", "1"];
    let folder = Folder::new();
    let path = folder.file("theirs.conf", &Reference::listening(&folder));
    let theirs = |path: &Path| {
        let mut child = Command::new("redis-sentinel")
            .arg(path)
            .args(option)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("redis-sentinel starts");
        let deadline = Instant::now() + PATIENCE;
        // It is done when it has written the master down, or has ended.
        while !fs::read_to_string(path).unwrap().contains("sentinel monitor m 127.0.0.1 1 1")
            || fs::read_to_string(path).unwrap().contains("# second")
        {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < deadline, "{}", fs::read_to_string(path).unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr).into_owned()
    };
    assert_eq!(theirs(&path), "");
    fs::write(&path, fs::read_to_string(&path).unwrap() + "# second\n").unwrap();
    let again = theirs(&path);
    assert!(again.contains("Duplicate master name."), "{again}");

    let path = folder.file("ours.conf", "");
    for _ in 0..3 {
        let ours = Ours::start(&path, &option);
        assert!(ours.ask(&["SENTINEL", "MASTERS"]).contains("\r\nm\r\n"));
        assert_eq!(ours.ask(&["SENTINEL", "FLUSHCONFIG"]), "+OK\r\n");
    }
}
