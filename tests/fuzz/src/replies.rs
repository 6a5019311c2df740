//! Replies to what we ask of others.

use sentinel_resp::Reply;

use crate::rig::Rig;

/// Bytes from a data node or another Sentinel. The first one says which of the questions under way they answer.
pub fn replies(data: &[u8]) {
    let Some((which, mut bytes)) = data.split_first() else { return };
    let mut rig = Rig::settled();
    // Several replies may follow each other.
    for step in 0..8 {
        let Some((reply, used)) = decode(bytes) else { break };
        bytes = &bytes[used..];
        rig.answer(usize::from(*which) + step, reply);
        rig.live(4);
    }
}

/// The first reply, as the links decode it, and how many bytes it took.
fn decode(bytes: &[u8]) -> Option<(Reply, usize)> {
    let mut rest = bytes;
    let value = redis::Parser::new().parse_value(&mut rest).ok()?;
    Some((sentineld::monitor::reply(value), bytes.len() - rest.len()))
}
