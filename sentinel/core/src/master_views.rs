//! The views of all masters: a map of which a copy costs little, since it shares what has not changed.

use std::sync::Arc;

use crate::{types::MasterName, view::MasterView};

/// So many masters are copied when one of them changes.
const LEAF: usize = 32;

/// The views of masters by their names, in the order of those.
///
/// A new picture is published with every event. With a plain map each would copy thousands of entries, and when many
/// masters die at once there are as many events.
#[derive(Clone, Debug, Default)]
pub struct MasterViews {
    /// In order, none of them empty.
    leaves: Vec<Arc<Vec<Arc<MasterView>>>>,
    length: usize,
}

impl MasterViews {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The one of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<MasterView>> {
        let leaf = self.leaves.get(self.leaf_of(name))?;
        leaf.get(place(leaf, name).ok()?)
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &Arc<MasterView>> {
        self.leaves.iter().flat_map(|leaf| leaf.iter())
    }

    /// All names.
    pub fn keys(&self) -> impl Iterator<Item = &MasterName> {
        self.values().map(|view| &view.name)
    }

    /// All of them with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&MasterName, &Arc<MasterView>)> {
        self.values().map(|view| (&view.name, view))
    }

    /// Puts one in the place of that with its name.
    pub(crate) fn insert(&mut self, view: Arc<MasterView>) {
        let at = self.leaf_of(view.name.as_str());
        let Some(leaf) = self.leaves.get_mut(at) else {
            self.leaves.push(Arc::new(vec![view]));
            self.length += 1;
            return;
        };
        let leaf = Arc::make_mut(leaf);
        match place(leaf, view.name.as_str()) {
            Ok(old) => leaf[old] = view,
            Err(new) => {
                leaf.insert(new, view);
                self.length += 1;
            }
        }
        if leaf.len() > LEAF {
            let rest = leaf.split_off(LEAF / 2);
            self.leaves.insert(at + 1, Arc::new(rest));
        }
    }

    /// Takes one away.
    pub(crate) fn remove(&mut self, name: &str) {
        let at = self.leaf_of(name);
        let Some(leaf) = self.leaves.get_mut(at) else { return };
        let leaf = Arc::make_mut(leaf);
        if let Ok(old) = place(leaf, name) {
            leaf.remove(old);
            self.length -= 1;
            if leaf.is_empty() {
                self.leaves.remove(at);
            }
        }
    }

    /// The leaf that holds this name, or would hold it.
    fn leaf_of(&self, name: &str) -> usize {
        let begins_before = |leaf: &Arc<Vec<Arc<MasterView>>>| leaf.first().is_some_and(|it| it.name.as_str() <= name);
        self.leaves.partition_point(begins_before).saturating_sub(1)
    }
}

impl FromIterator<Arc<MasterView>> for MasterViews {
    fn from_iter<I: IntoIterator<Item = Arc<MasterView>>>(views: I) -> Self {
        let mut all = MasterViews::default();
        for view in views {
            all.insert(view);
        }
        all
    }
}

fn place(leaf: &[Arc<MasterView>], name: &str) -> Result<usize, usize> {
    leaf.binary_search_by(|view| view.name.as_str().cmp(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{command::sample, rng::Rng};

    #[test]
    fn it_holds_what_a_plain_map_would_and_its_copies_stay_as_they_were() {
        let mut rng = Rng::new(7);
        let (mut all, mut plain) = (MasterViews::default(), BTreeMap::new());
        let mut copies = Vec::new();
        for round in 0..4_000_u32 {
            let name = format!("m{}", rng.up_to(std::time::Duration::from_micros(300)).as_micros());
            if round % 3 == 0 || round > 3_000 {
                all.remove(&name);
                plain.remove(&name);
            } else {
                let view = Arc::new(sample::master(&name));
                plain.insert(name, Arc::clone(&view));
                all.insert(view);
            }
            if round % 500 == 0 {
                copies.push((all.clone(), plain.clone()));
            }
        }
        copies.push((all, plain));
        for (all, plain) in copies {
            assert_eq!((all.len(), all.is_empty()), (plain.len(), plain.is_empty()));
            assert!(all.keys().map(MasterName::as_str).eq(plain.keys().map(String::as_str)));
            for (name, view) in &plain {
                assert!(all.get(name).is_some_and(|it| Arc::ptr_eq(it, view)), "{name}");
            }
            assert!(all.get("m").is_none() && all.get("z").is_none() && all.get("").is_none());
        }
    }
}
