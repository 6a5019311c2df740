//! Whatever is saved is loaded back equal, in each form and over several saves; and any bytes give a value or an error
//! with a line.

mod config_support;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use config_support::Folder;
use proptest::{collection, option, prelude::*, string::string_regex};
use sentinel_core::{
    settings::{
        GlobalSettings, MasterSettings,
        master::MASTER,
        row::{self, Changed, Kind, Row},
        sentinel::SENTINEL,
    },
    snapshot::{MasterSnapshot, Snapshot},
    types::{Epoch, Host, HostPort, MasterName, Quorum, Secret, SentinelId},
};
use sentinel_resp::text;
use sentineld::{
    config::{ConfigError, Source, load},
    persist::Store,
};

/// Text as an evil operator sets it: blanks, quotes, line breaks, control characters, other scripts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9]{1,10}",
        "[ -~]{1,12}",
        string_regex("(?s).{1,8}").expect("a pattern"),
        Just("a b\"c'\\\nsentinel announce-ip 9.9.9.9".to_owned()),
        Just("#".to_owned()),
        bytes(),
    ]
}

/// Bytes of which some are no UTF-8, and some are the characters that stand for such bytes.
fn bytes() -> impl Strategy<Value = String> {
    let byte = prop_oneof![any::<u8>(), Just(0xe4), Just(0xf4), Just(0x8f), Just(0xbf), Just(b'\\'), Just(b'x')];
    collection::vec(byte, 1..9).prop_map(|bytes| text::of(&bytes).into_owned())
}

fn name() -> impl Strategy<Value = MasterName> {
    prop_oneof!["[A-Za-z0-9._-]{1,10}", "[ -+./-~]{1,8}", "[äß€ x]{1,4}", bytes()]
        .prop_filter_map("a usable name", |name| MasterName::new(&name).ok())
}

fn address(names: bool) -> impl Strategy<Value = HostPort> {
    let literals = prop_oneof![
        any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string()),
        any::<u128>().prop_map(|bits| std::net::Ipv6Addr::from(bits).to_string()),
    ];
    let host = if names {
        prop_oneof![literals, "[a-z][a-z0-9.-]{0,12}", "[!#-&(-+./-~]{1,9}"].boxed()
    } else {
        literals.boxed()
    };
    (host, any::<u16>())
        .prop_filter_map("a usable host", |(host, port)| Host::new(&host).ok().map(|host| HostPort::new(host, port)))
}

fn id() -> impl Strategy<Value = SentinelId> {
    prop_oneof![4 => "[0-9a-f]{40}", 1 => "[!-+./-~]{1,64}"]
        .prop_filter_map("a usable id", |id| SentinelId::new(&id).ok())
}

/// A value of a kind, over its whole range: what a command may set, a file must bear.
fn value(kind: Kind) -> BoxedStrategy<row::Value> {
    let (least, most) = kind.range().unwrap_or_default();
    let number = prop_oneof![4 => least..least + 9_999, 1 => Just(least), 1 => Just(most), 2 => least..=most];
    let script = prop_oneof![Just("/bin/true".to_owned()), Just("/bin/false".to_owned())];
    match kind {
        Kind::Milliseconds { .. } => number.prop_map(|ms| row::Value::Time(Duration::from_millis(ms))).boxed(),
        Kind::Count { .. } => {
            number.prop_map(|count| row::Value::Count(count.try_into().expect("within its range"))).boxed()
        }
        Kind::Bytes => number.prop_map(row::Value::Bytes).boxed(),
        Kind::Port => number.prop_map(|port| row::Value::Port(port.try_into().expect("within its range"))).boxed(),
        Kind::Switch => any::<bool>().prop_map(row::Value::Switch).boxed(),
        Kind::Text => option::of(text()).prop_map(row::Value::Text).boxed(),
        Kind::Secret => {
            option::of(text()).prop_map(|text| row::Value::Secret(text.as_deref().map(Secret::new))).boxed()
        }
        Kind::Script { .. } => option::of(script).prop_map(row::Value::Text).boxed(),
        Kind::Host => option::of(address(true)).prop_map(|addr| row::Value::Host(addr.map(|addr| addr.host))).boxed(),
    }
}

