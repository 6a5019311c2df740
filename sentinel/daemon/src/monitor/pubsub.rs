//! The hello subscription of a RESP2 server, on a connection of its own.

use std::{convert::Infallible, time::Duration};

use sentinel_core::{LinkFault, Target};

use super::{
    connection::Connection,
    dial::Dialer,
    handshake::{self, HANDSHAKE_TIMEOUT},
    inbox::News,
    link::{RESUBSCRIBE_PERIOD, Reporter, within},
    traffic::TURN,
    value::{self, Received},
    wire::{Command, HELLO_CHANNEL},
};

/// How long to wait before a lost subscription is opened again. A promotion disconnects it on purpose.
const REOPEN_PERIOD: Duration = Duration::from_millis(100);

/// Keeps the subscription as long as the link's other connection lives: whether the instance is there is told by
/// that one.
pub(super) async fn keep(target: &Target, dialer: &Dialer, reporter: &Reporter) -> Infallible {
    loop {
        let pause = match listen(target, dialer, reporter).await {
            LinkFault::Closed => REOPEN_PERIOD,
            LinkFault::Denied(line) => {
                reporter.tell(News::Subscription(Some(line)));
                RESUBSCRIBE_PERIOD
            }
            _ => RESUBSCRIBE_PERIOD,
        };
        tokio::time::sleep(pause).await;
    }
}

async fn listen(target: &Target, dialer: &Dialer, reporter: &Reporter) -> LinkFault {
    let opened = async {
        let mut connection = Connection::new(dialer.dial(&target.addr).await?.transport);
        within(HANDSHAKE_TIMEOUT, handshake::pubsub(&mut connection, target)).await?;
        Ok(connection)
    };
    let mut connection = match opened.await {
        Ok(connection) => connection,
        Err(fault) => return fault,
    };
    connection.queue(&Command::new(&target.rename_commands, "SUBSCRIBE").arg(HELLO_CHANNEL).packed());
    let mut received: u32 = 0;
    loop {
        received = received.wrapping_add(1);
        if received.is_multiple_of(TURN) {
            tokio::task::yield_now().await;
        }
        match connection.value().await.map(value::sort_resp2_push) {
            Ok(Received::Hello(payload)) => reporter.hello(payload),
            Ok(Received::Subscribed) => reporter.tell(News::Subscription(None)),
            Ok(Received::Other) => {}
            Ok(Received::Answer(reply)) => {
                let line = reply.as_text().unwrap_or("an unexpected answer").to_owned();
                return LinkFault::Denied(line);
            }
            Err(fault) => return fault,
        }
    }
}
