//! A message of the engine as commands on the wire.

use std::{borrow::Cow, collections::BTreeMap, io::Write as _};

use sentinel_core::{
    Message, Omitted, Part, Step, parts,
    types::{HostPort, Secret, Signed},
};
use sentinel_resp::text;

/// The channel on which Sentinels announce themselves and their configuration.
pub(super) const HELLO_CHANNEL: &str = "__sentinel__:hello";

/// Makes a replica tell its master how far it is, at once instead of within a second. Nothing is answered.
const REPLCONF: &str = "REPLCONF";

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const INFO: &[u8] = b"*1\r\n$4\r\nINFO\r\n";

/// Commands that an instance knows under another name: from (upper case) to.
pub(super) type Renames = BTreeMap<String, String>;

/// One command: its words, the first one possibly renamed.
#[derive(Clone)]
pub(super) struct Command<'a> {
    renames: &'a Renames,
    words: usize,
    /// The words as bulk strings.
    body: Vec<u8>,
}

impl<'a> Command<'a> {
    /// Begins with the command's own name, in upper case.
    pub(super) fn new(renames: &'a Renames, name: &str) -> Self {
        let name = renames.get(name).map_or(name, String::as_str);
        Command { renames, words: 0, body: Vec::with_capacity(64) }.arg(name)
    }

    /// Appends one word.
    pub(super) fn arg(mut self, word: impl AsRef<str>) -> Self {
        let word = text::bytes(word.as_ref());
        self.words += 1;
        // Writing to memory does not fail.
        let _ = write!(self.body, "${}\r\n", word.len());
        self.body.extend_from_slice(&word);
        self.body.extend_from_slice(b"\r\n");
        self
    }

    /// Appends several words.
    fn args<const N: usize>(self, words: [&str; N]) -> Self {
        words.into_iter().fold(self, Command::arg)
    }

    /// Appends all words of another one.
    fn followed_by(mut self, other: &Command<'_>) -> Self {
        self.words += other.words;
        self.body.extend_from_slice(&other.body);
        self
    }

    /// The bytes to send.
    pub(super) fn packed(&self) -> Vec<u8> {
        [format!("*{}\r\n", self.words).as_bytes(), &self.body].concat()
    }
}

/// The answers to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// One.
    One,
    /// One for each of so many commands.
    Several(usize),
    /// One for the last of two commands. The first has none, unless it is refused: that error names the command so.
    OneUnlessRefused(&'static str),
}

/// A message, ready to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    /// All its commands, for one write.
    pub(super) bytes: Cow<'static, [u8]>,
    /// How many answers come back.
    pub(super) answers: Answers,
}

