//! Clients by the thousand: full speed, all at once, or waiting for an event.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use sentinel_fleet::clock::Micros;

use crate::{
    stats::Times,
    subject::{Client, packed},
};

/// The question of most clients.
pub(crate) const QUESTION: [&str; 3] = ["SENTINEL", "get-master-addr-by-name", "m0"];

/// What came of a load.
pub(crate) struct Outcome {
    /// Answers a second.
    pub(crate) per_second: f64,
    /// How many there were.
    pub(crate) answers: u64,
    /// The time from each question (or pipeline of them) to its answer.
    pub(crate) times: Times,
}

struct Asker {
    stream: TcpStream,
    asked: Micros,
    missing: usize,
}

/// Asks over `connections` connections, `pipeline` questions at a time, for some time.
pub(crate) fn full_speed(at: SocketAddr, connections: usize, pipeline: usize, time: Duration) -> io::Result<Outcome> {
    let answer_length = length_of_answer(at)?;
    let request = packed(&QUESTION).repeat(pipeline);
    let mut poll = Poll::new()?;
    let mut askers = Vec::with_capacity(connections);
    for index in 0..connections {
        let stream = std::net::TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        askers.push(Asker { stream, asked: Micros::now(), missing: 0 });
    }
    let begun = Micros::now();
    let end = Micros(begun.0 + time.as_micros() as u64);
    let mut answers = 0_u64;
    let mut times = Times::default();
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 256 * 1024];
    for asker in &mut askers {
        ask(asker, &request, answer_length * pipeline)?;
    }
    while Micros::now() < end {
        poll.poll(&mut events, Some(Duration::from_millis(10)))?;
        for event in &events {
            let asker = &mut askers[event.token().0];
            loop {
                match asker.stream.read(&mut buffer) {
                    Ok(0) => return Err(io::Error::other("a client was disconnected under load")),
                    Ok(length) if length < asker.missing => asker.missing -= length,
                    Ok(_) => {
                        answers += pipeline as u64;
                        times.add(Micros::now().since(asker.asked));
                        ask(asker, &request, answer_length * pipeline)?;
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
    let seconds = Micros::now().since(begun) as f64 / 1e6;
    Ok(Outcome { per_second: answers as f64 / seconds, answers, times })
}

fn ask(asker: &mut Asker, request: &[u8], answer: usize) -> io::Result<()> {
    asker.asked = Micros::now();
    asker.missing = answer;
    // A pipeline is smaller than a socket's buffer.
    asker.stream.write_all(request)
}

/// All answers to the question are alike.
fn length_of_answer(at: SocketAddr) -> io::Result<usize> {
    let mut stream = std::net::TcpStream::connect(at)?;
    stream.write_all(&packed(&QUESTION))?;
    let mut buffer = [0; 1024];
    let length = stream.read(&mut buffer)?;
    if buffer.first() == Some(&b'*') && length > 4 {
        Ok(length)
    } else {
        Err(io::Error::other("the Sentinel does not know its master"))
    }
}

/// What came of a storm.
pub(crate) struct Storm {
    /// From the first connect to each client's answer.
    pub(crate) times: Times,
    /// Clients that got none.
    pub(crate) failed: usize,
}

/// So many clients connect in the same instant, ask, and go.
pub(crate) fn storm(at: SocketAddr, clients: usize, limit: Duration) -> io::Result<Storm> {
    let request = packed(&QUESTION);
    let mut poll = Poll::new()?;
    let begun = Micros::now();
    let mut streams: Vec<Option<(TcpStream, bool)>> = Vec::with_capacity(clients);
    for index in 0..clients {
        let mut stream = TcpStream::connect(at)?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        streams.push(Some((stream, false)));
    }
    let mut events = Events::with_capacity(1024);
    let mut times = Times::default();
    let mut failed = 0;
    let mut left = clients;
    let mut buffer = [0; 1024];
    while left > 0 && Micros::now().since(begun) < limit.as_micros() as u64 {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let slot = &mut streams[event.token().0];
            let Some((stream, asked)) = slot else { continue };
            if event.is_writable() && !*asked && stream.peer_addr().is_ok() {
                // An error shows when reading.
                *asked = stream.write_all(&request).is_ok();
            }
            match stream.read(&mut buffer) {
                Ok(length) if length > 0 && buffer[0] == b'*' => times.add(Micros::now().since(begun)),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected) => {
                    continue;
                }
                _ => failed += 1,
            }
            *slot = None;
            left -= 1;
        }
    }
    Ok(Storm { times, failed: failed + left })
}

/// So many subscribers of one event: from the command that causes it to each one's message.
pub(crate) fn fan_out(at: SocketAddr, subscribers: usize, rounds: u32) -> io::Result<Times> {
    let mut poll = Poll::new()?;
    let mut streams = Vec::with_capacity(subscribers);
    for index in 0..subscribers {
        let mut client = std::net::TcpStream::connect(at)?;
        client.write_all(&packed(&["SUBSCRIBE", "+set"]))?;
        let mut answer = [0; 256];
        if client.read(&mut answer)? == 0 {
            return Err(io::Error::other("a subscriber was disconnected"));
        }
        client.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(client);
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        streams.push(stream);
    }
    let mut control = Client::new(std::net::TcpStream::connect(at)?)?;
    let mut last_ones = Times::default();
    let mut events = Events::with_capacity(1024);
    let mut buffer = [0; 4096];
    for round in 0..rounds {
        let begun = Micros::now();
        control.send(&packed(&["SENTINEL", "SET", "m0", "parallel-syncs", if round % 2 == 0 { "2" } else { "1" }]))?;
        let mut heard = vec![false; subscribers];
        let mut missing = subscribers;
        while missing > 0 {
            if Micros::now().since(begun) > 10_000_000 {
                return Err(io::Error::other(format!("{missing} subscribers heard nothing")));
            }
            poll.poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                let index = event.token().0;
                match streams[index].read(&mut buffer) {
                    Ok(0) => return Err(io::Error::other("a subscriber was disconnected")),
                    Ok(_) if !heard[index] => {
                        heard[index] = true;
                        missing -= 1;
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        last_ones.add(Micros::now().since(begun));
        control.next()?;
    }
    Ok(last_ones)
}
