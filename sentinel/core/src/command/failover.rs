//! SENTINEL FAILOVER. The reference has no options.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::{block, integer, string, word},
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Starts a failover without the agreement of other Sentinels.",
    since: Some("2.8.4"),
    complexity: None,
    arguments: &[
        string("master-name"),
        block("target", &[string("ip"), integer("port"), word("force", "FORCE").optional()]).behind("TO").optional(),
        word("coordinated", "COORDINATED").optional(),
        word("dryrun", "DRYRUN").optional(),
        string("reason").behind("REASON").optional(),
    ],
    help: &[
        "FAILOVER <master-name>",
        "    Promote a replica now, although the master may be well, and without",
        "    the votes of other Sentinels.",
    ],
    further_help: &[
        "FAILOVER <master-name> [TO <host> <port> [FORCE]] [COORDINATED] [DRYRUN] [REASON <text>]",
        "    Promote this replica; with COORDINATED without losing a write, or not at",
        "    all; with FORCE whatever it holds, when the master is down; with DRYRUN",
        "    only tell which one it would be, what may be lost, and what the nodes do",
        "    not permit. The reason stands in the log and in the history.",
    ],
    ..Subcommand::admin("sentinel|failover", -3, Does::Change(read))
};

fn read(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    match words {
        [name] => Ok(Some(Change::Failover { name: argument::known_name(name) })),
        [name, options @ ..] => parse(name, options),
        [] => Ok(None),
    }
}

/// `name [TO host port [FORCE]] [COORDINATED] [DRYRUN] [REASON text]`, in any order. None: not understood, which is an
/// error of arity as in the reference. FORCE is for a replica that is named, and for a master that cannot hand over.
fn parse(name: &Bytes, mut words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let name = argument::known_name(name);
    let (mut to, mut coordinated, mut force, mut dry_run, mut reason) = (None, false, false, false, None);
    loop {
        match words {
            [] if force && (to.is_none() || coordinated) => return Ok(None),
            [] => return Ok(Some(Change::FailoverTo { name, to, coordinated, force, dry_run, reason })),
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
            [word, text, rest @ ..] if word.eq_ignore_ascii_case(b"REASON") => {
                reason = argument::reason(text)?;
                words = rest;
            }
            [word, host, port, rest @ ..] if word.eq_ignore_ascii_case(b"TO") => {
                to = Some(argument::address(host, port)?);
                words = rest;
            }
            _ => return Ok(None),
        }
    }
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
        let why = parse(&Bytes::from_static(b"m"), &words("coordinated reason 'a new kernel'"));
        assert!(matches!(why, Ok(Some(Change::FailoverTo { reason: Some(why), .. })) if why == "a new kernel"));
        for line in [
            "TO 10.0.0.1",
            "x",
            "REASON",
            "reason a b",
            "DRYRUN x",
            "TO",
            "FORCE",
            "DRYRUN FORCE",
            "TO 10.0.0.1 7 FORCE COORDINATED",
        ] {
            assert_eq!(parsed(line), Ok(None), "{line}");
        }
        assert!(parsed("TO 10.0.0.1 70000").is_err());
        let forced = parse(&Bytes::from_static(b"m"), &words("force TO 10.0.0.1 7"));
        assert!(matches!(forced, Ok(Some(Change::FailoverTo { to: Some(_), force: true, coordinated: false, .. }))));
    }
}
