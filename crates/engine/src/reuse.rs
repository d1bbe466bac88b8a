//! Instances of components that are kept between calls, for functions that ask for it
//! (docs/decisions/0066-instances-are-reused-on-request.md).
//!
//! An [`InstancePool`] belongs to one version of a function with its grants, and is dropped with them, so that an instance
//! never serves another version, other secrets or other variables. A call takes an idle instance, or makes one. At its end
//! the instance is kept only if the host holds nothing of the call: no resource, no task. All of the host's state of the
//! call is dropped then, and the next call begins with its own.

use crate::limits::Limits;
use crate::state::CallState;
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;
use wasmtime::Store;
use wasmtime::component::Instance;
use wasmtime_wasi_http::p2::bindings::Proxy;

/// The bytes that one permit of the room stands for.
const PAGE: u64 = 64 << 10;

/// The conditions under which an instance is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// The most calls of one instance, the first one included.
    pub calls: u32,
    /// The longest time that an instance waits for its next call.
    pub idle: Duration,
}

/// The reason why an instance was not kept for another call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// It served as many calls as its function allows.
    Calls,
    /// No call came in time, or the version is not loaded any more.
    Idle,
    /// The host still held a resource or a task of its last call.
    Resources,
    /// Its last call failed, or was ended by its client.
    Fault,
    /// Its last call was refused memory.
    Memory,
    /// As many instances are idle as the server keeps, or as much memory.
    Room,
}

impl Retirement {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Calls,
        Self::Idle,
        Self::Resources,
        Self::Fault,
        Self::Memory,
        Self::Room,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Calls => "calls",
            Self::Idle => "idle",
            Self::Resources => "resources",
            Self::Fault => "fault",
            Self::Memory => "memory",
            Self::Room => "room",
        }
    }
}

/// Figures of all reused instances of an engine, since its start.
#[derive(Clone, Debug)]
pub struct ReuseFigures {
    /// Instances that wait for a call.
    pub idle: u64,
    /// The most that may wait (`server.idle_instances`).
    pub idle_limit: u64,
    /// Bytes of their memories, tables and objects, rounded up.
    pub bytes: u64,
    /// The most bytes (`server.idle_memory`).
    pub bytes_limit: u64,
    /// Calls that an instance of an earlier call served.
    pub reused: u64,
    /// Instances that were not kept, by reason.
    pub retired: [(Retirement, u64); 6],
}

/// The room for the idle instances of an engine.
pub(crate) struct IdleRoom {
    instances: Arc<Semaphore>,
    pages: Arc<Semaphore>,
    instances_limit: u32,
    pages_limit: u32,
    reused: AtomicU64,
    retired: [AtomicU64; 6],
}

impl IdleRoom {
    pub(crate) fn new(instances: u32, bytes: u64) -> Self {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let instances = instances.min(most);
        let pages = u32::try_from(bytes / PAGE).unwrap_or(u32::MAX).min(most);
        Self {
            instances: Arc::new(Semaphore::new(instances as usize)),
            pages: Arc::new(Semaphore::new(pages as usize)),
            instances_limit: instances,
            pages_limit: pages,
            reused: AtomicU64::new(0),
            retired: Default::default(),
        }
    }

    /// The place of an idle instance with so many bytes; `None` if there is none.
    fn place(&self, bytes: u64) -> Option<Place> {
        let pages = u32::try_from(bytes.div_ceil(PAGE).max(1)).ok()?;
        Some(Place {
            _instance: Arc::clone(&self.instances).try_acquire_owned().ok()?,
            _pages: Arc::clone(&self.pages).try_acquire_many_owned(pages).ok()?,
        })
    }

