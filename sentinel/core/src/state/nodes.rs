use crate::state::{Node, NodeId};

/// Up to so many there is never room for more than there are.
const FEW: usize = 8;

/// The data nodes of a master, in the order of their ids.
///
/// A master has a handful: in a tree each would take the room of a leaf, which is eleven nodes.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Nodes(Vec<Node>);

impl Nodes {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Node> {
        self.place(id).ok().map(|at| &self.0[at])
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.place(id).ok().map(|at| &mut self.0[at])
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &NodeId> {
        self.0.iter().map(|node| &node.id)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Node> {
        self.0.iter()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        self.0.iter_mut()
    }

    /// Adds a node, or puts it in the place of the one with its id.
    pub(crate) fn insert(&mut self, node: Node) {
        match self.place(node.id) {
            Ok(at) => self.0[at] = node,
            Err(at) => {
                if self.0.len() < FEW {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, node);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: NodeId) -> Option<Node> {
        self.place(id).ok().map(|at| self.0.remove(at))
    }

    fn place(&self, id: NodeId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |node| node.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        monitor::PingPeriod,
        output::{Target, TargetKind},
        settings::{MasterSettings, Timing},
        time::Instant,
        types::Quorum,
        view::Role,
    };

    fn node(id: u64, port: u16) -> Node {
        let target = Target {
            addr: format!("127.0.0.1:{port}").parse().unwrap(),
            kind: TargetKind::DataNode,
            user: None,
            pass: None,
            client_name: String::new(),
            rename_commands: std::sync::Arc::default(),
        };
        let settings = MasterSettings::new(Quorum::new(1).unwrap());
        Node::new(NodeId(id), target, PingPeriod::of(&settings, &Timing::default()), Role::Replica, Instant::ZERO)
    }

    #[test]
    fn they_are_found_and_listed_by_their_ids() {
        let mut nodes = Nodes::default();
        for id in [7, 2, 9, 4] {
            nodes.insert(node(id, 1));
        }
        nodes.insert(node(4, 2));
        assert_eq!(nodes.keys().map(|id| id.0).collect::<Vec<_>>(), [2, 4, 7, 9]);
        assert_eq!(nodes.get(NodeId(4)).map(|node| node.addr.port), Some(2), "the newer one");
        assert!(nodes.get(NodeId(3)).is_none() && nodes.remove(NodeId(3)).is_none());
        assert_eq!(nodes.remove(NodeId(7)).map(|node| node.id), Some(NodeId(7)));
        assert_eq!(nodes.values().map(|node| node.id.0).collect::<Vec<_>>(), [2, 4, 9]);
        assert_eq!(nodes.len(), 3);
    }
}
