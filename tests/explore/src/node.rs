//! Data nodes: what Sentinels ask them, answered without delay or data.

use sentinel_core::Message;
use sentinel_resp::Reply;

use crate::place::{NODES, Place};

/// What each data node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Not there, or dead.
    Dead,
    /// A master.
    Master,
    /// It follows another one.
    Follows(Place),
}

/// All data nodes, counted from the master of the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Nodes([Role; NODES]);

impl Nodes {
    /// A master and so many replicas that follow it.
    pub(crate) fn new(replicas: usize) -> Self {
        let mut roles = [Role::Dead; NODES];
        roles[0] = Role::Master;
        roles[1..=replicas].fill(Role::Follows(Place::node(0)));
        Nodes(roles)
    }

    /// One of them dies.
    pub(crate) fn kill(&mut self, node: Place) {
        *self.role_mut(node) = Role::Dead;
    }

    /// Whether it answers.
    pub(crate) fn lives(self, node: Place) -> bool {
        self.role(node) != Role::Dead
    }

    /// Whether a request changes nothing.
    pub(crate) const fn only_reads(message: &Message) -> bool {
        matches!(message, Message::Info | Message::Acknowledge | Message::Ping)
    }

    /// Does what is asked for, and says so.
    pub(crate) fn serve(&mut self, node: Place, message: &Message) -> Reply {
        match message {
            Message::Info | Message::Acknowledge => self.info(node),
            Message::Promote { .. } => {
                *self.role_mut(node) = Role::Master;
                Reply::Array(vec![Reply::ok(), self.info(node)])
            }
            Message::Replicate { of, .. } => {
                if let Some(master) = Place::at(of) {
                    *self.role_mut(node) = Role::Follows(master);
                }
                Reply::Array(vec![Reply::ok(), self.info(node)])
            }
            _ => Reply::ok(),
        }
    }

    /// As a few bytes.
    pub(crate) fn bytes(self) -> [u8; NODES] {
        self.0.map(|role| match role {
            Role::Dead => 0,
            Role::Master => 1,
            Role::Follows(place) => 2 + place.0,
        })
    }

    /// From them.
    pub(crate) fn from_bytes(bytes: [u8; NODES]) -> Self {
        Nodes(bytes.map(|byte| match byte {
            0 => Role::Dead,
            1 => Role::Master,
            place => Role::Follows(Place(place - 2)),
        }))
    }

    fn role(self, node: Place) -> Role {
        self.0[node.process().index() - Place::node(0).index()]
    }

    fn role_mut(&mut self, node: Place) -> &mut Role {
        &mut self.0[node.process().index() - Place::node(0).index()]
    }

    fn info(self, node: Place) -> Reply {
        let run = format!("{:040}", node.process().0);
        Reply::text(match self.role(node) {
            Role::Dead | Role::Master => format!("run_id:{run}\r\nrole:master\r\nmaster_repl_offset:9\r\n"),
            Role::Follows(master) => {
                let up = self.role(master) == Role::Master;
                let (addr, status) = (master.addr(), if up { "up" } else { "down" });
                let since = if up { "" } else { "master_link_down_since_seconds:1\r\n" };
                format!(
                    "run_id:{run}\r\nrole:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:{status}\r\n\
                     {since}slave_repl_offset:9\r\nslave_priority:100\r\n",
                    addr.host, addr.port
                )
            }
        })
    }
}
