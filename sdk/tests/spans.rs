//! What a program that collects traces sees. Alone in its binary: there is one collector for all of it.

mod support;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::SentinelPool;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};
use tracing_subscriber::fmt::format::FmtSpan;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn lines_with(&self, part: &str) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn spans_tell_which_pool_and_which_command_and_each_attempt_but_no_arguments() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_span_events(FmtSpan::CLOSE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    // Given a master that breaks the connection at the first read
    let broke = AtomicBool::new(false);
    let master = Scripted::start(move |words| match words[0].as_str() {
        "ROLE" => say(array(&[bulk("master"), ":1\r\n".into(), array(&[])])),
        "GET" if !broke.swap(true, Ordering::SeqCst) => Step::Close,
        "GET" => say(bulk("value")),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await;
    let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
    let pool =
        SentinelPool::builder().master("mymaster").sentinel(&sentinel.address()).unwrap().connect().await.unwrap();

    // When something is read
    let value: String = pool.master().get("confidential").await.unwrap();
    assert_eq!(value, "value");
    pool.shutdown(Duration::ZERO).await;

    // Then there is a span for the command and one for each attempt in it
    let command = "command{otel.kind=\"client\" db.system.name=\"redis\" db.operation.name=\"GET\" db.namespace=0 \
                   sentinel.master=\"mymaster\"}";
    let attempt = format!("{command}:attempt{{server.address=\"127.0.0.1\" server.port={}}}", master.port);
    assert_eq!(
        log.lines_with(&format!("{attempt}: sentinel_sdk::request: close")).len(),
        2,
        "{:#?}",
        log.lines_with("")
    );
    assert_eq!(log.lines_with(&format!("{command}: sentinel_sdk::request: close")).len(), 1);
    // And what the pool does by itself says whose pool it is
    let verified = log.lines_with("master verified");
    assert!(!verified.is_empty());
    assert!(verified.iter().all(|line| line.contains("sentinel_pool{master=\"mymaster\"}: ")), "{verified:#?}");
    // And what was read stands nowhere
    assert_eq!(log.lines_with("confidential"), Vec::<String>::new());
}
