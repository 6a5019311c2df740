//! Namespaces around the whole run: network, mounts and processes. When it ends in whatever way, everything that it has
//! started ends with it, and nothing of its network or its mounts remains.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use sentinel_tests::programs;

use crate::python;

/// Programs without which there is no chaos, and the Debian packages they are in.
const NEEDED: [(&str, &str); 4] =
    [("unshare", "util-linux"), ("mount", "mount"), ("ip", "iproute2"), ("nft", "nftables")];

/// Runs this program again with the same arguments, inside. Where the machine does not allow it, that is said loudly.
pub(crate) fn run_inside(seed: u64) -> ExitCode {
    if let Err(reason) = check() {
        println!("SKIPPED: no chaos on this machine: {reason}");
        println!("SKIPPED: nothing was tested.");
        return ExitCode::SUCCESS;
    }
    let program = env::current_exe().expect("the running program has a path");
    let folder = folder_of(seed);
    if let Err(error) = fs::remove_dir_all(&folder).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }) {
        eprintln!("error: {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    println!("seed {seed}");
    if let Err(reason) = python::install() {
        println!("redis-py: {reason}");
    }
    let mut command = unshare();
    command
        .arg(program)
        .args(env::args_os().skip(1))
        .arg("--inside")
        .arg(folder)
        // Built and found out here, where there is a network and the whole file system.
        .env("SENTINEL_BIN", programs::our_sentinel())
        .env("REDIS_SERVER", programs::redis_server());
    if !env::args().any(|word| word == "--seed" || word.starts_with("--seed=")) {
        command.arg("--seed").arg(seed.to_string());
    }
    if let Some(reference) = programs::reference_sentinel() {
        command.env("REDIS_SENTINEL", reference);
    }
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: unshare cannot be run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What must be done inside before anything else: a `/run` of our own, in which `ip` keeps the names of namespaces.
pub(crate) fn prepare() -> Result<(), String> {
    run(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]))?;
    fs::create_dir("/run/netns").map_err(|error| format!("/run/netns: {error}"))?;
    run(Command::new("ip").args(["link", "set", "lo", "up"]))
}

/// Runs a command that must succeed; what it says otherwise.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
}

fn check() -> Result<(), String> {
    for (program, package) in NEEDED {
        let found = env::var_os("PATH")
            .is_some_and(|path| env::split_paths(&path).chain(sbin()).any(|folder| folder.join(program).is_file()));
        if !found {
            return Err(format!("{program} is missing: install {package}"));
        }
    }
    run(unshare().args(["ip", "link", "add", "probe", "type", "bridge"]))
        .map_err(|error| format!("namespaces: {error}"))?;
    run(unshare().args(["nft", "add", "table", "bridge", "probe"])).map_err(|error| format!("nft: {error}"))
}

/// Where `ip` and `nft` are on Debian; not on every user's PATH.
fn sbin() -> [PathBuf; 2] {
    ["/usr/sbin".into(), "/sbin".into()]
}

fn folder_of(seed: u64) -> PathBuf {
    let program = env::current_exe().expect("the running program has a path");
    let build = program.ancestors().nth(2).expect("a built program lies in the folder of a profile");
    build.join("chaos").join(format!("seed-{seed}"))
}
