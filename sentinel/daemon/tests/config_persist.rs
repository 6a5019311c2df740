//! Saving: atomic, durable, and honest about both.

mod config_support;

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use config_support::Folder;
use sentinel_core::{
    snapshot::{Seq, Snapshot},
    types::{Epoch, SentinelId},
};
use sentineld::{
    config::{Keep, Source, load},
    persist::{Disk, Outcome, Persister, RealDisk, Stamp, Step, Store, Way},
};
use tempfile::NamedTempFile;

const TEXT: &str = "# mine\nsentinel monitor m 127.0.0.1 1 1\n";
const DEADLINE: Duration = Duration::from_secs(20);

/// A disk on which chosen steps fail, and which counts what is done.
#[derive(Clone, Default)]
struct FaultyDisk(Arc<Mutex<Faults>>);

#[derive(Default)]
struct Faults {
    failing: Option<Step>,
    reads: usize,
    renames: usize,
    folder_syncs: usize,
}

impl FaultyDisk {
    fn fail(&self, step: Option<Step>) {
        self.0.lock().unwrap().failing = step;
    }

    /// Renames and reads so far.
    fn counts(&self) -> (usize, usize) {
        let faults = self.0.lock().unwrap();
        (faults.renames, faults.reads)
    }

    fn check(&self, step: Step) -> io::Result<()> {
        match self.0.lock().unwrap().failing {
            Some(failing) if failing == step => Err(io::Error::from_raw_os_error(28)), // ENOSPC
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(Step::Read)?;
        self.0.lock().unwrap().reads += 1;
        RealDisk.read(path)
    }

    fn create(&mut self, target: &Path, replaces: Option<&Stamp>, private: bool) -> io::Result<NamedTempFile> {
        self.check(Step::Create)?;
        RealDisk.create(target, replaces, private)
    }

    fn write(&mut self, file: &mut NamedTempFile, bytes: &[u8]) -> io::Result<()> {
        // A full disk takes a part.
        RealDisk.write(file, &bytes[..bytes.len() / 2])?;
        self.check(Step::Write)?;
        RealDisk.write(file, &bytes[bytes.len() / 2..])
    }

    fn sync_file(&mut self, file: &NamedTempFile) -> io::Result<Stamp> {
        self.check(Step::Sync)?;
        RealDisk.sync_file(file)
    }

    fn rename(&mut self, file: NamedTempFile, target: &Path) -> io::Result<()> {
        self.check(Step::Rename)?;
        self.0.lock().unwrap().renames += 1;
        RealDisk.rename(file, target)
    }

    fn sync_folder(&mut self, target: &Path) -> io::Result<()> {
        self.check(Step::SyncFolder)?;
        self.0.lock().unwrap().folder_syncs += 1;
        RealDisk.sync_folder(target)
    }
}

fn start(path: &Path) -> (Keep, Snapshot) {
    let loaded = load(&Source::file(path)).unwrap_or_else(|error| panic!("{error}"));
    let id = SentinelId::new(&"7".repeat(40)).unwrap();
    (loaded.keep, loaded.config.snapshot(id))
}

fn at_epoch(snapshot: &Snapshot, epoch: u64) -> Snapshot {
    Snapshot { current_epoch: Epoch::new(epoch), ..snapshot.clone() }
}

fn names(folder: &Folder) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_failing_step_leaves_the_old_file_and_no_litter() {
    for step in [Step::Create, Step::Write, Step::Sync, Step::Rename] {
        let folder = Folder::new();
        let path = folder.file("s.conf", TEXT);
        let (keep, snapshot) = start(&path);
        let disk = FaultyDisk::default();
        let mut store = Store::on(disk.clone(), keep);
        disk.fail(Some(step));
        let error = store.save(&snapshot).unwrap_err();
        assert_eq!(error.step, step);
        let told = error.to_string();
        assert!(told.contains("s.conf") && told.contains("No space left on device; make room"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), TEXT, "{step}");
        assert_eq!(names(&folder), ["s.conf"], "{step}");
        disk.fail(None);
        store.save(&snapshot).unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("sentinel myid 7777"));
        assert_eq!(names(&folder), ["s.conf"], "{step}");
    }
}