/// Values of some of the rows.
fn values<S: 'static>(rows: Vec<&'static Row<S>>) -> BoxedStrategy<Vec<(&'static Row<S>, row::Value)>> {
    let some =
        rows.into_iter().map(|row| option::of(value(row.kind)).prop_map(move |value| Some(row).zip(value)).boxed());
    some.collect::<Vec<_>>().prop_map(|some| some.into_iter().flatten().collect()).boxed()
}

fn settings(extensions: bool) -> impl Strategy<Value = MasterSettings> {
    let rows = MASTER.iter().copied().filter(|row| extensions || !row.ours).collect();
    let renamed = collection::btree_map("[A-Z]{1,8}", prop_oneof![text(), Just(String::new())], 0..3);
    (1..=u32::MAX, values(rows), renamed).prop_map(|(quorum, values, rename_commands)| {
        let quorum = Quorum::new(quorum.into()).expect("from 1 up");
        let mut settings = MasterSettings { rename_commands, ..MasterSettings::new(quorum) };
        for (row, value) in values {
            row.set(&mut settings, value);
        }
        settings
    })
}

fn globals() -> impl Strategy<Value = GlobalSettings> {
    let rows = SENTINEL.iter().copied().filter(|row| row.changed != Changed::InFile).collect();
    values(rows).prop_map(|values| {
        let mut globals = GlobalSettings::default();
        for (row, value) in values {
            row.set(&mut globals, value);
        }
        globals
    })
}

fn snapshot(extensions: bool) -> impl Strategy<Value = Snapshot> {
    globals().prop_flat_map(move |globals| {
        let names = globals.resolve_hostnames;
        let master = (
            name(),
            address(names),
            settings(extensions),
            (any::<u64>(), any::<u64>()),
            collection::btree_set(address(names), 0..4),
            collection::btree_map(id(), address(names), 0..4),
        );
        (Just(globals), "[0-9a-f]{40}", any::<u64>(), collection::vec(master, 0..4)).prop_map(
            move |(globals, id, epoch, masters)| {
                let own = SentinelId::new(&id).expect("hex digits");
                let mut highest = epoch;
                let masters: BTreeMap<MasterName, Arc<MasterSnapshot>> = masters
                    .into_iter()
                    .map(|(name, addr, settings, epochs, replicas, peers)| {
                        highest = highest.max(epochs.0);
                        let mut master = MasterSnapshot::new(name.clone(), addr, settings);
                        master.config_epoch = Epoch::new(epochs.0);
                        master.leader_epoch = Epoch::new(epochs.1);
                        master.replicas = replicas.into_iter().filter(|replica| *replica != master.addr).collect();
                        let nodes = master.replicas.iter().take(2).zip(7..);
                        master.in_sync = if extensions {
                            nodes.map(|(node, keys)| (node.clone(), keys)).collect()
                        } else {
                            Vec::new()
                        };
                        master.peers = peers.into_iter().filter(|(peer, _)| *peer != own).collect();
                        (name, Arc::new(master))
                    })
                    .collect();
                Snapshot {
                    id: own,
                    current_epoch: Epoch::new(highest),
                    globals: Arc::new(globals),
                    masters: masters.into_values().collect(),
                }
            },
        )
    })
}

/// Loads the configuration, saves each snapshot in turn through one store, and loads again after each.
fn saved_and_loaded(path: &Path, snapshots: &[Snapshot]) -> Result<(), TestCaseError> {
    let mut store = Store::new(load(&Source::file(path)).expect("the first text loads").keep);
    for snapshot in snapshots {
        store.save(snapshot).expect("the folder is writable");
        let shown = || fs::read_to_string(store.path()).unwrap_or_default();
        let loaded = match load(&Source::file(path)) {
            Ok(loaded) => loaded,
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{}", shown()))),
        };
        let id = loaded.config.id.clone();
        prop_assert_eq!(id.as_ref(), Some(&snapshot.id), "{}", shown());
        let mut back = loaded.config.snapshot(snapshot.id.clone());
        let mut globals = (*back.globals).clone();
        // Not part of what is saved: no command changes them.
        globals.port = snapshot.globals.port;
        back.globals = Arc::new(globals);
        prop_assert_eq!(&back, snapshot, "{}", shown());
        // Loading and saving again changes nothing: each start would otherwise rewrite the file.
        let before = shown();
        Store::new(loaded.keep).save(snapshot).expect("the folder is writable");
        prop_assert_eq!(before, shown());
    }
    Ok(())
}

