use std::{
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::net::UnixStream,
    time::Instant,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

/// How long a test waits for anything before it fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// So many sessions are polled in one turn: few, for the sake of the descriptors that tests may open.
const SMALL: usize = 50;

/// Serves a crowd on a thread of its own, into which every connection of `sockets` is taken with a session of
/// `begin`, while `test` is its clients.
fn with_crowd<S: Future<Output = ()> + 'static>(
    clients: usize,
    begin: impl Fn(usize, Connection) -> S + Send + 'static,
    test: impl FnOnce(Vec<UnixStream>),
) {
    let (near, far): (Vec<_>, Vec<_>) = (0..clients).map(|_| UnixStream::pair().expect("a pair of sockets")).unzip();
    for socket in &near {
        socket.set_read_timeout(Some(PATIENCE)).expect("a bound");
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (crowd, happenings) = Crowd::in_batches(SMALL).expect("a selector");
            for (number, socket) in far.into_iter().enumerate() {
                socket.set_nonblocking(true).expect("a socket that does not block");
                crowd.welcome(socket.into(), |connection| begin(number, connection)).expect("a place");
            }
            tokio::select! {
                ended = crowd.serve(happenings) => panic!("serving ended: {ended:?}"),
                _ = stopped => {}
            }
        });
    });
    test(near);
    drop(stop);
    serving.join().expect("no panic while serving");
}

/// Sends back what it reads until the client has closed its side.
async fn echo(mut connection: Connection) {
    let mut bytes = [0; 100];
    while let Ok(read @ 1..) = connection.read(&mut bytes).await {
        connection.write_all(&bytes[..read]).await.expect("a client that reads");
    }
}

#[test]
fn more_clients_than_one_batch_are_all_answered_time_and_again() {
    with_crowd(
        3 * SMALL,
        |_, connection| echo(connection),
        |mut clients| {
            for round in 0..3_u8 {
                for (client, number) in clients.iter_mut().zip(0_u32..) {
                    client.write_all(&[&number.to_be_bytes()[..], &[round]].concat()).unwrap();
                }
                for (client, number) in clients.iter_mut().zip(0_u32..) {
                    let mut answer = [0; 5];
                    client.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, [&number.to_be_bytes()[..], &[round]].concat()[..]);
                }
            }
        },
    );
}

#[test]
fn what_was_sent_before_the_client_closed_its_side_is_answered_and_the_end_is_noticed() {
    with_crowd(
        1,
        |_, connection| echo(connection),
        |mut clients| {
            clients[0].write_all(b"last words").unwrap();
            clients[0].shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            clients[0].read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "last words");
        },
    );
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    const LENGTH: usize = 8 << 20;
    let begin = |_, mut connection: Connection| async move {
        connection.write_all(&vec![7; LENGTH]).await.expect("a client that reads");
    };
    with_crowd(1, begin, |mut clients| {
        // As much as its socket takes is there before the first byte is read.
        std::thread::sleep(Duration::from_millis(50));
        let mut all = Vec::new();
        clients[0].read_to_end(&mut all).unwrap();
        assert!(all.len() == LENGTH && all.iter().all(|&byte| byte == 7), "{} bytes", all.len());
    });
}

#[test]
fn one_that_panics_ends_alone() {
    let begin = |number, mut connection: Connection| async move {
        let mut byte = [0];
        connection.read_exact(&mut byte).await.expect("a byte");
        assert!(number != 1, "this is what the test wants");
        connection.write_all(&byte).await.expect("a client that reads");
    };
    with_crowd(3, begin, |mut clients| {
        for (number, client) in clients.iter_mut().enumerate() {
            client.write_all(b"x").unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, if number == 1 { "" } else { "x" });
        }
    });
}

#[test]
fn one_that_is_never_done_leaves_others_their_turn() {
    let begin = |number, connection: Connection| async move {
        if number == 0 {
            loop {
                tokio::task::yield_now().await;
            }
        }
        echo(connection).await;
    };
    with_crowd(2, begin, |mut clients| {
        clients[1].write_all(b"x").unwrap();
        let mut answer = [0];
        clients[1].read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"x");
    });
}

#[test]
fn what_else_a_session_waits_for_wakes_it() {
    let begin = |_, mut connection: Connection| async move {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let elsewhere = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            sender.send(b"from a thread").expect("a session that waits");
        });
        let text = receiver.await.expect("a text");
        tokio::time::sleep(Duration::from_millis(20)).await;
        connection.write_all(text).await.expect("a client that reads");
        elsewhere.join().expect("no panic");
    };
    let start = Instant::now();
    with_crowd(1, begin, |mut clients| {
        let mut answer = String::new();
        clients[0].read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "from a thread");
    });
    assert!(start.elapsed() >= Duration::from_millis(40));
}
