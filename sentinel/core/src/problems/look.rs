//! When it is looked for problems, and how they are told.

use std::sync::Arc;

use super::{Problem, Turn, find};
use crate::{context::Context, engine::Engine, events::Event, select::Refusal, state::Node, watch::Watch};

/// For how many masters it is looked at one time: a thousand that change together must not keep this process from PINGs.
const LOOKS_AT_ONCE: usize = 32;

impl Engine {
    /// Looks at those masters of which something has changed, at as many as may be looked at now; and at this process.
    pub(crate) fn look_for_problems(&mut self) {
        for _ in 0..LOOKS_AT_ONCE {
            let Some(key) = self.ctx.unexamined.pop_first() else { break };
            self.with_master(key, |watch| watch.look_for_problems());
        }
        if std::mem::take(&mut self.ctx.process_unexamined.0) {
            let found = find::of_process(&self.ctx, &self.peers);
            let settled = self.ctx.problems.settle(self.ctx.now.mono, found);
            self.ctx.view_urgent |= settled.changed;
            tell(&mut self.ctx, settled.told);
        }
    }
}

impl Watch<'_> {
    fn look_for_problems(&mut self) {
        // During a failover it is decided elsewhere who is promoted.
        let candidates = self.master.failover.is_none().then(|| self.candidates());
        let found = self.find_problems(candidates.as_deref());
        let word = |(node, place): &(&Node, Result<_, Refusal>)| Some((node.id, place.as_ref().err()?.word()));
        let refused = candidates.map(|all| all.iter().filter_map(word).collect());
        if let Some(refused) = refused.filter(|refused| *refused != *self.master.refused) {
            *self.master.refused = refused;
            self.ctx.stale_views.insert(self.master.key);
        }
        if found.is_empty() && self.master.problems.is_empty() {
            return;
        }
        let settled = self.master.problems.settle(self.ctx.mono(), found);
        if settled.changed {
            self.ctx.stale_views.insert(self.master.key);
            self.ctx.view_urgent = true;
        }
        tell(self.ctx, settled.told);
    }
}

fn tell(ctx: &mut Context, told: Vec<(Turn, Arc<Problem>)>) {
    for (turn, problem) in told {
        ctx.event(Event::Problem { turn, problem });
    }
}
