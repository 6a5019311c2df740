//! What a node keeps when its process or its machine ends.

use std::collections::VecDeque;

use crate::{
    node::{Item, Node},
    physics::{Event, Physics},
    time::{SEC, Time},
};

/// How data survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// Not at all: `save ""`, `appendonly no`.
    None,
    /// A copy of everything every so many seconds, with the replication id and offset in it.
    Rdb(u64),
    /// `appendfsync everysec`: a machine that loses power loses a second.
    AofEverySecond,
    /// `appendfsync always`
    AofAlways,
}

/// What is on disk, besides the configuration.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is something else that may happen to a disk")]
pub(super) struct Disk {
    rdb: Option<Rdb>,
    /// Copies that an operator keeps, oldest first.
    copies: VecDeque<Rdb>,
    /// One of them was put back.
    put_back: Option<Rdb>,
    /// How many values of the append-only file survive a loss of power.
    flushed: usize,
    /// Ends of the process and of the machine that have not been read yet.
    /// How many values were in the data set when it was last saved, or read from an RDB file.
    saved: usize,
    /// How many were read from an RDB file at the start.
    loaded: usize,
    lost_power: bool,
    wiped: bool,
    /// Nothing more can be written.
    full: bool,
    /// It was full when the process ended.
    unsaved: bool,
    /// The last attempt to write failed.
    failed: bool,
}

#[derive(Clone, Debug)]
struct Rdb {
    values: Vec<u32>,
    replid: u64,
    offset: u64,
    synced: bool,
}

impl Node {
    /// The process, or the whole machine, ends without notice.
    pub fn stop(&mut self, physics: &mut Physics, machine_too: bool, wipe: bool) {
        self.disk.lost_power |= machine_too;
        self.disk.wiped |= wipe;
        self.disk.unsaved |= self.disk.full;
        self.life += 1;
        physics.process_ends(self.host, machine_too);
    }

    /// Reads what is on disk.
    pub(super) fn load(&mut self, physics: &mut Physics) {
        self.disk.failed = false;
        let lost_power = std::mem::take(&mut self.disk.lost_power);
        let wiped = std::mem::take(&mut self.disk.wiped);
        let unsaved = std::mem::take(&mut self.disk.unsaved);
        self.offset = 0;
        (self.disk.saved, self.disk.loaded) = (0, 0);
        let put_back = self.disk.put_back.take();
        if let Some(copy) = &put_back {
            self.disk.rdb = Some(copy.clone());
        }
        match self.config.persistence {
            _ if put_back.is_some() => self.load_rdb(),
            kind if wiped || kind == Persistence::None => self.forget(),
            Persistence::AofEverySecond if lost_power => self.data.truncate(self.disk.flushed),
            // What did not fit is not there.
            Persistence::AofAlways | Persistence::AofEverySecond if unsaved => self.data.truncate(self.disk.flushed),
            Persistence::AofAlways | Persistence::AofEverySecond | Persistence::None => {}
            Persistence::Rdb(_) => self.load_rdb(),
        }
        if !self.data.is_empty() {
            self.loading = true;
            let time = self.about(self.config.sync_time);
            physics.after(time, Event::Loaded { host: self.host, life: self.life, conn: None });
        }
    }

    fn load_rdb(&mut self) {
        let Some(rdb) = &self.disk.rdb else { return self.forget() };
        self.data.clone_from(&rdb.values);
        (self.disk.saved, self.disk.loaded) = (rdb.values.len(), rdb.values.len());
        self.synced = rdb.synced;
        self.offset = rdb.offset;
        if self.config.replicaof.is_some() {
            // A replica goes on from there.
            self.replid = rdb.replid;
            self.cached = true;
        } else {
            // A master lets replicas go on from exactly there.
            self.replid2 = rdb.replid;
            self.second_offset = rdb.offset + 1;
            self.has_backlog = true;
        }
    }

    /// While it is stopped: a copy of its file takes the place of what is there, so many saves old. A stray one is no replica
    /// any more.
    pub fn put_back_file(&mut self, age: usize, stray: bool) {
        let copies = &self.disk.copies;
        self.disk.put_back =
            copies.len().checked_sub(1 + age.min(copies.len().saturating_sub(1))).map(|at| copies[at].clone());
        if stray && self.disk.put_back.is_some() {
            self.config.replicaof = None;
            self.stray = true;
        }
    }

