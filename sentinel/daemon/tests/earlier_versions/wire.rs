//! Hellos and signed requests for votes of earlier versions.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use sentinel_core::{
    Boot, ClientId, Engine, Input, Output,
    authentication::Answer,
    command::{Change, Command},
    settings::{GlobalSettings, MasterSettings, Timing},
    snapshot::{MasterSnapshot, Snapshot},
    time::{Instant, Now, WallTime},
    types::{Epoch, HostPort, MasterName, Quorum, RunId, Secret, SentinelId, Signature, Signed},
};
use sentinel_resp::{Limits, Protocol, Reply, ReplyDecoder, RequestDecoder, encode};

use super::{read, versions};

/// What everything that is kept was signed with.
pub(crate) const KEY: &str = "a-key-of-tests";

/// A request for a vote with its answer, out of all that was heard.
pub(crate) fn vote_in(asked: &[u8], answered: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let requests = pieces(asked, b"*9\r\n").filter_map(|piece| {
        let words = words_of(piece)?;
        let (request, signed) = request_in(&words)?;
        matches!(request, Change::IsMasterDown { candidate: Some(_), .. }).then_some((packed(&words), signed))
    });
    let requests: Vec<_> = requests.collect();
    pieces(answered, b"*4\r\n").find_map(|piece| {
        let reply = reply_of(piece)?;
        let (request, _) = requests.iter().find(|(_, signed)| answers(&reply, &signed.signature).is_ok())?;
        let mut bytes = BytesMut::new();
        encode(&reply, Protocol::Resp2, &mut bytes);
        Some((request.clone(), bytes.to_vec()))
    })
}

/// Everything behind each place where that begins.
fn pieces<'a>(bytes: &'a [u8], beginning: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    (0..bytes.len()).map(|at| &bytes[at..]).filter(move |piece| piece.starts_with(beginning))
}

fn words_of(bytes: &[u8]) -> Option<Vec<Bytes>> {
    let mut decoder = RequestDecoder::new(Limits::default());
    decoder.feed(bytes);
    decoder.next_request().ok()?
}

fn reply_of(bytes: &[u8]) -> Option<Reply> {
    let mut decoder = ReplyDecoder::new(1 << 20);
    decoder.feed(bytes);
    decoder.next_reply().ok()?
}