#[test]
fn what_may_not_be_on_the_medium_is_written_again() {
    let folder = Folder::new();
    let path = folder.file("s.conf", TEXT);
    let (keep, snapshot) = start(&path);
    let disk = FaultyDisk::default();
    let mut store = Store::on(disk.clone(), keep);
    disk.fail(Some(Step::SyncFolder));
    assert_eq!(store.save(&snapshot).unwrap_err().step, Step::SyncFolder);
    assert_eq!(store.save(&snapshot).unwrap_err().step, Step::SyncFolder, "the same content is not durable yet");
    disk.fail(None);
    store.save(&snapshot).unwrap();
    assert_eq!(disk.0.lock().unwrap().folder_syncs, 1);
}

#[test]
fn nothing_is_written_or_read_where_nothing_changed() {
    let folder = Folder::new();
    let path = folder.file("s.conf", TEXT);
    let (keep, snapshot) = start(&path);
    let disk = FaultyDisk::default();
    let mut store = Store::on(disk.clone(), keep);
    for _ in 0..3 {
        store.save(&snapshot).unwrap();
    }
    assert_eq!(disk.counts(), (1, 1));
    for epoch in 1..4 {
        store.save(&at_epoch(&snapshot, epoch)).unwrap();
    }
    assert_eq!(disk.counts(), (4, 1), "own writes are not read back");
}

#[test]
fn hand_edits_survive_and_a_deleted_file_comes_back() {
    for (name, text) in [("s.conf", TEXT), ("s.toml", "[[master]]\nname='m'\naddress='127.0.0.1:1'\nquorum=1\n")] {
        let folder = Folder::new();
        let path = folder.file(name, text);
        let (keep, snapshot) = start(&path);
        let mut store = Store::new(keep);
        store.save(&snapshot).unwrap();
        let edited = format!("# by hand\n{}", fs::read_to_string(&path).unwrap());
        fs::write(&path, edited).unwrap();
        store.save(&at_epoch(&snapshot, 5)).unwrap();
        let now = fs::read_to_string(&path).unwrap();
        assert!(now.starts_with("# by hand\n") && now.contains(text.trim_end()), "{now}");
        assert_eq!(load(&Source::file(&path)).unwrap().config.current_epoch, Epoch::new(5));

        fs::remove_file(&path).unwrap();
        store.save(&at_epoch(&snapshot, 5)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), now, "FLUSHCONFIG brings it back whole");
    }
}

#[test]
fn an_edit_made_during_a_save_is_not_lost() {
    /// Somebody saves the file between our reading and our renaming, once.
    struct Busy(Option<PathBuf>);
    impl Disk for Busy {
        fn write(&mut self, file: &mut NamedTempFile, bytes: &[u8]) -> io::Result<()> {
            if let Some(path) = self.0.take() {
                fs::write(path, format!("# edited meanwhile\n{TEXT}"))?;
            }
            RealDisk.write(file, bytes)
        }
    }
    let folder = Folder::new();
    let path = folder.file("s.conf", TEXT);
    let (keep, snapshot) = start(&path);
    Store::on(Busy(Some(path.clone())), keep).save(&snapshot).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("# edited meanwhile\n") && text.contains("sentinel myid"), "{text}");
}

#[test]
fn permissions_are_kept_and_links_followed() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("real")).unwrap();
    let target = folder.file("real/s.conf", TEXT);
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("s.conf");
    symlink("real/s.conf", &link).unwrap();
    let (keep, snapshot) = start(&link);
    let mut store = Store::new(keep);
    store.check_writable().unwrap();
    store.save(&snapshot).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o640);
    assert!(fs::read_to_string(&target).unwrap().contains("sentinel myid"));
    assert_eq!(names(&folder), ["real", "s.conf"]);
}

