//! The payload of a hello.

use bytes::Bytes;

use sentinel_rig::Rig;

/// The first byte says from where it comes: a data node's channel, or a client that publishes it.
pub fn hello(data: &[u8]) {
    let Some((whence, payload)) = data.split_first() else { return };
    let mut rig = Rig::settled();
    let payload = Bytes::copy_from_slice(payload);
    for _ in 0..2 {
        match whence % 4 {
            3 => rig.publish(payload.clone()),
            node => rig.hello(usize::from(node), payload.clone()),
        }
        rig.live(10);
    }
}
