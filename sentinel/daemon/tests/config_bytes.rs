//! Values are bytes: names, passwords and paths that are no UTF-8, in the file, at run time and on the wire.

mod config_support;

use std::{
    fs,
    io::{self, Read as _, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use config_support::{Folder, Listening, reference_installed};
use sentinel_tests::free_port;
use sentineld::config::{Source, load};

const SOON: Duration = Duration::from_secs(60);

/// Sends commands over one connection, and gives back all that is answered until the answer to a last ECHO.
fn ask(server: &Listening, requests: &[&[&[u8]]]) -> Vec<u8> {
    try_to_ask(server, requests).expect("an answer")
}

/// The same of a server that may hang up: a node disconnects its clients when it is promoted.
fn try_to_ask(server: &Listening, requests: &[&[&[u8]]]) -> io::Result<Vec<u8>> {
    const END: &[u8] = b"the end of it";
    let mut bytes = Vec::new();
    for request in requests {
        bytes.extend(format!("*{}\r\n", request.len()).bytes());
        for word in *request {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend([word, &b"\r\n"[..]].concat());
        }
    }
    // An unknown command is repeated in the error by every server.
    bytes.extend([&b"*1\r\n$13\r\n"[..], END, b"\r\n"].concat());
    let mut stream = server.connect();
    stream.write_all(&bytes)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !holds(&answer, END) && !answer.windows(16).any(|part| part == b"-NOAUTH Authenti") {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Err(io::Error::other(format!("hung up after {:?}", String::from_utf8_lossy(&answer))));
        }
        answer.extend_from_slice(&chunk[..length]);
    }
    Ok(answer)
}

fn holds(answer: &[u8], part: &[u8]) -> bool {
    answer.windows(part.len()).any(|it| it == part)
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    while let Err(state) = holds() {
        assert!(start.elapsed() < SOON, "{what} is not so: {state}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(program: &str, config: &Path, port: u16) -> Listening {
    let mut command = Command::new(program);
    command.arg(config);
    Listening::start(command, port, config.with_extension("log"))
}

const OURS: &str = env!("CARGO_BIN_EXE_sentinel");

fn write(path: &Path, parts: &[&[u8]]) {
    fs::write(path, parts.concat()).expect("a file in the temporary folder");
}

/// The same things are asked of both.
fn programs() -> Vec<&'static str> {
    if reference_installed() { vec![OURS, "redis-sentinel"] } else { vec![OURS] }
}

#[test]
fn a_file_with_bytes_is_taken_told_and_kept_as_the_reference_does() {
    for program in programs() {
        let folder = Folder::new();
        let script = folder.path().join(std::ffi::OsStr::from_bytes(b"sc\xe4ript"));
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let (config, port) = (folder.path().join("s.conf"), free_port());
        write(
            &config,
            &[
                format!("port {port}\ndir {}\nrequirepass \"p\\xe4ss\"\n", folder.path().display()).as_bytes(),
                b"sentinel monitor m\xe4ster 127.0.0.1 1 1\nsentinel auth-pass m\xe4ster \"\\xff\\xfe\"\n",
                b"sentinel auth-user \"m\\xe4ster\" us\xe9r\nsentinel notification-script m\xe4ster ",
                script.as_os_str().as_bytes(),
                b"\nsentinel sentinel-pass s\xfcss\nuser \xe9ve on >k\xe4se +@all\n",
            ],
        );
        for round in 0..2 {
            let mut server = start(program, &config, port);
            assert!(holds(&ask(&server, &[&[b"AUTH", b"pass"]]), b"WRONGPASS"), "{program}");
            assert!(ask(&server, &[&[b"AUTH", b"\xe9ve", b"k\xe4se"]]).starts_with(b"+OK"), "{program} {round}");
            let login: &[&[u8]] = &[b"AUTH", b"p\xe4ss"];
            let answer = ask(&server, &[login, &[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"m\xe4ster"]]);
            assert!(
                answer.starts_with(b"+OK\r\n*2\r\n$9\r\n127.0.0.1"),
                "{program} {round}: {}",
                answer.escape_ascii()
            );
            let answer = ask(&server, &[login, &[b"SENTINEL", b"MASTERS"]]);
            assert!(holds(&answer, b"$4\r\nname\r\n$6\r\nm\xe4ster\r\n"), "{program}: {}", answer.escape_ascii());
            let answer = ask(&server, &[login, &[b"INFO", b"sentinel"]]);
            assert!(holds(&answer, b"master0:name=m\xe4ster,"), "{program}: {}", answer.escape_ascii());
            let answer = ask(&server, &[login, &[b"SENTINEL", b"CONFIG", b"GET", b"sentinel-pass"]]);
            assert!(holds(&answer, b"\r\ns\xfcss\r\n"), "{program} {round}: {}", answer.escape_ascii());
            // Set at run time
            let (name, set): (&[u8], &[u8]) = (b"m\xe4ster", b"SET");
            let answer = ask(
                &server,
                &[login, &[b"SENTINEL", set, name, b"auth-pass", b"\xf0\xf1 \xf2", b"auth-user", b"\xfa"]],
            );
            assert!(answer.starts_with(b"+OK\r\n+OK"), "{program}: {}", answer.escape_ascii());
            let answer = ask(&server, &[login, &[b"SENTINEL", b"MONITOR", b"n\xc4w", b"127.0.0.1", b"2", b"1"]]);
            assert!(holds(&answer, b"+OK\r\n+OK") || round == 1, "{program}: {}", answer.escape_ascii());
            let answer = ask(&server, &[login, &[b"SENTINEL", b"RESET", b"*\xe4*"]]);
            assert!(answer.starts_with(b"+OK\r\n:1"), "{program}: {}", answer.escape_ascii());
            let answer = ask(&server, &[login, &[b"SENTINEL", b"REMOVE", b"n\xe4w"]]);
            assert!(holds(&answer, b"-ERR No such master"), "{program}: {}", answer.escape_ascii());
            ask(&server, &[login, &[b"SENTINEL", b"FLUSHCONFIG"]]);
            server.kill();
            if program != OURS {
                // The reference writes a password with a blank without quotes, and does not start again.
                break;
            }
            let text = fs::read(&config).unwrap();
            for line in [
                &br#"sentinel auth-pass "m\xe4ster" "\xf0\xf1 \xf2""#[..],
                br#"sentinel auth-user "m\xe4ster" "\xfa""#,
                br#"sentinel monitor "n\xc4w" 127.0.0.1 2 1"#,
                b"sentinel sentinel-pass s\xfcss",
                b"sentinel monitor m\xe4ster 127.0.0.1 1 1",
            ] {
                assert!(text.split(|byte| *byte == b'\n').any(|it| it == line), "{}", text.escape_ascii());
            }
            let log = String::from_utf8(fs::read(config.with_extension("log")).unwrap()).expect("the log is UTF-8");
            assert!(log.contains(r"+monitor master m\xe4ster 127.0.0.1 1 quorum 1"), "{log}");
        }
    }
}

#[test]
fn a_file_of_such_a_name_and_an_option_with_bytes_are_taken() {
    let folder = Folder::new();
    let (config, port) = (folder.path().join(std::ffi::OsStr::from_bytes(b"s\xe4.conf")), free_port());
    write(&config, &[format!("dir {}\nsentinel monitor m 127.0.0.1 1 1\n", folder.path().display()).as_bytes()]);
    let mut command = Command::new(OURS);
    command.arg(&config).args(["--port", &port.to_string(), "--requirepass"]);
    command.arg(std::ffi::OsStr::from_bytes(b"p\xe4ss"));
    let server = Listening::start(command, port, folder.path().join("log"));
    assert!(ask(&server, &[&[b"AUTH", b"p\xe4ss"]]).starts_with(b"+OK"));
    assert!(fs::read_to_string(&config).unwrap().contains("sentinel myid"));
}

#[test]
fn a_fault_shows_bytes_escaped() {
    let folder = Folder::new();
    let path = folder.path().join("s.conf");
    write(&path, &[b"notthere\xe9 1\nsentinel auth-user other\xe9 x\nsentinel monitor m 127.0.0.1 1 1\xe9\n"]);
    let said = load(&Source::file(&path)).expect_err("two faults").to_string();
    for part in [r"notthere\xe9: Bad directive", r"sentinel monitor other\xe9 HOST", r"notthere\xe9 1"] {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
    assert!(!sentinel_resp::text::has_stand_ins(&said), "{said}");
}

#[test]
fn in_toml_a_byte_is_the_character_that_stands_for_it() {
    let folder = Folder::new();
    let (config, port) = (folder.path().join("s.toml"), free_port());
    write(
        &config,
        &[format!(
            "[server]\nport = {port}\ndir = '{}'\nrequirepass = \"p\\U0010FFE4ss\"\n\
             [[master]]\nname = \"m\\U0010FFE4ster\"\naddress = '127.0.0.1:1'\nquorum = 1\n\
             auth-pass = \"\\U0010FFC3\\U0010FFA4\"\n",
            folder.path().display()
        )
        .as_bytes()],
    );
    let login: &[&[u8]] = &[b"AUTH", b"p\xe4ss"];
    for _ in 0..2 {
        let mut server = start(OURS, &config, port);
        let answer = ask(&server, &[login, &[b"SENTINEL", b"SET", b"m\xe4ster", b"auth-user", b"\xfa"]]);
        assert!(answer.starts_with(b"+OK\r\n+OK"), "{}", answer.escape_ascii());
        server.kill();
        let text = fs::read_to_string(&config).unwrap();
        assert!(text.contains("auth-user = { was = \"\", now = \"\\U0010FFFA\" }"), "{text}");
    }
}

/// A node with a password of bytes for clients and for its master.
fn node(folder: &Folder, name: &str, port: u16, master: Option<u16>) -> (Listening, PathBuf) {
    let config = folder.path().join(format!("{name}.conf"));
    let dir = folder.path().join(name);
    fs::create_dir(&dir).unwrap();
    let follows = master.map(|port| format!("replicaof 127.0.0.1 {port}\n")).unwrap_or_default();
    let text = format!(
        "port {port}\ndir {}\nsave \"\"\nrequirepass \"p\\xe4ss\"\nmasterauth \"p\\xe4ss\"\nrepl-diskless-sync-delay 0\n{follows}",
        dir.display()
    );
    write(&config, &[text.as_bytes()]);
    (start("redis-server", &config, port), config)
}

fn role(node: &Listening) -> String {
    let answer = match try_to_ask(node, &[&[b"AUTH", b"p\xe4ss"], &[b"INFO", b"replication"]]) {
        Ok(answer) => answer,
        Err(error) => return error.to_string(),
    };
    let text = String::from_utf8_lossy(&answer).into_owned();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?").to_owned();
    format!("{} {} {}", field("role:"), field("master_port:"), field("master_link_status:"))
}

#[test]
fn a_deployment_whose_password_is_no_text_is_monitored_and_failed_over() {
    // Given a master and two replicas that ask for a password of bytes, and a Sentinel whose file has it
    let folder = Folder::new();
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let (mut master, _) = node(&folder, "a", ports[0], None);
    let (one, _) = node(&folder, "b", ports[1], Some(ports[0]));
    let (other, _) = node(&folder, "c", ports[2], Some(ports[0]));
    let (config, port) = (folder.path().join("s.conf"), free_port());
    let text = format!(
        "port {port}\ndir {}\nsentinel monitor m 127.0.0.1 {} 1\nsentinel down-after-milliseconds m 1000\n",
        folder.path().display(),
        ports[0]
    );
    write(&config, &[text.as_bytes(), b"sentinel auth-pass m p\xe4ss\n"]);
    let sentinel = start(OURS, &config, port);
    for node in [&one, &other] {
        eventually("each replica is in sync", || {
            let role = role(node);
            if role.ends_with("up") { Ok(()) } else { Err(role) }
        });
    }
    eventually("both replicas are known", || {
        let answer = ask(&sentinel, &[&[b"SENTINEL", b"REPLICAS", b"m"]]);
        if answer.starts_with(b"*2") { Ok(()) } else { Err(String::from_utf8_lossy(&answer).into_owned()) }
    });
    let answer = ask(&sentinel, &[&[b"SENTINEL", b"MASTER", b"m"]]);
    assert!(holds(&answer, b"flags\r\n$6\r\nmaster\r\n"), "{}", String::from_utf8_lossy(&answer));
    assert!(!sentinel.said().contains("+access-denied"), "{}", sentinel.said());

    // When the master dies, then one of them is promoted, and the other follows it
    master.kill();
    eventually("one is a master, which the other follows", || {
        let (one, other) = (role(&one), role(&other));
        let follows = |role: &str, port: u16| role == format!("slave {port} up");
        let done = one.starts_with("master") && follows(&other, ports[1])
            || other.starts_with("master") && follows(&one, ports[2]);
        if done { Ok(()) } else { Err(format!("{one}; {other}\n{}", sentinel.said())) }
    });
}
