//! SENTINEL FORGET and FORGET-REPLICA.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{Change, argument, errors, failover};
use crate::types::SentinelId;

/// `FORGET name id`, `FORGET name UNVERIFIED`
pub(super) fn sentinel(name: &Bytes, id: &Bytes) -> Result<Change, Reply> {
    let name = argument::known_name(name);
    if id.eq_ignore_ascii_case(b"unverified") {
        return Ok(Change::ForgetUnverified { name });
    }
    let id = SentinelId::new(&argument::text(id)).map_err(|_| errors::no_such_sentinel())?;
    Ok(Change::Forget { name, id })
}

/// `FORGET-REPLICA name host port`
pub(super) fn replica(name: &Bytes, host: &Bytes, port: &Bytes) -> Result<Change, Reply> {
    Ok(Change::ForgetReplica { name: argument::known_name(name), addr: failover::address(host, port)? })
}
