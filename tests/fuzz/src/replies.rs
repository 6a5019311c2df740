//! Replies to what we ask of others.

use sentinel_resp::{Frames, ReplyDecoder};

use sentinel_rig::Rig;

/// Bytes from a data node or another Sentinel. The first one says which of the questions under way they answer.
pub fn replies(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let mut rig = Rig::settled();
    // As the links decode them.
    let mut decoder = ReplyDecoder::new(1 << 20);
    decoder.feed(bytes);
    // As the proxy follows them.
    let mut frames = Frames::of_replies();
    frames.feed(bytes);
    // Several replies may follow each other.
    for step in 0..8 {
        let Ok(Some(reply)) = decoder.next_reply() else { break };
        rig.answer(usize::from(*which) + step, reply);
        rig.live(4);
    }
}
