//! `sentinel demo`: a real deployment, a real failure, and an application that goes on writing.
//!
//! One master, two replicas and three Sentinels are started on free loopback ports in a temporary folder. An
//! application writes numbered values through the SDK. Then the master is killed, and everything that follows is
//! printed as it happens, in milliseconds since the kill. In the end the old master comes back, and a table says
//! whether all of it held.

mod application;
mod deployment;
mod programs;
mod report;
mod watcher;

use std::{process::ExitCode, time::Duration};

use application::Application;
use deployment::Deployment;
use report::{Phase, Report};
use tokio::signal::unix::{SignalKind, signal};

use crate::terminal::{complain, say};
use watcher::Watchers;

/// Options of `sentinel demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Run redis-sentinel in our place, for comparison
    #[arg(long)]
    pub reference: bool,

    /// Leave everything running afterwards, until Ctrl-C, and print the addresses to try with redis-cli
    #[arg(long)]
    pub keep: bool,

    /// Silence after which an instance is subjectively down, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    pub down_after: u64,

    /// Print the table as JSON
    #[arg(long)]
    pub json: bool,
}

/// What stopped the demo from showing anything.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A program is missing.
    #[error("no {program} on PATH: install it (Debian: apt-get install {package}), or name one with {variable}")]
    Missing {
        /// What was looked for.
        program: &'static str,
        /// Where it usually comes from.
        package: &'static str,
        /// What names another one.
        variable: &'static str,
    },
    /// A program was named that is not there.
    #[error("{variable} names {}, which is no program: name another one, or unset it to use the one on PATH", .named.display())]
    NotThere {
        /// What named it.
        variable: &'static str,
        /// What it says.
        named: std::path::PathBuf,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something did not come about in time.
    #[error("{what} did not happen within {seconds} s; last seen: {seen}\n{logs}")]
    Overdue {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// The state at the end.
        seen: String,
        /// The logs of all processes.
        logs: String,
    },
    /// The client could not be set up.
    #[error("the application could not start: {0}")]
    Client(#[from] sentinel_sdk::Error),
}

/// Runs the demo. Success only if everything in the table held.
pub fn run(options: &Options) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain!("sentinel demo: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            // With --keep a signal is how it ends, and the table still counts.
            biased;
            outcome = tell(options) => outcome.map(Some),
            () = told_to_stop() => Ok(None),
        }
    });
    match outcome {
        Ok(Some(true)) => ExitCode::SUCCESS,
        Ok(Some(false)) => ExitCode::FAILURE,
        Ok(None) => {
            complain!("stopped");
            ExitCode::from(130)
        }
        Err(error) => {
            complain!("sentinel demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C, a polite kill, or the end of the terminal: none of them must leave the deployment running.
async fn told_to_stop() {
    tokio::select! {
        () = arrival(SignalKind::interrupt()) => {}
        () = arrival(SignalKind::terminate()) => {}
        () = arrival(SignalKind::hangup()) => {}
    }
}

/// The next signal of a kind; never, where the system does not let it be waited for.
async fn arrival(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

async fn tell(options: &Options) -> Result<bool, DemoError> {
    let name = if options.reference { "redis-sentinel" } else { "sentinel" };
    let mut deployment = Deployment::start(options.reference, options.down_after).await?;
    say!("Started one master, two replicas and three Sentinels ({name}), down-after {} ms:", options.down_after);
    deployment.print_addresses();
    deployment.wait_until_discovered().await?;
    say!("All of them know each other.");

    let application = Application::start(&deployment).await?;
    application.wait_for_writes(200).await;
    say!("An application writes numbered values through the SDK; {} are acknowledged.\n", application.acknowledged());

    let watchers = Watchers::start(&deployment).await?;
    // Replication is asynchronous: what a replica has not received yet, no failover can keep.
    deployment.wait_until_replicated().await?;
    say!("     ms  who         what");
    let killed_at = deployment.kill_master();
    let mut report = Report::new(killed_at, options.down_after);
    report.line(killed_at, "demo", "SIGKILL to the master");
    follow_failover(&deployment, &watchers, &application, &mut report).await;

    let returned_at = deployment.restart_old_master()?;
    report.line(returned_at, "demo", "the old master is started again");
    follow_return(&deployment, &watchers, &mut report).await;

    tokio::time::sleep(Duration::from_millis(300)).await;
    let writes = application.finish().await;
    report.writes(writes);
    report.agreement(deployment.agreed_master().await);
    if options.json {
        report.print_json();
    } else {
        report.print_table();
    }
    if options.keep {
        deployment.print_invitation();
        told_to_stop().await;
    }
    Ok(report.all_held())
}

/// Prints what happens until the last replica follows the new master and every Sentinel names it.
async fn follow_failover(deployment: &Deployment, watchers: &Watchers, application: &Application, report: &mut Report) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let mut first_write = false;
    while tokio::time::Instant::now() < deadline {
        for event in watchers.take(Duration::from_millis(5)).await {
            report.event(&event);
        }
        if !first_write && let Some(at) = application.first_acknowledgement_after(report.killed_at()) {
            first_write = true;
            report.reached(Phase::FirstWrite, at, "application", "first write accepted again");
        }
        let switched = report.sentinels_switched() == deployment.sentinels();
        if first_write && switched && report.has(Phase::Reconfigured) {
            break;
        }
        if switched && !report.has(Phase::Reconfigured) && deployment.replicas_follow_new_master().await {
            report.reached(
                Phase::Reconfigured,
                std::time::Instant::now(),
                "demo",
                "the other replica follows the new master",
            );
        }
    }
}

/// Prints what happens until the old master is a replica of the new one.
async fn follow_return(deployment: &Deployment, watchers: &Watchers, report: &mut Report) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(45);
    let mut answering = false;
    while tokio::time::Instant::now() < deadline {
        for event in watchers.take(Duration::from_millis(2)).await {
            report.event(&event);
        }
        match deployment.old_master_role().await {
            Some(role) if !answering => {
                answering = true;
                report.reached(
                    Phase::OldMasterAnswers,
                    std::time::Instant::now(),
                    "old master",
                    &format!("answers again, and says it is a {role}"),
                );
            }
            _ => {}
        }
        if answering && deployment.old_master_is_fenced().await {
            report.reached(
                Phase::OldMasterFenced,
                std::time::Instant::now(),
                "old master",
                "is a replica of the new master; writes to it are refused",
            );
            break;
        }
    }
}