/// Puts a message into the commands that make it up.
pub(super) fn encode(message: &Message, renames: &Renames) -> Encoded {
    let command = |name: &str| Command::new(renames, name);
    let one = |command: Command<'_>| Encoded { bytes: command.packed().into(), answers: Answers::One };
    let two = |one: &Command<'_>, other: &Command<'_>| Encoded {
        bytes: [one.packed(), other.packed()].concat().into(),
        answers: Answers::Several(2),
    };
    match message {
        // Most of what is ever sent: without a name of its own it is the same for all.
        Message::Ping if renames.is_empty() => Encoded { bytes: Cow::Borrowed(PING), answers: Answers::One },
        Message::Info if renames.is_empty() => Encoded { bytes: Cow::Borrowed(INFO), answers: Answers::One },
        Message::Ping => one(command("PING")),
        Message::Info => one(command("INFO")),
        Message::Identify { challenge } => {
            let challenge =
                challenge.map(|nonce| command("SENTINEL").args(["AUTH-CHALLENGE", &nonce.to_string()]).packed());
            let commands = [command("SENTINEL").arg("MYID").packed(), command("INFO").arg("server").packed()];
            let commands: Vec<_> = commands.into_iter().chain(challenge).collect();
            Encoded { answers: Answers::Several(commands.len()), bytes: commands.concat().into() }
        }
        Message::Pause { name, pause: None } => one(command("SENTINEL").args(["RESUME", name.as_str(), "LOCAL"])),
        Message::Pause { name, pause: Some(pause) } => {
            let seconds = pause.ttl.map_or(0, |ttl| ttl.as_secs().max(1)).to_string();
            let reason = pause.reason.as_deref().unwrap_or_default();
            one(command("SENTINEL").args(["PAUSE", name.as_str(), &seconds, reason, "LOCAL"]))
        }
        Message::MayI { user, hand_over } => {
            let user = user.as_deref().unwrap_or("default");
            let slaveof = command("SLAVEOF").args(["NO", "ONE"]);
            let asked = parts(*hand_over).map(|part| {
                let asked = match part {
                    Part::Step(step) => of_step(step, &slaveof),
                    Part::HandOver => command("FAILOVER"),
                    Part::PauseWriters => command("CLIENT").args(["PAUSE", "1", "WRITE"]),
                };
                command("ACL").args(["DRYRUN", user]).followed_by(&asked).packed()
            });
            let asked: Vec<_> = asked.collect();
            Encoded { answers: Answers::Several(asked.len()), bytes: asked.concat().into() }
        }
        Message::ScriptKill => one(command("SCRIPT").arg("KILL")),
        Message::Hello { payload } => one(command("PUBLISH").args([HELLO_CHANNEL, payload])),
        Message::IsMasterDown { addr, epoch, candidate, signed } => {
            let (host, port, epoch) = (addr.host.to_string(), addr.port.to_string(), epoch.to_string());
            let candidate = candidate.as_ref().map_or("*", |id| id.as_str());
            let question = [host.as_str(), &port, &epoch, candidate];
            one(match signed {
                None => command("SENTINEL").arg("is-master-down-by-addr").args(question),
                Some(Signed { master, nonce, signature }) => command("SENTINEL")
                    .args(["REQUEST-VOTE", master.as_str()])
                    .args(question)
                    .arg(nonce.to_string())
                    .arg(signature.to_string()),
            })
        }
        Message::HandOver { to: HostPort { host, port }, timeout } => {
            let (port, ms) = (port.to_string(), timeout.as_millis().to_string());
            let pause = command("CLIENT").args(["PAUSE", &ms, "WRITE"]);
            two(&pause, &command("FAILOVER").args(["TO", &host.to_string(), &port, "TIMEOUT", &ms]))
        }
        Message::CallOff { unpause: false } => one(command("FAILOVER").arg("ABORT")),
        Message::CallOff { unpause: true } => two(&command("FAILOVER").arg("ABORT"), &command("CLIENT").arg("UNPAUSE")),
        Message::SignIn { user, pass } => {
            Encoded { bytes: sign_in(user.as_deref(), pass, renames).into(), answers: Answers::One }
        }
        Message::Acknowledge => Encoded {
            bytes: [command(REPLCONF).args(["GETACK", "*"]).packed(), command("INFO").packed()].concat().into(),
            answers: Answers::OneUnlessRefused(REPLCONF),
        },
        Message::Promote { omitted } => role_change(&command("SLAVEOF").args(["NO", "ONE"]), *omitted),
        Message::Replicate { of: HostPort { host, port }, omitted } => {
            role_change(&command("SLAVEOF").args([&host.to_string(), &port.to_string()]), *omitted)
        }
    }
}

/// The login. Without a user in the form that servers before 6.0 know, too.
pub(super) fn sign_in(user: Option<&str>, pass: &Secret, renames: &Renames) -> Vec<u8> {
    user.into_iter().fold(Command::new(renames, "AUTH"), Command::arg).arg(pass.expose()).packed()
}

/// The transaction that changes whom a node replicates from, and the INFO that shows what it did.
///
/// The reference's commands in its order (`SLAVEOF`, since that is the name that every version and every ACL rule
/// of the documented minimum knows). The configuration is saved so that a restart does not undo the change; clients
/// are disconnected so that they ask for the master again. INFO behind EXEC is a departure: the role is confirmed in
/// the same round trip instead of with the next periodic INFO.
fn role_change(slaveof: &Command<'_>, omitted: Omitted) -> Encoded {
    let steps: Vec<Step> = omitted.steps().collect();
    let bytes: Vec<Vec<u8>> = steps.iter().map(|step| of_step(*step, slaveof).packed()).collect();
    Encoded { answers: Answers::Several(steps.len()), bytes: bytes.concat().into() }
}

