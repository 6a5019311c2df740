//! A `sentinel proxy` that runs.

use std::ffi::OsString;
use std::time::Duration;

use tempfile::TempDir;

use crate::{Deployment, ServerProcess, eventually, programs};

const SOON: Duration = Duration::from_secs(15);

/// A proxy of the master `mymaster`, and where its clients connect; ended when dropped.
pub struct ProxyProcess {
    /// The program.
    pub process: ServerProcess,
    /// Where its clients connect.
    pub port: u16,
    _folder: TempDir,
}

impl ProxyProcess {
    /// Starts one on a free port for the Sentinels of a deployment.
    pub fn of(deployment: &Deployment, options: &[&str]) -> Self {
        let sentinels: Vec<_> = deployment.sentinels().iter().map(|it| format!("127.0.0.1:{}", it.port())).collect();
        Self::start("127.0.0.1:0", &sentinels.join(","), options)
    }

    /// Starts one, and waits until it listens.
    pub fn start(listen: &str, sentinels: &str, options: &[&str]) -> Self {
        let folder = TempDir::with_prefix("sentinel-proxy-").expect("a temporary folder");
        let words = ["proxy", "mymaster", "--listen", listen, "-s", sentinels];
        let arguments: Vec<OsString> = words.iter().chain(options).map(OsString::from).collect();
        let process = ServerProcess::start("proxy", &programs::our_sentinel(), &arguments, folder.path());
        let port = port_told(&process, "listens at 127.0.0.1:");
        Self { process, port, _folder: folder }
    }

    /// Where `--metrics 127.0.0.1:0` came to listen.
    pub fn metrics(&self) -> u16 {
        port_told(&self.process, "metrics are served at 127.0.0.1:")
    }
}

/// The port behind these words of the log.
fn port_told(process: &ServerProcess, words: &str) -> u16 {
    eventually("the proxy says where it listens", SOON, || {
        let said = process.last_output(20);
        let port = said.split(words).nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        port.ok_or(said)
    })
}
