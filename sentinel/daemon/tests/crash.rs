//! The real program, killed while it writes, on full disks, with files that cannot be replaced.

mod config_support;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use config_support::{Folder, Listening};
use sentinel_tests::free_port;
use sentineld::config::{Source, load};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sentinel");

/// What is answered to a change of that setting.
fn changed(running: &Listening, ms: u64) -> String {
    let mut stream = running.connect();
    stream.write_all(set(ms).as_bytes()).expect("it reads");
    let mut answer = [0; 512];
    let length = stream.read(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

fn set(ms: u64) -> String {
    format!("SENTINEL SET m down-after-milliseconds {ms}\r\n")
}

/// The three forms: name of the configuration, and its text.
fn forms(port: u16) -> [(&'static str, String); 3] {
    let toml = format!(
        "[server]\nport = {port}\nbind = ['127.0.0.1']\n[[master]]\nname = 'm'\naddress = '127.0.0.1:1'\nquorum = 1\n"
    );
    [
        ("s.conf", format!("port {port}\nbind 127.0.0.1\nsentinel monitor m 127.0.0.1 1 1\n")),
        ("s.toml", toml.clone()),
        ("apart.toml", format!("state-file = 'state'\n{toml}")),
    ]
}

fn down_after(folder: &Folder, path: &Path) -> u64 {
    let source = Source { directory: folder.path().to_owned(), ..Source::file(path) };
    let loaded = load(&source).unwrap_or_else(|error| panic!("{error}\n{}", fs::read_to_string(path).unwrap()));
    u64::try_from(loaded.config.masters[0].settings.down_after.as_millis()).expect("it was given as such")
}

#[test]
fn killed_while_it_writes_it_has_what_it_answered_and_nothing_half() {
    for form in 0..3 {
        let port = free_port();
        let folder = Folder::new();
        let (name, text) = forms(port)[form].clone();
        let path = folder.file(name, &text);
        let mut next = 1000;
        for round in 0_u64..8 {
            let mut command = Command::new(PROGRAM);
            command.arg(&path).current_dir(folder.path());
            let mut running = Listening::start(command, port, folder.path().join("log"));

            // One writer asks without waiting for answers, so that there is always something to write.
            let mut stream = running.connect();
            let first = next;
            let requests: String = (0..400).map(|n| set(first + n)).collect();
            stream.write_all(requests.as_bytes()).expect("it reads");
            next += 400;
            // Killed after so many answers, which is another moment in each round.
            let mut answers = Vec::new();
            let mut chunk = [0; 256];
            while answers.len() < usize::try_from(5 * (round * 7 + 1)).unwrap() {
                let length = stream.read(&mut chunk).expect("it answers");
                assert!(length > 0, "{}", running.said());
                answers.extend_from_slice(&chunk[..length]);
            }
            running.kill();
            while let Ok(length @ 1..) = stream.read(&mut chunk) {
                answers.extend_from_slice(&chunk[..length]);
            }
            let acknowledged = u64::try_from(answers.split(|b| *b == b'\n').filter(|line| *line == b"+OK\r").count());
            let acknowledged = acknowledged.unwrap();
            assert!(acknowledged > 0, "{}", String::from_utf8_lossy(&answers));
            let found = down_after(&folder, &path);
            assert!(
                (first + acknowledged - 1..next).contains(&found),
                "{name}, round {round}: {acknowledged} changes from {first} on were acknowledged, but {found} is there"
            );
        }
    }
}

/// A command that runs shell lines, then the program, with mounts of its own. None: this machine does not allow it.
fn in_own_mounts(script: &str) -> Option<Command> {
    let allowed = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
    if !allowed.is_ok_and(|status| status.success()) {
        sentinel_tests::skipped("mounts of its own are not allowed here (unshare -m)");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script]);
    Some(command)
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let port = free_port();
    let folder = Folder::new();
    let (_, text) = &forms(port)[0];
    let text = format!("{text}sentinel myid {}\n", "7".repeat(40));
    let config = folder.file("s.conf", &text);
    fs::create_dir(folder.path().join("small")).unwrap();
    let script = format!(
        "cd {folder}\nmount -t tmpfs -o size=32k none small\ncp {config} small/s.conf\n\
         head -c 100000 /dev/zero > small/filler 2>/dev/null || true\nexec {PROGRAM} small/s.conf",
        folder = folder.path().display(),
        config = config.display()
    );
    let Some(command) = in_own_mounts(&script) else { return };
    let running = Listening::start(command, port, folder.path().join("log"));
    let inside = PathBuf::from(format!("/proc/{}/root", running.process.id()))
        .join(folder.path().strip_prefix("/").unwrap())
        .join("small");
    let refused = changed(&running, 1234);
    assert!(refused.starts_with("-ERR"), "{refused}\n{}", running.said());
    running.says("No space left on device");
    assert_eq!(fs::read_to_string(inside.join("s.conf")).unwrap(), text, "nothing is damaged");
    let litter: Vec<_> = fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(litter.len(), 2, "{litter:?}");

    fs::remove_file(inside.join("filler")).unwrap();
    assert_eq!(changed(&running, 4321), "+OK\r\n", "{}", running.said());
    let written = fs::read_to_string(inside.join("s.conf")).unwrap();
    assert!(written.contains("down-after-milliseconds m 4321"), "{written}");
}

#[test]
fn a_file_that_cannot_be_replaced_is_written_in_place() {
    let mounted = "mount --bind outside.conf in/s.conf";
    let read_only = "mount --bind in in\nmount --bind outside.conf in/s.conf\nmount -o remount,bind,ro in";
    for (mounts, why) in [(mounted, "it is mounted on its own"), (read_only, "it is mounted on its own")] {
        let port = free_port();
        let folder = Folder::new();
        fs::create_dir(folder.path().join("in")).unwrap();
        folder.file("in/s.conf", "");
        let (_, text) = &forms(port)[0];
        let outside = folder.file("outside.conf", text);
        let script = format!("cd {}\n{mounts}\nexec {PROGRAM} in/s.conf", folder.path().display());
        let Some(command) = in_own_mounts(&script) else { return };
        let mut running = Listening::start(command, port, folder.path().join("log"));
        assert_eq!(changed(&running, 1234), "+OK\r\n", "{}", running.said());
        running.says(&format!("cannot be replaced ({why})"));
        assert_eq!(down_after(&folder, &outside), 1234);
        let written = fs::read_to_string(&outside).unwrap();
        assert!(written.starts_with(text) && !written.contains("redo"), "{written}");
        assert_eq!(fs::read_to_string(folder.path().join("in/s.conf")).unwrap(), "", "what is below the mount");

        // Killed while it writes, it has what it answered here, too.
        let mut stream = running.connect();
        let requests: String = (2000..2300).map(set).collect();
        stream.write_all(requests.as_bytes()).expect("it reads");
        let mut answer = [0; 50];
        stream.read_exact(&mut answer).expect("it answers");
        running.kill();
        let found = down_after(&folder, &outside);
        assert!((2009..2300).contains(&found), "{found}: ten changes were acknowledged");
    }
}
