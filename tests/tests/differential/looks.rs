//! Ours with `compatible-version`, beside the version that it is to look like: whichever `REDIS_SENTINEL` names.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use sentinel_tests::{Kind, SentinelProcess};
use tempfile::TempDir;

use crate::version;

/// Ours in its look, and the reference.
fn pair(folder: &Path, look: &str) -> [SentinelProcess; 2] {
    let lines = [format!("compatible-version {look}")];
    [
        SentinelProcess::start(folder, "ours", Kind::Ours, &lines),
        SentinelProcess::start(folder, "theirs", Kind::Reference, &[]),
    ]
}

fn asked<T: redis::FromRedisValue>(pair: &[SentinelProcess; 2], words: &[&str]) -> [T; 2] {
    [0, 1].map(|at| pair[at].command(words).unwrap_or_else(|error| panic!("{}: {words:?}: {error}", pair[at].label())))
}

/// How it is built is not ours to tell.
const OF_THE_BUILD: &[&str] = &["atomicvar_api", "gcc_version"];

fn fields(info: &str) -> Vec<&str> {
    let names = info.lines().filter(|line| !line.is_empty()).map(|line| line.split(':').next().unwrap_or_default());
    names.filter(|name| !OF_THE_BUILD.contains(name)).collect()
}

#[test]
fn ours_looks_like_the_version_that_it_is_to_look_like() {
    let look = version::reference().look();
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let pair = pair(folder.path(), look);

    let [ours, theirs] = asked::<String>(&pair, &["INFO"]);
    // A field of 8.0 that says something of a Sentinel is there in any case.
    let further = |name: &&str| !(*name == "pubsub_clients" && look == "7.0.15");
    let told: Vec<&str> = fields(&ours).into_iter().filter(further).collect();
    assert_eq!(told, fields(&theirs), "{look}: the fields of INFO");
    for name in ["redis_version", "server_name", "valkey_version", "valkey_release_stage", "server_mode", "redis_mode"]
    {
        let of =
            |info: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::to_owned);
        assert_eq!(of(&ours), of(&theirs), "{look}: {name}");
    }

    let [ours, theirs] = asked::<BTreeSet<String>>(&pair, &["COMMAND", "LIST"]);
    assert_eq!(ours, theirs, "{look}: COMMAND LIST");
    let [ours, theirs] = asked::<u32>(&pair, &["COMMAND", "COUNT"]);
    assert_eq!(ours, theirs, "{look}: COMMAND COUNT");

    let [ours, theirs] = asked::<Vec<redis::Value>>(&pair, &["HELLO"]);
    assert_eq!(ours[..4], theirs[..4], "{look}: HELLO");

    let [ours, theirs] = asked::<Vec<String>>(&pair, &["SENTINEL", "HELP"]);
    let usages = |lines: &[String]| -> BTreeSet<String> {
        lines.iter().skip(1).filter(|line| !line.starts_with(' ')).cloned().collect()
    };
    let (ours, theirs) = (usages(&ours), usages(&theirs));
    let missing: Vec<&String> = theirs.difference(&ours).collect();
    assert!(missing.is_empty(), "{look}: SENTINEL HELP has no {missing:?}");

    let [ours, theirs] = pair.each_ref().map(|sentinel| first_lines(&sentinel.last_output(1000)));
    assert_eq!(ours, theirs, "{look}: the first lines of the log");
}

/// The comparison of HELP ends with that line: what stands behind it must be what the reference does not have.
#[test]
fn what_our_help_lists_behind_the_end_is_unknown_to_the_reference() {
    let look = version::reference().look();
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let [ours, theirs] = pair(folder.path(), look);
    let lines: Vec<String> = ours.command(&["SENTINEL", "HELP"]).expect("it answers");
    let end = lines.iter().position(|line| line == "HELP").expect("HELP lists itself");
    let usages: Vec<&String> = lines[end + 1..].iter().filter(|line| !line.starts_with(' ')).collect();
    assert!(usages.len() > 3, "{lines:?}");
    for usage in usages {
        let words: Vec<&str> = usage.split(' ').collect();
        // It takes no further words there, or others.
        let further: &[&str] = if words[0] == "FAILOVER" { &["no-such-master", "TO", "127.0.0.1", "1"] } else { &[] };
        let request = [&["SENTINEL", words[0]], further].concat();
        let refusal = theirs.command::<redis::Value>(&request).expect_err(usage).to_string();
        let unknown = ["unknown subcommand", "Unknown subcommand", "wrong number of arguments"];
        assert!(unknown.iter().any(|part| refusal.contains(part)), "{look}: {usage}: {refusal}");
    }
}

/// Marks and texts of the lines of a start, but for what each says of itself.
fn first_lines(log: &str) -> Vec<String> {
    let named = |line: &str| {
        // Behind process, day, month, year and time.
        let text = line.splitn(6, ' ').last()?.to_owned();
        let cut = text.find(", pid=").or_else(|| text.find("Sentinel ID is").map(|at| at + 14)).unwrap_or(text.len());
        ["is starting", " version=", "Configuration loaded", "Sentinel ID is"]
            .iter()
            .any(|part| text.contains(part))
            .then(|| text[..cut].to_owned())
    };
    log.lines().filter_map(named).collect()
}

/// `REFERENCE_SENTINELS` names further ones, separated by colons, since the table has several versions.
#[test]
fn every_version_accepts_the_directives_that_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository");
    let further = std::env::var("REFERENCE_SENTINELS").unwrap_or_default();
    let mut programs = vec![Kind::Reference.program().display().to_string()];
    programs.extend(further.split(':').filter(|program| !program.is_empty()).map(str::to_owned));
    let output = Command::new(root.join("scripts/probe-directives"))
        .arg("--check")
        .arg(root.join("sentinel/daemon/src/config/accepted.txt"))
        .arg("--programs")
        .args(&programs)
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    // What was compared, and loudly what was not.
    eprintln!("{said}");
    assert!(output.status.success(), "{said}");
    assert!(said.contains(" as the table says"), "nothing was compared: {said}");
}
