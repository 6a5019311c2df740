//! SENTINEL RESUME: a pause ends before its time.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    pause::is_local,
    syntax::string,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Ends a pause.",
    arguments: &[string("master-name")],
    further_help: &["RESUME <master-name>|*", "    End a pause, here and at the others."],
    ..Subcommand::ours("sentinel|resume", -3, Does::Change(parse))
};

/// `name|* [LOCAL]`
fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let (name, local) = match words {
        [name] => (name, false),
        [name, word] if is_local(word) => (name, true),
        _ => return Ok(None),
    };
    Ok(Some(Change::Pause { name: argument::known_name(name), pause: None, local }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::words;

    #[test]
    fn a_pause_ends_at_all_sentinels_or_here_only() {
        let change = |local| Ok(Some(Change::Pause { name: "m".to_owned(), pause: None, local }));
        assert_eq!(parse(&words("m")), change(false));
        assert_eq!(parse(&words("m local")), change(true));
        assert_eq!(parse(&words("m x")), Ok(None));
    }
}
