//! SENTINEL HELP.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    SUBCOMMANDS,
    row::{HELP_FLAGS, Row},
    table::{Does, Subcommand},
};
use crate::{time::Now, view::View};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Lists the subcommands.",
    since: Some("6.2.0"),
    flags: HELP_FLAGS,
    help: &["HELP", "    Prints this help."],
    ..Row::new("sentinel|help", "sentinel", 2, Does::Answer(answer))
};

/// Usage lines in the reference's order, each with its description, then those about what the reference does not have.
fn answer(_: &[Bytes], _: &View, _: Now) -> Option<Reply> {
    let headline = "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:";
    let all = SUBCOMMANDS.iter().flat_map(|row| row.help);
    let lines = all.chain(SUBCOMMANDS.iter().flat_map(|row| row.further_help));
    Some(Reply::Array([headline].iter().chain(lines).copied().map(Reply::status).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_has_a_usage_line() {
        for row in SUBCOMMANDS {
            let lines = || row.help.iter().chain(row.further_help);
            let usages: Vec<&str> =
                lines().filter(|line| !line.starts_with(' ')).filter_map(|line| line.split(' ').next()).collect();
            let alias = row.name.contains("primar") || row.name == "sentinel|slaves";
            assert_eq!(usages.is_empty(), alias, "{}", row.name);
            assert!(usages.iter().all(|usage| *usage == row.word().to_ascii_uppercase()), "{usages:?}");
        }
    }

    #[test]
    fn every_usage_line_is_followed_by_a_description() {
        for lines in SUBCOMMANDS.iter().flat_map(|row| [row.help, row.further_help]).filter(|lines| !lines.is_empty()) {
            assert!(lines.last().is_some_and(|line| line.starts_with("    ")), "{lines:?}");
            for pair in lines.windows(2) {
                assert!(pair[0].starts_with(' ') || pair[1].starts_with("    "), "{pair:?}");
            }
        }
    }
}