#[test]
fn a_state_file_is_private() {
    let folder = Folder::new();
    let path = folder.file("s.toml", &format!("state-file = '{}/state'\n", folder.path().display()));
    let (keep, snapshot) = start(&path);
    assert!(keep.is_separate());
    Store::new(keep).save(&snapshot).unwrap();
    assert_eq!(fs::metadata(folder.path().join("state")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn what_cannot_be_replaced_is_told_at_the_start() {
    let folder = Folder::new();
    let path = folder.file("s.toml", "state-file = '/nonexistent/state'\n");
    let (keep, _) = start(&path);
    let error = Store::new(keep).check_writable().unwrap_err().to_string();
    assert!(error.starts_with("Sentinel config file /nonexistent/state is not writable: No such file"), "{error}");
}

#[test]
fn an_edited_value_counts_against_an_older_command() {
    let folder = Folder::new();
    let text = "[[master]]\nname = 'm'\naddress = '127.0.0.1:1'\nquorum = 2\n";
    let path = folder.file("s.toml", text);
    let (keep, mut snapshot) = start(&path);
    let mut master = (*snapshot.masters[0]).clone();
    let mut settings = (*master.settings).clone();
    settings.quorum = sentinel_core::types::Quorum::new(3).unwrap();
    settings.parallel_syncs = 7;
    master.settings = settings.into();
    master.addr = "127.0.0.1:9".parse().unwrap();
    snapshot.masters[0] = Arc::new(master);
    Store::new(keep).save(&snapshot).unwrap();
    let saved = fs::read_to_string(&path).unwrap();
    assert_eq!(load(&Source::file(&path)).unwrap().config.masters[0], *snapshot.masters[0]);

    fs::write(&path, saved.replace("quorum = 2", "quorum = 5")).unwrap();
    let edited = load(&Source::file(&path)).unwrap();
    let settings = &edited.config.masters[0].settings;
    assert_eq!((settings.quorum.get(), settings.parallel_syncs), (5, 7));
    assert!(edited.warnings.iter().any(|warning| warning.text.contains("was edited")), "{:?}", edited.warnings);
}

#[test]
fn the_newest_snapshot_is_written_and_failures_are_tried_again() {
    let folder = Folder::new();
    let path = folder.file("s.conf", TEXT);
    let (keep, snapshot) = start(&path);
    let disk = FaultyDisk::default();
    disk.fail(Some(Step::Write));
    let (reports, outcomes) = mpsc::channel();
    let persister =
        Persister::spawn(Store::on(disk.clone(), keep), move |outcome| drop(reports.send(outcome))).unwrap();
    assert!(persister.save(Seq(1), at_epoch(&snapshot, 1)));
    match outcomes.recv_timeout(DEADLINE).unwrap() {
        Outcome::Failed { seq: Seq(1), error } => assert_eq!(error.step, Step::Write),
        other => panic!("{other:?}"),
    }
    for seq in 2..=50 {
        assert!(persister.save(Seq(seq), at_epoch(&snapshot, seq)));
    }
    disk.fail(None);
    loop {
        match outcomes.recv_timeout(DEADLINE).unwrap() {
            Outcome::Saved(Seq(50)) => break,
            Outcome::Saved(_) | Outcome::Overwritten(_) | Outcome::Failed { .. } => {}
        }
    }
    assert!(persister.save(Seq(51), at_epoch(&snapshot, 51)));
    assert!(persister.close(DEADLINE));
    assert_eq!(
        load(&Source::file(&path)).unwrap().config.current_epoch,
        Epoch::new(51),
        "closing finishes what was asked"
    );
}

#[test]
fn what_cannot_be_replaced_any_more_is_written_in_place() {
    /// The folder is read-only, or the file was mounted on its own after the start.
    struct Stuck(Step, i32);
    impl Disk for Stuck {
        fn create(&mut self, target: &Path, replaces: Option<&Stamp>, private: bool) -> io::Result<NamedTempFile> {
            if self.0 == Step::Create {
                return Err(io::Error::from_raw_os_error(self.1));
            }
            RealDisk.create(target, replaces, private)
        }
        fn rename(&mut self, _: NamedTempFile, _: &Path) -> io::Result<()> {
            Err(io::Error::from_raw_os_error(self.1))
        }
    }
    let (eacces, ebusy, erofs, enospc) = (13, 16, 30, 28);
    for (step, number, told_at_start) in
        [(Step::Create, eacces, true), (Step::Create, erofs, true), (Step::Rename, ebusy, false)]
    {
        let folder = Folder::new();
        let path = folder.file("s.conf", TEXT);
        let (keep, snapshot) = start(&path);
        let mut store = Store::on(Stuck(step, number), keep);
        let way = store.check_writable().unwrap().clone();
        assert_eq!(matches!(way, Way::InPlace(_)), told_at_start, "{step} {number}: {way:?}");
        for epoch in 1..3 {
            store.save(&at_epoch(&snapshot, epoch)).unwrap();
            assert!(matches!(store.way(), Way::InPlace(_)));
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(TEXT) && text.contains(&format!("current-epoch {epoch}\n")), "{text}");
            assert!(!text.contains("redo"), "{text}");
            assert_eq!(names(&folder), ["s.conf"]);
        }
    }
    let folder = Folder::new();
    let path = folder.file("s.conf", TEXT);
    let (keep, snapshot) = start(&path);
    let error = Store::on(Stuck(Step::Rename, enospc), keep).save(&snapshot).unwrap_err();
    assert_eq!(error.step, Step::Rename, "a full disk is no reason to overwrite anything");
    assert_eq!(fs::read_to_string(&path).unwrap(), TEXT);
}

/// As an operator has it, behind what is learnt.
const OPERATORS: &str = "sentinel monitor m 127.0.0.1 1 1\nport 26380\nbind 127.0.0.1\nrequirepass secret\n";

#[test]
fn a_file_that_is_cut_off_while_it_is_in_use_is_restored_whole() {
    for length in [0, 1, 33, OPERATORS.len() - 1] {
        let folder = Folder::new();
        let path = folder.file("s.conf", OPERATORS);
        let (keep, snapshot) = start(&path);
        let mut store = Store::new(keep);
        store.check_writable().unwrap();
        // Before anything was saved, and after it.
        for epoch in [5, 6] {
            fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length as u64).unwrap();
            store.save(&at_epoch(&snapshot, epoch)).unwrap();
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.starts_with(OPERATORS), "{length}: {text}");
            assert_eq!(load(&Source::file(&path)).unwrap().config.current_epoch, Epoch::new(epoch));
            assert_eq!(names(&folder), ["s.conf"]);
        }
    }
}

