//! How far behind replicas are, as their master has told.

use std::net::IpAddr;

use sentinel_core::{
    types::{Host, HostPort},
    view::MasterView,
};

/// What each replica that a master lists had not acknowledged at its last INFO, in bytes. Both numbers are of one moment there,
/// which those of two nodes are not.
pub(super) fn all(master: &MasterView) -> impl Iterator<Item = (&HostPort, u64)> {
    let info = master.node.info.as_deref().unwrap_or_default();
    let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:")?.trim().parse::<u64>().ok());
    let listed = offset.into_iter().flat_map(move |offset| info.lines().filter_map(move |line| listed(line, offset)));
    listed.filter_map(|(host, port, lag)| {
        // One that is not known here is somebody else's name for it, which others may choose.
        let ip = host.parse::<IpAddr>().ok();
        let is_it = |known: &Host| match known {
            Host::Ip(known) => ip.as_ref() == Some(known),
            Host::Name(name) => **name == *host,
        };
        let mut known = master.replicas.iter().map(|replica| &replica.node.addr);
        Some((known.find(|known| known.port == port && is_it(&known.host))?, lag))
    })
}

/// The same of one of them.
pub(super) fn of(master: &MasterView, replica: &HostPort) -> Option<u64> {
    all(master).find(|(addr, _)| *addr == replica).map(|(_, lag)| lag)
}

/// A line of INFO such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=1234,lag=0`.
fn listed(line: &str, master_offset: u64) -> Option<(&str, u16, u64)> {
    let (number, fields) = line.strip_prefix("slave")?.split_once(':')?;
    number.parse::<u32>().ok()?;
    let field = |name: &str| fields.split(',').find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
    let acknowledged = field("offset")?.trim().parse::<u64>().ok()?;
    Some((field("ip")?, field("port")?.parse().ok()?, master_offset.saturating_sub(acknowledged)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_the_place_and_what_is_not_acknowledged() {
        let line = "slave12:ip=10.0.0.2,port=6380,state=online,offset=900,lag=0\r";
        assert_eq!(listed(line, 1_000), Some(("10.0.0.2", 6380, 100)));
        assert_eq!(
            listed(line, 800),
            Some(("10.0.0.2", 6380, 0)),
            "it acknowledged after the master had written its own"
        );
        for line in
            ["slave_repl_offset:900", "slave0:ip=10.0.0.2,port=6380", "slaves:ip=a,port=1,offset=1", "slave0:offset=1"]
        {
            assert_eq!(listed(line, 1_000), None, "{line}");
        }
    }
}
