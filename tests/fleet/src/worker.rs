//! One process of emulated nodes, which obeys whoever started it.

use std::{
    io::{self, BufRead, Write},
    net::Ipv4Addr,
    sync::mpsc,
};

use crate::{control::Order, server::Server};

/// Serves `nodes` nodes from the address `first` on until standard input ends.
pub fn run(first: Ipv4Addr, nodes: usize, per_group: usize) -> io::Result<()> {
    let addresses: Vec<Ipv4Addr> = addresses(first).take(nodes).collect();
    let (mut server, waker) = Server::bind(&addresses, per_group)?;
    let mut out = io::stdout();
    writeln!(out, "{}", server.port())?;
    let (orders, inbox) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            let Ok(order) = serde_json::from_str::<Order>(&line) else {
                eprintln!("not an order: {line}");
                break;
            };
            let (tell, told) = mpsc::channel();
            let reply = Box::new(move |sight| {
                let _ = tell.send(sight);
            });
            if orders.send((order, reply as crate::server::Reply)).is_err() || waker.wake().is_err() {
                break;
            }
            let Ok(sight) = told.recv() else { break };
            let text = serde_json::to_string(&sight).unwrap_or_default();
            if writeln!(io::stdout(), "{text}").is_err() {
                break;
            }
        }
        drop(orders);
        let _ = waker.wake();
    });
    server.run(&inbox)
}

/// Consecutive addresses, without those whose last byte is 0 or 255.
pub(crate) fn addresses(first: Ipv4Addr) -> impl Iterator<Item = Ipv4Addr> {
    (first.to_bits()..).map(Ipv4Addr::from_bits).filter(|ip| !matches!(ip.octets()[3], 0 | 255))
}