const CLASSIC: &str = "# mine\nport 26380\n\nsentinel monitor m 127.0.0.1 6379 2\nsentinel down-after-milliseconds m 5000\n\
                       sentinel known-slave m 127.0.0.1 7\n";

const TOML: &str = "# mine\n[server]\nport = 26380 # why\n\n[[master]]\nname = 'm'\naddress = '127.0.0.1:6379'\nquorum = 2\n\
                    down-after = '5s'\nauth-pass = 'x'\nrename-command = { CONFIG = 'y' }\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn classic_in_place(snapshots in collection::vec(snapshot(true), 1..4)) {
        let folder = Folder::new();
        let path = folder.file("s.conf", CLASSIC);
        saved_and_loaded(&path, &snapshots)?;
        let text = fs::read_to_string(&path).unwrap();
        prop_assert!(text.starts_with("# mine\nport 26380\n"), "{}", text);
    }

    #[test]
    fn toml_in_place(snapshots in collection::vec(snapshot(true), 1..4)) {
        let folder = Folder::new();
        let path = folder.file("s.toml", TOML);
        saved_and_loaded(&path, &snapshots)?;
        let text = fs::read_to_string(&path).unwrap();
        prop_assert!(text.starts_with(TOML), "{}", text);
    }

    #[test]
    fn toml_with_a_state_file(snapshots in collection::vec(snapshot(true), 1..4)) {
        let folder = Folder::new();
        let text = format!("state-file = '{}'\n{TOML}", folder.path().join("state").display());
        let path = folder.file("s.toml", &text);
        saved_and_loaded(&path, &snapshots)?;
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn classic_with_a_state_file(snapshots in collection::vec(snapshot(true), 1..3)) {
        let folder = Folder::new();
        let text = format!(
            "sentinel state-config-file {}\nsentinel monitor m 127.0.0.1 6379 2\nsentinel ping-period m 100\n",
            folder.path().join("state").display()
        );
        let path = folder.file("s.conf", &text);
        saved_and_loaded(&path, &snapshots)?;
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn any_bytes_give_a_value_or_a_line(bytes in collection::vec(any::<u8>(), 0..120), toml in any::<bool>()) {
        any_bytes(&bytes, toml)?;
    }

    #[test]
    fn nearly_good_text_gives_a_value_or_a_line(lines in collection::vec(nearly_good_line(), 0..8), toml in any::<bool>()) {
        any_bytes(lines.join("\n").as_bytes(), toml)?;
    }
}

fn nearly_good_line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-z0-9.-]{0,6}",
        "-?[0-9]{1,20}",
        Just("m".to_owned()),
        Just("\"a b\"".to_owned()),
        Just("127.0.0.1".to_owned()),
        Just("yes".to_owned()),
        "[ -~]{0,6}",
        Just("=".to_owned()),
        Just("[[master]]".to_owned()),
        Just("[state]".to_owned()),
    ];
    let start = proptest::sample::select(vec![
        "sentinel monitor",
        "sentinel monitor m 127.0.0.1 1 1",
        "sentinel known-sentinel m",
        "sentinel config-epoch m",
        "sentinel auth-pass m",
        "sentinel rename-command m",
        "port",
        "bind",
        "client-output-buffer-limit",
        "user",
        "[[master]]",
        "[server]",
        "[state]",
        "[state.master.m]",
        "name =",
        "address =",
        "quorum =",
        "down-after =",
        "replicas =",
        "",
    ]);
    (start, collection::vec(word, 0..5)).prop_map(|(start, words)| format!("{start} {}", words.join(" ")))
}

fn any_bytes(bytes: &[u8], toml: bool) -> Result<(), TestCaseError> {
    let folder = Folder::new();
    let path = folder.path().join(if toml { "s.toml" } else { "s.conf" });
    fs::write(&path, bytes).expect("a file");
    match load(&Source { directory: folder.path().to_owned(), ..Source::file(&path) }) {
        Ok(_) | Err(ConfigError::Open { .. }) => {}
        Err(ConfigError::Faults(faults)) => {
            prop_assert!(!faults.faults.is_empty());
            prop_assert!(faults.faults.iter().all(|fault| fault.place.line().is_some()), "{:?}", faults);
        }
        Err(other) => return Err(TestCaseError::fail(other.to_string())),
    }
    Ok(())
}
