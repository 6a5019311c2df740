//! Whatever point a save is cut at, what is loaded afterwards is the state before it or the state after it, and what was
//! reported as saved is there.

mod config_support;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use config_support::Folder;
use sentinel_core::{
    snapshot::{MasterSnapshot, Snapshot},
    types::{Epoch, Secret, SentinelId},
};
use sentineld::{
    config::{ConfigError, Source, load},
    persist::{Disk, RealDisk, Stamp, Step, Store, Way},
};
use tempfile::NamedTempFile;

/// What a crash leaves of what was written and not yet forced to the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unsynced {
    /// All of it, the last write in half.
    Kept,
    /// Nothing.
    Lost,
}

/// A disk whose machine dies at one operation: that one is done by half, and all later ones fail.
#[derive(Clone)]
struct DyingDisk(Arc<Mutex<Dying>>);

struct Dying {
    /// How many operations are done before the crash.
    left: usize,
    unsynced: Unsynced,
    mounted: bool,
    /// Operations so far, each of which is a point to be cut at.
    done: usize,
    dead: bool,
    /// The file as it is on the medium for certain.
    medium: Vec<u8>,
    file: PathBuf,
}

/// What to do with an operation.
#[derive(PartialEq, Eq)]
enum Fate {
    Done,
    Half,
}

impl DyingDisk {
    fn new(file: &Path, unsynced: Unsynced, mounted: bool) -> Self {
        let medium = fs::read(file).unwrap_or_default();
        DyingDisk(Arc::new(Mutex::new(Dying {
            left: usize::MAX,
            unsynced,
            mounted,
            done: 0,
            dead: false,
            medium,
            file: file.to_owned(),
        })))
    }

    /// Dies at the operation after so many from now on.
    fn die_after(&self, left: usize) {
        let mut dying = self.0.lock().unwrap();
        (dying.left, dying.done) = (left, 0);
    }

    fn operation(&self) -> io::Result<Fate> {
        let mut dying = self.0.lock().unwrap();
        if dying.dead {
            return Err(io::Error::other("the machine is dead"));
        }
        dying.done += 1;
        if dying.done > dying.left {
            dying.dead = true;
            return Ok(Fate::Half);
        }
        Ok(Fate::Done)
    }

    /// What was written so far is on the medium.
    fn settle(&self) {
        let mut dying = self.0.lock().unwrap();
        dying.medium = fs::read(&dying.file).unwrap_or_default();
    }

    /// What a new start finds.
    fn after_the_crash(&self) {
        let dying = self.0.lock().unwrap();
        if dying.dead && dying.unsynced == Unsynced::Lost {
            fs::write(&dying.file, &dying.medium).unwrap();
        }
    }

    fn is_dead(&self) -> bool {
        self.0.lock().unwrap().dead
    }
}

fn crash<T>() -> io::Result<T> {
    Err(io::Error::other("the machine died"))
}

impl Disk for DyingDisk {
    fn is_mounted(&mut self, _: &Path) -> bool {
        self.0.lock().unwrap().mounted
    }

    fn create(&mut self, target: &Path, replaces: Option<&Stamp>, private: bool) -> io::Result<NamedTempFile> {
        if self.0.lock().unwrap().mounted {
            return Err(io::Error::from_raw_os_error(30)); // EROFS
        }
        if self.operation()? == Fate::Half {
            return crash();
        }
        RealDisk.create(target, replaces, private)
    }

    fn write(&mut self, file: &mut NamedTempFile, bytes: &[u8]) -> io::Result<()> {
        if self.operation()? == Fate::Half {
            RealDisk.write(file, &bytes[..bytes.len() / 2])?;
            return crash();
        }
        RealDisk.write(file, bytes)
    }

    fn sync_file(&mut self, file: &NamedTempFile) -> io::Result<Stamp> {
        if self.operation()? == Fate::Half {
            return crash();
        }
        RealDisk.sync_file(file)
    }

    fn rename(&mut self, file: NamedTempFile, target: &Path) -> io::Result<()> {
        let fate = self.operation()?;
        // A rename has no half: it was done, or it is undone with what was not synced.
        RealDisk.rename(file, target)?;
        if fate == Fate::Half { crash() } else { Ok(()) }
    }

    fn sync_folder(&mut self, target: &Path) -> io::Result<()> {
        if self.operation()? == Fate::Half {
            return crash();
        }
        RealDisk.sync_folder(target)?;
        self.settle();
        Ok(())
    }

    fn write_at(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.operation()? == Fate::Half {
            file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return crash();
        }
        RealDisk.write_at(file, offset, bytes)
    }

    fn sync_in_place(&mut self, file: &File) -> io::Result<Stamp> {
        if self.operation()? == Fate::Half {
            return crash();
        }
        let stamp = RealDisk.sync_in_place(file)?;
        self.settle();
        Ok(stamp)
    }

    fn truncate(&mut self, file: &File, length: u64) -> io::Result<()> {
        if self.operation()? == Fate::Half {
            return crash();
        }
        RealDisk.truncate(file, length)
    }
}

