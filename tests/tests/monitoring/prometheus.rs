//! A Prometheus that scrapes our Sentinels.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sentinel_tests::http::Http;
use sentinel_tests::{ServerProcess, eventually, free_port};
use serde_json::Value;
use tempfile::TempDir;

use crate::{ROOT, SOON, folder};

/// It ends with this value.
pub(crate) struct Prometheus {
    process: ServerProcess,
    http: Http,
    _folder: TempDir,
}

impl Prometheus {
    /// Scrapes these every second, as the job `sentinel`, and evaluates the rules of `configs/prometheus` as often.
    pub(crate) fn start(program: &Path, targets: &[String]) -> Self {
        let (folder, port) = (folder(), free_port());
        let rules =
            fs::canonicalize(Path::new(ROOT).join("configs/prometheus/alerts.yml")).expect("the rules are there");
        let targets: Vec<_> = targets.iter().map(|target| format!("\"{target}\"")).collect();
        let configuration = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs: [{{ job_name: sentinel, static_configs: [{{ targets: [{}] }}] }}]\n",
            rules.display(),
            targets.join(", ")
        );
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, configuration).expect("it is written");
        let arguments: Vec<OsString> = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", folder.path().join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ]
        .map(OsString::from)
        .into();
        let process = ServerProcess::start("prometheus", program, &arguments, folder.path());
        let prometheus = Self { process, http: Http::at(port), _folder: folder };
        eventually("Prometheus listens", SOON, || {
            std::net::TcpStream::connect(("127.0.0.1", port))
                .map_err(|error| format!("{error}: {}", prometheus.process.last_output(20)))
        });
        eventually("Prometheus is ready", SOON, || match prometheus.http.get("/-/ready") {
            answer if answer.status == 200 => Ok(()),
            answer => Err(format!("{answer:?}")),
        });
        prometheus
    }

    /// The series that a query gives now, with their values.
    pub(crate) fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let mut path = String::from("/api/v1/query?query=");
        for byte in query.bytes() {
            let _ = write!(path, "%{byte:02X}");
        }
        let answer = self.get(&path);
        let result = answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{query}: {answer}")).clone();
        let value = |it: &Value| it["value"][1].as_str().and_then(|text| text.parse().ok());
        result.iter().filter_map(|it| Some((it["metric"].clone(), value(it)?))).collect()
    }

    /// Waits until a query gives this one number.
    pub(crate) fn wait_for(&self, query: &str, wanted: f64) {
        eventually(&format!("{query} is {wanted}"), SOON, || match self.query(query).as_slice() {
            [(_, value)] if (value - wanted).abs() < 1e-9 => Ok(()),
            other => Err(format!("{other:?}")),
        });
        println!("{query} is {wanted}");
    }

    /// The states of the alerts of this name.
    pub(crate) fn alerts(&self, name: &str) -> Vec<String> {
        let answer = self.get("/api/v1/alerts");
        let all = answer["data"]["alerts"].as_array().unwrap_or_else(|| panic!("no alerts: {answer}"));
        let of_name = all.iter().filter(|alert| alert["labels"]["alertname"] == name);
        of_name.filter_map(|alert| alert["state"].as_str().map(str::to_owned)).collect()
    }

    /// Waits until an alert of this name is in this state.
    pub(crate) fn wait_for_alert(&self, name: &str, state: &str) {
        eventually(&format!("{name} is {state}"), SOON, || match self.alerts(name) {
            alerts if alerts.iter().any(|it| it == state) => Ok(()),
            alerts => Err(format!("{alerts:?}")),
        });
    }

    fn get(&self, path: &str) -> Value {
        let answer = self.http.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}
