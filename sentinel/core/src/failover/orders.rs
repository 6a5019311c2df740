//! Orders to nodes, to follow the master, and what comes of them.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    notice::Topic,
    output::Message,
    role_change::{Omitted, Step, is_consequence},
    state::{Asked, NodeId, of_role_change},
    watch::Watch,
};

impl Watch<'_> {
    /// Sends a node the order to follow the master, unless its data are of another history: they would be replaced. Nor
    /// one that refuses the login and is not known to be of this deployment, nor one that a newer configuration may
    /// rule.
    pub(crate) fn order_to_follow(&mut self, id: NodeId) -> bool {
        let Some(node) = self.master.nodes.get(id).filter(|node| !node.stranger) else { return false };
        if self.is_for_a_newer_configuration(node) {
            return false;
        }
        if node.is_unfamiliar() {
            self.tell_of_closed_door(id);
            return false;
        }
        let (now, of) = (self.ctx.mono(), self.master.addr().clone());
        let omitted = self.usual_order(id);
        let sent = self.send_to(id, Asked::Replicate { of: of.clone(), omitted }, Message::Replicate { of, omitted });
        if let Some(node) = self.master.nodes.get_mut(id).filter(|_| sent) {
            node.ordered_at = Some(now);
        }
        sent
    }

    /// The whole order; to a node that is handing over it says first not to.
    pub(crate) fn usual_order(&self, id: NodeId) -> Omitted {
        let abort_first = self.master.nodes.get(id).is_some_and(|node| node.info.handover.is_under_way());
        Omitted { abort_first, unpause: self.is_paused(id), ..Omitted::default() }
    }

    /// Whether a node was told whom to follow a moment ago. If it has not obeyed, it is told again when the pause is
    /// over: a node that refuses would be told as fast as it answers.
    pub(crate) fn was_ordered_within(&mut self, pause: Duration, id: NodeId) -> bool {
        let again = self.master.nodes.get(id).and_then(|node| node.ordered_at).map(|at| at + pause);
        let Some(again) = again.filter(|at| *at > self.ctx.mono()) else { return false };
        self.look_again_by(id, again);
        true
    }

    /// Whether an order to follow a master is on its way to this node.
    pub(crate) fn is_being_pointed(&self, id: NodeId) -> bool {
        self.master
            .nodes
            .get(id)
            .is_some_and(|node| node.link.in_flight.any(|asked| matches!(asked, Asked::Replicate { .. })))
    }

    /// The answers to the change of a node's role and the INFO behind it, which shows the result. An order that the
    /// node has thrown away for the sake of a part that can be left out is given again without it. Another error is
    /// logged.
    pub(crate) fn role_change_answered(&mut self, id: NodeId, asked: &Asked, omitted: Omitted, reply: &Reply) {
        let Reply::Array(replies) = reply else { return self.info_received(id, reply) };
        let Some((info, answers)) = replies.split_last() else { return };
        let denied = of_role_change(omitted, replies).iter().any(|it| it.1.is_some());
        if let Some(error) = first_error(omitted, answers).filter(|_| !denied) {
            let Some(node) = self.master.nodes.get(id) else { return };
            let text = format!("{} answered to the change of its role: {error}", node.addr);
            let name = self.master.name.clone();
            self.ctx.notice(Topic::OrderRefused, Some(&name), text);
        }
        if let Some(omitted) = omitted.without_the_refused(replies) {
            self.order_without(id, asked, omitted);
        }
        self.info_received(id, info);
    }

    /// Gives an order again, if it still stands.
    fn order_without(&mut self, id: NodeId, asked: &Asked, omitted: Omitted) {
        match asked {
            Asked::Promote { .. } if self.awaits_promotion_of(id) || id == self.master.current => {
                self.order_promotion(id, omitted);
            }
            Asked::Replicate { of, .. } if id != self.master.current && of == self.master.addr() => {
                let of = of.clone();
                self.send_to(id, Asked::Replicate { of: of.clone(), omitted }, Message::Replicate { of, omitted });
            }
            _ => {}
        }
    }
}

/// The first refusal of a command that matters. CONFIG REWRITE without a file is usual, and harmless; and so is DISCARD
/// where there is nothing to discard.
fn first_error(omitted: Omitted, replies: &[Reply]) -> Option<&str> {
    omitted.answers(replies).into_iter().find_map(|(step, reply)| match reply {
        Reply::Error(text)
            if !matches!(step, Step::Discard | Step::Abort)
                && !text.contains("config file")
                && !is_consequence(text) =>
        {
            Some(text.as_str())
        }
        _ => None,
    })
}
