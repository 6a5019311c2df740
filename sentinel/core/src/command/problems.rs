//! SENTINEL PROBLEMS: what is wrong, the worst first.

use std::{cmp::Reverse, sync::Arc};

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    errors,
    query::find,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{
    problems::{Problem, Scope},
    time::{Instant, Now},
    view::View,
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Lists what is wrong, the worst first, with what mends it.",
    arguments: &[string("master-name").optional()],
    further_help: &[
        "PROBLEMS [<master-name>]",
        "    List what is wrong with this Sentinel, the others and the masters, the worst",
        "    first, with what mends it.",
    ],
    ..Subcommand::ours("sentinel|problems", -2, Does::Answer(answer))
};

fn answer(words: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    match words {
        [] => Some(list(view, None, now.mono)),
        [name] => Some(list(view, Some(name), now.mono)),
        _ => None,
    }
}

/// All problems; with a name those of that master and its nodes, of its Sentinels and of this process.
fn list(view: &View, name: Option<&Bytes>, now: Instant) -> Reply {
    let mut all: Vec<&Arc<Problem>> = view.problems.iter().collect();
    match name {
        None => all.extend(view.masters.values().flat_map(|master| master.problems.iter())),
        Some(name) => {
            let Some(master) = find(view, name) else { return errors::no_such_master() };
            let is_concerned = |problem: &Problem| match &problem.scope {
                Scope::Peer { id, .. } => master.peers.iter().any(|peer| peer.id == *id),
                _ => true,
            };
            all.retain(|problem| is_concerned(problem));
            all.extend(master.problems.iter());
        }
    }
    all.sort_by_key(|problem| (Reverse(problem.severity), problem.since));
    Reply::Array(all.into_iter().map(|problem| shown(problem, now)).collect())
}

fn shown(problem: &Problem, now: Instant) -> Reply {
    let Problem { code, severity, scope, since, sentence, remedy } = problem;
    let text = |value: Option<String>| value.unwrap_or_default();
    let fields = [
        ("code", code.as_str().to_owned()),
        ("severity", severity.as_str().to_owned()),
        ("scope", scope.kind().to_owned()),
        ("master", text(scope.master().map(ToString::to_string))),
        ("address", text(scope.addr().map(ToString::to_string))),
        ("runid", text(scope.id().map(ToString::to_string))),
        ("since-ms", now.since(*since).as_millis().to_string()),
        ("problem", sentence.clone()),
        ("remedy", remedy.clone()),
    ];
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::from(name), Reply::display(value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        command::sample::{addr, id, master, ms, now, peer, view},
        problems::{Code, Severity},
    };

    fn problem(code: Code, severity: Severity, scope: Scope) -> Arc<Problem> {
        let (sentence, remedy) = ("it is so".to_owned(), "mend it".to_owned());
        Arc::new(Problem { code, severity, scope, since: ms(2_000), sentence, remedy })
    }

    fn codes(reply: &Reply) -> Vec<String> {
        let Reply::Array(items) = reply else { panic!("{reply:?}") };
        let code = |item: &Reply| match item {
            Reply::Map(fields) => fields[0].1.as_text().expect("a text").to_owned(),
            other => panic!("{other:?}"),
        };
        items.iter().map(code).collect()
    }

    #[test]
    fn the_worst_come_first_and_a_name_leaves_out_what_concerns_others_only() {
        let (mut one, mut other) = (master("one"), master("other"));
        one.peers = vec![peer('b')];
        let scope = |name: &str| Scope::Master {
            name: crate::types::MasterName::new(name).expect("a name"),
            addr: addr("127.0.0.1:6379"),
        };
        one.problems = Arc::new([problem(Code::OneLossFromQuorum, Severity::Warning, scope("one"))]);
        other.problems = Arc::new([problem(Code::MasterDown, Severity::Critical, scope("other"))]);
        let mut view = view([one, other]);
        let of_peer = |of| Scope::Peer { id: id(of), addr: addr("127.0.0.1:26380") };
        view.problems = Arc::new([
            problem(Code::Tilt, Severity::Warning, Scope::Process),
            problem(Code::PeerUnreachable, Severity::Warning, of_peer('b')),
            problem(Code::PeerUnidentified, Severity::Info, of_peer('c')),
        ]);
        let all = codes(&list(&view, None, now().mono));
        assert_eq!((all.len(), all[0].as_str(), all[4].as_str()), (5, "master-down", "peer-unidentified"));
        let of_one = codes(&list(&view, Some(&Bytes::from_static(b"one")), now().mono));
        assert_eq!(of_one, ["tilt", "peer-unreachable", "one-loss-from-quorum"]);
        assert_eq!(list(&view, Some(&Bytes::from_static(b"none")), now().mono), errors::no_such_master());
    }
}
