//! What an answer, or the lack of one, says about the node and about the command.

use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerError, Value};

use crate::command;

/// What may be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The command has its answer (which may be an error of its own).
    Answered,
    /// Nothing was written: the node refused. Retry, after asking the Sentinels if the sign says so.
    Refused(Sign),
    /// Something may have been executed, and something was refused.
    Suspicious(Sign),
    /// No answer came: the command may have been executed.
    Lost,
}

/// What a refusal says about the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// It is no master.
    NoMaster,
    /// It may be one, and cannot serve now: it loads its data, or lacks replicas.
    NotNow,
}

/// Judges the answer to one command.
pub(crate) fn judge(command: &Cmd, answer: &RedisResult<Value>) -> Verdict {
    match answer {
        Ok(Value::ServerError(error)) => match refusal(command, error) {
            Some(sign) => Verdict::Refused(sign),
            None => told_inside(error),
        },
        Ok(value) if holds_no_master(value) => Verdict::Suspicious(Sign::NoMaster),
        Ok(_) => Verdict::Answered,
        Err(error) => judge_error(error, |error| refusal(command, error)),
    }
}

/// Judges the answers to a pipeline.
///
/// A refused command of a plain pipeline left no trace, but its neighbours may have been executed: the whole is repeated
/// only if every executed one is idempotent.
pub(crate) fn judge_pipeline(pipeline: &Pipeline, answers: &RedisResult<Vec<Value>>) -> Verdict {
    let answers = match answers {
        Ok(answers) => answers,
        // Of a transaction that was given up while it was queued: nothing was executed.
        Err(error) => return judge_error(error, sign),
    };
    if !answers.iter().any(holds_refusal) {
        return Verdict::Answered;
    }
    let error_of = |answer: &Value| match answer {
        Value::ServerError(error) => Some(error.clone()),
        _ => None,
    };
    if pipeline.is_transaction() {
        // The only answer is that of EXEC: a refusal of EXEC itself means that nothing was executed.
        let refused = answers.iter().map(|answer| error_of(answer).and_then(|error| sign(&error)));
        return match worst(refused) {
            Some(sign) => Verdict::Refused(sign),
            None if answers.iter().any(holds_no_master) => Verdict::Suspicious(Sign::NoMaster),
            None => Verdict::Answered,
        };
    }
    let refused = |(command, answer)| error_of(answer).and_then(|error| refusal(command, &error));
    let pairs = || pipeline.cmd_iter().zip(answers);
    let harmless = answers.len() == pipeline.len()
        && pairs().all(|pair| refused(pair).is_some() || command::nature(pair.0).idempotent);
    match worst(pairs().filter_map(refused).map(Some)) {
        Some(sign) if harmless => Verdict::Refused(sign),
        _ if answers.iter().any(holds_no_master) => Verdict::Suspicious(Sign::NoMaster),
        Some(_) => Verdict::Suspicious(Sign::NotNow),
        None => Verdict::Answered,
    }
}

/// `None` if one of them is none, or there is none.
fn worst(signs: impl Iterator<Item = Option<Sign>>) -> Option<Sign> {
    signs.reduce(|worst, sign| match (worst?, sign?) {
        (Sign::NotNow, Sign::NotNow) => Some(Sign::NotNow),
        _ => Some(Sign::NoMaster),
    })?
}

fn judge_error(error: &RedisError, sign: impl Fn(&ServerError) -> Option<Sign>) -> Verdict {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Verdict::Lost,
        _ => match error.clone().into_server_errors() {
            Some(errors) => {
                let mut signs = errors.iter().filter_map(|(_, error)| sign(error));
                signs.next().map_or(Verdict::Answered, Verdict::Refused)
            }
            None => Verdict::Answered,
        },
    }
}

/// An error of a script or of a module that is no refusal of the whole: what the server said to it inside still says something of the node.
fn told_inside(error: &ServerError) -> Verdict {
    if sign(error) == Some(Sign::NoMaster) { Verdict::Suspicious(Sign::NoMaster) } else { Verdict::Answered }
}

