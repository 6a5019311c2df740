//! `sentinel state-config-file`: the form of what is kept beside a classic configuration, and what is read there.

mod config_support;

use std::{fs, os::unix::fs::symlink, path::Path, sync::Arc, time::Duration};

use config_support::{Folder, Reference, reference_installed};
use sentinel_core::{
    settings::MasterSettings,
    snapshot::{MasterSnapshot, Snapshot},
    types::{Epoch, HostPort, MasterName, Quorum, Secret, SentinelId},
};
use sentineld::{
    config::{Loaded, Source, load},
    persist::Store,
};

const MAIN: &str = "sentinel state-config-file state.conf\n\
     sentinel monitor m 127.0.0.1 6379 2\n\
     sentinel down-after-milliseconds m 5000\n\
     sentinel notification-script m /bin/true\n\
     sentinel monitor gone 127.0.0.1 6390 1\n";

/// The same configuration in TOML.
const TOML: &str = "state-file = 'state.conf'\n\
     [[master]]\nname = 'm'\naddress = '127.0.0.1:6379'\nquorum = 2\ndown-after = '5s'\nnotification-script = '/bin/true'\n\
     [[master]]\nname = 'gone'\naddress = '127.0.0.1:6390'\nquorum = 1\n";

fn read(path: &Path) -> Loaded {
    let directory = path.parent().expect("a folder").to_owned();
    load(&Source { directory, ..Source::file(path) }).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(path: &Path) -> String {
    let directory = path.parent().expect("a folder").to_owned();
    load(&Source { directory, ..Source::file(path) }).expect_err("a refusal").to_string()
}

fn address(text: &str) -> HostPort {
    text.parse().expect("an address")
}

/// What a failover and some commands make of it: `m` has moved and has other settings, `gone` is removed, `new` is added.
fn learnt(loaded: &Loaded) -> Snapshot {
    let mut snapshot = loaded.config.snapshot(SentinelId::new(&"7".repeat(40)).unwrap());
    snapshot.current_epoch = Epoch::new(9);
    snapshot.masters.retain(|master| master.name.as_str() == "m");
    let mut master = (*snapshot.masters[0]).clone();
    let mut settings = (*master.settings).clone();
    settings.quorum = Quorum::new(1).unwrap();
    settings.down_after = Duration::from_secs(7);
    settings.notification_script = None;
    settings.auth_pass = Some(Secret::new("two words"));
    settings.failover_pause = Duration::from_secs(3);
    settings.rename_commands.insert("CONFIG".into(), "conf".into());
    master.settings = Arc::new(settings);
    master.addr = address("127.0.0.1:6380");
    (master.config_epoch, master.leader_epoch) = (Epoch::new(8), Epoch::new(9));
    master.replicas = vec![address("127.0.0.1:6379"), address("[::1]:6381")];
    master.in_sync = vec![(address("127.0.0.1:6379"), 12)];
    master.peers = vec![(SentinelId::new(&"8".repeat(40)).unwrap(), address("127.0.0.1:26380"))];
    let new = MasterSnapshot::new(
        MasterName::new("new one").unwrap(),
        address("127.0.0.1:6400"),
        MasterSettings::new(Quorum::new(3).unwrap()),
    );
    snapshot.masters = vec![Arc::new(master), Arc::new(new)];
    snapshot
}

#[test]
fn beside_a_classic_configuration_it_is_classic_and_the_reference_reads_it() {
    let folder = Folder::new();
    let path = folder.file("s.conf", MAIN);
    let start = read(&path);
    let snapshot = learnt(&start);
    Store::new(start.keep).save(&snapshot).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), MAIN, "the configuration is never written");

    let state = fs::read_to_string(folder.path().join("state.conf")).unwrap();
    for line in [
        "sentinel monitor m 127.0.0.1 6380 1",
        "#@ configured m 127.0.0.1 6379",
        "sentinel down-after-milliseconds m 7000",
        "#@ was down-after-milliseconds m 5000",
        "#@ was notification-script m /bin/true",
        "sentinel auth-pass m \"two words\"",
        "#@ sentinel failover-pause m 3000",
        "sentinel rename-command m CONFIG conf",
        "sentinel config-epoch m 8",
        "sentinel known-replica m ::1 6381",
        "#@ sentinel in-sync m 127.0.0.1 6379 12",
        "sentinel current-epoch 9",
        "#@ removed gone 127.0.0.1 6390",
    ] {
        assert!(state.lines().any(|it| it == line), "{line} is missing in:\n{state}");
    }
    let again = read(&path);
    assert_eq!(again.config.snapshot(snapshot.id.clone()), snapshot);

    if !reference_installed() {
        return;
    }
    let alone = folder.file("reference.conf", &format!("{}{state}", Reference::listening(&folder)));
    let reference = Reference::start(&alone);
    let answer = reference.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "m"]);
    assert!(answer.contains("6380"), "{answer}");
    assert!(reference.ask(&["SENTINEL", "REPLICAS", "m"]).contains("6381"));
}

