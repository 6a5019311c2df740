//! What replicas lack.

use sentinel_core::{types::HostPort, view::MasterView};

/// What each replica that a master lists had not acknowledged at its last INFO, in bytes. Both numbers are of one moment there,
/// which those of two nodes are not.
pub(super) fn of(master: &MasterView) -> Vec<(&HostPort, u64)> {
    let Some(info) = master.node.info.as_deref() else { return Vec::new() };
    let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")?.trim().parse::<u64>().ok());
    let Some(offset) = offset else { return Vec::new() };
    let listed = info.lines().filter_map(|line| {
        let (number, fields) = line.strip_prefix("slave")?.split_once(':')?;
        number.parse::<u32>().ok()?;
        let field = |name: &str| fields.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        let acknowledged = field("offset")?.trim().parse::<u64>().ok()?;
        Some((field("ip")?, field("port")?.parse::<u16>().ok()?, offset.saturating_sub(acknowledged)))
    });
    listed
        .filter_map(|(ip, port, lag)| {
            // One that is not known here is somebody else's name for it, which others may choose.
            let known = master.replicas.iter().find(|replica| {
                let addr = &replica.node.addr;
                addr.port == port && addr.host.to_string() == ip
            })?;
            Some((&known.node.addr, lag))
        })
        .collect()
}
