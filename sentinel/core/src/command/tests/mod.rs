//! What a client reads, on hand-made views, and what no request may do.

mod instances;
mod queries;
mod requests;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sentinel_resp::{Protocol, Reply, encode};

use super::{
    Change, Command, info_section, role,
    sample::{addr, error_of, id, master, ms, now, peer, replica, silent_node, view, words},
};
use crate::{
    types::Epoch,
    view::{Role, View},
};

fn ask(view: &View, line: &str) -> Reply {
    let mut args = vec![Bytes::from_static(b"Sentinel")];
    args.extend(words(line));
    match Command::parse(&args) {
        Ok(Command::Query(query)) => query.answer(view, now()),
        Ok(other) => panic!("not a query: {other:?}"),
        Err(reply) => reply,
    }
}

fn change(line: &str) -> Result<Change, String> {
    let mut args = vec![Bytes::from_static(b"sentinel")];
    args.extend(words(line));
    match Command::parse(&args) {
        Ok(Command::Change(change)) => Ok(change),
        Ok(other) => panic!("not a change: {other:?}"),
        Err(reply) => Err(error_of(&reply)),
    }
}

/// `name=value` for each pair of a map whose keys and values are all bulk strings.
fn fields(reply: &Reply) -> Vec<String> {
    let Reply::Map(pairs) = reply else {
        panic!("not a map: {reply:?}");
    };
    let bulk = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
        other => panic!("not a bulk string: {other:?}"),
    };
    pairs.iter().map(|(name, value)| format!("{}={}", bulk(name), bulk(value))).collect()
}

fn field(reply: &Reply, name: &str) -> Option<String> {
    let prefix = format!("{name}=");
    fields(reply).into_iter().find_map(|field| field.strip_prefix(&prefix).map(str::to_owned))
}

fn only(reply: Reply) -> Reply {
    match reply {
        Reply::Array(items) => <[Reply; 1]>::try_from(items).map(|[one]| one).expect("exactly one item"),
        other => panic!("not an array: {other:?}"),
    }
}

fn resp2(reply: &Reply) -> String {
    let mut out = BytesMut::new();
    encode(reply, Protocol::Resp2, &mut out);
    String::from_utf8(out.to_vec()).expect("UTF-8")
}