#[test]
fn a_state_in_toml_is_read_and_converted_with_the_next_save_and_the_other_way_round() {
    let folder = Folder::new();
    let (classic, toml) = (folder.file("s.conf", MAIN), folder.file("s.toml", TOML));
    let state = folder.path().join("state.conf");
    let snapshot = learnt(&read(&toml));
    Store::new(read(&toml).keep).save(&snapshot).unwrap();
    assert!(fs::read_to_string(&state).unwrap().contains("current-epoch = 9"));

    let beside = read(&classic);
    assert_eq!(beside.config.snapshot(snapshot.id.clone()), snapshot);
    Store::new(beside.keep).save(&snapshot).unwrap();
    assert!(fs::read_to_string(&state).unwrap().contains("\nsentinel current-epoch 9\n"));

    let back = read(&toml);
    assert_eq!(back.config.snapshot(snapshot.id.clone()), snapshot);
    Store::new(back.keep).save(&snapshot).unwrap();
    assert!(fs::read_to_string(&state).unwrap().contains("current-epoch = 9"));
}

#[test]
fn a_configured_value_that_was_edited_counts_and_one_that_was_not_does_not() {
    let folder = Folder::new();
    let path = folder.file("s.conf", MAIN);
    let start = read(&path);
    Store::new(start.keep.clone()).save(&learnt(&start)).unwrap();
    folder.file("s.conf", &MAIN.replace("m 5000", "m 6000").replace("6379 2", "6379 5"));
    let edited = read(&path);
    let settings = &edited.config.masters[0].settings;
    assert_eq!((settings.down_after, settings.quorum.get()), (Duration::from_secs(6), 5));
    assert_eq!(settings.failover_pause, Duration::from_secs(3));
    folder.file("s.conf", &MAIN.replace("6379 2", "6377 2"));
    assert_eq!(read(&path).config.masters[0].addr, address("127.0.0.1:6377"));
}

#[test]
fn what_the_proposal_for_the_reference_writes_there_is_read_over_the_configuration() {
    let folder = Folder::new();
    let path = folder.file("s.conf", MAIN);
    folder.file(
        "state.conf",
        "# Generated by CONFIG REWRITE\nsentinel myid 7777777777777777777777777777777777777777\n\
         sentinel monitor m 127.0.0.1 6380 3\nsentinel down-after-milliseconds m 8000\n\
         sentinel config-epoch m 4\nsentinel leader-epoch m 5\nsentinel current-epoch 5\n\
         sentinel known-replica m 127.0.0.1 6379\n",
    );
    let loaded = read(&path);
    let master = loaded.config.masters.iter().find(|master| master.name.as_str() == "m").unwrap();
    assert_eq!((&master.addr, master.settings.quorum.get()), (&address("127.0.0.1:6380"), 3));
    assert_eq!((master.settings.down_after, master.leader_epoch), (Duration::from_secs(8), Epoch::new(5)));
    assert_eq!(master.replicas, [address("127.0.0.1:6379")]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn users_that_commands_changed_come_back_with_their_quotes() {
    let folder = Folder::new();
    let path = folder.file("s.conf", MAIN);
    let start = read(&path);
    let line = "user al\"ice on #9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 &* -@all +ping";
    start.keep.user_lines().expect("users are kept").set(vec![("al\"ice".into(), line.into())]);
    let snapshot = learnt(&start);
    Store::new(start.keep).save(&snapshot).unwrap();
    let state = fs::read_to_string(folder.path().join("state.conf")).unwrap();
    for _ in 0..2 {
        let again = read(&path);
        assert_eq!(again.config.server.acl.users[0].name, "al\"ice");
        fs::remove_file(folder.path().join("state.conf.last-good")).ok();
        Store::new(again.keep).save(&snapshot).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("state.conf")).unwrap(), state);
    }
}

#[test]
fn a_wrong_line_is_told_with_its_place() {
    let folder = Folder::new();
    let path = folder.file("s.conf", MAIN);
    for (text, what) in [
        ("sentinel myid x\nport 1\n", "only `sentinel` lines stand here"),
        ("sentinel myid x\nsentinel config-epoch m 1\n", "no `sentinel monitor m` stands before it"),
        ("sentinel myid x\nsentinel nonsense m 1\n", "`sentinel nonsense` is not kept in a state"),
    ] {
        folder.file("state.conf", text);
        let said = refused(&path);
        assert!(said.contains(what) && said.contains("state.conf:2"), "{said}");
    }
}

#[test]
fn the_configuration_itself_is_no_state_file_whatever_it_is_called() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("below")).unwrap();
    symlink("s.conf", folder.path().join("link")).unwrap();
    symlink("../s.conf", folder.path().join("below/link")).unwrap();
    for name in ["s.conf", "./s.conf", "below/../s.conf", "link", "below/link"] {
        let path = folder.file("s.conf", &format!("port 0\nsentinel state-config-file {name}\n"));
        let said = refused(&path);
        for part in ["s.conf:2", "sentinel state-config-file", "the configuration itself", "name another file"] {
            assert!(said.contains(part), "{name}: {said}");
        }
    }
}
