//! The cache of loaded models: one load at a time of each, shared by all calls that wait for it, and
//! a bound on how much is kept.
//!
//! A load does not belong to a call that waits for it. It is a separate task, which continues when the call that caused
//! it has ended, so that a model that loads longer than a call may take is ready for the next. There are three bounds,
//! and the least recently used is dropped first: bytes inside the server, shapes of one model (a function that tries
//! many shapes cannot push out other models), and worker processes.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;

use crate::{Error, Kind};

/// The weight of a cached entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight {
    pub(crate) bytes: u64,
    pub(crate) workers: usize,
}

/// The bounds of the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CacheLimits {
    pub(crate) bytes: u64,
    pub(crate) workers: usize,
    pub(crate) of_a_kind: usize,
}

/// A key; entries of one kind compete with each other before they compete with others.
pub(crate) trait Key: Clone + Eq + Hash + Send + Sync + 'static {
    fn same_kind(&self, other: &Self) -> bool;
}

type Flight<V> = Shared<BoxFuture<'static, Result<V, Error>>>;

struct Slot<V> {
    flight: Flight<V>,
    /// Distinguishes this slot from a later one of the same key.
    number: u64,
    used: u64,
    /// `None` until it is loaded.
    weight: Option<Weight>,
}

struct Slots<K, V> {
    slots: HashMap<K, Slot<V>>,
    clock: u64,
}

/// A cache of loaded models.
pub(crate) struct Cache<K, V> {
    slots: Arc<Mutex<Slots<K, V>>>,
    most: CacheLimits,
    tasks: TaskTracker,
}

/// A value, and the number of its slot.
pub(crate) struct CacheEntry<V> {
    pub(crate) value: V,
    number: u64,
}

impl<K: Key, V: Clone + Send + Sync + 'static> Cache<K, V> {
    pub(crate) fn new(most: CacheLimits, tasks: TaskTracker) -> Cache<K, V> {
        let slots = Slots {
            slots: HashMap::new(),
            clock: 0,
        };
        Cache {
            slots: Arc::new(Mutex::new(slots)),
            most,
            tasks,
        }
    }

    /// The value of `key`, which `load` makes if there is none; waits for it until `deadline`.
    ///
    /// # Errors
    /// The error of the load, for all calls that wait for it; the next call tries again. [`Kind::Time`].
    pub(crate) async fn get<F>(
        &self,
        key: &K,
        deadline: Instant,
        load: impl FnOnce() -> F,
    ) -> Result<CacheEntry<V>, Error>
    where
        F: Future<Output = Result<(V, Weight), Error>> + Send + 'static,
    {
        let (flight, number) = {
            let mut slots = lock(&self.slots);
            slots.clock += 1;
            let now = slots.clock;
            match slots.slots.get_mut(key) {
                Some(slot) => {
                    slot.used = now;
                    (slot.flight.clone(), slot.number)
                }
                None => {
                    slots.make_room_for(key, self.most);
                    let flight = self.launch(key.clone(), now, load());
                    let slot = Slot {
                        flight: flight.clone(),
                        number: now,
                        used: now,
                        weight: None,
                    };
                    slots.slots.insert(key.clone(), slot);
                    (flight, now)
                }
            }
        };
        let value = match flight.clone().now_or_never() {
            Some(done) => done?,
            None => timeout_at(deadline, flight).await.map_err(|_| {
                Error::new(
                    Kind::Time,
                    "the time was over before the model was loaded. Loading continues: try again",
                )
            })??,
        };
        Ok(CacheEntry { value, number })
    }

    fn launch<F>(&self, key: K, number: u64, load: F) -> Flight<V>
    where
        F: Future<Output = Result<(V, Weight), Error>> + Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let (slots, most) = (Arc::clone(&self.slots), self.most);
        self.tasks.spawn(async move {
            let loaded = load.await;
            let value = loaded.map(|(value, weight)| {
                lock(&slots).landed(&key, number, weight, most);
                value
            });
            if value.is_err() {
                lock(&slots).forget(&key, number);
            }
            let _ = done.send(value);
        });
        let ended = || Err(Error::host("the models are shutting down"));
        let flight = result.map(move |result| result.unwrap_or_else(|_| ended()));
        flight.boxed().shared()
    }

    /// Drops a value that turned out to be unusable, unless there is a newer one.
    pub(crate) fn forget(&self, key: &K, found: &CacheEntry<V>) {
        lock(&self.slots).forget(key, found.number);
    }

    /// Drops every value for which `stale` is true.
    pub(crate) fn forget_all(&self, stale: impl Fn(&K) -> bool) {
        lock(&self.slots).slots.retain(|key, _| !stale(key));
    }

    /// The weight of all loaded values.
    pub(crate) fn weight(&self) -> Weight {
        lock(&self.slots).weight()
    }
}

/// Takes the lock, poisoned or not: no code panics while it holds the lock, and the value would still be consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

impl<K: Key, V> Slots<K, V> {
    fn forget(&mut self, key: &K, number: u64) {
        if self
            .slots
            .get(key)
            .is_some_and(|slot| slot.number == number)
        {
            self.slots.remove(key);
        }
    }

