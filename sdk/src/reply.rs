//! What an answer, or the lack of one, says about the node and about the command.

use redis::{ErrorKind, Pipeline, RedisError, RedisResult, ServerError, Value};

use crate::command;

/// What may be done next.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The command has its answer (which may be an error of its own).
    Answered,
    /// Nothing with an effect was executed: the node refused. Retry after asking the Sentinels.
    Refused,
    /// Something may have been executed, but a refusal inside the answer shows that the node is not the master it was taken for.
    Suspicious,
    /// No answer came: the command may have been executed.
    Lost,
}

/// Judges the answer to one command.
pub(crate) fn judge(answer: &RedisResult<Value>) -> Verdict {
    match answer {
        Ok(Value::ServerError(error)) if is_refusal(error) => Verdict::Refused,
        Ok(value) if holds_refusal(value) => Verdict::Suspicious,
        Ok(_) => Verdict::Answered,
        Err(error) => judge_error(error),
    }
}

/// Judges the answers to a pipeline.
///
/// A refused command of a plain pipeline left no trace, but its neighbours may have been executed: the whole is repeated
/// only if every executed one is idempotent.
pub(crate) fn judge_pipeline(pipeline: &Pipeline, answers: &RedisResult<Vec<Value>>) -> Verdict {
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => return judge_error(error),
    };
    let refused = |answer: &Value| matches!(answer, Value::ServerError(error) if is_refusal(error));
    if !answers.iter().any(holds_refusal) {
        return Verdict::Answered;
    }
    if pipeline.is_transaction() {
        // The only answer is that of EXEC: a refusal of EXEC itself means that nothing was executed.
        return if answers.iter().all(refused) { Verdict::Refused } else { Verdict::Suspicious };
    }
    let harmless = answers.len() == pipeline.len()
        && pipeline
            .cmd_iter()
            .zip(answers)
            .all(|(command, answer)| refused(answer) || command::nature(command).idempotent);
    if harmless && answers.iter().any(refused) { Verdict::Refused } else { Verdict::Suspicious }
}

fn judge_error(error: &RedisError) -> Verdict {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Parse => Verdict::Lost,
        _ => match error.clone().into_server_errors() {
            // An aborted transaction executed nothing.
            Some(errors) if errors.iter().any(|(_, error)| is_refusal(error)) => Verdict::Refused,
            _ => Verdict::Answered,
        },
    }
}

/// Whether the error says: not executed, and another node or a later moment will do.
pub(crate) fn is_refusal(error: &ServerError) -> bool {
    let detail = error.details().unwrap_or_default();
    match error.code() {
        "EXECABORT" => detail
            .split_once("because of: ")
            .and_then(|(_, cause)| cause.split_whitespace().next())
            .is_some_and(is_refusing_code),
        // The blocked command was thrown out because the master became a replica. CLIENT UNBLOCK uses the same code.
        "UNBLOCKED" => detail.contains("instance state changed"),
        code => is_refusing_code(code),
    }
}

/// BUSY is left out: the master is the right one, and a script that runs for long is for its owner to see.
fn is_refusing_code(code: &str) -> bool {
    matches!(code, "READONLY" | "MASTERDOWN" | "LOADING" | "CLUSTERDOWN" | "TRYAGAIN" | "NOREPLICAS")
}

/// Whether a refusal stands anywhere inside the value.
fn holds_refusal(value: &Value) -> bool {
    let in_pairs =
        |pairs: &[(Value, Value)]| pairs.iter().any(|(key, value)| holds_refusal(key) || holds_refusal(value));
    match value {
        Value::ServerError(error) => is_refusal(error),
        Value::Array(items) | Value::Set(items) | Value::Push { data: items, .. } => items.iter().any(holds_refusal),
        Value::Map(pairs) => in_pairs(pairs),
        Value::Attribute { data, attributes } => holds_refusal(data) || in_pairs(attributes),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(resp: &str) -> Value {
        redis::parse_redis_value(resp.as_bytes()).unwrap()
    }

    fn verdict(resp: &str) -> String {
        format!("{:?}", judge(&Ok(value(resp))))
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
        let judged = |pipeline: &Pipeline, answers: Vec<Value>| format!("{:?}", judge_pipeline(pipeline, &Ok(answers)));

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
            assert!(matches!(judge(&Err(error)), Verdict::Lost));
        }
        assert!(matches!(judge(&Err(RedisError::from((ErrorKind::Client, "empty command")))), Verdict::Answered));
    }
}
