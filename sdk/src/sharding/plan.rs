//! What goes to which shard, and how the answers become one. Pure.

use std::sync::Arc;

use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use super::slot::slot_of;
use crate::command;
use crate::error::Error;
use crate::keys::{Keys, arguments, keys, single_key};

/// Where the slots are.
pub(super) trait Layout {
    /// The position of the shard that has it.
    fn shard(&self, slot: u16) -> usize;
    /// The name of the shard at a position.
    fn name(&self, shard: usize) -> Arc<str>;
}

/// One command on its way.
#[derive(Debug)]
pub(super) enum Plan {
    /// As it is to this shard.
    Whole(usize),
    /// In parts.
    Split(Vec<Part>, Join),
}

/// What one shard gets of a command.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) shard: usize,
    pub(super) command: Cmd,
    /// Which of the keys of the whole command these are.
    keys: Vec<usize>,
}

/// How the answers to the parts become that to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Join {
    /// The numbers are added: DEL, EXISTS, TOUCH, UNLINK.
    Sum,
    /// The values of so many keys, in their order: MGET.
    Values(usize),
    /// Each is OK: MSET.
    Ok,
}

/// The slots of a command, the only one usually.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Slots {
    One(u16),
    Many(Vec<u16>),
}

impl Slots {
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> {
        match self {
            Self::One(slot) => std::slice::from_ref(slot).iter(),
            Self::Many(slots) => slots.iter(),
        }
        .copied()
    }
}

/// The slots that a command touches.
pub(super) fn slots(command: &Cmd) -> Result<Slots, Error> {
    if let Some(key) = single_key(command) {
        return Ok(Slots::One(slot_of(key)));
    }
    let arguments = arguments(command);
    let refuse = |reason| Err(Error::NoShard { command: command::name(command), reason });
    match keys(&arguments) {
        Keys::At(positions) => Ok(Slots::Many(positions.iter().map(|at| slot_of(arguments[*at])).collect())),
        Keys::None => refuse("names no key"),
        Keys::Unknown => refuse("is not known to this crate, and so are its keys"),
    }
}

/// Decides where a command goes whose keys lie in these slots.
pub(super) fn plan(command: &Cmd, slots: &Slots, layout: &impl Layout) -> Result<Plan, Error> {
    let mut shards: Vec<usize> = Vec::new();
    for slot in slots.iter() {
        let shard = layout.shard(slot);
        if !shards.contains(&shard) {
            shards.push(shard);
        }
    }
    if let [shard] = *shards {
        return Ok(Plan::Whole(shard));
    }
    let count = slots.iter().count();
    let (join, width) = match command::name(command).as_str() {
        "DEL" | "EXISTS" | "TOUCH" | "UNLINK" => (Join::Sum, 1),
        "MGET" => (Join::Values(count), 1),
        "MSET" => (Join::Ok, 2),
        name => {
            let shards = shards.into_iter().map(|shard| layout.name(shard)).collect();
            return Err(Error::CrossShard { command: name.to_owned(), shards });
        }
    };
    let arguments = arguments(command);
    if arguments.len() != 1 + count * width {
        // A key without its value: the server says so.
        return Ok(Plan::Whole(shards[0]));
    }
    let mut parts: Vec<Part> = shards
        .into_iter()
        .map(|shard| Part { shard, command: redis::cmd(&command::name(command)), keys: Vec::new() })
        .collect();
    for (number, slot) in slots.iter().enumerate() {
        let shard = layout.shard(slot);
        if let Some(part) = parts.iter_mut().find(|part| part.shard == shard) {
            let first = 1 + number * width;
            for argument in &arguments[first..first + width] {
                part.command.arg(*argument);
            }
            part.keys.push(number);
        }
    }
    Ok(Plan::Split(parts, join))
}

/// Makes one answer of those to the parts, which none of them is an error.
pub(super) fn join(join: Join, parts: &[Part], answers: Vec<Value>) -> RedisResult<Value> {
    let strange = || RedisError::from((redis::ErrorKind::UnexpectedReturnType, "a shard answered with another type"));
    match join {
        Join::Ok => Ok(Value::Okay),
        Join::Sum => {
            let add = |sum: i64, answer| match answer {
                Value::Int(number) => sum.checked_add(number),
                _ => None,
            };
            answers.into_iter().try_fold(0, add).map(Value::Int).ok_or_else(strange)
        }
        Join::Values(count) => {
            let mut values = vec![Value::Nil; count];
            for (part, answer) in parts.iter().zip(answers) {
                match answer {
                    Value::Array(found) if found.len() == part.keys.len() => {
                        for (number, value) in part.keys.iter().zip(found) {
                            values[*number] = value;
                        }
                    }
                    _ => return Err(strange()),
                }
            }
            Ok(Value::Array(values))
        }
    }
}

