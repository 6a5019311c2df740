//! One connection to a node: requests in, answers out.

use std::fmt::Write as _;

use bytes::Bytes;
use sentinel_resp::{Limits, RequestDecoder};

use crate::{
    clock::Micros,
    info,
    node::{NodeId, World},
};

/// The PING of both Sentinels, byte for byte: most of what comes in.
const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// What a request does beyond its own connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Give this message to the subscribers of the node.
    Publish { channel: Bytes, payload: Bytes },
    /// Close the other connections of the node: the subscribed ones, or the others.
    Kill { subscribed: bool },
    /// A PING was answered.
    Pinged,
    /// The node became a master.
    Promoted,
    /// The node was told to follow another one.
    Demoted,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    decoder: RequestDecoder,
    /// Commands since MULTI.
    queued: Option<Vec<Vec<Bytes>>>,
    pub(crate) resp3: bool,
    pub(crate) subscribed: bool,
    pub(crate) out: Vec<u8>,
}

impl Session {
    pub(crate) fn new() -> Self {
        Session {
            decoder: RequestDecoder::new(Limits::default()),
            queued: None,
            resp3: false,
            subscribed: false,
            out: Vec::new(),
        }
    }

    /// Answers what has arrived. False: this is no client of Redis, and the connection is to be closed.
    pub(crate) fn received(
        &mut self,
        bytes: &[u8],
        world: &mut World,
        node: NodeId,
        clients: usize,
        now: Micros,
        effects: &mut Vec<Effect>,
    ) -> bool {
        if bytes == PING && self.decoder.pending() == 0 && self.queued.is_none() {
            world.nodes[node].commands += 1;
            effects.push(Effect::Pinged);
            self.out.extend_from_slice(b"+PONG\r\n");
            return true;
        }
        self.decoder.feed(bytes);
        loop {
            match self.decoder.next_request() {
                Ok(Some(request)) => {
                    world.nodes[node].commands += 1;
                    self.request(request, world, node, clients, now, effects);
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn request(
        &mut self,
        request: Vec<Bytes>,
        world: &mut World,
        node: NodeId,
        clients: usize,
        now: Micros,
        effects: &mut Vec<Effect>,
    ) {
        let name = request[0].to_ascii_uppercase();
        match (name.as_slice(), &mut self.queued) {
            (b"EXEC", queued) => match queued.take() {
                Some(queued) => {
                    self.text(&format!("*{}\r\n", queued.len()));
                    for request in queued {
                        self.command(&request, world, node, clients, now, effects);
                    }
                }
                None => self.text("-ERR EXEC without MULTI\r\n"),
            },
            (b"MULTI", queued) => {
                *queued = Some(Vec::new());
                self.text("+OK\r\n");
            }
            (_, Some(queued)) => {
                queued.push(request);
                self.text("+QUEUED\r\n");
            }
            (_, None) => self.command(&request, world, node, clients, now, effects),
        }
    }

    fn command(
        &mut self,
        request: &[Bytes],
        world: &mut World,
        node: NodeId,
        clients: usize,
        now: Micros,
        effects: &mut Vec<Effect>,
    ) {
        let upper: Vec<Vec<u8>> = request.iter().take(4).map(|word| word.to_ascii_uppercase()).collect();
        let words: Vec<&[u8]> = upper.iter().map(Vec::as_slice).collect();
        match words.as_slice() {
            [b"PING", ..] => {
                effects.push(Effect::Pinged);
                self.text("+PONG\r\n");
            }
            [b"INFO", ..] => {
                let mut text = String::with_capacity(6 * 1024);
                info::write(world, node, clients, now, &mut text);
                self.text(&format!("${}\r\n{text}\r\n", text.len()));
            }
            [b"PUBLISH", _, _] => {
                let (channel, payload) = (request[1].clone(), request[2].clone());
                // The own message comes first, as in 7.0.
                if self.subscribed {
                    self.message(&channel, &payload);
                }
                effects.push(Effect::Publish { channel, payload });
                self.text(":1\r\n");
            }
            [b"SUBSCRIBE", _] => {
                self.subscribed = true;
                let kind = if self.resp3 { '>' } else { '*' };
                let channel = &request[1];
                self.text(&format!("{kind}3\r\n$9\r\nsubscribe\r\n${}\r\n", channel.len()));
                self.out.extend_from_slice(channel);
                self.text("\r\n:1\r\n");
            }
            [b"HELLO", rest @ ..] => {
                self.resp3 = rest.first().is_some_and(|version| *version == b"3");
                self.hello();
            }
            [b"SLAVEOF" | b"REPLICAOF", b"NO", b"ONE"] => {
                if world.promote(node, now) {
                    effects.push(Effect::Promoted);
                }
                self.text("+OK\r\n");
            }
            [b"SLAVEOF" | b"REPLICAOF", host, port] => {
                let host = String::from_utf8_lossy(host).to_lowercase();
                if let Ok(port) = String::from_utf8_lossy(port).parse() {
                    world.follow(node, host, port, now);
                    effects.push(Effect::Demoted);
                    self.text("+OK\r\n");
                } else {
                    self.text("-ERR Invalid master port\r\n");
                }
            }
            [b"CLIENT", b"KILL", b"TYPE", kind] => {
                effects.push(Effect::Kill { subscribed: *kind == b"PUBSUB" });
                self.text(":0\r\n");
            }
            [b"AUTH", ..] | [b"CLIENT", b"SETNAME", _] | [b"CONFIG", b"REWRITE"] => self.text("+OK\r\n"),
            [b"CLIENT" | b"CONFIG", ..] => self.text("*0\r\n"),
            [b"SCRIPT", b"KILL"] => self.text("-NOTBUSY No scripts in execution right now.\r\n"),
            // GETACK has no answer.
            [b"REPLCONF", ..] | [] => {}
            [name, ..] => {
                let name = String::from_utf8_lossy(name).replace(['\r', '\n'], " ");
                self.text(&format!("-ERR unknown command '{name}', with args beginning with: \r\n"));
            }
        }
    }

    /// Passes a message on to this subscriber.
    pub(crate) fn message(&mut self, channel: &[u8], payload: &[u8]) {
        self.text(if self.resp3 { ">3\r\n$7\r\nmessage\r\n" } else { "*3\r\n$7\r\nmessage\r\n" });
        for word in [channel, payload] {
            self.text(&format!("${}\r\n", word.len()));
            self.out.extend_from_slice(word);
            self.text("\r\n");
        }
    }

    fn hello(&mut self) {
        let fields = [("server", "redis"), ("version", "7.0.15")];
        let mut text = String::from(if self.resp3 { "%7\r\n" } else { "*14\r\n" });
        for (name, value) in fields {
            let _ = write!(text, "${}\r\n{name}\r\n${}\r\n{value}\r\n", name.len(), value.len());
        }
        let _ = write!(
            text,
            "$5\r\nproto\r\n:{}\r\n$2\r\nid\r\n:3\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
             $7\r\nmodules\r\n*0\r\n",
            if self.resp3 { 3 } else { 2 }
        );
        self.text(&text);
    }

    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ask(session: &mut Session, world: &mut World, bytes: &[u8]) -> (String, Vec<Effect>) {
        let mut effects = Vec::new();
        assert!(session.received(bytes, world, 1, 1, Micros(2_000_000), &mut effects));
        (String::from_utf8(std::mem::take(&mut session.out)).expect("text"), effects)
    }

    fn world() -> World {
        World::new(&[Ipv4Addr::new(127, 9, 0, 1), Ipv4Addr::new(127, 9, 0, 2)], 7000, 2, Micros(1))
    }

    #[test]
    fn a_promotion_in_a_transaction_is_answered_as_a_server_does() {
        let (mut session, mut world) = (Session::new(), world());
        let commands = b"MULTI\r\nSLAVEOF NO ONE\r\nCONFIG REWRITE\r\nCLIENT KILL TYPE normal\r\nEXEC\r\nPING\r\n";
        let (answer, effects) = ask(&mut session, &mut world, commands);
        assert_eq!(answer, "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n:0\r\n+PONG\r\n");
        assert_eq!(effects, [Effect::Promoted, Effect::Kill { subscribed: false }, Effect::Pinged]);
    }

    #[test]
    fn a_subscriber_hears_its_own_message_in_its_protocol() {
        let (mut session, mut world) = (Session::new(), world());
        assert!(ask(&mut session, &mut world, b"HELLO 3\r\n").0.starts_with("%7\r\n"));
        let (answer, _) = ask(&mut session, &mut world, b"SUBSCRIBE a\r\nPUBLISH a b\r\n");
        assert_eq!(
            answer,
            ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n"
        );
    }
}
