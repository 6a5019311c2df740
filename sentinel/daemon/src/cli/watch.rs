//! `sentinel watch`: events as they happen.

use jiff::Zoned;
use redis::{Cmd, Value};
use serde_json::json;

use super::{
    Exit,
    conversation::{Conversation, Unanswered},
    reply,
    target::{self, Format, Target},
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
    let commands: Vec<Cmd> = line.login.iter().cloned().chain([subscribe]).collect();
    let mut troubles = Vec::new();
    for place in &line.places {
        let begun = Conversation::begin(line.tls.clone(), place, line.patience)
            .and_then(|mut it| it.say(&commands, line.patience).map(|_| it));
        match begun {
            Ok(conversation) => return follow(target, conversation),
            Err(Unanswered::Refused(error)) => {
                let (exit, text) = target::refused(&error);
                target.complain(exit, &text);
                return exit;
            }
            Err(Unanswered::Garbled(error)) => troubles.push(target::trouble(place, &error.to_string())),
            Err(Unanswered::Lost(error)) => {
                troubles.push(target::trouble(place, &target::lost(&error, line.patience)));
            }
        }
    }
    target.complain(Exit::Unreachable, &troubles.join("; "));
    Exit::Unreachable
}

fn follow(target: &Target, mut conversation: Conversation) -> Exit {
    loop {
        let Ok(message) = conversation.next() else {
            target.complain(Exit::Unreachable, "the Sentinel has closed the connection");
            return Exit::Unreachable;
        };
        let Value::Array(parts) = message else { continue };
        let words: Vec<String> = parts.iter().filter_map(reply::text).collect();
        let [kind, _, event, payload] = words.as_slice() else { continue };
        if kind != "pmessage" {
            continue;
        }
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
