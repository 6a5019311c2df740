//! Nodes that accept, answer, and hang up.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use sentinel_tests::{Deployment, eventually};

use crate::given::SOON;

/// A node that answers whatever opens a connection, and hangs up at the first PING. How often it was connected to.
fn node_that_hangs_up() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    // It ends with the process of this test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counted.fetch_add(1, Relaxed);
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..read]);
                if text.contains("PING") {
                    break;
                }
                let answer = if text.contains("HELLO") { "%1\r\n+proto\r\n:3\r\n" } else { "+OK\r\n" };
                if stream.write_all(answer.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (port, count)
}

#[test]
fn a_node_that_answers_and_hangs_up_is_not_dialled_a_thousand_times_a_second() {
    // Given a Sentinel that is told to watch such a node
    let deployment = Deployment::of_ours(1).replicas(1).quorum(1).start();
    let (port, count) = node_that_hangs_up();
    let sentinel = &deployment.sentinels()[0];
    let _: String = sentinel.command(&["SENTINEL", "MONITOR", "hasty", "127.0.0.1", &port.to_string(), "1"]).unwrap();
    eventually("it is dialled again and again", SOON, || match count.load(Relaxed) {
        few @ 0..=5 => Err(few.to_string()),
        _ => Ok(()),
    });
    // Then it is dialled ten times a second (100 ms less a quarter at random), as one that refuses
    let before = count.load(Relaxed);
    std::thread::sleep(Duration::from_secs(2));
    let dialled = count.load(Relaxed) - before;
    assert!((2..=40).contains(&dialled), "{dialled} times in two seconds");
}
