//! The text of INFO.

use sentinel_resp::Reply;

use sentinel_rig::Rig;

/// The first byte says which node answers so: a master, a replica, a replica that is being promoted.
pub fn info(data: &[u8]) {
    let Some((who, text)) = data.split_first() else { return };
    // The first INFO is asked for as soon as the links are up.
    let mut rig = Rig::new();
    let node = usize::from(*who) % 3;
    for _ in 0..2 {
        rig.answer_info_of(node, Reply::bulk(text.to_vec()));
        rig.live(3);
    }
}
