//! `SENTINEL FAILOVER ... DRYRUN`: the nodes are asked whether they would do what a failover tells them (`ACL DRYRUN`, of Redis 7.0
//! and later). Nothing is changed anywhere. A departure: the reference has no dry run.
//!
//! What would be chosen is known here; that a user lacks a permission shows only when it is too late otherwise. A node that knows
//! no `ACL DRYRUN`, or does not permit it, is named as one that could not be asked; what it has refused before counts all the same.

use std::{collections::BTreeSet, time::Duration};

use sentinel_resp::Reply;

use crate::{
    context::Context,
    engine::Engine,
    input::ClientId,
    output::Message,
    state::{Asked, MasterKey, NodeId},
    time::Instant,
    timer::Timer,
    types::HostPort,
    watch::Watch,
};

/// How long the answer to an operator waits for the nodes.
const ANSWERED_WITHIN: Duration = Duration::from_millis(1_500);
/// So many operators may wait at the same time.
const MOST_WAITING: usize = 64;
/// So many nodes are asked, the master and the chosen one first.
const MOST_ASKED: usize = 64;

/// A command that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The ACL rule that allows it, without its plus.
    pub(crate) rule: &'static str,
    /// Its words.
    pub words: &'static [&'static str],
    /// Without it the order is not carried out at all.
    essential: bool,
}

/// The rule of the command that has a master hand over.
const HANDOVER: &str = "failover";

const fn part(rule: &'static str, words: &'static [&'static str], essential: bool) -> Part {
    Part { rule, words, essential }
}

/// Those of an order to follow another master, or nobody. Without those that are not essential the order is given as well.
const ROLE_CHANGE: &[Part] = &[
    part("slaveof", &["SLAVEOF", "NO", "ONE"], true),
    part("multi", &["MULTI"], false),
    part("exec", &["EXEC"], false),
    part("config|rewrite", &["CONFIG", "REWRITE"], false),
    part("client|kill", &["CLIENT", "KILL", "TYPE", "normal"], false),
];

/// Those, and what a master is told that hands over.
const WITH_HANDOVER: &[Part] = &[
    ROLE_CHANGE[0],
    ROLE_CHANGE[1],
    ROLE_CHANGE[2],
    ROLE_CHANGE[3],
    ROLE_CHANGE[4],
    part(HANDOVER, &["FAILOVER"], false),
    part("client|pause", &["CLIENT", "PAUSE", "1", "WRITE"], false),
];

/// What [`Message::MayI`] asks about, in the order of the answers.
pub const fn parts(hand_over: bool) -> &'static [Part] {
    if hand_over { WITH_HANDOVER } else { ROLE_CHANGE }
}

/// An operator who waits until the nodes have answered.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Rehearsal {
    client: ClientId,
    master: MasterKey,
    /// What would be done, and to whom.
    would: String,
    chosen: NodeId,
    /// The master must hand over.
    lossless_only: bool,
    /// Nothing is known that keeps the master from handing over. Then the chosen one is a master before it is told anything.
    hands_over: bool,
    waiting: BTreeSet<NodeId>,
    /// Why the chosen one could not be told to be a master.
    of_chosen: Vec<String>,
    /// Why the master could not hand over.
    of_master: Vec<String>,
    /// What would go less well.
    less: Vec<String>,
    until: Instant,
}

/// What a node says of one command.
enum Verdict {
    Permitted,
    Refused,
    /// It has no command of that name.
    NotFound,
    /// It cannot be asked, and why.
    Unknown(String),
}

fn verdict(reply: &Reply) -> Verdict {
    match reply {
        Reply::Error(text) if text.contains("ot found") && !text.contains("User") => Verdict::NotFound,
        Reply::Error(text) => Verdict::Unknown(text.clone()),
        reply => match reply.as_text() {
            None | Some("OK") => Verdict::Permitted,
            Some(_) => Verdict::Refused,
        },
    }
}

