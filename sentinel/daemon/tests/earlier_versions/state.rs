//! State files, configurations and histories of earlier versions.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use sentinel_core::settings::{row::Changed, sentinel::of_sentinel};
use sentineld::{
    config::{Loaded, Source, load},
    persist::Store,
};
use serde_json::Value as Json;

use super::{FORMS, keep::answers_in, read, running::Running, versions};

/// A copy of one form of one version, which may be changed.
struct Kept {
    folder: tempfile::TempDir,
    /// Where it is kept.
    from: PathBuf,
    configuration: &'static str,
    state: &'static str,
    apart: bool,
}

impl Kept {
    fn all() -> impl Iterator<Item = Kept> {
        versions().into_iter().flat_map(|version| {
            FORMS.map(|(form, configuration, state)| {
                let (folder, from) = (tempfile::tempdir().expect("a temporary folder"), version.join(form));
                for entry in fs::read_dir(&from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
                    let path = entry.expect("an entry").path();
                    fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("it can be copied");
                }
                Kept { folder, from, configuration, state: state.unwrap_or(configuration), apart: state.is_some() }
            })
        })
    }

    fn load(&self) -> Loaded {
        let path = self.folder.path().join(self.configuration);
        let source = Source { directory: self.folder.path().to_owned(), ..Source::file(path) };
        load(&source).unwrap_or_else(|error| panic!("{}: {error}", self.from.display()))
    }

    fn state(&self) -> String {
        read(self.folder.path().join(self.state))
    }
}

/// The lines that say something of the state, without the checksum, which goes with the text.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# sha256: ")).collect()
}

/// All lines of the one text are there in the other one, in their order. Later versions may have more.
pub(crate) fn assert_kept(before: &str, after: &str, place: &Path) {
    let mut left = lines(after).into_iter();
    for line in lines(before) {
        assert!(left.any(|it| it == line), "{}: {line:?} is lost, or elsewhere:\n{after}", place.display());
    }
}

#[test]
fn their_state_is_loaded_and_written_again_as_it_was() {
    for kept in Kept::all() {
        let (before, loaded) = (kept.state(), kept.load());
        let place = kept.from.join(kept.state);
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        // One that is meant: a master that is configured, and was removed.
        let warnings: Vec<String> =
            warnings.into_iter().filter(|text| !text.contains("SENTINEL REMOVE removed it")).collect();
        assert_eq!(warnings, [""; 0], "{}", place.display());
        let snapshot = loaded.config.snapshot(loaded.config.id.clone().expect("it has one"));
        // Nothing of it is taken over as text
        let path = kept.folder.path().join(kept.state);
        if kept.apart {
            fs::remove_file(&path).expect("it is there");
        } else if let Some((configuration, _)) = before.split_once("# ---- written by sentinel") {
            fs::write(&path, configuration).expect("a file can be written");
        }
        Store::new(loaded.keep).save(&snapshot).expect("it is saved");
        assert_kept(&before, &kept.state(), &place);
        let again = kept.load();
        assert_eq!(again.config.snapshot(snapshot.id.clone()), snapshot, "{}", place.display());
    }
}

/// In a classic configuration the state stands among the lines of the operator. That they are kept because they are understood, not as
/// they were found, is seen where the same is written into an empty configuration: it has them all.
#[test]
fn every_line_of_their_classic_configuration_is_understood() {
    for kept in Kept::all().filter(|kept| kept.from.ends_with("classic")) {
        let (before, loaded) = (kept.state(), kept.load());
        let snapshot = loaded.config.snapshot(loaded.config.id.clone().expect("it has one"));
        let empty = Kept { folder: tempfile::tempdir().expect("a temporary folder"), ..kept };
        fs::write(empty.folder.path().join(empty.configuration), "").expect("a file can be written");
        Store::new(empty.load().keep).save(&snapshot).expect("it is saved");
        let after = empty.state();
        // What the operator alone writes is never written anew.
        let written = |line: &&str| {
            let mut words = line.trim_start_matches("#@ ").split(' ');
            let setting = (words.next() == Some("sentinel")).then(|| words.next()).flatten();
            setting.is_some_and(|it| of_sentinel(it).is_none_or(|row| row.changed != Changed::InFile))
        };
        for line in lines(&before).into_iter().filter(written) {
            let there = lines(&after).contains(&line);
            assert!(there, "{}: {line:?} is not understood:\n{after}", empty.from.display());
        }
    }
}

#[test]
fn who_starts_from_their_files_says_what_they_said() {
    for kept in Kept::all() {
        let running = Running::start(kept.folder.path(), kept.configuration);
        let answers = running.answers("mymaster");
        for (field, value) in answers_in(&read(kept.from.join("answers"))) {
            assert_eq!(answers.get(&field), Some(&value), "{}: {field}", kept.from.display());
        }

        // And the history has the same incidents, the newest first, with all that was said
        let history = read(kept.from.join(format!("{}.history", kept.state)));
        let written: Vec<Json> = history.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
        let told: Vec<BTreeMap<String, String>> = running.ask(&["SENTINEL", "HISTORY", "mymaster"]);
        assert_eq!(told.len(), written.len(), "{}: {told:?}", kept.from.display());
        for (told, written) in told.iter().zip(written.iter().rev()) {
            let field = |name: &str| match &written[name] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(written["master"], "mymaster");
            let expected = [("id", "id"), ("lasted-ms", "lasted_ms"), ("trigger", "trigger"), ("outcome", "outcome")];
            for (name, key) in expected {
                assert_eq!(told[name], field(key), "{}: {name}", kept.from.display());
            }
            let whole: BTreeMap<String, redis::Value> = running.ask(&["SENTINEL", "HISTORY", "mymaster", &told["id"]]);
            let lines = written["lines"].as_array().expect("a list").iter();
            let lines: Vec<String> =
                lines.map(|line| format!("{} {}", line[0], line[1].as_str().expect("a text"))).collect();
            assert!(lines.len() > 1, "{written}");
            assert_eq!(
                redis::from_redis_value_ref::<Vec<String>>(&whole["lines"]),
                Ok(lines),
                "{}",
                kept.from.display()
            );
            assert_eq!(redis::from_redis_value_ref::<String>(&whole["omitted"]), Ok(field("omitted")));
        }
    }
}
