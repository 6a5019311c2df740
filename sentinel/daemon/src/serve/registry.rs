//! All clients that are connected now.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
};

use super::client::Client;

/// The connected clients, by number.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    clients: RefCell<BTreeMap<u64, Rc<Client>>>,
    last_id: Cell<u64>,
}

/// Keeps a client registered as long as its session lasts.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Rc<Registry>,
    id: u64,
}

impl Registry {
    /// Adds a client, made for the number it gets.
    pub(crate) fn add(self: &Rc<Self>, make: impl FnOnce(u64) -> Client) -> (Rc<Client>, Registration) {
        let id = self.last_id.get() + 1;
        self.last_id.set(id);
        let client = Rc::new(make(id));
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
        self.registry.clients.borrow_mut().remove(&self.id);
    }
}