impl Rehearsal {
    /// A node has answered.
    fn take(&mut self, id: NodeId, addr: &HostPort, is_master: bool, reply: &Reply) {
        let Reply::Array(replies) = reply else {
            return self.less.push(format!("{addr} could not be asked"));
        };
        for (part, reply) in parts(is_master).iter().zip(replies) {
            let missing = match verdict(reply) {
                Verdict::Permitted => continue,
                Verdict::Unknown(why) => {
                    let why = why.chars().take(128).collect::<String>();
                    return self.less.push(format!("{addr} could not be asked for its permissions: {why}"));
                }
                Verdict::Refused => format!("{addr} does not permit {} (+{})", part.words.join(" "), part.rule),
                Verdict::NotFound => {
                    format!(
                        "{addr} has no command {} (was it renamed there? SENTINEL SET rename-command)",
                        part.words[0]
                    )
                }
            };
            self.note(id, is_master, part, missing);
        }
    }

    fn note(&mut self, id: NodeId, is_master: bool, part: &Part, missing: String) {
        if part.essential && id == self.chosen {
            self.of_chosen.push(missing);
        } else if is_master && part.rule == HANDOVER {
            self.of_master.push(missing);
        } else {
            self.less.push(missing);
        }
    }

    /// A node has not answered in time.
    fn silent(&mut self, id: NodeId, current: Option<NodeId>, addr: &str) {
        let text = format!("{addr} has not answered within {} ms", ANSWERED_WITHIN.as_millis());
        if id == self.chosen {
            // It is not handed over to, either.
            self.hands_over = false;
            self.of_chosen.push(text.clone());
            self.of_master.push(text);
        } else if Some(id) == current {
            self.of_master.push(text);
        } else {
            self.less.push(text);
        }
    }

    fn answer(self) -> Reply {
        let Rehearsal { would, lossless_only, hands_over, mut of_chosen, mut of_master, mut less, .. } = self;
        let hands_over = hands_over && of_master.is_empty();
        let fatal = match (lossless_only, hands_over) {
            (true, _) => std::mem::take(&mut of_master),
            (false, false) => std::mem::take(&mut of_chosen),
            (false, true) => Vec::new(),
        };
        less.splice(0..0, of_chosen.into_iter().chain(of_master));
        less.retain(|text| !fatal.contains(text));
        let parts = |first: &str, texts: Vec<String>| {
            std::iter::once(first.to_owned()).filter(|it| !it.is_empty()).chain(texts).collect::<Vec<_>>().join("; ")
        };
        if fatal.is_empty() {
            return Reply::status(parts(&would, less));
        }
        Reply::error(format!("WOULDFAIL {}", parts(&fatal.join("; "), less)))
    }
}

impl Watch<'_> {
    /// Asks the nodes, and answers when they have: `would` says what would be done.
    pub(crate) fn rehearse(&mut self, client: ClientId, chosen: NodeId, lossless_only: bool, would: String) {
        let until = self.ctx.mono() + ANSWERED_WITHIN;
        let mut rehearsal = Rehearsal {
            client,
            master: self.master.key,
            would,
            chosen,
            lossless_only,
            hands_over: self.handover_obstacle().is_none(),
            waiting: BTreeSet::new(),
            of_chosen: Vec::new(),
            of_master: Vec::new(),
            less: Vec::new(),
            until,
        };
        let current = self.master.current;
        let others = self.master.nodes.values().map(|node| node.id).filter(|id| *id != chosen && *id != current);
        let asked: Vec<NodeId> = [chosen, current].into_iter().chain(others).take(MOST_ASKED).collect();
        for id in asked {
            let Some(node) = self.master.nodes.get_mut(id).filter(|node| !node.stranger) else { continue };
            let is_master = id == current;
            for part in parts(is_master) {
                if node.link.denials.refuses(part.rule) && part.essential && id == chosen {
                    rehearsal.of_chosen.push(format!("{} has refused {} before", node.addr, part.words.join(" ")));
                }
            }
            let user = node.link.target.user.clone().filter(|_| !node.link.denials.refuse_login());
            let message = Message::MayI { user, hand_over: is_master };
            if node.is_reachable() && self.ctx.send(&mut node.link, Asked::MayI, message) {
                rehearsal.waiting.insert(id);
            } else if !is_master {
                rehearsal.less.push(format!("{} cannot be reached", node.addr));
            }
        }
        if rehearsal.waiting.is_empty() || self.ctx.rehearsals.len() >= MOST_WAITING {
            return self.ctx.answer(client, rehearsal.answer());
        }
        self.ctx.arm(Timer::Rehearsal, until);
        self.ctx.rehearsals.push(rehearsal);
    }

    /// A node says what it permits.
    pub(crate) fn permissions_told(&mut self, id: NodeId, reply: &Reply) {
        let is_master = id == self.master.current;
        let Some(addr) = self.master.nodes.get(id).map(|node| node.addr.clone()) else { return };
        for rehearsal in self.ctx.rehearsals.iter_mut().filter(|it| it.master == self.master.key) {
            if rehearsal.waiting.remove(&id) {
                rehearsal.take(id, &addr, is_master, reply);
            }
        }
        self.ctx.end_rehearsals();
    }
}

