//! A server that answers as a test tells it: for what real servers do not do on demand.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// What is done about one command.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// These bytes are the answer.
    Say(String),
    /// These bytes are the answer, after this time.
    Late(Duration, String),
    /// There is none, and the connection stays open.
    Hang,
    /// There is none, and the connection is closed.
    Close,
}

/// Answers a command, given in upper case up to its second word.
type Script = dyn Fn(&[String]) -> Step + Send + Sync;

/// A server on a free loopback port; it ends when dropped.
pub(crate) struct Scripted {
    pub(crate) port: u16,
    pushes: broadcast::Sender<String>,
    cuts: broadcast::Sender<()>,
    /// Connections open now.
    open: Arc<AtomicUsize>,
    _listener: JoinSet<()>,
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(&[String]) -> Step + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script: Arc<Script> = Arc::new(script);
        let pushes = broadcast::Sender::new(16);
        let cuts = broadcast::Sender::new(16);
        let open = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (pushes, cuts, open) = (pushes.clone(), cuts.clone(), open.clone());
            async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    let mut cuts = cuts.subscribe();
                    let serve = serve(stream, script.clone(), pushes.subscribe());
                    let open = open.clone();
                    open.fetch_add(1, Ordering::SeqCst);
                    connections.spawn(async move {
                        tokio::select! {
                            _ = serve => {}
                            _ = cuts.recv() => {}
                        }
                        open.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Self { port, pushes, cuts, open, _listener: tasks }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends bytes on every subscribed connection.
    pub(crate) fn push(&self, bytes: &str) {
        let _ = self.pushes.send(bytes.to_owned());
    }

    /// Closes every connection; new ones are accepted.
    pub(crate) fn cut(&self) {
        let _ = self.cuts.send(());
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Script>,
    mut pushes: broadcast::Receiver<String>,
) -> std::io::Result<()> {
    // An answer in several pieces would wait for acknowledgements otherwise.
    stream.set_nodelay(true)?;
    let mut input = Vec::new();
    let mut subscribed = false;
    let mut hung = false;
    loop {
        let mut chunk = [0; 4096];
        tokio::select! {
            count = stream.read(&mut chunk) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                input.extend_from_slice(&chunk[..count]);
            }
            Ok(push) = pushes.recv(), if subscribed => stream.write_all(push.as_bytes()).await?,
        }
        while let Some((words, length)) = request(&input) {
            input.drain(..length);
            subscribed |= words[0] == "SUBSCRIBE";
            if hung {
                continue;
            }
            match script(&words) {
                Step::Say(answer) => stream.write_all(answer.as_bytes()).await?,
                Step::Late(after, answer) => {
                    tokio::time::sleep(after).await;
                    stream.write_all(answer.as_bytes()).await?;
                }
                Step::Hang => hung = true,
                Step::Close => return Ok(()),
            }
        }
    }
}

/// The first complete command in `input`, and its length.
fn request(input: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut at = 0;
    let mut line = || {
        let rest = &input[at..];
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        at += end + 2;
        Some((String::from_utf8_lossy(&rest[..end]).into_owned(), at))
    };
    let (head, _) = line()?;
    let count: usize = head.strip_prefix('*')?.parse().ok()?;
    let mut words = Vec::new();
    let mut length = 0;
    for index in 0..count {
        line()?;
        let (word, end) = line()?;
        words.push(if index < 2 { word.to_ascii_uppercase() } else { word });
        length = end;
    }
    Some((words, length))
}

pub(crate) fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

pub(crate) fn array(items: &[String]) -> String {
    format!("*{}\r\n{}", items.len(), items.concat())
}

pub(crate) fn say(answer: impl Into<String>) -> Step {
    Step::Say(answer.into())
}

/// What every connection sends first; `None` for all else.
pub(crate) fn greeting(words: &[String]) -> Option<Step> {
    match words[0].as_str() {
        "HELLO" => Some(say("%1\r\n+server\r\n+redis\r\n")),
        "CLIENT" | "SELECT" | "AUTH" => Some(say("+OK\r\n")),
        _ => None,
    }
}

/// How a scripted Sentinel behaves, and what it believes.
#[derive(Debug, Clone)]
pub(crate) struct Belief {
    pub(crate) master: String,
    pub(crate) epoch: u64,
    /// What it calls itself; nothing before Redis 4.
    pub(crate) id: Option<String>,
    /// The other Sentinels it knows, as `host:port` or `host:port@id`.
    pub(crate) peers: Vec<String>,
    /// Commands answered with something else than the truth, by their first two words ("PING", "SENTINEL MASTER").
    pub(crate) instead: HashMap<String, Step>,
}

/// A Sentinel with a mind that a test can change.
pub(crate) struct ScriptedSentinel {
    pub(crate) server: Scripted,
    pub(crate) belief: Arc<Mutex<Belief>>,
    /// Questions for the address of the master that were answered.
    pub(crate) asked: Arc<AtomicUsize>,
}

impl ScriptedSentinel {
    pub(crate) async fn start(master: &str, epoch: u64) -> Self {
        let belief = Arc::new(Mutex::new(Belief {
            master: master.to_owned(),
            epoch,
            id: None,
            peers: Vec::new(),
            instead: HashMap::new(),
        }));
        let asked = Arc::new(AtomicUsize::new(0));
        let server = Scripted::start({
            let (belief, asked) = (belief.clone(), asked.clone());
            move |words| {
                let belief = belief.lock().unwrap().clone();
                if words.get(1).is_some_and(|word| word == "GET-MASTER-ADDR-BY-NAME") {
                    asked.fetch_add(1, Ordering::SeqCst);
                }
                belief.answer(words)
            }
        })
        .await;
        Self { server, belief, asked }
    }

    pub(crate) fn address(&self) -> String {
        self.server.address()
    }

    pub(crate) fn believe(&self, master: &str, epoch: u64) {
        let mut belief = self.belief.lock().unwrap();
        master.clone_into(&mut belief.master);
        belief.epoch = epoch;
    }

    pub(crate) fn instead(&self, command: &str, step: Step) {
        self.belief.lock().unwrap().instead.insert(command.to_owned(), step);
    }

    /// Publishes `+switch-master` with the address it believes in.
    pub(crate) fn push_switch(&self) {
        let master = self.belief.lock().unwrap().master.replace(':', " ");
        let payload = format!("mymaster 127.0.0.1 1 {master}");
        self.publish("+switch-master", &payload);
    }

    /// The answer to `SUBSCRIBE`: a confirmation for each channel.
    pub(crate) fn subscribed(channels: &[String]) -> String {
        let one = |(index, channel): (usize, &String)| {
            format!(">3\r\n{}{}:{}\r\n", bulk("subscribe"), bulk(&channel.to_lowercase()), index + 1)
        };
        channels.iter().enumerate().map(one).collect()
    }

    /// With an id of its own, as every Sentinel since Redis 4 has.
    pub(crate) fn named(self, id: &str) -> Self {
        self.belief.lock().unwrap().id = Some(id.to_owned());
        self
    }

    /// The others that it knows: `host:port@id`.
    pub(crate) fn knows(&self, peers: &[&Self]) {
        let mut names = Vec::new();
        for peer in peers {
            let id = peer.belief.lock().unwrap().id.clone();
            names.push(id.map_or_else(|| peer.address(), |id| format!("{}@{id}", peer.address())));
        }
        self.belief.lock().unwrap().peers = names;
    }

    /// Publishes a message about the master.
    pub(crate) fn publish(&self, channel: &str, payload: &str) {
        self.server.push(&format!(">3\r\n{}{}{}", bulk("message"), bulk(channel), bulk(payload)));
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Belief {
    fn answer(&self, words: &[String]) -> Step {
        let one = words[0].clone();
        let two = words.get(1).map_or_else(|| one.clone(), |second| format!("{one} {second}"));
        if let Some(step) = self.instead.get(&one).or_else(|| self.instead.get(&two)) {
            return step.clone();
        }
        if let Some(step) = greeting(words) {
            return step;
        }

        let (host, port) = self.master.split_once(':').unwrap();
        if one == "SUBSCRIBE" {
            return say(ScriptedSentinel::subscribed(&words[1..]));
        }
        match two.as_str() {
            "PING" => say("+PONG\r\n"),
            "SENTINEL GET-MASTER-ADDR-BY-NAME" => say(array(&[bulk(host), bulk(port)])),
            "SENTINEL MASTER" => {
                let epoch = self.epoch.to_string();
                say(array(&[bulk("name"), bulk("mymaster"), bulk("config-epoch"), bulk(&epoch)]))
            }
            "SENTINEL SENTINELS" => {
                let peers = self.peers.iter().map(|peer| {
                    let (address, id) = peer.split_once('@').unwrap_or((peer, peer));
                    let (host, port) = address.split_once(':').unwrap();
                    array(&[bulk("ip"), bulk(host), bulk("port"), bulk(port), bulk("runid"), bulk(id)])
                });
                say(array(&peers.collect::<Vec<_>>()))
            }
            "SENTINEL MYID" => say(self.id.as_deref().map_or_else(|| "$-1\r\n".to_owned(), bulk)),
            _ => say("-ERR unknown command\r\n"),
        }
    }
}