/// Whether the error says: not executed, and another node or a later moment will do.
///
/// Scripts, functions and commands of modules may say anything, also after they have written. Of them only what the servers say in their
/// own words is believed: of a node that refuses writes, or loads its data, no write of the script was accepted either.
fn refusal(command: &Cmd, error: &ServerError) -> Option<Sign> {
    let sign = sign(error)?;
    (!command::runs_code(command) || is_verbatim(error)).then_some(sign)
}

/// What a server error says, whoever it comes from.
pub(crate) fn sign(error: &ServerError) -> Option<Sign> {
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "EXECABORT" => {
            detail.split_once("because of: ").and_then(|(_, cause)| sign_of(cause.split_whitespace().next()?))
        }
        // The blocked command was thrown out because the master became a replica. CLIENT UNBLOCK uses the same code.
        "UNBLOCKED" => detail.contains("instance state changed").then_some(Sign::NoMaster),
        code => sign_of(code),
    }
}

/// BUSY is left out: the master is the right one, and a script that runs for long is for its owner to see.
fn sign_of(code: &str) -> Option<Sign> {
    match code {
        "READONLY" | "MASTERDOWN" => Some(Sign::NoMaster),
        "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS" => Some(Sign::NotNow),
        _ => None,
    }
}

/// Whether these are the words of Redis and Valkey themselves, possibly with the place in a script at which they were said.
pub(crate) fn is_verbatim(error: &ServerError) -> bool {
    let detail = error.details().unwrap_or_default();
    let words = detail.split(" script: ").next().unwrap_or_default();
    match error.code() {
        "READONLY" => {
            matches!(
                words,
                "You can't write against a read only replica."
                    | "You can't write against a read only slave."
                    | "Can not run script with write flag on readonly replica"
            )
        }
        "MASTERDOWN" => words.starts_with("Link with MASTER is down") && words.contains("replica-serve-stale-data"),
        "LOADING" => {
            matches!(detail, "Redis is loading the dataset in memory" | "Valkey is loading the dataset in memory")
        }
        "NOREPLICAS" => matches!(words, "Not enough good replicas to write." | "Not enough good slaves to write."),
        "UNBLOCKED" => detail.starts_with("force unblock from blocking operation, instance state changed"),
        "EXECABORT" => detail.starts_with("Transaction discarded because of: "),
        _ => false,
    }
}

/// Whether a refusal stands anywhere inside the value.
fn holds_refusal(value: &Value) -> bool {
    holds(value, &|error| sign(error).is_some())
}

fn holds_no_master(value: &Value) -> bool {
    holds(value, &|error| sign(error) == Some(Sign::NoMaster))
}