/// The configurations: name of the main file, its text, and the file that is written.
fn forms(folder: &Folder) -> Vec<(&'static str, String, PathBuf)> {
    let toml = "[[master]]\nname = 'm'\naddress = '127.0.0.1:1'\nquorum = 1\n";
    let state = folder.path().join("state");
    vec![
        ("s.conf", "# mine\nsentinel monitor m 127.0.0.1 1 1\n".into(), folder.path().join("s.conf")),
        ("s.toml", format!("# mine\n{toml}"), folder.path().join("s.toml")),
        ("apart.toml", format!("state-file = '{}'\n{toml}", state.display()), state.clone()),
        (
            "apart.conf",
            format!("sentinel state-config-file {}\nsentinel monitor m 127.0.0.1 1 1\n", state.display()),
            state,
        ),
    ]
}

fn id() -> SentinelId {
    SentinelId::new(&"7".repeat(40)).unwrap()
}

fn changed(snapshot: &Snapshot, change: impl FnOnce(&mut MasterSnapshot)) -> Snapshot {
    let mut snapshot = snapshot.clone();
    let mut master = (*snapshot.masters[0]).clone();
    change(&mut master);
    snapshot.current_epoch = snapshot.current_epoch.max(master.config_epoch).max(master.leader_epoch);
    snapshot.masters[0] = Arc::new(master);
    snapshot
}

/// A vote, then a failover with everything that it changes, then a shorter state again.
fn history(first: &Snapshot) -> Vec<Snapshot> {
    let voted = changed(first, |master| master.leader_epoch = Epoch::new(7));
    let switched = changed(&voted, |master| {
        master.addr = "127.0.0.1:2".parse().unwrap();
        master.config_epoch = Epoch::new(8);
        master.leader_epoch = Epoch::new(8);
        master.replicas = vec!["127.0.0.1:1".parse().unwrap(), "127.0.0.1:3".parse().unwrap()];
        master.peers = vec![(SentinelId::new(&"8".repeat(40)).unwrap(), "127.0.0.1:5".parse().unwrap())];
        let mut settings = (*master.settings).clone();
        settings.auth_pass = Some(Secret::new("a b\"c\nd"));
        master.settings = Arc::new(settings);
    });
    let shorter = changed(&switched, |master| {
        master.replicas.clear();
        master.peers.clear();
    });
    vec![voted, switched, shorter]
}

fn loaded(path: &Path) -> Snapshot {
    load(&Source::file(path)).unwrap_or_else(|error| panic!("{error}")).config.snapshot(id())
}

#[test]
fn every_cut_leaves_the_old_or_the_new_state() {
    let mut cuts = 0;
    for mounted in [false, true] {
        for unsynced in [Unsynced::Kept, Unsynced::Lost] {
            for form in 0..3 {
                cuts += cut_everywhere(form, unsynced, mounted);
            }
        }
    }
    // Five operations replace a file, six overwrite it; three forms, two kinds of crash, three saves.
    assert_eq!(cuts, (5 + 6) * 3 * 2 * 3);
}

/// Cuts each save of the history at each of its operations. Returns how many cuts there were.
fn cut_everywhere(form: usize, unsynced: Unsynced, mounted: bool) -> usize {
    let mut cuts = 0;
    for save in 0..3 {
        for left in 0.. {
            let folder = Folder::new();
            let (name, text, written) = forms(&folder).swap_remove(form);
            let path = folder.file(name, &text);
            let start = load(&Source::file(&path)).unwrap();
            let first = start.config.snapshot(id());
            let history = history(&first);
            // A file exists before the crash, in every form.
            let before = if save == 0 { &first } else { &history[save - 1] };
            Store::new(start.keep.clone()).save(before).unwrap();
            assert_eq!(&loaded(&path), before);

            let disk = DyingDisk::new(&written, unsynced, mounted);
            let mut store = Store::on(disk.clone(), start.keep);
            store.check_writable().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(matches!(store.way(), Way::InPlace(_)), mounted);
            disk.die_after(left);
            let outcome = store.save(&history[save]);
            disk.after_the_crash();

            let told = format!("{name}, save {save}, cut {left}, {unsynced:?}, in place: {mounted}");
            let found = loaded(&path);
            if outcome.is_ok() {
                assert_eq!(found, history[save], "{told}: what was reported as saved");
            } else {
                assert!(found == *before || found == history[save], "{told}: neither the old nor the new: {found:#?}");
            }
            // The next process goes on from there.
            let next = load(&Source::file(&path)).unwrap();
            Store::new(next.keep).save(&history[save]).unwrap();
            assert_eq!(loaded(&path), history[save], "{told}");
            if !disk.is_dead() {
                break;
            }
            cuts += 1;
        }
    }
    cuts
}

