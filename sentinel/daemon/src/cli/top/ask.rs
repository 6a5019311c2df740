//! What the Sentinel says: asked each second, and its events as they happen.

use std::{
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::Duration,
};

use jiff::Zoned;
use redis::{Cmd, Value};
use serde_json::Value as Json;

use super::super::{
    conversation::{Conversation, Unanswered},
    reply,
    target::{self, Line, Unserved},
};

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(1);
/// Between two attempts to hear events.
const AGAIN: Duration = Duration::from_secs(1);

/// What comes from the Sentinel.
#[derive(Debug)]
pub(super) enum News {
    /// What it answered.
    Look(Box<Look>),
    /// None answered, and why.
    Lost(String),
    /// Something happened.
    Event(Happened),
}

/// What was answered at one time.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// Who answered.
    pub(super) from: String,
    pub(super) masters: Vec<Json>,
    /// None: it lists no problems, as redis-sentinel.
    pub(super) problems: Option<Vec<Json>>,
    pub(super) detail: Option<Detail>,
}

/// All of one master.
#[derive(Debug, Default)]
pub(super) struct Detail {
    pub(super) name: String,
    pub(super) replicas: Vec<Json>,
    pub(super) sentinels: Vec<Json>,
    pub(super) candidates: Vec<Json>,
    pub(super) consensus: Vec<Json>,
    pub(super) history: Vec<Json>,
    pub(super) explanation: Vec<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) time: String,
    pub(super) event: String,
    pub(super) payload: String,
}

/// Begins to ask and to listen. What is sent to the channel says of which master all is wanted. The threads end with the
/// program.
pub(super) fn start(line: Line, news: Sender<News>) -> Sender<Option<String>> {
    let (wanted, asked) = mpsc::channel();
    let (listening, told) = (line.clone(), news.clone());
    thread::spawn(move || listen(&listening, &told));
    thread::spawn(move || ask(&line, &asked, &news));
    wanted
}

fn ask(line: &Line, asked: &Receiver<Option<String>>, news: &Sender<News>) {
    let (mut wanted, mut open): (Option<String>, Option<(Conversation, String)>) = (None, None);
    loop {
        let outcome = open.take().map_or_else(|| begin(line, &[]), Ok).and_then(|(mut conversation, from)| {
            let look = look(&mut conversation, line.patience, wanted.as_deref());
            look.map(|look| (Look { from: from.clone(), ..look }, (conversation, from)))
        });
        let told = match outcome {
            Ok((look, conversation)) => {
                open = Some(conversation);
                News::Look(Box::new(look))
            }
            Err(why) => News::Lost(why),
        };
        if news.send(told).is_err() {
            return;
        }
        match asked.recv_timeout(EVERY) {
            Ok(name) => wanted = asked.try_iter().last().unwrap_or(name),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The first Sentinel that answers, and its address.
fn begin(line: &Line, commands: &[Cmd]) -> Result<(Conversation, String), String> {
    match line.say_to_first(commands) {
        Ok(first) => Ok((first.conversation, target::shown(first.place))),
        Err(Unserved::Refused(error)) => Err(target::refused(&error).1),
        Err(Unserved::Unreached(text)) => Err(text),
    }
}

fn look(conversation: &mut Conversation, patience: Duration, wanted: Option<&str>) -> Result<Look, String> {
    // What it does not know, or does not permit, is left out; a connection that is lost ends the look.
    let masters = conversation.say(&[redis::cmd("SENTINEL").arg("MASTERS").clone()], patience);
    let masters = masters.map_err(|why| target::reason(&why, patience))?;
    let mut say = |words: &[&str]| match conversation.say(&[redis::cmd("SENTINEL").arg(words).clone()], patience) {
        Ok(answer) => Ok(Some(answer)),
        Err(Unanswered::Refused(_)) => Ok(None),
        Err(why) => Err(target::reason(&why, patience)),
    };
    let problems = say(&["PROBLEMS"])?;
    let detail = match wanted {
        None => None,
        Some(name) => {
            let mut tables =
                |verb: &str| Ok::<_, String>(say(&[verb, name])?.as_ref().map(reply::tables).unwrap_or_default());
            let (replicas, sentinels) = (tables("REPLICAS")?, tables("SENTINELS")?);
            let (candidates, consensus, history) = (tables("CANDIDATES")?, tables("CONSENSUS")?, tables("HISTORY")?);
            let explanation = say(&["EXPLAIN", name])?.as_ref().map(reply::texts).unwrap_or_default();
            Some(Detail { name: name.to_owned(), replicas, sentinels, candidates, consensus, history, explanation })
        }
    };
    let (masters, problems) = (reply::tables(&masters), problems.as_ref().map(reply::tables));
    Ok(Look { from: String::new(), masters, problems, detail })
}

fn listen(line: &Line, news: &Sender<News>) {
    let subscribe = redis::cmd("PSUBSCRIBE").arg("*").clone();
    loop {
        // That nobody answers is told by who asks.
        if let Ok((mut conversation, _)) = begin(line, std::slice::from_ref(&subscribe)) {
            while let Ok(message) = conversation.next() {
                let Some(happened) = happened(&message) else { continue };
                if news.send(News::Event(happened)).is_err() {
                    return;
                }
            }
        }
        thread::sleep(AGAIN);
    }
}

fn happened(message: &Value) -> Option<Happened> {
    let (event, payload) = reply::published(message)?;
    Some(Happened { time: Zoned::now().strftime("%H:%M:%S%.3f").to_string(), event, payload })
}