fn holds(value: &Value, fits: &impl Fn(&ServerError) -> bool) -> bool {
    let in_pairs = |pairs: &[(Value, Value)]| pairs.iter().any(|(key, value)| holds(key, fits) || holds(value, fits));
    match value {
        Value::ServerError(error) => fits(error),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => {
            items.iter().any(|item| holds(item, fits))
        }
        Value::Map(pairs) => in_pairs(pairs),
        Value::Attribute { data, attributes } => holds(data, fits) || in_pairs(attributes),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resp: &str) -> Value {
        redis::parse_redis_value(resp.as_bytes()).unwrap()
    }

    fn of(command: &str, resp: &str) -> Verdict {
        judge(&redis::cmd(command), &Ok(value(resp)))
    }

    fn verdict(resp: &str) -> String {
        format!("{:?}", of("SET", resp)).replace("(NoMaster)", "").replace("(NotNow)", "")
    }

    #[test]
    fn refusals_are_told_from_answers() {
        for refusal in [
            "-READONLY You can't write against a read only replica.\r\n",
            "-MASTERDOWN Link with MASTER is down\r\n",
            "-LOADING Redis is loading the dataset in memory\r\n",
            "-NOREPLICAS Not enough good replicas to write.\r\n",
            "-CLUSTERDOWN x\r\n",
            "-EXECABORT Transaction discarded because of: READONLY You can't write\r\n",
            "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n",
        ] {
            assert_eq!(verdict(refusal), "Refused", "{refusal}");
        }
        for answer in [
            "+OK\r\n",
            "-ERR unknown\r\n",
            "-BUSY script\r\n",
            "-WRONGTYPE x\r\n",
            "-EXECABORT Transaction discarded because of previous errors.\r\n",
            "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n",
            "$20\r\n-READONLY not really\r\n",
        ] {
            assert_eq!(verdict(answer), "Answered", "{answer}");
        }
    }

    #[test]
    fn what_only_lacks_something_does_not_speak_against_the_node() {
        assert_eq!(of("SET", "-READONLY x\r\n"), Verdict::Refused(Sign::NoMaster));
        for code in ["LOADING", "NOREPLICAS", "TRYAGAIN", "CLUSTERDOWN"] {
            assert_eq!(of("SET", &format!("-{code} x\r\n")), Verdict::Refused(Sign::NotNow), "{code}");
        }
    }

    #[test]
    fn of_scripts_and_modules_only_the_words_of_the_server_are_believed() {
        for command in ["EVAL", "evalsha", "FCALL", "JSON.SET"] {
            for forged in ["TRYAGAIN later", "LOADING my things", "CLUSTERDOWN x", "NOREPLICAS for you"] {
                assert_eq!(of(command, &format!("-{forged}\r\n")), Verdict::Answered, "{command}: {forged}");
            }
            assert_eq!(of(command, "-READONLY this room\r\n"), Verdict::Suspicious(Sign::NoMaster));
            for (told, sign) in [
                ("LOADING Redis is loading the dataset in memory", Sign::NotNow),
                ("NOREPLICAS Not enough good replicas to write.", Sign::NotNow),
                ("READONLY You can't write against a read only replica.", Sign::NoMaster),
                (
                    "READONLY You can't write against a read only replica. script: 1f, on @user_script:1.",
                    Sign::NoMaster,
                ),
                ("READONLY Can not run script with write flag on readonly replica", Sign::NoMaster),
                ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Sign::NoMaster),
            ] {
                assert_eq!(of(command, &format!("-{told}\r\n")), Verdict::Refused(sign), "{command}: {told}");
            }
        }
    }

    #[test]
    fn a_refusal_is_found_however_deep_it_hides() {
        let readonly = "-READONLY x\r\n";
        for hiding in [
            format!("*2\r\n+OK\r\n{readonly}"),
            format!("*1\r\n*2\r\n:1\r\n*1\r\n{readonly}"),
            format!("%1\r\n+key\r\n{readonly}"),
            format!("~1\r\n{readonly}"),
        ] {
            assert_eq!(verdict(&hiding), "Suspicious", "{hiding}");
        }
    }

    #[test]
    fn a_pipeline_is_repeated_only_if_nothing_with_an_effect_was_executed() {
        let mut writes = redis::pipe();
        writes.cmd("SET").arg("a").arg(1).cmd("INCR").arg("b");
        let mut mixed = redis::pipe();
        mixed.cmd("SET").arg("a").arg(1).cmd("GET").arg("a");
        let readonly = || value("-READONLY x\r\n");
        let judged = |pipeline: &Pipeline, answers: Vec<Value>| {
            format!("{:?}", judge_pipeline(pipeline, &Ok(answers))).replace("(NoMaster)", "")
        };

        assert_eq!(judged(&writes, vec![readonly(), readonly()]), "Refused");
        assert_eq!(judged(&writes, vec![Value::Okay, readonly()]), "Suspicious");
        assert_eq!(judged(&mixed, vec![readonly(), Value::Nil]), "Refused");
        assert_eq!(judged(&mixed, vec![Value::Okay, Value::Nil]), "Answered");
    }

    #[test]
    fn a_lost_connection_and_garbage_leave_the_outcome_open() {
        for error in [
            RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe)),
            RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut)),
            RedisError::from((ErrorKind::Parse, "garbage")),
        ] {
            assert!(matches!(judge(&redis::cmd("SET"), &Err(error)), Verdict::Lost));
        }
        assert!(matches!(
            judge(&redis::cmd("SET"), &Err(RedisError::from((ErrorKind::Client, "empty command")))),
            Verdict::Answered
        ));
    }
}