    /// Somebody writes to a node that should not be a master: its stream goes on by itself.
    pub fn write_astray(&mut self, physics: &mut Physics) {
        if !self.stray || !self.is_master() || !physics.hosts[self.host].running {
            return;
        }
        for value in 0..self.rng.between(1, 2_000) {
            self.data.push(u32::MAX - u32::try_from(value).unwrap_or(0));
            self.feed(physics, Item::Write(0, false));
        }
    }

    fn keep_copy(&mut self) {
        let copy = Rdb { values: self.data.clone(), replid: self.replid, offset: self.offset, synced: self.synced };
        self.disk.copies.push_back(copy);
        if self.disk.copies.len() > COPIES {
            self.disk.copies.pop_front();
        }
    }

    fn forget(&mut self) {
        self.data.clear();
        self.disk.rdb = None;
        self.disk.flushed = 0;
        self.synced = false;
    }

    /// The data set was replaced as a whole.
    pub(super) fn rewrite_disk(&mut self) {
        self.disk.saved = self.data.len();
        self.disk.flushed = self.data.len();
        if matches!(self.config.persistence, Persistence::Rdb(_)) {
            self.save();
        }
    }

    /// `rdb_changes_since_last_save`
    pub(super) fn changes(&self) -> usize {
        self.data.len().saturating_sub(self.disk.saved)
    }

    /// `rdb_last_load_keys_loaded`
    pub(super) const fn loaded_keys(&self) -> usize {
        self.disk.loaded
    }

    /// Whether writes, and PING, are answered with MISCONF.
    pub(super) const fn is_unable_to_save(&self) -> bool {
        self.disk.failed
    }

    /// Whether a write cannot even be tried: it is acknowledged when it is in the file, and there is no room.
    pub(super) fn must_give_up(&self) -> bool {
        self.disk.full && self.config.persistence == Persistence::AofAlways
    }

    /// The disk is full, or there is room again.
    pub fn fill_disk(&mut self, full: bool) {
        if self.config.persistence == Persistence::AofAlways && !self.disk.full {
            self.disk.flushed = self.data.len();
        }
        self.disk.full = full;
    }

    fn save(&mut self) {
        self.disk.failed = self.disk.full;
        if self.disk.full {
            return;
        }
        self.disk.saved = self.data.len();
        self.disk.rdb =
            Some(Rdb { values: self.data.clone(), replid: self.replid, offset: self.offset, synced: self.synced });
    }

    pub(super) fn disk_cron(&mut self, physics: &mut Physics) {
        match self.config.persistence {
            // It does not go on without its file.
            Persistence::AofAlways if self.must_give_up() && self.disk.flushed < self.data.len() => {
                return self.stop(physics, false, false);
            }
            Persistence::AofEverySecond => {
                self.disk.failed = self.disk.full && self.disk.flushed < self.data.len();
            }
            _ => {}
        }
        if self.disk.failed && !self.disk.full {
            self.disk.failed = false;
        }
        if self.disk.failed && !self.is_master() {
            // What its master sends it cannot refuse (`replica-ignore-disk-write-errors no`).
            return self.stop(physics, false, false);
        }
        if !self.disk.full {
            self.disk.flushed = self.data.len();
        }
        let streaming = matches!(self.upstream.as_ref().map(|up| &up.sync), Some(super::Sync::Streaming(_)));
        if self.config.copies && streaming && self.ticks.is_multiple_of(COPY_TICKS) {
            self.keep_copy();
        }
        if let Persistence::Rdb(period) = self.config.persistence
            && self.ticks.is_multiple_of(period)
            && !matches!(self.upstream.as_ref().map(|up| &up.sync), Some(super::Sync::Loading { .. }))
        {
            self.save();
        }
    }
}

/// A replica's file is copied so often, in seconds, and so many are kept.
const COPY_TICKS: u64 = 15;
const COPIES: usize = 8;

/// How long a save takes is of no interest: it is a copy of one moment.
pub(super) const MIN_REPLICAS_MAX_LAG: Time = 10 * SEC;
