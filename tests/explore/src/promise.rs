//! A Sentinel's disk, and what may be said with what is on it.

use std::sync::Arc;

use sentinel_core::{Seq, Snapshot};

use crate::{effect::Hello, local::name_index, place::Place};

/// What is on it, and what is being written.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Disk {
    durable: Arc<Snapshot>,
    writing: Option<(Seq, Arc<Snapshot>)>,
    wanted: bool,
}

impl Disk {
    pub(crate) const fn new(durable: Arc<Snapshot>) -> Self {
        Disk { durable, writing: None, wanted: false }
    }

    pub(crate) const fn durable(&self) -> &Arc<Snapshot> {
        &self.durable
    }

    pub(crate) const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// The engine wants its state written.
    pub(crate) const fn want(&mut self) {
        self.wanted = true;
    }

    /// Begins with the newest state, if one is wanted and none is being written.
    pub(crate) fn begin(&mut self, seq: Seq, snapshot: Arc<Snapshot>) {
        if self.wanted && self.writing.is_none() {
            self.wanted = false;
            self.writing = Some((seq, snapshot));
        }
    }

    pub(crate) fn written(&mut self) -> Option<Seq> {
        let (seq, snapshot) = self.writing.take()?;
        self.durable = snapshot;
        Some(seq)
    }

    /// It is tried again at once: for how long a disk is full is no matter of order.
    pub(crate) fn write_failed(&mut self) -> Option<Seq> {
        let (seq, _) = self.writing.take()?;
        self.wanted = true;
        Some(seq)
    }

    /// The process ends; what is being written gets there, or not.
    pub(crate) fn crash(&mut self, kept: bool) {
        if let (Some((_, snapshot)), true) = (self.writing.take(), kept) {
            self.durable = snapshot;
        }
        self.wanted = false;
    }

    pub(crate) fn allows_epoch(&self, epoch: u64) -> Result<(), String> {
        let known = self.durable.current_epoch.get();
        if epoch > known { Err(format!("tells epoch {epoch}, on its disk is {known}")) } else { Ok(()) }
    }

    /// A vote, given or asked for, must be on disk as used.
    pub(crate) fn allows_vote(&self, epoch: u64) -> Result<(), String> {
        self.allows_epoch(epoch)?;
        let used = self.durable.masters.iter().map(|master| master.leader_epoch.get()).max().unwrap_or(0);
        if used < epoch { Err(format!("shows a vote of epoch {epoch}, on its disk is {used}")) } else { Ok(()) }
    }

    pub(crate) fn allows_hello(&self, hello: &Hello) -> Result<(), String> {
        self.allows_epoch(hello.current_epoch)?;
        let found = self.durable.masters.iter().find(|master| name_index(master.name.as_str()) == hello.name);
        let Some(master) = found else { return Ok(()) };
        let (epoch, at) = (master.config_epoch.get(), Place::at(&master.addr));
        if hello.config_epoch > epoch || hello.config_epoch == epoch && at != Some(hello.master) {
            let at = at.map_or('?', Place::letter);
            return Err(format!(
                "tells that {} is the master since epoch {}, on its disk are {at} and epoch {epoch}",
                hello.master, hello.config_epoch
            ));
        }
        Ok(())
    }
}
