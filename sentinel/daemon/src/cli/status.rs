//! `sentinel status`: all masters and what is wrong, on one screen.

use std::{thread, time::Duration};

use redis::RedisError;
use serde_json::{Value as Json, json};

use super::{
    Exit, reply,
    target::{Format, Target},
    verbs,
};
use crate::terminal::say;

/// How often `--watch` shows it.
const PAUSE: Duration = Duration::from_secs(1);
/// Clears a terminal and goes to its first line.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows it; with `again` each second until somebody ends the program.
pub(super) fn run(target: &Target, again: bool) -> Exit {
    loop {
        let shown = show(target, if again && target.format() == Format::Table { CLEAR } else { "" });
        if !again {
            return match shown {
                Ok(well) if well => Exit::Success,
                Ok(_) => Exit::Failure,
                Err(exit) => exit,
            };
        }
        // A Sentinel that is away for a moment may come back.
        if let Err(exit @ (Exit::Usage | Exit::Failure | Exit::Refused)) = shown {
            return exit;
        }
        thread::sleep(PAUSE);
    }
}

/// Whether all is well.
fn show(target: &Target, before: &str) -> Result<bool, Exit> {
    let masters = reply::tables(&target.ask(&["masters"])?);
    // A redis-sentinel lists none.
    let problems = target.try_ask(&["problems"])?.map(|answer| reply::tables(&answer));
    let unwell = |master: &&Json| reply::cell(master, "flags") != "master";
    let sick = masters.iter().filter(unwell).count();
    let bad = |it: &Vec<Json>| it.iter().any(|it| it["severity"] != "info");
    let well = sick == 0 && !problems.as_ref().is_ok_and(bad);
    let summary = summary(masters.len(), sick, problems.as_deref());
    match target.format() {
        Format::Json => {
            let problems = problems.ok();
            say!("{}", json!({ "well": well, "summary": summary, "masters": masters, "problems": problems }));
        }
        Format::Tsv => verbs::print(target, verbs::MASTERS, &masters),
        Format::Table => {
            let table = reply::aligned(verbs::MASTERS, &masters);
            let problems = verbs::paragraphs(problems.as_deref().unwrap_or_default());
            say!("{before}{summary}\n\n{}", format!("{table}\n{problems}").trim_end());
        }
    }
    Ok(well)
}

fn summary(masters: usize, sick: usize, problems: Result<&[Json], &RedisError>) -> String {
    let well = masters - sick;
    let noun = if masters == 1 { "master" } else { "masters" };
    let text = format!("{well} of {masters} {noun} well");
    match problems {
        Err(_) => format!("{text}; this Sentinel lists no problems"),
        Ok([]) => format!("{text}, nothing is wrong"),
        Ok([worst, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
            format!("{text} · {}: {}{more}", reply::cell(worst, "code"), reply::cell(worst, "problem"))
        }
    }
}
