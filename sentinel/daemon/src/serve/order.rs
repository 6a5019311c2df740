//! A command on its way to the engine, whoever it came from.

use std::borrow::Cow;

use bytes::Bytes;
use sentinel_core::{
    ClientId,
    command::{Change, Subcommand},
};
use sentinel_resp::{Reply, text};
use tokio::sync::{mpsc, oneshot};

use super::Ask;
use crate::{config, scripts};

/// SENTINEL MONITOR with a link-local address and its interface (`fe80::1%eth0`): the reference drops the interface.
pub(crate) fn without_interface<'a>(subcommand: &Subcommand, words: &'a [Bytes]) -> Cow<'a, [Bytes]> {
    let Some(host) = words.get(1).filter(|_| subcommand.word() == "monitor") else {
        return words.into();
    };
    let Some(ip) = config::without_scope(&text::of(host)) else { return words.into() };
    tracing::warn!("{}", config::scope_dropped(&text::of(host), ip));
    let mut words = words.to_vec();
    words[1] = ip.to_string().into();
    words.into()
}

/// Gives the engine a change and answers what it answers. `scripts_denied`: paths of scripts may not be set at all, and are
/// not looked at.
pub(crate) async fn order(changes: mpsc::Sender<Ask>, scripts_denied: bool, client: ClientId, change: Change) -> Reply {
    let stopping = || Reply::err("this Sentinel is stopping");
    let change = if scripts_denied { change } else { scripts::refuse_unusable(change).await };
    let (reply, answer) = oneshot::channel();
    if changes.send(Ask { client, change, reply }).await.is_err() {
        return stopping();
    }
    answer.await.unwrap_or_else(|_| stopping())
}
