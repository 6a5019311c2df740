//! One client, from its connection to its end.

use std::{
    fmt::Display,
    future::poll_fn,
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    task::Poll,
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use rustix::event::{PollFd, PollFlags, Timespec};
use sentinel_sdk::{Error, RawConnection};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    Shared,
    pass::{Ended, Passing},
};
use crate::tls::Stream;

/// After a switch, answers that are on their way from the old node are still waited for.
const GRACE: Duration = Duration::from_millis(10);
/// How long a client has for its first request when the proxy comes to its end.
const FRESH: Duration = Duration::from_millis(50);
/// How long the last word to a client may take.
const LINGER: Duration = Duration::from_millis(200);

/// While a client waits, it is looked so often whether it is still there.
const LOOK: Duration = Duration::from_millis(100);

/// The client's end of a connection.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send + Sync {
    fn socket(&self) -> BorrowedFd<'_>;

    /// Whether it has closed its side, whatever it has said before. One that only says nothing more looks the same, and
    /// does not wait for long either.
    fn is_gone(&self) -> bool {
        let socket = self.socket();
        let mut polled = [PollFd::new(&socket, PollFlags::RDHUP)];
        let gone = PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR;
        rustix::event::poll(&mut polled, Some(&Timespec::default())).is_ok() && polled[0].revents().intersects(gone)
    }

    /// Completes when it has.
    fn gone(&self) -> impl Future<Output = ()> + Send {
        async {
            loop {
                sleep(LOOK).await;
                if self.is_gone() {
                    return;
                }
            }
        }
    }
}

impl Connection for TcpStream {
    fn socket(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

impl Connection for Stream<TcpStream> {
    fn socket(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

/// Serves a client until one of both ends is closed, or the node is no longer the right one.
pub(super) async fn serve(stream: TcpStream, from: SocketAddr, shared: &Shared) {
    let Some(tls) = &shared.tls else { return connect(stream, from, shared).await };
    let accepted = tokio::select! {
        accepted = tls.accept(stream, &from) => accepted,
        () = shared.over.cancelled() => None,
    };
    if let Some(stream) = accepted {
        connect(stream, from, shared).await;
    }
}

async fn connect(client: impl Connection, from: SocketAddr, shared: &Shared) {
    let (waiting, began) = (shared.counts.waiting.enter(), Instant::now());
    let node = async { if shared.reads { shared.pool.dial_replica().await } else { shared.pool.dial_master().await } };
    let node = tokio::select! {
        node = node => node,
        () = client.gone() => return,
        () = shared.over.cancelled() => Err(Error::Shutdown),
    };
    drop(waiting);
    // Nobody waits for an answer any more: what it has asked for must not be done much later.
    if began.elapsed() >= LOOK && client.is_gone() {
        return;
    }
    match node {
        Ok(node) => {
            tracing::debug!(client = %from, node = %node.address(), "connected");
            pass(client, node, shared).await;
        }
        Err(error) => {
            shared.counts.leave_unserved(format_args!("{from} is not served: {error}"));
            let code = if shared.reads { "NOREPLICA" } else { "NOMASTER" };
            close(client, Some(format!("-{code} {}\r\n", in_one_line(&error)))).await;
        }
    }
}

/// Passes bytes on until the end.
async fn pass(mut client: impl Connection, mut node: RawConnection, shared: &Shared) {
    let address = node.address().clone();
    // Each is looked at when it is woken itself, and not with every byte: the lock of such a token is one for all
    // clients.
    let mut signs = FuturesUnordered::new();
    signs.push(node.over().map(|()| Ended::Over).boxed());
    signs.push(shared.over.clone().cancelled_owned().map(|()| Ended::Over).boxed());
    signs.push(shared.draining.clone().cancelled_owned().map(|()| Ended::Draining).boxed());
    let mut passing = Passing::default();
    let ended = tokio::select! {
        biased;
        ended = poll_fn(|context| {
            let polled = passing.poll(context, &mut client, &mut node, &shared.counts);
            if passing.take_refusal() {
                node.suspect();
            }
            polled
        }) => ended,
        Some(sign) = signs.next() => sign,
    };
    if ended == Ended::Draining && passing.is_fresh() {
        // It has connected a moment ago: what it says first is on its way.
        let first = poll_fn(|context| {
            let polled = passing.poll(context, &mut client, &mut node, &shared.counts);
            if passing.is_fresh() { polled.map(drop) } else { Poll::Ready(()) }
        });
        let _ = timeout(FRESH, first).await;
    }
    let ended = if ended == Ended::Draining {
        // Whoever waits for an answer has it first.
        tokio::select! {
            biased;
            ended = poll_fn(|context| passing.poll_until_quiet(context, &mut client, &mut node, &shared.counts)) => ended,
            Some(sign) = signs.next() => sign,
        }
    } else {
        ended
    };
    if ended == Ended::Over {
        let rest = poll_fn(|context| passing.poll_replies_until_quiet(context, &mut client, &mut node, &shared.counts));
        // What does not come in time is not known.
        let _ = timeout(GRACE, rest).await;
        shared.counts.cut.add(1);
    }
    if ended == Ended::Client {
        return;
    }
    drop(node);
    let word = passing.owes_an_answer().then(|| {
        shared.counts.unknown.add(1);
        let name = &shared.name;
        format!("-SWITCHED the connection to {address} of {name} ended; whether this was executed is not known\r\n")
    });
    close(client, word).await;
}

/// Says the last word, if there is one, and closes the connection so that what was sent arrives.
async fn close(mut client: impl Connection, word: Option<String>) {
    let last = async {
        if let Some(word) = word {
            client.write_all(word.as_bytes()).await?;
        }
        client.shutdown().await?;
        // Closed with something unread the kernel would throw away what it has not sent yet.
        let mut room = [0; 1024];
        while client.read(&mut room).await? > 0 {}
        io::Result::Ok(())
    };
    // It may be gone: then there is nobody to be told.
    let _ = timeout(LINGER, last).await;
}

/// An error is one line in the protocol.
fn in_one_line(text: &impl Display) -> String {
    text.to_string().replace(['\r', '\n'], " ")
}
