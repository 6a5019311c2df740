//! `sentinel top` in a terminal.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZeroU16,
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    fs::{Mode, OFlags},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use sentinel_tests::{Deployment, eventually, programs};

use crate::given::{SOON, only_true_of_ours};

const WHY: &str = "it has no such command";
const ROWS: NonZeroU16 = NonZeroU16::new(50).expect("rows");
const COLUMNS: NonZeroU16 = NonZeroU16::new(160).expect("columns");

/// A program in a terminal of its own.
struct Terminal {
    child: Child,
    keys: File,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn start(arguments: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it can be opened");
        let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&ours, size).expect("it has a size");
        let name = ptsname(&ours, Vec::new()).expect("it has a name");
        let open = || -> OwnedFd {
            rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("it can be opened")
        };
        let child = Command::new(programs::our_sentinel())
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .stdin(Stdio::from(open()))
            .stdout(Stdio::from(open()))
            .stderr(Stdio::from(open()))
            .spawn()
            .expect("the program can be started");
        let keys = File::from(ours);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut shown, parsed) = (keys.try_clone().expect("another descriptor"), Arc::clone(&screen));
        thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // It fails when nobody has the other side open any more.
            while let Ok(read @ 1..) = shown.read(&mut bytes) {
                parsed.lock().expect("no writer panics").process(&bytes[..read]);
            }
        });
        Terminal { child, keys, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it reads keys");
    }

    fn shown(&self) -> String {
        self.screen.lock().expect("no writer panics").screen().contents()
    }

    #[track_caller]
    fn wait_for(&self, parts: &[&str]) {
        eventually("it is on the screen", SOON, || {
            let shown = self.shown();
            match parts.iter().find(|part| !shown.contains(**part)) {
                None => Ok(()),
                Some(part) => Err(format!("no {part:?} in\n{shown}")),
            }
        });
    }
}

impl Terminal {
    #[track_caller]
    fn wait_until_restored(&self) {
        eventually("the terminal is as it was", SOON, || {
            let screen = self.screen.lock().expect("no writer panics");
            let restored = !screen.screen().alternate_screen() && !screen.screen().hide_cursor();
            if restored { Ok(()) } else { Err(screen.screen().contents()) }
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_failover_is_seen_as_it_happens() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a deployment that is well, and somebody who looks at it
    let deployment = Deployment::of_ours(3).quorum(2).replicas(1).start();
    deployment.wait_until_discovered();
    let group = deployment.only_group();
    let (old, new) = (group.master().address(), group.replicas()[0].address());
    let addresses: Vec<String> =
        deployment.sentinels().iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    let mut terminal = Terminal::start(&["top", "-s", &addresses.join(",")]);
    terminal.wait_for(&["1 of 1 master well", "mymaster", &old, "trouble first"]);
    // When the master is opened, then its nodes and the other Sentinels are there
    terminal.press("\r");
    terminal.wait_for(&["Replicas", &new, "Sentinels", &addresses[1], &addresses[2], "Esc back"]);
    // When it dies, then what happens is on the screen
    group.master().kill();
    deployment.wait_for_switch("mymaster", group.master().port());
    terminal.wait_for(&["+switch-master", &format!("{new}  "), "What happened"]);
    terminal.press("\u{1b}");
    terminal.wait_for(&["of 1 master", "+switch-master", &new, "trouble first"]);
    // When a Sentinel that answered dies, then the next one does
    deployment.sentinels()[0].kill();
    terminal.wait_for(&[&addresses[1]]);
    // And with q the terminal is as it was
    terminal.press("q");
    let status = terminal.child.wait().expect("it ends");
    assert!(status.success(), "{status}");
    terminal.wait_until_restored();
}

#[test]
fn without_a_terminal_or_a_sentinel_it_is_said() {
    if only_true_of_ours(WHY) {
        return;
    }
    let output = Command::new(programs::our_sentinel()).arg("top").stdin(Stdio::null()).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), text.contains("sentinel status -w")), (Some(2), true), "{text}");
    // Nobody listens there
    let port = sentinel_tests::free_port().to_string();
    let mut terminal = Terminal::start(&["top", "-p", &port]);
    terminal.wait_for(&["NO ANSWER", &port, "refused"]);
    // Ctrl-C ends it, too
    terminal.press("\u{3}");
    assert!(terminal.child.wait().expect("it ends").success());
    // And a signal, after which the terminal is as it was
    let mut terminal = Terminal::start(&["top", "-p", &port]);
    terminal.wait_for(&["NO ANSWER"]);
    let process = rustix::process::Pid::from_child(&terminal.child);
    rustix::process::kill_process(process, rustix::process::Signal::TERM).expect("it runs");
    assert!(terminal.child.wait().expect("it ends").success());
    terminal.wait_until_restored();
}
