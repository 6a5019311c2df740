//! What subscribers hear.

use sentinel_core::{
    events::{Event, Subject},
    types::{Epoch, HostPort, MasterName},
};

use super::harness::{Peer, Port};

fn subject() -> Subject {
    let addr = HostPort::from_words("127.0.0.1", "6390").expect("an address");
    Subject::Master { name: MasterName::new("mymaster").expect("a name"), addr }
}

const PAYLOAD: &str = "$30\r\nmaster mymaster 127.0.0.1 6390\r\n";

#[track_caller]
fn subscribed(client: &mut Peer, command: &str, name: &str, count: usize) {
    let word = command.to_ascii_lowercase();
    client.ask(&format!("{command} {name}")).expect(format!(
        "*3\r\n${}\r\n{word}\r\n${}\r\n{name}\r\n:{count}\r\n",
        word.len(),
        name.len()
    ));
}

#[test]
fn events_arrive_by_name_and_by_pattern() {
    let port = Port::open();
    let mut client = port.connect();
    subscribed(&mut client, "SUBSCRIBE", "+sdown", 1);
    subscribed(&mut client, "PSUBSCRIBE", "?sdown", 2);
    port.events
        .send(Event::SubjectivelyDown { subject: subject(), cause: sentinel_core::DownCause::Refused })
        .expect("a port that listens");
    port.events.send(Event::SubjectivelyUp(subject())).expect("a port that listens");
    client.expect(format!("*3\r\n$7\r\nmessage\r\n$6\r\n+sdown\r\n{PAYLOAD}"));
    client.expect(format!("*4\r\n$8\r\npmessage\r\n$6\r\n?sdown\r\n$6\r\n+sdown\r\n{PAYLOAD}"));
    client.expect(format!("*4\r\n$8\r\npmessage\r\n$6\r\n?sdown\r\n$6\r\n-sdown\r\n{PAYLOAD}"));
    client.ask("PING").expect("*2\r\n$4\r\npong\r\n$0\r\n\r\n");
}

#[test]
fn a_resp3_client_gets_pushes_and_may_ask_for_anything_meanwhile() {
    let port = Port::open();
    let mut client = port.connect();
    client.ask("HELLO 3").until(b"modules\r\n*0\r\n");
    client.ask("SUBSCRIBE +sdown").expect(">3\r\n$9\r\nsubscribe\r\n$6\r\n+sdown\r\n:1\r\n");
    port.events
        .send(Event::SubjectivelyDown { subject: subject(), cause: sentinel_core::DownCause::Refused })
        .expect("a port that listens");
    client.expect(format!(">3\r\n$7\r\nmessage\r\n$6\r\n+sdown\r\n{PAYLOAD}"));
    client.ask("CLIENT GETNAME").expect("_\r\n");
    client.ask("PING").expect("+PONG\r\n");
}

#[test]
fn every_subscriber_hears_everything_in_order_whatever_its_version() {
    let port = Port::open();
    let mut clients: Vec<Peer> = (0..10).map(|_| port.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 2 == 1 {
            client.ask("HELLO 3").until(b"modules\r\n*0\r\n");
            client.ask("PSUBSCRIBE *").expect(">3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n");
        } else {
            subscribed(client, "PSUBSCRIBE", "*", 1);
        }
    }
    for epoch in 1..=500 {
        let master = sentinel_core::types::MasterName::new("m").expect("a name");
        port.events.send(Event::NewEpoch { epoch: Epoch::new(epoch), master }).expect("a port that listens");
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let kind = if number % 2 == 1 { '>' } else { '*' };
        for epoch in 1..=500 {
            let epoch = epoch.to_string();
            let length = epoch.len();
            client.expect(format!(
                "{kind}4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$10\r\n+new-epoch\r\n${length}\r\n{epoch}\r\n"
            ));
        }
    }
}

#[test]
fn a_subscription_that_ended_brings_nothing_more() {
    let port = Port::open();
    let mut client = port.connect();
    subscribed(&mut client, "SUBSCRIBE", "+sdown", 1);
    client.ask("UNSUBSCRIBE").expect("*3\r\n$11\r\nunsubscribe\r\n$6\r\n+sdown\r\n:0\r\n");
    subscribed(&mut client, "SUBSCRIBE", "-sdown", 1);
    port.events
        .send(Event::SubjectivelyDown { subject: subject(), cause: sentinel_core::DownCause::Refused })
        .expect("a port that listens");
    port.events.send(Event::SubjectivelyUp(subject())).expect("a port that listens");
    client.expect(format!("*3\r\n$7\r\nmessage\r\n$6\r\n-sdown\r\n{PAYLOAD}"));
}

#[test]
fn who_left_is_forgotten() {
    let port = Port::open();
    let mut leaving = port.connect();
    subscribed(&mut leaving, "SUBSCRIBE", "+sdown", 1);
    leaving.ask("QUIT").expect("+OK\r\n").closed();
    let mut client = port.connect();
    client.ask("INFO stats");
    let info = client.text();
    assert!(info.contains("pubsub_channels:0\r\n"), "{info}");
}

#[test]
fn subscriptions_of_one_client_are_bounded() {
    let port = Port::open();
    let mut client = port.connect();
    let refusal = "-ERR too many subscriptions, or too long a name: at most 10000 of 1024 bytes\r\n";
    client.ask(&format!("SUBSCRIBE {}", "x".repeat(1_025))).expect(refusal);
    for hundred in 0..100 {
        let names: Vec<String> = (0..100).map(|one| format!("{hundred}-{one}")).collect();
        client.ask(&format!("SUBSCRIBE {}", names.join(" ")));
        client.until(format!(":{}\r\n", (hundred + 1) * 100).as_bytes());
    }
    client.ask("SUBSCRIBE one-more").expect(refusal);
}
