//! The engine's rules, told as stories: one file under `scenarios/` for each rule and each departure.
//!
//! A story is a list of blocks. Above `----` stands what happens, one command a line; below it what the engine does
//! about it, each line with the seconds since the story began. `#` begins a comment. The surroundings — data nodes,
//! other Sentinels, the disk — are played by the [`stage`]; its commands are listed in `stage/script.rs`.
//!
//! ```text
//! STORY=fencing cargo test -p sentinel-core --test scenarios     only stories whose name contains this
//! BLESS=1 cargo test -p sentinel-core --test scenarios           rewrites what the engine does; read the difference
//! ```

mod stage;

use std::{fmt::Write as _, fs, path::Path};

use stage::Story;

#[test]
#[expect(clippy::disallowed_methods, reason = "the stories are files; only the engine is kept from the surroundings")]
fn every_story_ends_as_written() {
    let wanted = std::env::var("STORY").unwrap_or_default();
    let bless = std::env::var("BLESS").is_ok_and(|value| value == "1");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "txt"));
    paths.sort();
    let mut told = 0;
    let mut complaints = String::new();
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if !name.contains(&wanted) {
            continue;
        }
        told += 1;
        let written = fs::read_to_string(&path).unwrap();
        let story = Story::read(&written);
        let Ok(played) = std::panic::catch_unwind(|| story.play()) else {
            writeln!(complaints, "\n{name}.txt: panicked, see above").unwrap();
            continue;
        };
        if played == written {
            continue;
        }
        if bless {
            fs::write(&path, played).unwrap();
        } else {
            write!(complaints, "\n{name}.txt\n{}", stage::difference(&written, &played)).unwrap();
        }
    }
    assert!(told > 0, "no story's name contains {wanted:?}");
    assert!(complaints.is_empty(), "these stories ended otherwise than written:\n{complaints}");
}
