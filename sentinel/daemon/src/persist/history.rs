//! What happened to masters, in a file beside the state: one JSON object a line, the newest last. Nothing waits for it, and nothing
//! depends on it.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use sentinel_core::history::{Incident, Line};
use serde_json::{Value, json};

/// So many bytes of a file are read at most, from its end, for each incident that is kept.
const MOST: u64 = 80 << 10;

/// The thread that keeps incidents.
#[derive(Debug)]
pub(crate) struct History(Sender<Arc<Incident>>);

impl History {
    /// Reads what is kept, and starts the thread that keeps more. `state` is the file of the state, `size` how many are kept.
    pub(crate) fn open(state: &Path, size: usize) -> io::Result<(Self, Vec<Incident>)> {
        let path = beside(state);
        let (known, lines) = match read(&path, size) {
            Ok(known) => known,
            Err(error) => {
                tracing::warn!("{} cannot be read, what happened before is not shown: {error}", path.display());
                (Vec::new(), 0)
            }
        };
        let (incidents, inbox) = mpsc::channel();
        let kept = known.clone();
        thread::Builder::new().name("history".into()).spawn(move || keep(&path, size, &inbox, kept, lines))?;
        Ok((History(incidents), known))
    }

    /// Keeps one more.
    pub(crate) fn add(&self, incident: Arc<Incident>) {
        // The thread ends with the process only.
        let _ = self.0.send(incident);
    }
}

fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".history");
    name.into()
}

/// The file has up to twice as many lines as incidents are kept before it is written anew with the newest.
fn keep(path: &Path, size: usize, inbox: &Receiver<Arc<Incident>>, mut known: Vec<Incident>, mut lines: usize) {
    let full = 2 * size;
    let mut told = false;
    while let Ok(incident) = inbox.recv() {
        known.push((*incident).clone());
        let surplus = known.len().saturating_sub(size);
        known.drain(..surplus);
        let outcome = if lines >= full { rewrite(path, &known) } else { append(path, &incident) };
        match outcome {
            Ok(()) => {
                lines = if lines >= full { known.len() } else { lines + 1 };
                told = false;
            }
            // It is said once: the next incident is tried again.
            Err(error) if !told => {
                tracing::warn!("{} cannot be written: {error}", path.display());
                told = true;
            }
            Err(_) => {}
        }
    }
}

fn append(path: &Path, incident: &Incident) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path)?;
    // A line that was cut off by a crash must not spoil the next one.
    let whole = file.metadata()?.len() == 0 || {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        last == *b"\n"
    };
    let before = if whole { "" } else { "\n" };
    file.write_all(format!("{before}{}\n", written(incident)).as_bytes())?;
    file.sync_data()
}

fn rewrite(path: &Path, known: &[Incident]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&temporary)?;
    let mut lines = Vec::new();
    for incident in known {
        lines.extend_from_slice(format!("{}\n", written(incident)).as_bytes());
    }
    file.write_all(&lines)?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)
}

/// The newest incidents, and how many lines the file has. Lines that say nothing are passed over.
fn read(path: &Path, size: usize) -> io::Result<(Vec<Incident>, usize)> {
    let most = MOST * u64::try_from(size).unwrap_or(u64::MAX);
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut known: Vec<Incident> = text.lines().filter_map(parsed).collect();
    let surplus = known.len().saturating_sub(size);
    known.drain(..surplus);
    Ok((known, text.lines().count()))
}

fn written(incident: &Incident) -> Value {
    let Incident { master, id, lasted, trigger, outcome, lines, omitted } = incident;
    let lines: Vec<Value> = lines.iter().map(|line| json!([line.at, line.text])).collect();
    json!({
        "master": master, "id": id, "lasted_ms": lasted, "trigger": trigger, "outcome": outcome, "omitted": omitted, "lines": lines,
    })
}

fn parsed(line: &str) -> Option<Incident> {
    let it: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| it[name].as_str().map(str::to_owned);
    let line = |line: &Value| Some(Line { at: line[0].as_u64()?, text: line[1].as_str()?.to_owned() });
    Some(Incident {
        master: text("master")?,
        id: it["id"].as_u64()?,
        lasted: it["lasted_ms"].as_u64()?,
        trigger: text("trigger")?,
        outcome: text("outcome")?,
        lines: it["lines"].as_array()?.iter().map(line).collect::<Option<_>>()?,
        omitted: u32::try_from(it["omitted"].as_u64()?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(id: u64) -> Incident {
        let line = |at, text: &str| Line { at, text: text.to_owned() };
        Incident {
            master: "m \"x\"".to_owned(),
            id,
            lasted: 7,
            trigger: "+sdown".to_owned(),
            outcome: "the master was back".to_owned(),
            lines: vec![line(0, "+sdown\n"), line(7, "-sdown")],
            omitted: 1,
        }
    }

    #[test]
    fn incidents_come_back_and_a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("sentinel.conf"));
        assert_eq!(read(&path, 9).unwrap(), (Vec::new(), 0));
        append(&path, &incident(1)).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"master\":\"m\",\"id\":").unwrap();
        append(&path, &incident(2)).unwrap();
        assert_eq!(read(&path, 9).unwrap(), (vec![incident(1), incident(2)], 3));
        assert_eq!(read(&path, 1).unwrap(), (vec![incident(2)], 3));
    }

    #[test]
    fn the_file_keeps_the_newest_and_does_not_grow_without_bound() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("sentinel.conf");
        let (incidents, inbox) = mpsc::channel();
        for id in 0..60 {
            incidents.send(Arc::new(incident(id))).unwrap();
        }
        drop(incidents);
        keep(&beside(&state), 20, &inbox, Vec::new(), 0);
        let (known, lines) = read(&beside(&state), 20).unwrap();
        assert_eq!((known.len(), known.last().map(|it| it.id)), (20, Some(59)));
        assert!(lines <= 40, "{lines}");
    }
}
