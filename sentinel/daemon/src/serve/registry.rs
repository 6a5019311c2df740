//! All clients that are connected now.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
};

use super::client::Client;
use crate::meters::Meters;

/// The connected clients, by number.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    clients: RefCell<BTreeMap<u64, Rc<Client>>>,
    last_id: Cell<u64>,
    meters: Arc<Meters>,
}

/// Keeps a client registered as long as its session lasts.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Rc<Registry>,
    id: u64,
}

impl Registry {
    /// Of nobody yet. How many there are is counted.
    pub(crate) fn new(meters: Arc<Meters>) -> Self {
        Registry { meters, ..Registry::default() }
    }

    /// Adds a client, made for the number it gets.
    pub(crate) fn add(self: &Rc<Self>, make: impl FnOnce(u64) -> Client) -> (Rc<Client>, Registration) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let client = Rc::new(make(id));
        self.meters.clients.enter();
        self.clients.borrow_mut().insert(id, Rc::clone(&client));
        (client, Registration { registry: Rc::clone(self), id })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.borrow().len()
    }

    /// All of them, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<Rc<Client>> {
        self.clients.borrow().values().cloned().collect()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.registry.clients.borrow_mut().remove(&self.id).is_some() {
            self.registry.meters.clients.leave();
        }
    }
}
