//! The scripts that users copy do what they say.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use sentinel_tests::{Deployment, programs};

fn script(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).join(name)
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

#[test]
fn the_address_of_the_master_is_printed_although_a_sentinel_is_dead() {
    // Given three Sentinels of which the first is dead
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    deployment.sentinels()[0].kill();
    let addresses: Vec<String> =
        deployment.sentinels().iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port())).collect();
    let ask = |name: &str| {
        run(Command::new(script("master-address.sh"))
            .env("REDIS_CLI", programs::redis_cli())
            .arg(name)
            .args(&addresses))
    };

    // When the address is asked for, then the others tell it
    let told = ask("mymaster");
    assert!(told.status.success(), "{told:?}");
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), group.master().address());

    // And a name that nobody watches is an error
    let unknown = ask("nobody");
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
}

#[test]
fn the_new_address_is_written_for_others_to_read() {
    // Given the arguments of a switch, when the script is called twice, as each Sentinel does
    let folder = tempfile::tempdir().expect("a temporary folder");
    for role in ["leader", "observer"] {
        let called = run(Command::new(script("reconfigure-clients.sh"))
            .env("MASTER_FOLDER", folder.path())
            .args(["mymaster", role, "start"])
            .args(["10.0.0.1", "6379", "10.0.0.2", "6380"]));
        assert!(called.status.success(), "{called:?}");
    }

    // Then the file holds the new address, and nothing else is left
    let files: Vec<PathBuf> = fs::read_dir(folder.path())
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files, [folder.path().join("mymaster.master")]);
    assert_eq!(fs::read_to_string(&files[0]).expect("the file can be read"), "10.0.0.2 6380\n");
}
