//! What a node keeps when its process or its machine ends.

use crate::{
    node::Node,
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
pub(super) struct Disk {
    rdb: Option<Rdb>,
    /// How many values of the append-only file survive a loss of power.
    flushed: usize,
    /// Ends of the process and of the machine that have not been read yet.
    lost_power: bool,
    wiped: bool,
}

#[derive(Debug)]
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
        self.life += 1;
        physics.process_ends(self.host, machine_too);
    }

    /// Reads what is on disk.
    pub(super) fn load(&mut self, physics: &mut Physics) {
        let lost_power = std::mem::take(&mut self.disk.lost_power);
        let wiped = std::mem::take(&mut self.disk.wiped);
        self.offset = 0;
        match self.config.persistence {
            kind if wiped || kind == Persistence::None => self.forget(),
            Persistence::AofEverySecond if lost_power => self.data.truncate(self.disk.flushed),
            Persistence::AofAlways | Persistence::AofEverySecond | Persistence::None => {}
            Persistence::Rdb(_) => match &self.disk.rdb {
                None => self.forget(),
                Some(rdb) => {
                    self.data.clone_from(&rdb.values);
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
                    }
                }
            },
        }
        if !self.data.is_empty() {
            self.loading = true;
            let time = self.about(self.config.sync_time);
            physics.after(time, Event::Loaded { host: self.host, life: self.life, conn: None });
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
        self.disk.flushed = self.data.len();
        if matches!(self.config.persistence, Persistence::Rdb(_)) {
            self.save();
        }
    }

    fn save(&mut self) {
        self.disk.rdb =
            Some(Rdb { values: self.data.clone(), replid: self.replid, offset: self.offset, synced: self.synced });
    }

    pub(super) fn disk_cron(&mut self) {
        self.disk.flushed = self.data.len();
        if let Persistence::Rdb(period) = self.config.persistence
            && self.ticks.is_multiple_of(period)
            && !matches!(self.upstream.as_ref().map(|up| &up.sync), Some(super::Sync::Loading { .. }))
        {
            self.save();
        }
    }
}

/// How long a save takes is of no interest: it is a copy of one moment.
pub(super) const MIN_REPLICAS_MAX_LAG: Time = 10 * SEC;