#[test]
fn a_full_disk_in_the_middle_of_writing_in_place_leaves_the_old_content() {
    /// Takes so many bytes and no more.
    struct Full(usize);
    impl Disk for Full {
        fn is_mounted(&mut self, _: &Path) -> bool {
            true
        }
        fn write_at(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
            let fits = self.0.min(bytes.len());
            file.write_all_at(&bytes[..fits], offset)?;
            if fits < bytes.len() { Err(io::Error::from_raw_os_error(28)) } else { Ok(()) }
        }
    }
    for room in [0, 1, 20, 200] {
        let folder = Folder::new();
        let text = "# mine\nsentinel monitor m 127.0.0.1 1 1\n";
        let path = folder.file("s.conf", text);
        let start = load(&Source::file(&path)).unwrap();
        let snapshot = start.config.snapshot(id());
        let mut store = Store::on(Full(room), start.keep);
        store.check_writable().unwrap();
        let error = store.save(&snapshot).unwrap_err();
        assert_eq!(error.step, Step::Record);
        assert!(error.to_string().contains("No space left on device; make room"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{room} bytes of room");
    }
}

#[test]
fn a_garbled_file_is_refused_with_the_copy_that_helps_and_is_not_touched() {
    for form in 0..3 {
        let folder = Folder::new();
        let (name, text, written) = forms(&folder).swap_remove(form);
        let path = folder.file(name, &text);
        let start = load(&Source::file(&path)).unwrap();
        let snapshot = history(&start.config.snapshot(id())).swap_remove(1);
        let mut store = Store::new(start.keep);
        store.save(&snapshot).unwrap();
        store.keep_copy().unwrap();
        let whole = fs::read(&written).unwrap();
        let copy = PathBuf::from(format!("{}.last-good", written.display()));
        assert_eq!(fs::read(&copy).unwrap(), whole);
        assert_eq!(fs::metadata(&copy).unwrap().permissions(), fs::metadata(&written).unwrap().permissions());

        let garbled = [&whole[..whole.len() / 2], b"\x00\"\xff[[", &whole[whole.len() / 2..]].concat();
        let empty = Vec::new();
        let in_a_line = whole[..whole.len() - 3].to_vec();
        for damaged in [garbled, empty, in_a_line] {
            fs::write(&written, &damaged).unwrap();
            let error = load(&Source::file(&path)).expect_err(name);
            assert!(error.is_content() && matches!(error, ConfigError::WithCopy { .. }), "{name}: {error}");
            let told = error.to_string();
            let advice = format!("cp -p {} {}", copy.display(), written.display());
            assert!(told.contains(&advice), "{name}: no {advice:?} in {told}");
            assert!(!told.contains("a b\"c"), "{name}: a password is told: {told}");
            assert_eq!(fs::read(&written).unwrap(), damaged, "{name}: nothing is overwritten");
            fs::copy(&copy, &written).unwrap();
            assert_eq!(loaded(&path), snapshot, "{name}: the copy is the state");
        }
    }
}

#[test]
fn a_file_without_its_last_lines_is_a_warning_and_a_state_file_an_error() {
    let folder = Folder::new();
    for form in 0..4 {
        let (name, text, written) = forms(&folder).swap_remove(form);
        let _ = fs::remove_file(&written);
        let _ = fs::remove_file(written.with_extension("last-good"));
        let path = folder.file(name, &text);
        let start = load(&Source::file(&path)).unwrap();
        let mut store = Store::new(start.keep);
        store.save(&history(&start.config.snapshot(id()))[1]).unwrap();
        store.keep_copy().unwrap();
        let whole = fs::read_to_string(&written).unwrap();
        let cut = whole.trim_end().rfind('\n').unwrap() + 1;
        fs::write(&written, &whole[..cut]).unwrap();
        match load(&Source::file(&path)) {
            Ok(loaded) => {
                assert!(form < 2, "{name}");
                let told: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
                assert!(told.iter().any(|text| text.contains("last-good still has it")), "{name}: {told:?}");
            }
            Err(error) => assert!(form >= 2 && error.to_string().contains("it has been cut off"), "{name}: {error}"),
        }
    }
}

#[test]
fn a_state_file_that_was_edited_is_refused_unless_that_was_meant() {
    for (form, was, now) in [(2, "leader-epoch = 8", "leader-epoch = 1"), (3, "leader-epoch m 8", "leader-epoch m 1")] {
        let folder = Folder::new();
        let (name, text, written) = forms(&folder).swap_remove(form);
        let path = folder.file(name, &text);
        let start = load(&Source::file(&path)).unwrap();
        let snapshot = history(&start.config.snapshot(id())).swap_remove(1);
        Store::new(start.keep).save(&snapshot).unwrap();
        let edited = fs::read_to_string(&written).unwrap().replace(was, now);
        fs::write(&written, &edited).unwrap();
        let error = load(&Source::file(&path)).unwrap_err().to_string();
        assert!(error.contains("its content is not what was written there"), "{error}");
        let (body, _) = edited.rsplit_once("# sha256: ").unwrap();
        fs::write(&written, format!("{body}# sha256: none\n")).unwrap();
        assert_eq!(loaded(&path).masters[0].leader_epoch, Epoch::new(1));
    }
}
