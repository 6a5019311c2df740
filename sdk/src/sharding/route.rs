//! The slot table in use, and who uses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::plan::{Layout, Slots};
use super::slot::SLOTS;
use super::table::SlotTable;
use crate::config_error::ConfigError;
use crate::error::Error;
use crate::users::{LongUser, Users};

/// One version of the slot table.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) table: SlotTable,
    /// The position of the shard of each slot.
    shards: Box<[u16]>,
    names: Arc<[Arc<str>]>,
    /// Commands that were sent by it; only of a table that can change.
    pub(super) users: Arc<Users>,
}

impl Route {
    /// # Errors
    ///
    /// Where the table names a shard that there is not.
    pub(super) fn new(table: SlotTable, names: &Arc<[Arc<str>]>) -> Result<Self, ConfigError> {
        let position = |shard: &str| names.iter().position(|name| **name == *shard);
        for shard in table.shards() {
            if position(shard).is_none() {
                let reason = format!("shard `{shard}` is not among those given: {}", names.join(", "));
                return Err(ConfigError::Setting { setting: "slot table", reason });
            }
        }
        let shard = |slot| position(table.shard_of_slot(slot)).and_then(|at| at.try_into().ok()).unwrap_or_default();
        let shards = (0..SLOTS).map(shard).collect();
        Ok(Self { table, shards, names: names.clone(), users: Arc::default() })
    }

    /// A slot of these that must not be written to.
    fn held(&self, slots: &Slots) -> Option<u16> {
        let moving = self.table.moving()?;
        slots.iter().find(|slot| moving.slots.contains(slot))
    }
}

impl Layout for Route {
    fn shard(&self, slot: u16) -> usize {
        usize::from(self.shards[usize::from(slot % SLOTS)])
    }

    fn name(&self, shard: usize) -> Arc<str> {
        self.names[shard].clone()
    }
}

/// The table in use, exchanged as a whole.
#[derive(Debug)]
pub(super) struct Routes {
    current: ArcSwap<Route>,
    /// Wakes those who wait for another version, or for the lease.
    changed: watch::Sender<()>,
    /// Until when the table may be used, in milliseconds since `began`. `None`: for ever.
    lease: Option<AtomicU64>,
    began: Instant,
    /// Nothing more is sent.
    ended: AtomicBool,
}

/// A command on its way by one version of the table.
pub(super) struct Entered {
    pub(super) route: Arc<Route>,
    _user: Option<LongUser>,
}

impl Routes {
    /// `leased`: the table can change, and may only be used while [`Self::renew`] says so.
    pub(super) fn new(route: Route, leased: bool) -> Self {
        Self {
            current: ArcSwap::from_pointee(route),
            changed: watch::Sender::new(()),
            lease: leased.then(AtomicU64::default),
            began: Instant::now(),
            ended: AtomicBool::new(false),
        }
    }

