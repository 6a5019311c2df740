//! What each deadline leads to.

use crate::{
    context::Context,
    engine::Engine,
    timer::{Endpoint, Timer},
};

impl Engine {
    /// The deadline of a rule has come.
    pub(crate) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Reconnect(endpoint) => self.with_link(&endpoint, |ctx, link| ctx.dial(link, endpoint.clone())),
            Timer::Ping(endpoint) => {
                self.with_link(&endpoint, |ctx, link| ctx.send_ping(link, &endpoint));
                // From this PING on silence counts.
                match endpoint {
                    Endpoint::Node(key, id) => {
                        self.with_master(key, |watch| watch.evaluate_node(id));
                    }
                    Endpoint::Peer(id) => self.each_user(&id, |watch, id| watch.evaluate_peer(id)),
                }
            }
            Timer::LinkSilence(endpoint) => {
                let mut renewed = false;
                self.with_link(&endpoint, |ctx, link| {
                    ctx.check_silence(link, &endpoint);
                    renewed = !link.is_up();
                });
                if let (Endpoint::Node(key, _), true) = (endpoint, renewed) {
                    self.ctx.stale_views.insert(key);
                }
            }
            Timer::Info(key, id) => {
                self.with_master(key, |watch| watch.ask_info(id));
            }
            Timer::Hello(key) => {
                self.with_master(key, |watch| {
                    watch.end_pause();
                    watch.say_hello();
                });
                self.ctx.unexamined.insert(key);
                self.ctx.look_at_process_by(self.ctx.mono());
            }
            Timer::NodeDown(key, id) => {
                self.with_master(key, |watch| watch.evaluate_node(id));
            }
            Timer::PeerDown(key, id) => {
                self.with_master(key, |watch| watch.evaluate_peer(&id));
            }
            Timer::Ask(key) => {
                self.with_master(key, |watch| watch.ask_peers());
            }
            Timer::Opinion(key, id) => {
                self.with_master(key, |watch| watch.opinion_expired(&id));
            }
            Timer::Nominate(key) => {
                self.with_master(key, |watch| watch.nominate());
            }
            Timer::Phase(key) => {
                self.with_master(key, |watch| watch.phase_timed_out());
            }
            Timer::Handover(key) => {
                self.with_master(key, |watch| watch.follow_handover());
            }
            Timer::Witness(key) => {
                self.with_master(key, |watch| watch.look_at_handover());
            }
            Timer::Vacancy(key) => {
                self.with_master(key, |watch| watch.check_vacancy());
            }
            Timer::Reconfigure(key) => {
                self.with_master(key, |watch| watch.advance_reconfiguration());
            }
            Timer::Spread => self.spreads_timed_out(),
            Timer::Rehearsal => self.rehearsals_timed_out(),
            Timer::TiltEnd => self.leave_tilt(),
            // They are looked at after whatever happened.
            Timer::Scripts | Timer::FirstDials => {}
        }
    }

    fn with_link(&mut self, endpoint: &Endpoint, rule: impl FnOnce(&mut Context, &mut crate::state::Link)) {
        let link = match endpoint {
            Endpoint::Node(key, id) => {
                self.masters.get_mut(key).and_then(|master| master.nodes.get_mut(*id)).map(|node| &mut node.link)
            }
            Endpoint::Peer(id) => self.peers.get_mut(id).map(|shared| &mut shared.link),
        };
        if let Some(link) = link {
            rule(&mut self.ctx, link);
        }
    }
}
