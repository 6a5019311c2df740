//! Starting scripts, waiting for their end, ending them.
//!
//! Each running script has a thread that does nothing else: starting a process may wait for a slow file system, and
//! none of that may hold up a decision. The engine has at most 16 at the same time.
//!
//! Only these children are waited for, each by its own thread. Those that run when this process ends go on without it.

use std::{
    collections::BTreeMap,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use sentinel_core::{Input, JobId, ScriptEnd, ScriptFault};

use crate::{app::BACKGROUND, config::path_of};

/// Runs scripts and tells the engine what becomes of them.
pub(crate) struct Runner {
    /// Processes that have not been reaped: while a process stands here, its id is its own.
    running: Running,
    tell: Tell,
}

#[derive(Clone, Default)]
struct Running(Arc<Mutex<BTreeMap<JobId, Pid>>>);

impl Running {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Told from any thread what becomes of scripts.
type Tell = Arc<dyn Fn(Input) + Send + Sync>;

impl Runner {
    /// What becomes of each script is told to `tell`.
    pub(crate) fn new(tell: Tell) -> Self {
        Runner { running: Running::default(), tell }
    }

    /// Starts a script. Returns at once.
    pub(crate) fn run(&self, job: JobId, path: Arc<str>, args: Arc<[String]>) {
        let (running, tell) = (self.running.clone(), self.tell.clone());
        let attend = move || match command(&path, &args).spawn() {
            Ok(child) => accompany(job, &path, child, &running, &*tell),
            Err(error) => tell(Input::ScriptFailedToStart { job, fault: fault(&error) }),
        };
        if let Err(error) = std::thread::Builder::new().name("script".to_owned()).spawn(attend) {
            let fault = ScriptFault::NoProcess(error.to_string());
            (self.tell)(Input::ScriptFailedToStart { job, fault });
        }
    }

    /// Ends a script with SIGKILL. Its end is told like any other.
    pub(crate) fn kill(&self, job: JobId) {
        // Held meanwhile: the process may end now, but not be reaped, so that no stranger gets its id and this signal.
        let running = self.running.lock();
        if let Some(pid) = running.get(&job)
            && let Err(error) = kill_process(*pid, Signal::KILL)
        {
            tracing::warn!("the script with process {pid} runs too long and cannot be killed: {error}");
        }
    }
}

/// Environment, directory and standard streams are those of this process; all its other descriptors close on exec.
fn command(path: &str, args: &[String]) -> Command {
    // A bare name would be searched for on the PATH; the reference takes it as a file of the working directory.
    let file = path_of(path);
    let mut command = if path.contains('/') { Command::new(&file) } else { Command::new(Path::new(".").join(&file)) };
    command.arg0(&file).args(args.iter().map(|arg| path_of(arg))).env_remove(BACKGROUND);
    command
}

fn accompany(job: JobId, path: &str, mut child: Child, running: &Running, tell: &dyn Fn(Input)) {
    let pid = Pid::from_child(&child);
    running.lock().insert(job, pid);
    tell(Input::ScriptStarted { job, pid: child.id() });
    // Waits for the end without reaping.
    while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {}
    running.lock().remove(&job);
    let end = child.wait().map_or_else(
        |error| {
            tracing::warn!("how {path} (process {pid}) ended is not known: {error}");
            ScriptEnd::Exited(0)
        },
        end,
    );
    tell(Input::ScriptEnded { job, end });
}

fn end(status: ExitStatus) -> ScriptEnd {
    match status.code() {
        Some(code) => ScriptEnd::Exited(code),
        None => ScriptEnd::Killed(status.signal().unwrap_or_default()),
    }
}

/// Tells what passes from what has to be repaired.
fn fault(error: &io::Error) -> ScriptFault {
    use rustix::io::Errno;
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => ScriptFault::NoProcess(error.to_string()),
        _ => ScriptFault::NotExecutable(error.to_string()),
    }
}