    /// Refuses what comes from now on.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.current().users.close();
        self.changed.send_replace(());
    }

    pub(super) fn current(&self) -> Arc<Route> {
        self.current.load_full()
    }

    /// From now on commands go by this version. Returns the one before, whose commands may still be under way.
    pub(super) fn install(&self, route: Route) -> Arc<Route> {
        let before = self.current.swap(Arc::new(route));
        before.users.close();
        self.changed.send_replace(());
        before
    }

    /// The table may be used until then.
    pub(super) fn renew(&self, until: Instant) {
        if let Some(lease) = &self.lease {
            let until = until.saturating_duration_since(self.began).as_millis().try_into().unwrap_or(u64::MAX);
            lease.fetch_max(until, Ordering::AcqRel);
            self.changed.send_replace(());
        }
    }

    pub(super) fn is_leased(&self) -> bool {
        self.lease
            .as_ref()
            .is_none_or(|lease| self.began.elapsed() < Duration::from_millis(lease.load(Ordering::Acquire)))
    }

    /// Waits until commands for these slots may be sent, and counts one.
    pub(super) async fn enter(&self, slots: &Slots, writes: bool, within: Duration) -> Result<Entered, Error> {
        let route = self.current();
        if self.lease.is_none() {
            return Ok(Entered { route, _user: None });
        }
        let began = Instant::now();
        let mut changed = self.changed.subscribe();
        loop {
            if self.ended.load(Ordering::Acquire) {
                return Err(Error::Shutdown);
            }
            let route = self.current();
            let held = if writes { route.held(slots) } else { None };
            if held.is_none() {
                // One that was replaced meanwhile takes no more.
                match route.users.enter_for_long() {
                    // Looked at last: what is counted is waited for by who moves slots.
                    Ok(user) if self.is_leased() => return Ok(Entered { route, _user: Some(user) }),
                    Ok(_) => {}
                    Err(_) => continue,
                }
            }
            if !matches!(timeout_at(began + within, changed.changed()).await, Ok(Ok(()))) {
                let waited = began.elapsed();
                return Err(match held {
                    Some(slot) if self.is_leased() => Error::SlotMoving { slot, waited },
                    _ => Error::NoLease { waited },
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharding::table::Moving;

    const SOON: Duration = Duration::from_secs(5);

    fn names() -> Arc<[Arc<str>]> {
        Arc::from(["a".into(), "b".into()])
    }

    fn moving(table: &SlotTable) -> SlotTable {
        table.with_moving(Some(Moving { slots: 0..=9, from: "a".into(), to: "b".into() }))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_sent_without_a_lease_and_nothing_written_to_slots_on_their_way() {
        let table = SlotTable::even(["a", "b"]).unwrap();
        let routes = Arc::new(Routes::new(Route::new(table.clone(), &names()).unwrap(), true));
        let enter = |slot, writes| {
            let routes = routes.clone();
            async move { routes.enter(&Slots::One(slot), writes, SOON).await.map(|entered| entered.route.shard(slot)) }
        };
        assert!(matches!(enter(5, false).await, Err(Error::NoLease { .. })));
        routes.renew(Instant::now() + SOON * 10);
        assert_eq!(enter(5, true).await.unwrap(), 0);
        let moving = moving(&table);
        routes.install(Route::new(moving.clone(), &names()).unwrap());
        assert_eq!(enter(5, false).await.unwrap(), 0, "reads go on where the data are");
        assert_eq!(enter(10, true).await.unwrap(), 0, "other slots are not concerned");
        assert!(matches!(enter(5, true).await, Err(Error::SlotMoving { slot: 5, .. })));
        let waiting = tokio::spawn(enter(5, true));
        tokio::task::yield_now().await;
        let arrived = moving.assign(0..=9, "b").unwrap().with_moving(None);
        routes.install(Route::new(arrived, &names()).unwrap());
        assert_eq!(waiting.await.unwrap().unwrap(), 1);
        tokio::time::advance(SOON * 10).await;
        assert!(matches!(enter(5, false).await, Err(Error::NoLease { .. })));
    }

    #[tokio::test]
    async fn what_is_under_way_by_the_version_before_is_known() {
        let table = SlotTable::even(["a", "b"]).unwrap();
        let routes = Routes::new(Route::new(table.clone(), &names()).unwrap(), true);
        routes.renew(Instant::now() + SOON);
        let entered = routes.enter(&Slots::One(5), true, SOON).await.unwrap();
        let before = routes.install(Route::new(moving(&table), &names()).unwrap());
        assert_eq!(before.users.count(), 1);
        drop(entered);
        before.users.all_gone().await;
    }

    #[test]
    fn a_table_of_unknown_shards_is_refused() {
        let error = Route::new(SlotTable::even(["a", "x"]).unwrap(), &names()).unwrap_err();
        assert!(error.to_string().contains("`x`") && error.to_string().contains("a, b"), "{error}");
    }
}
