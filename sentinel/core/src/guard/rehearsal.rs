//! `SENTINEL FAILOVER ... DRYRUN`: the nodes are asked whether they would do what a failover tells them (`ACL DRYRUN`,
//! of Redis 7.0 and later). Nothing is changed anywhere. A departure: the reference has no dry run.
//!
//! What would be chosen is known here; that a user lacks a permission shows only when it is too late otherwise. A node
//! that knows no `ACL DRYRUN`, or does not permit it, is named as one that could not be asked; what it has refused
//! before counts then.

use std::collections::BTreeSet;

use sentinel_resp::Reply;

use crate::{
    context::Context,
    engine::Engine,
    guard::pause::{ANSWERED_WITHIN, MOST_WAITING},
    input::ClientId,
    output::Message,
    role_change::Step,
    state::{Asked, MasterKey, Node, NodeId, PAUSE, name_of},
    time::Instant,
    timer::Timer,
    watch::Watch,
};

/// So many nodes are asked, the chosen one and the master first.
const MOST_ASKED: usize = 64;

/// A command that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One of an order to follow another master, or nobody.
    Step(Step),
    /// `FAILOVER`
    HandOver,
    /// `CLIENT PAUSE`
    PauseWriters,
}

impl Part {
    const ALL: [Part; 7] = [
        Part::Step(Step::ReplicaOf),
        Part::Step(Step::Multi),
        Part::Step(Step::Exec),
        Part::Step(Step::Rewrite),
        Part::Step(Step::KillNormal),
        Part::HandOver,
        Part::PauseWriters,
    ];

    /// The ACL rule that allows it.
    fn rule(self) -> &'static str {
        match self {
            Part::Step(step) => step.rule().unwrap_or_default(),
            Part::HandOver => "failover",
            Part::PauseWriters => PAUSE,
        }
    }

    /// The command as an operator knows it.
    fn name(self) -> String {
        name_of(self.rule())
    }
}

/// What [`Message::MayI`] asks about, in the order of the answers.
pub fn parts(hand_over: bool) -> impl Iterator<Item = Part> {
    Part::ALL.into_iter().filter(move |part| hand_over || matches!(part, Part::Step(_)))
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
    /// Nothing is known that keeps the master from handing over. Then the chosen one is a master before it is told
    /// anything.
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
    fn take(&mut self, node: &Node, is_master: bool, reply: &Reply) {
        let addr = &node.addr;
        let Reply::Array(replies) = reply else {
            return self.less.push(format!("{addr} could not be asked"));
        };
        for (part, reply) in parts(is_master).zip(replies) {
            let name = part.name();
            let missing = match verdict(reply) {
                Verdict::Permitted => continue,
                Verdict::Refused => format!("{addr} does not permit {name} (+{})", part.rule()),
                Verdict::NotFound => {
                    format!("{addr} has no command {name} (was it renamed there? SENTINEL SET rename-command)")
                }
                Verdict::Unknown(why) => {
                    let why = why.chars().take(128).collect::<String>();
                    self.less.push(format!("{addr} could not be asked for its permissions: {why}"));
                    return self.remember(node, is_master);
                }
            };
            self.note(node.id, is_master, part, missing);
        }
    }

    /// What a node that cannot be asked has refused when it was last told so.
    fn remember(&mut self, node: &Node, is_master: bool) {
        for part in parts(is_master).filter(|part| node.link.denials.refuses(part.rule())) {
            self.note(node.id, is_master, part, format!("{} has refused {} before", node.addr, part.name()));
        }
    }

    fn note(&mut self, id: NodeId, is_master: bool, part: Part, missing: String) {
        if part == Part::Step(Step::ReplicaOf) && id == self.chosen {
            self.of_chosen.push(missing);
        } else if is_master && part == Part::HandOver {
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
        let all: Vec<NodeId> = [chosen, current].into_iter().chain(others).collect();
        // Nobody is asked whom nobody waits for.
        let asked = if self.ctx.rehearsals.len() < MOST_WAITING { all.len().min(MOST_ASKED) } else { 0 };
        if asked < all.len() {
            rehearsal
                .less
                .push(format!("{} nodes are not asked: there are too many, or too many wait", all.len() - asked));
        }
        for id in all.into_iter().take(asked) {
            let Some(node) = self.master.nodes.get_mut(id).filter(|node| !node.stranger) else { continue };
            let is_master = id == current;
            let user = node.link.target.user.clone().filter(|_| !node.link.denials.refuse_login());
            let message = Message::MayI { user, hand_over: is_master };
            if node.is_reachable() && self.ctx.send(&mut node.link, Asked::MayI, message) {
                rehearsal.waiting.insert(id);
            } else if !is_master {
                rehearsal.less.push(format!("{} cannot be reached", node.addr));
            }
        }
        if rehearsal.waiting.is_empty() {
            return self.ctx.answer(client, rehearsal.answer());
        }
        self.ctx.arm(Timer::Rehearsal, until);
        self.ctx.rehearsals.push(rehearsal);
    }

    /// A node says what it permits.
    pub(crate) fn permissions_told(&mut self, id: NodeId, reply: &Reply) {
        let is_master = id == self.master.current;
        let Some(node) = self.master.nodes.get(id) else { return };
        for rehearsal in self.ctx.rehearsals.iter_mut().filter(|it| it.master == self.master.key) {
            if rehearsal.waiting.remove(&id) {
                rehearsal.take(node, is_master, reply);
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
    fn each_command_of_an_order_is_asked_about_once() {
        let rules: BTreeSet<&str> = parts(true).map(Part::rule).collect();
        assert!(rules.len() == Part::ALL.len() && parts(false).count() + 2 == parts(true).count());
        let steps = crate::role_change::Omitted::default().steps();
        for rule in steps.filter_map(Step::rule).filter(|rule| *rule != "info") {
            assert!(rules.contains(rule), "{rule}");
        }
    }
}
