//! `sentinel watch`: events as they happen.

use jiff::Zoned;
use serde_json::json;

use super::{
    Exit,
    conversation::Conversation,
    reply,
    target::{self, Format, Target, Unserved},
};
use crate::terminal::say;

/// Prints what is published until the connection ends. Patterns are those of PSUBSCRIBE.
pub(super) fn run(target: &Target, patterns: &[String]) -> Exit {
    let line = match target.line() {
        Ok(line) => line,
        Err(exit) => return exit,
    };
    let mut subscribe = redis::cmd("PSUBSCRIBE");
    if patterns.is_empty() {
        subscribe.arg("*");
    } else {
        subscribe.arg(patterns);
    }
    let outcome = line.say_to_first(&[subscribe]).map(|first| first.conversation);
    match outcome {
        Ok(conversation) => follow(target, conversation),
        Err(Unserved::Refused(error)) => {
            let (exit, text) = target::refused(&error);
            target.complain(exit, &text);
            exit
        }
        Err(Unserved::Unreached(text)) => {
            target.complain(Exit::Unreachable, &text);
            Exit::Unreachable
        }
    }
}

fn follow(target: &Target, mut conversation: Conversation) -> Exit {
    loop {
        let Ok(message) = conversation.next() else {
            target.complain(Exit::Unreachable, "the Sentinel has closed the connection");
            return Exit::Unreachable;
        };
        let Some((event, payload)) = reply::published(&message) else { continue };
        let now = Zoned::now();
        match target.format() {
            Format::Json => {
                say!("{}", json!({ "time": now.timestamp().to_string(), "event": event, "payload": payload }));
            }
            Format::Tsv => say!("{}\t{event}\t{payload}", now.timestamp()),
            Format::Table => say!("{} {event} {payload}", now.strftime("%H:%M:%S%.3f")),
        }
    }
}