fn packed(words: &[Bytes]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn request_in(words: &[Bytes]) -> Option<(Change, Signed)> {
    match Command::parse(words) {
        Ok(Command::Change(change)) => match &change {
            Change::IsMasterDown { signed: Some(signed), .. } => {
                let signed = signed.clone();
                Some((change, signed))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Whom the vote was given to and in which epoch, if this is an answer to the request with that signature.
fn answers(reply: &Reply, to: &Signature) -> Result<(SentinelId, Epoch), String> {
    let what = || format!("{reply:?}");
    let Reply::Array(parts) = reply else { return Err(what()) };
    let [Reply::Integer(down), Reply::Bulk(leader), Reply::Integer(epoch), Reply::Bulk(signature)] = parts.as_slice()
    else {
        return Err(what());
    };
    let leader = SentinelId::new(&String::from_utf8_lossy(leader)).map_err(|_| what())?;
    let epoch = Epoch::new(u64::try_from(*epoch).map_err(|_| what())?);
    let signature = Signature::parse(signature).map_err(|_| what())?;
    let answer = Answer { to, down: *down == 1, leader: Some(&leader), epoch };
    if answer.is_signed(&Secret::new(KEY), &signature) { Ok((leader, epoch)) } else { Err(what()) }
}

/// A Sentinel that watches one master, with these other Sentinels in its file.
struct Listener {
    engine: Engine,
    now: Now,
}

impl Listener {
    fn new(
        id: SentinelId,
        run_id: Option<RunId>,
        key: Option<&str>,
        master: &str,
        addr: HostPort,
        peers: Vec<(SentinelId, HostPort)>,
    ) -> Self {
        let name = MasterName::new(master).expect("a name");
        let mut watched = MasterSnapshot::new(name, addr, MasterSettings::new(Quorum::new(2).expect("a quorum")));
        watched.peers = peers;
        let globals = GlobalSettings { hello_auth_key: key.map(Secret::new), ..GlobalSettings::default() };
        let snapshot =
            Snapshot { id, current_epoch: Epoch::ZERO, globals: Arc::new(globals), masters: vec![Arc::new(watched)] };
        let boot = Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), run_id, seed: 1 };
        let now = Now { mono: Instant::ZERO, wall: WallTime(1_000_000) };
        Listener { engine: Engine::new(boot, now), now }
    }

    /// Takes it, and what it wants to have on disk is there at once. Returns the answer.
    fn take(&mut self, change: Change) -> Option<Reply> {
        let mut answer = None;
        let client = ClientId(1);
        self.engine.handle(self.now, Input::Change { client, change });
        // What waits for its turn has it in the next instant.
        for _ in 0..10 {
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Persist(seq) => self.engine.handle(self.now, Input::Persisted(seq)),
                    Output::Answer { client: whose, reply } if whose == client => answer = Some(reply),
                    _ => {}
                }
            }
            self.now.mono = self.now.mono + Duration::from_millis(1);
            self.engine.handle_timeout(self.now);
        }
        answer
    }

    fn known(&mut self) -> Snapshot {
        (*self.engine.snapshot().1).clone()
    }
}

#[test]
fn their_hellos_are_understood() {
    for (version, (name, key)) in
        versions().iter().flat_map(|it| [("hello", None), ("hello-signed", Some(KEY))].map(|of| (it, of)))
    {
        let path = version.join("wire").join(name);
        let hello = read(&path);
        let hello = hello.trim_end();
        // The eight fields, as docs and redis-sentinel have them
        let fields: Vec<&str> = hello.split(';').next().expect("a first part").split(',').collect();
        let [ip, port, id, current_epoch, master, master_ip, master_port, config_epoch] = fields[..] else {
            panic!("{}: {fields:?}", path.display())
        };
        let peer = SentinelId::new(id).expect("an id");
        let of = |ip: &str, port: &str| HostPort::from_words(ip, port).expect("an address");
        let elsewhere = of("192.0.2.1", "6379");
        let me = SentinelId::new(&"f".repeat(40)).expect("an id");
        let listen = |key, peers| Listener::new(me.clone(), None, key, master, elsewhere.clone(), peers);

        // Given a Sentinel that knows its sender, then it follows what that one announces
        let mut listener = listen(key, vec![(peer.clone(), of(ip, port))]);
        listener.take(Change::Hello(Bytes::copy_from_slice(hello.as_bytes())));
        let known = listener.known();
        let what = format!("{}: {known:?}", path.display());
        assert_eq!(known.current_epoch.to_string(), current_epoch, "{what}");
        assert_eq!(known.masters[0].addr, of(master_ip, master_port), "{what}");
        assert_eq!(known.masters[0].config_epoch.to_string(), config_epoch, "{what}");
        assert_ne!(config_epoch, "0", "{what}");

        // And one that does not know it gets to know it
        let mut listener = listen(key, Vec::new());
        listener.take(Change::Hello(Bytes::copy_from_slice(hello.as_bytes())));
        assert_eq!(listener.known().masters[0].peers, [(peer.clone(), of(ip, port))]);

        // But not with another key
        if key.is_some() {
            let mut listener = listen(Some("another"), Vec::new());
            listener.take(Change::Hello(Bytes::copy_from_slice(hello.as_bytes())));
            assert_eq!(listener.known().masters[0].peers, []);
        }
    }
}

#[test]
fn their_signed_requests_for_votes_are_granted_and_their_answers_count() {
    for version in versions() {
        let folder = version.join("wire");
        let bytes = |name: &str| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let words = words_of(&bytes("request-vote")).expect("a request");
        let (request, signed) = request_in(&words).expect("it asks for a vote, and is signed");
        let voter = read(folder.join("voter"));
        let (id, run) = voter.trim_end().split_once('\n').expect("an id and a run");
        let Change::IsMasterDown { addr: Some(addr), epoch, candidate: Some(candidate), .. } = request.clone() else {
            panic!("{request:?}")
        };

        // Given the one that was asked, in the run of then, when it is asked again, then it gives its vote, signed
        let listen = |key, run| {
            let (id, run) = (SentinelId::new(id).expect("an id"), Some(RunId::new(run).expect("a run")));
            Listener::new(id, run, Some(key), signed.master.as_str(), addr.clone(), Vec::new())
        };
        let mut listener = listen(KEY, run);
        let reply = listener.take(request.clone()).expect("it answers");
        assert_eq!(answers(&reply, &signed.signature), Ok((candidate.clone(), epoch)));
        assert_eq!(listener.known().masters[0].leader_epoch, epoch);

        // And what was answered then is an answer to it now
        let then = reply_of(&bytes("request-vote-answer")).expect("an answer");
        assert_eq!(answers(&then, &signed.signature), Ok((candidate, epoch)));

        // But not with another key, or in another run
        for mut listener in [listen("another", run), listen(KEY, &"e".repeat(40))] {
            let reply = listener.take(request.clone());
            assert!(matches!(&reply, Some(Reply::Error(text)) if text.contains("WRONGSIGNATURE")), "{reply:?}");
        }
    }
}