#[test]
fn what_somebody_else_wrote_is_not_overwritten_unseen() {
    let folder = Folder::new();
    let path = folder.file("s.conf", OPERATORS);
    let (keep, snapshot) = start(&path);
    let mut store = Store::new(keep);
    store.check_writable().unwrap();
    store.save(&at_epoch(&snapshot, 1)).unwrap();
    // What stays in force needs no copy.
    let saved = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("# by hand\nmaxclients 100\n{saved}")).unwrap();
    store.save(&at_epoch(&snapshot, 2)).unwrap();
    assert_eq!(names(&folder), ["s.conf"], "only what is learnt says something else");
    // A tool puts its template back, where the master is another one.
    let template = OPERATORS.replace("127.0.0.1 1 1", "127.0.0.1 9 1");
    fs::write(&path, &template).unwrap();
    store.save(&at_epoch(&snapshot, 3)).unwrap();
    assert_eq!(names(&folder), ["s.conf", "s.conf.replaced"]);
    assert_eq!(fs::read_to_string(folder.path().join("s.conf.replaced")).unwrap(), template);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("sentinel monitor m 127.0.0.1 1 1") && text.contains("requirepass secret"), "{text}");
}

#[test]
fn what_a_killed_process_left_is_removed_at_the_next_start() {
    let folder = Folder::new();
    let path = folder.file("s.conf", OPERATORS);
    for name in ["s.confAb12Cd.tmp", "s.conf.last-goodXyZ123.tmp", "s.conf.tmp", "other.tmp", "s.conf-notes-1.tmp"] {
        folder.file(name, "half");
    }
    let (keep, _) = start(&path);
    Store::new(keep).check_writable().unwrap();
    assert_eq!(names(&folder), ["other.tmp", "s.conf", "s.conf-notes-1.tmp", "s.conf.tmp"]);
}
