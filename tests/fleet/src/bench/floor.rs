//! The least that an answer costs on this machine: a program that receives and sends what a Sentinel would, and
//! does nothing else. It neither reads the question nor knows of any master.

use std::{
    io::{self, BufRead as _, BufReader, Read, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use crate::{load::QUESTION, subject::packed};

/// The token of those that have not been accepted yet.
const NEWCOMERS: Token = Token(usize::MAX);

const ANSWER: &[u8] = b"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n";

/// Such a program, until this is dropped.
pub(crate) struct Floor {
    process: Child,
    /// Where it answers.
    pub(crate) addr: SocketAddr,
}

impl Floor {
    pub(crate) fn start(program: &Path) -> io::Result<Self> {
        let mut process = Command::new(program).arg("floor").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut said)?;
        }
        let addr = said.trim().parse().map_err(|_| io::Error::other(format!("the floor says {said:?}, no address")))?;
        Ok(Floor { process, addr })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Asker {
    stream: TcpStream,
    /// Bytes of a question that has not wholly arrived.
    begun: usize,
}

/// What that program does: says where it listens, and answers until whoever started it is gone.
pub(crate) fn answer() -> io::Result<()> {
    let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    println!("{}", listener.local_addr()?);
    thread::spawn(|| {
        // However it ends, nobody asks any more.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let question = packed(&QUESTION).len();
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, NEWCOMERS, Interest::READABLE)?;
    let mut askers: Vec<Option<Asker>> = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == NEWCOMERS {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(askers.len()), Interest::READABLE)?;
                    askers.push(Some(Asker { stream, begun: 0 }));
                }
                continue;
            }
            let slot = &mut askers[event.token().0];
            let Some(asker) = slot else { continue };
            if !reply(asker, question, &mut buffer, event.is_read_closed())? {
                *slot = None;
            }
        }
    }
}

/// Answers what has come. Returns whether the client is still there.
fn reply(asker: &mut Asker, question: usize, buffer: &mut [u8], closed: bool) -> io::Result<bool> {
    loop {
        let length = match asker.stream.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(_) => return Ok(false),
        };
        let bytes = asker.begun + length;
        asker.begun = bytes % question;
        let sent = match bytes / question {
            1 => asker.stream.write_all(ANSWER),
            answers => asker.stream.write_all(&ANSWER.repeat(answers)),
        };
        // Less than there was room for was all there was, unless the end is behind it.
        if sent.is_err() || (length < buffer.len() && !closed) {
            return Ok(sent.is_ok());
        }
    }
}