/// One command of an order.
fn of_step<'a>(step: Step, slaveof: &Command<'a>) -> Command<'a> {
    let command = |name: &str| Command::new(slaveof.renames, name);
    match step {
        Step::Discard => command("DISCARD"),
        Step::Multi => command("MULTI"),
        Step::Abort => command("FAILOVER").arg("ABORT"),
        Step::ReplicaOf => slaveof.clone(),
        Step::Rewrite => command("CONFIG").arg("REWRITE"),
        Step::KillNormal => command("CLIENT").args(["KILL", "TYPE", "normal"]),
        Step::KillPubSub => command("CLIENT").args(["KILL", "TYPE", "pubsub"]),
        Step::Exec => command("EXEC"),
        Step::Unpause => command("CLIENT").arg("UNPAUSE"),
        Step::Info => command("INFO"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sentinel_core::types::{Epoch, MasterName, Nonce, SentinelId, Signature};

    use super::*;

    /// The words of every command in `bytes`, which are arrays of bulk strings.
    fn words(bytes: &[u8]) -> Vec<String> {
        let mut decoder = sentinel_resp::RequestDecoder::new(sentinel_resp::Limits::default());
        decoder.feed(bytes);
        let mut lines = Vec::new();
        while let Some(request) = decoder.next_request().expect("commands are well-formed") {
            let line: Vec<_> = request.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            lines.push(line.join(" "));
        }
        lines
    }

    fn addr() -> HostPort {
        "127.0.0.1:6379".parse().unwrap()
    }

    #[test]
    fn every_message_has_the_references_wire_form() {
        let none = Renames::new();
        let name = || sentinel_core::types::MasterName::new("m").unwrap();
        let pause = |seconds: Option<u64>, reason: Option<&str>| {
            let ttl = seconds.map(std::time::Duration::from_secs);
            let pause = sentinel_core::Pause { ttl, reason: reason.map(str::to_owned) };
            Message::Pause { name: name(), pause: Some(pause) }
        };
        let ask = |candidate| Message::IsMasterDown { addr: addr(), epoch: Epoch::new(7), candidate, signed: None };
        let id = SentinelId::new(&"a".repeat(40)).unwrap();
        let cases = [
            (Message::Ping, "PING".to_owned()),
            (Message::Info, "INFO".to_owned()),
            (Message::ScriptKill, "SCRIPT KILL".to_owned()),
            (pause(Some(90), Some("why")), "SENTINEL PAUSE m 90 why LOCAL".to_owned()),
            (pause(None, Some("why")), "SENTINEL PAUSE m 0 why LOCAL".to_owned()),
            (Message::Pause { name: name(), pause: None }, "SENTINEL RESUME m LOCAL".to_owned()),
            (Message::Hello { payload: Arc::from("a,b") }, "PUBLISH __sentinel__:hello a,b".to_owned()),
            (Message::CallOff { unpause: false }, "FAILOVER ABORT".to_owned()),
            (Message::SignIn { user: None, pass: Secret::new("p w") }, "AUTH p w".to_owned()),
            (Message::SignIn { user: Some("s".into()), pass: Secret::new("pw") }, "AUTH s pw".to_owned()),
            (ask(None), "SENTINEL is-master-down-by-addr 127.0.0.1 6379 7 *".to_owned()),
            (ask(Some(id.clone())), format!("SENTINEL is-master-down-by-addr 127.0.0.1 6379 7 {id}")),
        ];
        for (message, expected) in cases {
            let encoded = encode(&message, &none);
            assert_eq!((words(&encoded.bytes), encoded.answers), (vec![expected], Answers::One));
        }
    }

    #[test]
    fn writers_are_paused_before_a_handover_and_not_any_more_when_it_is_called_off() {
        let hand_over = Message::HandOver { to: addr(), timeout: std::time::Duration::from_millis(500) };
        let encoded = encode(&hand_over, &Renames::new());
        assert_eq!(words(&encoded.bytes), ["CLIENT PAUSE 500 WRITE", "FAILOVER TO 127.0.0.1 6379 TIMEOUT 500"]);
        assert_eq!(encoded.answers, Answers::Several(2));
        let encoded = encode(&Message::CallOff { unpause: true }, &Renames::new());
        assert_eq!(words(&encoded.bytes), ["FAILOVER ABORT", "CLIENT UNPAUSE"]);
        assert_eq!(encoded.answers, Answers::Several(2));
    }

    const fn promote(omitted: Omitted) -> Message {
        Message::Promote { omitted }
    }

    #[test]
    fn a_promotion_is_one_write_of_seven_commands() {
        let encoded = encode(&promote(Omitted::default()), &Renames::new());
        assert_eq!(
            words(&encoded.bytes),
            [
                "MULTI",
                "SLAVEOF NO ONE",
                "CONFIG REWRITE",
                "CLIENT KILL TYPE normal",
                "CLIENT KILL TYPE pubsub",
                "EXEC",
                "INFO"
            ]
        );
        assert_eq!(encoded.answers, Answers::Several(7));
        let encoded = encode(&Message::Replicate { of: addr(), omitted: Omitted::default() }, &Renames::new());
        assert_eq!(words(&encoded.bytes)[1], "SLAVEOF 127.0.0.1 6379");

        let least = encode(
            &promote(Omitted { transaction: true, rewrite: true, kill: true, abort_first: false, unpause: false }),
            &Renames::new(),
        );
        assert_eq!(words(&least.bytes), ["DISCARD", "SLAVEOF NO ONE", "INFO"]);
        assert_eq!(least.answers, Answers::Several(3));

        let abort = Omitted { abort_first: true, ..Omitted::default() };
        let encoded = encode(&Message::Replicate { of: addr(), omitted: abort }, &Renames::new());
        assert_eq!(words(&encoded.bytes)[..3], ["MULTI", "FAILOVER ABORT", "SLAVEOF 127.0.0.1 6379"]);
        assert_eq!(encoded.answers, Answers::Several(8));
    }

    #[test]
    fn a_peer_is_asked_for_its_id_and_its_run_id() {
        let encoded = encode(&Message::Identify { challenge: None }, &Renames::new());
        assert_eq!(words(&encoded.bytes), ["SENTINEL MYID", "INFO server"]);
        assert_eq!(encoded.answers, Answers::Several(2));
    }

    #[test]
    fn with_a_key_a_peer_is_asked_to_prove_it_and_requests_are_signed() {
        let (nonce, signature) = ("0f".repeat(16), "a0".repeat(32));
        let challenge = Nonce::parse(nonce.as_bytes()).ok();
        let encoded = encode(&Message::Identify { challenge }, &Renames::new());
        assert_eq!(words(&encoded.bytes)[2], format!("SENTINEL AUTH-CHALLENGE {nonce}"));
        assert_eq!(encoded.answers, Answers::Several(3));

        let signed = Signed {
            master: MasterName::new("m 1").unwrap(),
            nonce: challenge.unwrap(),
            signature: Signature::parse(signature.as_bytes()).unwrap(),
        };
        let ask = Message::IsMasterDown { addr: addr(), epoch: Epoch::new(7), candidate: None, signed: Some(signed) };
        let encoded = encode(&ask, &Renames::new());
        let expected = format!("SENTINEL REQUEST-VOTE m 1 127.0.0.1 6379 7 * {nonce} {signature}");
        assert_eq!((words(&encoded.bytes), encoded.answers), (vec![expected], Answers::One));
    }

    #[test]
    fn what_a_node_permits_is_asked_without_doing_it() {
        let renames = Renames::from([("CONFIG".to_owned(), "GUESS".to_owned())]);
        let ask = Message::MayI { user: Some("s".to_owned()), hand_over: false };
        let encoded = encode(&ask, &renames);
        let expected = [
            "ACL DRYRUN s SLAVEOF NO ONE",
            "ACL DRYRUN s MULTI",
            "ACL DRYRUN s EXEC",
            "ACL DRYRUN s GUESS REWRITE",
            "ACL DRYRUN s CLIENT KILL TYPE normal",
        ];
        assert_eq!(
            (words(&encoded.bytes), encoded.answers),
            (expected.map(str::to_owned).to_vec(), Answers::Several(5))
        );
        let encoded = encode(&Message::MayI { user: None, hand_over: true }, &renames);
        assert!(words(&encoded.bytes).contains(&"ACL DRYRUN default FAILOVER".to_owned()));
    }

    #[test]
    fn a_replica_is_asked_to_acknowledge_and_then_for_its_role() {
        let encoded = encode(&Message::Acknowledge, &Renames::new());
        assert_eq!(words(&encoded.bytes), ["REPLCONF GETACK *", "INFO"]);
        assert_eq!(encoded.answers, Answers::OneUnlessRefused("REPLCONF"));
    }

    #[test]
    fn renamed_commands_go_out_under_their_new_name() {
        let renames =
            Renames::from([("CONFIG".to_owned(), "GUESS".to_owned()), ("PING".to_owned(), "PONG".to_owned())]);
        assert_eq!(words(&encode(&Message::Ping, &renames).bytes), ["PONG"]);
        assert_eq!(words(&encode(&promote(Omitted::default()), &renames).bytes)[2], "GUESS REWRITE");
    }
}