    fn retire(&self, reason: Retirement) {
        let [calls, idle, resources, fault, memory, room] = &self.retired;
        let count = match reason {
            Retirement::Calls => calls,
            Retirement::Idle => idle,
            Retirement::Resources => resources,
            Retirement::Fault => fault,
            Retirement::Memory => memory,
            Retirement::Room => room,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn figures(&self) -> ReuseFigures {
        let used = |limit: u32, free: usize| u64::from(limit).saturating_sub(free as u64);
        let [calls, idle, resources, fault, memory, room] = &self.retired;
        let count = |reason, count: &AtomicU64| (reason, count.load(Ordering::Relaxed));
        ReuseFigures {
            idle: used(self.instances_limit, self.instances.available_permits()),
            idle_limit: self.instances_limit.into(),
            bytes: used(self.pages_limit, self.pages.available_permits()) * PAGE,
            bytes_limit: u64::from(self.pages_limit) * PAGE,
            reused: self.reused.load(Ordering::Relaxed),
            retired: [
                count(Retirement::Calls, calls),
                count(Retirement::Idle, idle),
                count(Retirement::Resources, resources),
                count(Retirement::Fault, fault),
                count(Retirement::Memory, memory),
                count(Retirement::Room, room),
            ],
        }
    }
}

/// The share of the room that one idle instance takes.
struct Place {
    _instance: OwnedSemaphorePermit,
    _pages: OwnedSemaphorePermit,
}

/// The idle instances of one version of a function. Cheap to clone: all clones are one pool.
#[derive(Clone)]
pub struct InstancePool(Arc<Inner>);

struct Inner {
    reuse: Reuse,
    room: Arc<IdleRoom>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// The one that was used last is at the end.
    instances: Vec<IdleInstance>,
    /// True while a task ends the instances whose time is over.
    watched: bool,
    /// The task, which ends with the pool.
    watch: JoinSet<()>,
}

/// An instance that waits for a call.
struct IdleInstance {
    store: Store<CallState>,
    used: UsedInstance,
    since: Instant,
    _place: Place,
}

/// The instance in which a call runs, beside its store.
pub(crate) struct UsedInstance {
    /// `None` until the call has made its instance, and while the guest runs.
    pub(crate) exports: Option<Exports>,
    /// Earlier calls that it has served.
    calls: u32,
    /// The loaded code that it is an instance of.
    code: u64,
}

/// The exports of an instance.
pub(crate) enum Exports {
    /// Those of a component that answers HTTP requests.
    Handler(Proxy),
    /// Those of a component with functions.
    Functions(Instance),
}

impl InstancePool {
    pub(crate) fn new(reuse: Reuse, room: Arc<IdleRoom>) -> Self {
        Self(Arc::new(Inner {
            reuse,
            room,
            idle: Mutex::default(),
        }))
    }

    /// Takes the idle instance of this code that was used last.
    pub(crate) fn take(&self, code: u64) -> Option<TakenInstance> {
        let Inner { reuse, room, idle } = &*self.0;
        let taken = idle.lock().instances.pop()?;
        if taken.used.code != code || taken.since.elapsed() >= reuse.idle {
            room.retire(Retirement::Idle);
            return None;
        }
        room.reused.fetch_add(1, Ordering::Relaxed);
        Some(TakenInstance(taken))
    }

    /// Keeps the instance of a call that has ended, unless the call failed or left something.
    pub(crate) fn settle(&self, mut store: Store<CallState>, mut used: UsedInstance, well: bool) {
        let Inner { reuse, room, idle } = &*self.0;
        used.calls += 1;
        let unfit = match well && used.exports.is_some() {
            true => unfit(&mut store, used.calls, reuse),
            false => Some(Retirement::Fault),
        };
        let place = match unfit {
            Some(reason) => Err(reason),
            None => room
                .place(store.data().space.used())
                .ok_or(Retirement::Room),
        };
        let place = match place {
            Ok(place) => place,
            Err(reason) => return room.retire(reason),
        };
        clear(&mut store);
        let mut idle = idle.lock();
        let idle = &mut *idle;
        idle.instances.push(IdleInstance {
            store,
            used,
            since: Instant::now(),
            _place: place,
        });
        if !std::mem::replace(&mut idle.watched, true) {
            while idle.watch.try_join_next().is_some() {}
            idle.watch.spawn(watch(Arc::downgrade(&self.0), reuse.idle));
        }
    }
}

/// An instance of an earlier call, of which the host has no state.
pub(crate) struct TakenInstance(IdleInstance);

impl TakenInstance {
    /// Begins a call in the instance.
    pub(crate) fn begin(self, mut state: CallState) -> (Store<CallState>, UsedInstance) {
        let IdleInstance {
            mut store, used, ..
        } = self.0;
        state.space = store.data().space.for_next_call(&state.limits);
        *store.data_mut() = state;
        store.set_epoch_deadline(1);
        (store, used)
    }
}

impl UsedInstance {
    /// An instance that the call is about to make.
    pub(crate) fn new(code: u64) -> Self {
        Self {
            exports: None,
            calls: 0,
            code,
        }
    }
}

/// The reason why an instance must not serve another call.
fn unfit(store: &mut Store<CallState>, calls: u32, reuse: &Reuse) -> Option<Retirement> {
    let refused = store.data().space.refused;
    let held = store.data_mut().wasi.holds_resources();
    let table = store.concurrent_resource_table();
    let tasks = table.is_some_and(|table| !table.is_empty());
    match () {
        () if held || tasks => Some(Retirement::Resources),
        () if refused => Some(Retirement::Memory),
        () if calls >= reuse.calls => Some(Retirement::Calls),
        () => None,
    }
}

/// Drops the host's state of a call, with its secrets.
fn clear(store: &mut Store<CallState>) {
    let ended = store.data();
    let limits: Arc<Limits> = Arc::clone(&ended.limits);
    let space = ended.space.for_next_call(&limits);
    *store.data_mut() = CallState {
        space,
        ..CallState::of_no_call(limits)
    };
}

impl fmt::Debug for InstancePool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = self.0.idle.lock().instances.len();
        formatter
            .debug_struct("InstancePool")
            .field("reuse", &self.0.reuse)
            .field("idle", &idle)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for _ in self.idle.get_mut().instances.drain(..) {
            self.room.retire(Retirement::Idle);
        }
    }
}

/// Ends the instances of a pool whose time is over, until none is left.
async fn watch(pool: std::sync::Weak<Inner>, time: Duration) {
    loop {
        tokio::time::sleep(time / 2).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        let (ended, last) = {
            let mut idle = pool.idle.lock();
            // The oldest are at the beginning.
            let ended = idle.instances.iter();
            let ended = ended.take_while(|one| one.since.elapsed() >= time).count();
            let ended: Vec<_> = idle.instances.drain(..ended).collect();
            idle.watched = !idle.instances.is_empty();
            (ended, !idle.watched)
        };
        for _ in &ended {
            pool.room.retire(Retirement::Idle);
        }
        drop(ended);
        if last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_bounded_by_instances_and_bytes() {
        let room = IdleRoom::new(2, 4 * PAGE);
        let first = room.place(3 * PAGE).unwrap();
        assert!(room.place(2 * PAGE).is_none());
        let second = room.place(0).unwrap();
        assert!(room.place(0).is_none());
        let figures = room.figures();
        assert_eq!((figures.idle, figures.bytes), (2, 4 * PAGE));
        drop((first, second));
        let figures = room.figures();
        assert_eq!((figures.idle, figures.bytes), (0, 0));
        assert!(IdleRoom::new(0, u64::MAX).place(1).is_none());
        assert!(room.place(u64::MAX).is_none());
    }
}