impl Engine {
    /// Who has not answered by now is named.
    pub(crate) fn rehearsals_timed_out(&mut self) {
        let now = self.ctx.mono();
        for rehearsal in self.ctx.rehearsals.iter_mut().filter(|it| it.until <= now) {
            let master = self.masters.get(&rehearsal.master);
            for id in std::mem::take(&mut rehearsal.waiting) {
                let addr = master.and_then(|master| master.nodes.get(id)).map(|node| node.addr.to_string());
                let current = master.map(|master| master.current);
                rehearsal.silent(id, current, &addr.unwrap_or_else(|| "a node that is gone".to_owned()));
            }
        }
        self.ctx.end_rehearsals();
        if let Some(next) = self.ctx.rehearsals.iter().map(|it| it.until).min() {
            self.ctx.arm(Timer::Rehearsal, next);
        }
    }
}

impl Context {
    fn end_rehearsals(&mut self) {
        let (waiting, done): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.rehearsals).into_iter().partition(|it| !it.waiting.is_empty());
        self.rehearsals = waiting;
        for rehearsal in done {
            self.answer(rehearsal.client, rehearsal.answer());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_answer_to_a_dry_run_is_understood() {
        let refused = |text: &str| matches!(verdict(&Reply::text(text)), Verdict::Refused);
        assert!(matches!(verdict(&Reply::ok()), Verdict::Permitted));
        assert!(refused("This user has no permissions to run the 'slaveof' command"), "7.0");
        assert!(refused("User sentinel has no permissions to run the 'slaveof' command"), "7.2 and later");
        assert!(matches!(verdict(&Reply::error("ERR Command 'GUESS' not found")), Verdict::NotFound));
        for unknown in [
            "ERR unknown subcommand 'DRYRUN'. Try ACL HELP.",
            "ERR unknown command `ACL`, with args beginning with: `DRYRUN`",
            "NOPERM this user has no permissions to run the 'acl|dryrun' command",
            "ERR User 'sentinel' not found",
        ] {
            assert!(matches!(verdict(&Reply::error(unknown)), Verdict::Unknown(_)), "{unknown}");
        }
    }

    #[test]
    fn an_order_to_change_roles_needs_one_command_and_all_are_asked_about_once() {
        assert_eq!(parts(false).iter().filter(|part| part.essential).count(), 1);
        let rules: BTreeSet<&str> = parts(true).iter().map(|part| part.rule).collect();
        assert_eq!(rules.len(), parts(true).len());
        let steps = crate::role_change::Omitted::default().steps();
        for rule in steps.filter_map(crate::role_change::Step::rule).filter(|rule| *rule != "info") {
            assert!(rules.contains(rule), "{rule}");
        }
    }
}