    fn weight(&self) -> Weight {
        let weights = self.slots.values().filter_map(|slot| slot.weight);
        weights.fold(Weight::default(), |sum, weight| Weight {
            bytes: sum.bytes.saturating_add(weight.bytes),
            workers: sum.workers + weight.workers,
        })
    }

    /// Makes room before a load: keeps at most as many of its kind as allowed, including the new one.
    fn make_room_for(&mut self, key: &K, most: CacheLimits) {
        while self
            .slots
            .keys()
            .filter(|other| other.same_kind(key))
            .count()
            >= most.of_a_kind.max(1)
        {
            if !self.evict(|other, _| other.same_kind(key)) {
                return;
            }
        }
    }

    /// Makes room after a load: keeps at most as many bytes and workers as allowed, but never drops the new value.
    fn landed(&mut self, key: &K, number: u64, weight: Weight, most: CacheLimits) {
        match self.slots.get_mut(key) {
            Some(slot) if slot.number == number => slot.weight = Some(weight),
            _ => return,
        }
        while self.weight().bytes > most.bytes {
            if !self.evict(|other, weight| other != key && weight.bytes > 0) {
                break;
            }
        }
        while self.weight().workers > most.workers {
            if !self.evict(|other, weight| other != key && weight.workers > 0) {
                break;
            }
        }
    }

    /// Drops the least recently used loaded value; returns `false` if there is none.
    fn evict(&mut self, candidate: impl Fn(&K, Weight) -> bool) -> bool {
        let loaded = self.slots.iter().filter_map(|(key, slot)| {
            let weight = slot.weight?;
            candidate(key, weight).then_some((slot.used, key))
        });
        let oldest = loaded
            .min_by_key(|(used, _)| *used)
            .map(|(_, key)| key.clone());
        oldest.is_some_and(|key| self.slots.remove(&key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[derive(Clone, PartialEq, Eq, Hash, Debug)]
    struct Id(&'static str, u32);

    impl Key for Id {
        fn same_kind(&self, other: &Id) -> bool {
            self.0 == other.0
        }
    }

    const MOST: CacheLimits = CacheLimits {
        bytes: 100,
        workers: 2,
        of_a_kind: 3,
    };

    struct Setup {
        cache: Cache<Id, u32>,
        loads: Arc<AtomicUsize>,
    }

    fn setup() -> Setup {
        Setup {
            cache: Cache::new(MOST, TaskTracker::new()),
            loads: Arc::default(),
        }
    }

    impl Setup {
        async fn get(&self, id: Id, bytes: u64, workers: usize) -> Result<u32, Error> {
            let (loads, value) = (Arc::clone(&self.loads), id.1);
            let deadline = Instant::now() + Duration::from_millis(20);
            let load = || async move {
                loads.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(if value == 99 { 50 } else { 1 })).await;
                match value {
                    13 => Err(Error::model("unlucky")),
                    value => Ok((value, Weight { bytes, workers })),
                }
            };
            self.cache
                .get(&id, deadline, load)
                .await
                .map(|found| found.value)
        }

        fn loads(&self) -> usize {
            self.loads.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_wait_for_one_load() {
        let setup = setup();
        let all = (0..50).map(|_| setup.get(Id("a", 1), 10, 0));
        for result in futures::future::join_all(all).await {
            assert_eq!(result, Ok(1));
        }
        assert_eq!(setup.loads(), 1);
        let failed = (0..5).map(|_| setup.get(Id("a", 13), 10, 0));
        for result in futures::future::join_all(failed).await {
            assert_eq!(result, Err(Error::model("unlucky")));
        }
        assert_eq!(setup.loads(), 2);
        assert!(setup.get(Id("a", 13), 10, 0).await.is_err());
        assert_eq!(setup.loads(), 3, "a failure is not kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_continues_without_a_waiting_call() {
        let setup = setup();
        let error = setup.get(Id("a", 99), 10, 0).await.unwrap_err();
        assert_eq!(error.kind, Kind::Time);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(setup.get(Id("a", 99), 10, 0).await, Ok(99));
        assert_eq!(setup.loads(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_value_is_dropped_first() {
        let setup = setup();
        for id in [Id("a", 1), Id("b", 2), Id("a", 1), Id("c", 3)] {
            setup.get(id, 40, 0).await.unwrap();
        }
        // b was dropped, and a was not.
        assert_eq!(setup.cache.weight().bytes, 80);
        let before = setup.loads();
        setup.get(Id("a", 1), 40, 0).await.unwrap();
        assert_eq!(setup.loads(), before);
        setup.get(Id("b", 2), 40, 0).await.unwrap();
        assert_eq!(setup.loads(), before + 1);
        // Many shapes of one model displace each other, but no other model.
        let setup = self::setup();
        setup.get(Id("b", 1), 1, 0).await.unwrap();
        for shape in 20..40 {
            setup.get(Id("a", shape), 1, 0).await.unwrap();
        }
        assert_eq!(setup.cache.weight().bytes, 4);
        let before = setup.loads();
        setup.get(Id("b", 1), 1, 0).await.unwrap();
        assert_eq!(setup.loads(), before);
        // Workers have a limit of their own.
        for name in ["d", "e", "f", "g"] {
            setup.get(Id(name, 1), 0, 1).await.unwrap();
        }
        assert_eq!(
            setup.cache.weight(),
            Weight {
                bytes: 4,
                workers: 2
            }
        );
    }
}
