//! The options of SENTINEL FAILOVER. The reference has none.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{Change, argument, errors};
use crate::types::HostPort;

/// `name [TO host port [FORCE]] [COORDINATED] [DRYRUN]`, in any order. None: not understood, which is an error of arity as in the
/// reference. FORCE is for a replica that is named, and for a master that cannot hand over.
pub(super) fn parse(name: &Bytes, mut words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let name = argument::known_name(name);
    let (mut to, mut coordinated, mut force, mut dry_run) = (None, false, false, false);
    loop {
        match words {
            [] if force && (to.is_none() || coordinated) => return Ok(None),
            [] => return Ok(Some(Change::FailoverTo { name, to, coordinated, force, dry_run })),
            [word, rest @ ..] if word.eq_ignore_ascii_case(b"FORCE") => {
                force = true;
                words = rest;
            }
            [word, rest @ ..] if word.eq_ignore_ascii_case(b"DRYRUN") => {
                dry_run = true;
                words = rest;
            }
            [word, rest @ ..] if word.eq_ignore_ascii_case(b"COORDINATED") => {
                coordinated = true;
                words = rest;
            }
            [word, host, port, rest @ ..] if word.eq_ignore_ascii_case(b"TO") => {
                to = Some(address(host, port)?);
                words = rest;
            }
            _ => return Ok(None),
        }
    }
}

/// An address of two words.
pub(super) fn address(host: &Bytes, port: &Bytes) -> Result<HostPort, Reply> {
    HostPort::from_words(&argument::text(host), &argument::text(port)).map_err(|_| errors::invalid_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::words;

    fn parsed(line: &str) -> Result<Option<(Option<String>, bool, bool)>, Reply> {
        Ok(parse(&Bytes::from_static(b"m"), &words(line))?.map(|change| match change {
            Change::FailoverTo { to, coordinated, force: false, dry_run, .. } => {
                (to.map(|to| to.to_string()), coordinated, dry_run)
            }
            other => panic!("{other:?}"),
        }))
    }

    #[test]
    fn options_come_in_any_order_and_nothing_is_left_over() {
        let to = || Some("10.0.0.1:7".to_owned());
        assert_eq!(parsed("to 10.0.0.1 7"), Ok(Some((to(), false, false))));
        assert_eq!(parsed("DryRun TO 10.0.0.1 7"), Ok(Some((to(), false, true))));
        assert_eq!(parsed("TO 10.0.0.1 7 DRYRUN"), Ok(Some((to(), false, true))));
        assert_eq!(parsed("dryrun"), Ok(Some((None, false, true))));
        assert_eq!(parsed("coordinated"), Ok(Some((None, true, false))));
        assert_eq!(parsed("TO 10.0.0.1 7 DRYRUN Coordinated"), Ok(Some((to(), true, true))));
        for line in ["TO 10.0.0.1", "x", "DRYRUN x", "TO", "FORCE", "DRYRUN FORCE", "TO 10.0.0.1 7 FORCE COORDINATED"] {
            assert_eq!(parsed(line), Ok(None), "{line}");
        }
        assert!(parsed("TO 10.0.0.1 70000").is_err());
        let forced = parse(&Bytes::from_static(b"m"), &words("force TO 10.0.0.1 7"));
        assert!(matches!(forced, Ok(Some(Change::FailoverTo { to: Some(_), force: true, coordinated: false, .. }))));
    }
}
