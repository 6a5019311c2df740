//! A temporary folder, a running program, and the installed redis-sentinel, for the tests of the configuration.
#![allow(dead_code, unused_imports, reason = "each test program uses its own part")]

mod listening;

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

pub(crate) use listening::Listening;

const DEADLINE: Duration = Duration::from_secs(20);

/// A folder that goes away with the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("a file in the temporary folder");
        path
    }
}

/// What the reference says about a file that it refuses.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) text: String,
    pub(crate) line: Option<usize>,
}

/// Whether the reference is installed. If not, the test fails, or is noted as skipped where skips are allowed.
pub(crate) fn reference_installed() -> bool {
    let found = Command::new("redis-sentinel").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !found {
        sentinel_tests::skipped("redis-sentinel is not installed");
    }
    found
}

/// Starts the reference with a file that it has to refuse. None: it is not installed.
pub(crate) fn reference_refusal(folder: &Folder, text: &str) -> Option<Refused> {
    if !reference_installed() {
        return None;
    }
    let path = folder.file("reference.conf", text);
    let mut child = Command::new("redis-sentinel")
        .arg(&path)
        .args(["--port", "0", "--unixsocket", "reference.sock"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("redis-sentinel starts");
    let started = Instant::now();
    while child.try_wait().expect("its own child").is_none() {
        if started.elapsed() > DEADLINE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the reference accepts {text:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("its output");
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("Reading the configuration file, at line "))
        .and_then(|number| number.parse().ok());
    let mut lines = said.lines().skip_while(|line| !line.starts_with(">>> "));
    lines.next();
    Some(Refused { text: lines.next().unwrap_or(&said).to_owned(), line })
}

/// A running redis-sentinel on a Unix socket, stopped at the end.
pub(crate) struct Reference {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Reference {
    /// The lines that let a reference listen where no other process can be: on a socket in this folder.
    pub(crate) fn listening(folder: &Folder) -> String {
        format!("port 0\nunixsocket {0}/s.sock\ndir {0}\n", folder.path().display())
    }

    /// Starts it with a file that has the lines of [`Reference::listening`], in the same folder.
    pub(crate) fn start(config: &Path) -> Self {
        let socket = config.with_file_name("s.sock");
        let _ = fs::remove_file(&socket);
        let log = config.with_extension("reference-log");
        let output = fs::File::create(&log).expect("a log file");
        let child = Command::new("redis-sentinel")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .expect("redis-sentinel starts");
        let mut reference = Reference { child, socket, log };
        let started = Instant::now();
        loop {
            if let Some(answer) = reference.try_ask(&["PING"]) {
                assert!(answer.contains("PONG"), "{answer}");
                return reference;
            }
            let ended = reference.child.try_wait().expect("its own child");
            let log = fs::read_to_string(&reference.log).unwrap_or_default();
            assert!(
                ended.is_none(),
                "the reference refuses {}:\n{log}\n{}",
                config.display(),
                fs::read_to_string(config).unwrap()
            );
            assert!(started.elapsed() < DEADLINE, "the reference does not answer:\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The raw answer to a command.
    pub(crate) fn ask(&self, words: &[&str]) -> String {
        self.try_ask(words).unwrap_or_else(|| panic!("no answer to {words:?}"))
    }

    fn try_ask(&self, words: &[&str]) -> Option<String> {
        let mut stream = UnixStream::connect(&self.socket).ok()?;
        let count = words.len();
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let words: Vec<String> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        let words = words.concat();
        // The answer to a PING behind it marks the end of the other one.
        let request = format!("*{count}\r\n{words}*1\r\n$4\r\nPING\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let length = stream.read(&mut chunk).ok().filter(|length| *length > 0)?;
            answer.extend_from_slice(&chunk[..length]);
            if answer.ends_with(b"+PONG\r\n") && answer.len() > 7 {
                return Some(String::from_utf8_lossy(&answer).into_owned());
            }
        }
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