/// A pipeline on its way.
#[derive(Debug)]
pub(super) enum PipelinePlan {
    /// As it is to this shard.
    Whole(usize),
    /// Each command for itself.
    Split(Vec<Plan>),
}

/// Decides where a pipeline goes of whose commands these are the slots.
pub(super) fn plan_pipeline(pipeline: &Pipeline, slots: &[Slots], layout: &impl Layout) -> Result<PipelinePlan, Error> {
    let mut shards: Vec<usize> = slots.iter().flat_map(Slots::iter).map(|slot| layout.shard(slot)).collect();
    shards.sort_unstable();
    shards.dedup();
    match *shards {
        [] => Ok(PipelinePlan::Whole(0)),
        [shard] => Ok(PipelinePlan::Whole(shard)),
        _ if pipeline.is_transaction() => {
            let shards = shards.into_iter().map(|shard| layout.name(shard)).collect();
            Err(Error::CrossShard { command: "MULTI".to_owned(), shards })
        }
        _ => {
            let plans = pipeline.cmd_iter().zip(slots).map(|(command, slots)| plan(command, slots, layout));
            Ok(PipelinePlan::Split(plans.collect::<Result<_, _>>()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three shards that share the slots in turn.
    struct Thirds;

    impl Layout for Thirds {
        fn shard(&self, slot: u16) -> usize {
            usize::from(slot % 3)
        }

        fn name(&self, shard: usize) -> Arc<str> {
            format!("shard{shard}").into()
        }
    }

    fn command(text: &str) -> Cmd {
        let mut words = text.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        command
    }

    fn planned(text: &str) -> Result<Plan, Error> {
        let command = command(text);
        plan(&command, &slots(&command)?, &Thirds)
    }

    /// A key on that shard.
    fn key(shard: u16, number: u32) -> String {
        let mut keys =
            (0..).map(|suffix| format!("k{number}.{suffix}")).filter(|key| slot_of(key.as_bytes()) % 3 == shard);
        keys.next().unwrap()
    }

    #[test]
    fn parts_and_answers_keep_their_places() {
        let keys = [key(2, 1), key(0, 2), key(2, 3), key(1, 4)];
        let Ok(Plan::Split(parts, how)) = planned(&format!("mget {}", keys.join(" "))) else { panic!() };
        let shards: Vec<_> = parts.iter().map(|part| part.shard).collect();
        assert_eq!(shards, [2, 0, 1]);
        let sent: Vec<_> = parts.iter().map(|part| part.command.args_iter().len() - 1).collect();
        assert_eq!(sent, [2, 1, 1]);
        let int = |number| Value::Int(number);
        let answers =
            vec![Value::Array(vec![int(10), int(30)]), Value::Array(vec![int(20)]), Value::Array(vec![int(40)])];
        let joined = join(how, &parts, answers).unwrap();
        assert_eq!(joined, Value::Array(vec![int(10), int(20), int(30), int(40)]));
        // An answer of another length would put values to wrong keys.
        let short = vec![Value::Array(vec![int(1)]); 3];
        assert!(join(how, &parts, short).is_err());
    }

    #[test]
    fn values_go_with_their_keys() {
        let (a, b) = (key(0, 1), key(1, 2));
        let Ok(Plan::Split(parts, Join::Ok)) = planned(&format!("mset {a} 1 {b} 2")) else { panic!() };
        let words: Vec<Vec<_>> = parts.iter().map(|part| arguments(&part.command)).collect();
        assert_eq!(words, [[b"MSET".as_slice(), a.as_bytes(), b"1"], [b"MSET".as_slice(), b.as_bytes(), b"2"]]);
    }

    #[test]
    fn what_cannot_be_split_is_refused_before_it_is_sent() {
        let (a, b) = (key(0, 1), key(1, 2));
        let refused = |text: String| planned(&text).unwrap_err().to_string();
        let error = refused(format!("rename {a} {b}"));
        assert!(error.contains("RENAME") && error.contains("shard0, shard1"), "{error}");
        assert!(refused("ping".to_owned()).contains("names no key"));
        assert!(refused("json.get k".to_owned()).contains("not known"));
        assert!(matches!(planned("rename {x}a {x}b"), Ok(Plan::Whole(_))));
        let mut transaction = redis::pipe();
        transaction.atomic().add_command(command(&format!("set {a} 1"))).add_command(command(&format!("set {b} 1")));
        let slots: Vec<_> = transaction.cmd_iter().map(|command| slots(command).unwrap()).collect();
        let error = plan_pipeline(&transaction, &slots, &Thirds).unwrap_err();
        assert!(error.to_string().contains("MULTI"), "{error}");
    }
}
