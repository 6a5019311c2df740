//! The hello subscription of a RESP2 server, on a connection of its own.

use std::{convert::Infallible, time::Duration};

use sentinel_core::{LinkFault, Target};

use super::{
    connection::Connection,
    dial::Dialer,
    handshake::{self, HANDSHAKE_TIMEOUT},
    link::{RESUBSCRIBE_PERIOD, Reporter, TURN, within},
    value::{self, Received},
    wire::{Command, HELLO_CHANNEL},
};

/// How long to wait before a lost subscription is opened again. A promotion disconnects it on purpose.
const REOPEN_PERIOD: Duration = Duration::from_millis(100);

/// Keeps the subscription as long as the link's other connection lives: whether the instance is there is told by
/// that one.
pub(super) async fn keep(target: &Target, dialer: &Dialer, reporter: &Reporter) -> Infallible {
    let mut refusals = Refusals::new(target);
    loop {
        let pause = match listen(target, dialer, reporter, &mut refusals).await {
            LinkFault::Closed => REOPEN_PERIOD,
            _ => RESUBSCRIBE_PERIOD,
        };
        tokio::time::sleep(pause).await;
    }
}

async fn listen(target: &Target, dialer: &Dialer, reporter: &Reporter, refusals: &mut Refusals) -> LinkFault {
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
            Ok(Received::Subscribed | Received::Other) => {}
            Ok(Received::Answer(reply)) => {
                let line = reply.as_text().unwrap_or("an unexpected answer").to_owned();
                refusals.report(&line);
                return LinkFault::Denied(line);
            }
            Err(fault) => return fault,
        }
    }
}

/// Says in the log, once for each reason, that an instance refuses the subscription and what to do about it.
pub(super) struct Refusals {
    instance: String,
    user: String,
    last: Option<String>,
}

impl Refusals {
    pub(super) fn new(target: &Target) -> Self {
        Refusals {
            instance: target.addr.to_string(),
            user: target.user.clone().unwrap_or_else(|| "default".to_owned()),
            last: None,
        }
    }

    pub(super) fn report(&mut self, line: &str) {
        if self.last.as_deref() == Some(line) {
            return;
        }
        let remedy = remedy(line, &self.user);
        tracing::warn!(
            address = self.instance,
            error = line,
            "{} refuses the subscription to {HELLO_CHANNEL}, so other Sentinels are not discovered there: {line}{remedy}",
            self.instance
        );
        self.last = Some(line.to_owned());
    }
}

/// The ACL rule that is missing, if that is the reason.
fn remedy(line: &str, user: &str) -> String {
    if !line.starts_with("NOPERM") {
        return String::new();
    }
    let rule = if line.contains("channel") { format!("&{HELLO_CHANNEL}") } else { "+subscribe".to_owned() };
    format!(" (remedy: ACL SETUSER {user} {rule})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_the_rule_that_is_missing() {
        let channel = "NOPERM this user has no permissions to access one of the channels used as arguments";
        assert_eq!(remedy(channel, "s"), " (remedy: ACL SETUSER s &__sentinel__:hello)");
        let command = "NOPERM this user has no permissions to run the 'subscribe' command";
        assert_eq!(remedy(command, "s"), " (remedy: ACL SETUSER s +subscribe)");
        assert_eq!(remedy("BUSY script", "s"), "");
    }
}
