//! One node, and three ways to it.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::Duration;

use sentinel_tests::{Deployment, ProxyProcess, ServerProcess, eventually, free_port, programs};
use tempfile::TempDir;

/// redis-benchmark asks for this one.
const KEY: &str = "key:__rand_int__";
const SOON: Duration = Duration::from_secs(15);

/// How the load comes to the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Path {
    Direct,
    Haproxy,
    Proxy,
}

impl Path {
    pub(crate) const ALL: [Path; 3] = [Path::Direct, Path::Haproxy, Path::Proxy];
}

/// What the load is.
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    clients: u32,
    pipeline: u32,
    requests: u32,
    test: &'static str,
    bytes: u32,
}

impl Shape {
    pub(crate) const ALL: [Shape; 5] = [
        Shape { name: "1 client, GET", clients: 1, pipeline: 1, requests: 20_000, test: "get", bytes: 64 },
        Shape { name: "50 clients, GET", clients: 50, pipeline: 1, requests: 150_000, test: "get", bytes: 64 },
        Shape {
            name: "50 clients, GET, pipelines of 16",
            clients: 50,
            pipeline: 16,
            requests: 1_500_000,
            test: "get",
            bytes: 64,
        },
        Shape { name: "1,000 clients, GET", clients: 1_000, pipeline: 1, requests: 100_000, test: "get", bytes: 64 },
        Shape {
            name: "10 clients, SET of 100 kB",
            clients: 10,
            pipeline: 1,
            requests: 10_000,
            test: "set",
            bytes: 100_000,
        },
    ];
}

/// What one run shows.
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// In milliseconds.
    pub(crate) p50: f64,
}

/// What runs meanwhile.
pub(crate) struct Stage {
    ports: [u16; 3],
    deployment: Deployment,
    _haproxy: ServerProcess,
    _proxy: ProxyProcess,
    _folder: TempDir,
}

impl Stage {
    pub(crate) fn start() -> Self {
        let deployment = Deployment::of_ours(1).replicas(0).data_line("appendonly no").data_line("save \"\"").start();
        let master = deployment.only_group().master().port();
        let folder = TempDir::with_prefix("sentinel-bench-").expect("a temporary folder");
        let port = free_port();
        let file = folder.path().join("haproxy.cfg");
        let text = format!(
            "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1h\n  timeout server 1h\n  maxconn 20000\n\
             listen redis\n  bind 127.0.0.1:{port}\n  server master 127.0.0.1:{master}\n"
        );
        fs::write(&file, text).expect("it is written");
        let program = programs::on_path("haproxy").unwrap_or_else(|| "/usr/sbin/haproxy".into());
        let arguments: Vec<OsString> = vec!["-db".into(), "-f".into(), file.into()];
        let haproxy = ServerProcess::start("haproxy", &program, &arguments, folder.path());
        eventually("HAProxy listens", SOON, || {
            std::net::TcpStream::connect(("127.0.0.1", port))
                .map_err(|error| format!("{error}: {}", haproxy.last_output(9)))
        });
        let proxy = ProxyProcess::of(&deployment, &[]);
        Stage { ports: [master, port, proxy.port], deployment, _haproxy: haproxy, _proxy: proxy, _folder: folder }
    }

    pub(crate) fn run(&self, path: Path, shape: &Shape) -> Sample {
        // What GET answers must not depend on the run before.
        let value = "x".repeat(shape.bytes as usize);
        let () = self.deployment.only_group().master().command(&["SET", KEY, &value]).expect("the node takes it");
        let numbers = [
            ("-p", u32::from(self.ports[path as usize])),
            ("-c", shape.clients),
            ("-P", shape.pipeline),
            ("-n", shape.requests),
            ("-d", shape.bytes),
        ];
        let mut command = Command::new("redis-benchmark");
        command.args(["-h", "127.0.0.1", "-t", shape.test, "--csv"]);
        for (option, number) in numbers {
            command.args([option, &number.to_string()]);
        }
        let output = command.output().expect("redis-benchmark runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find(|line| line.to_lowercase().starts_with(&format!("\"{}\"", shape.test)));
        let fields: Vec<f64> = line
            .unwrap_or_else(|| panic!("no result: {text}{}", String::from_utf8_lossy(&output.stderr)))
            .split(',')
            .skip(1)
            .map(|field| field.trim_matches('"').parse().expect("a number"))
            .collect();
        Sample { per_second: fields[0], p50: fields[3] }
    }
}

/// The one in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
