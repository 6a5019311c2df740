//! Processors that do not fall asleep while they are measured.
//!
//! A virtual machine whose processor has nothing to do gives it back to its host, and gets it again when the host has
//! time. On a shared host that takes milliseconds: far longer than what is measured here, and it is charged to whoever is
//! woken. A process that the scheduler runs only where nobody else wants to run keeps each processor; both Sentinels are
//! measured with it.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::stats::Times;

/// From one question to the next.
const NAP: Duration = Duration::from_millis(5);

/// How long the machine alone is measured.
const LOOK: Duration = Duration::from_secs(4);

/// One process for each processor, until this is dropped.
pub(crate) struct Awake(Vec<Child>);

impl Awake {
    /// Keeps all processors awake. An error: there is no `chrt` (util-linux), or it may not be used.
    pub(crate) fn keep(program: &Path) -> io::Result<Self> {
        let mut awake = Awake(Vec::new());
        for _ in 0..thread::available_parallelism()?.get() {
            let mut command = Command::new("chrt");
            command.args(["--idle", "0"]).arg(program).arg("spin").stdin(Stdio::piped());
            awake.0.push(command.spawn()?);
        }
        thread::sleep(Duration::from_millis(200));
        for child in &mut awake.0 {
            if let Some(status) = child.try_wait()? {
                return Err(io::Error::other(format!("chrt --idle: {status}")));
            }
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // It may be gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What such a process does: nothing, until whoever started it is gone.
pub(crate) fn spin() -> io::Result<()> {
    thread::spawn(|| {
        // Without a hint that it waits: the host would take that for an offer.
        for turn in 0_u64.. {
            std::hint::black_box(turn);
        }
    });
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}

/// How long a byte takes to another thread and back over loopback while nothing else happens: what no server can be
/// faster than on this machine, at this time.
pub(crate) fn echo() -> io::Result<Times> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let mut here = TcpStream::connect(listener.local_addr()?)?;
    let (mut there, _) = listener.accept()?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    let other = thread::spawn(move || {
        let mut byte = [0];
        while there.read_exact(&mut byte).is_ok() && there.write_all(&byte).is_ok() {}
    });
    let mut times = Times::default();
    let begun = Instant::now();
    while begun.elapsed() < LOOK {
        let asked = Instant::now();
        here.write_all(b"?")?;
        here.read_exact(&mut [0])?;
        times.add(asked.elapsed().as_micros() as u64);
        thread::sleep(NAP);
    }
    drop(here);
    let _ = other.join();
    Ok(times)
}
