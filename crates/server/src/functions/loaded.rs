//! The cache of functions whose code is in memory, up to the engine's capacity.
//!
//! The weight of a function is the size of its code, but at least an even share of the capacity, so that both the bytes
//! and the number of functions are bounded. Functions that are called once do not push out functions that are called
//! often.

use super::LoadedFunction;
use iof_engine::Capacity;
use iof_fault::Fault;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes of code per shard of the cache. Each shard has its own lock.
const PART: u64 = 256 << 20;
/// The most shards per processor.
const PARTS_A_PROCESSOR: u64 = 4;

/// The future of a load, boxed: loads are rare, and the type is large.
pub(super) type Loading<'a> =
    Pin<Box<dyn Future<Output = Result<Arc<LoadedFunction>, Fault>> + Send + 'a>>;

/// The cache of loaded functions.
pub(super) struct LoadedFunctions {
    cache: Cache<i64, Arc<LoadedFunction>, Weights, DefaultHashBuilder, Evictions>,
    loads: AtomicU64,
    evictions: Arc<AtomicU64>,
}

/// Figures of the loaded functions.
pub(crate) struct LoadedFigures {
    /// Functions.
    pub(crate) functions: u64,
    /// Bytes of their code.
    pub(crate) bytes: u64,
    /// Loads since the start: calls whose function was not loaded.
    pub(crate) loads: u64,
    /// Functions that were evicted since the start.
    pub(crate) evictions: u64,
}

impl LoadedFunctions {
    pub(super) fn new(capacity: &Capacity) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let parts = (capacity.code / PART).clamp(1, processors * PARTS_A_PROCESSOR);
        let parts = parts.next_power_of_two();
        let evictions = Arc::<AtomicU64>::default();
        let weights = Weights {
            least: capacity.least().max(1),
            // A heavier function would not be kept, and each of its calls would load it.
            most: (capacity.code / parts / 2).max(1),
        };
        let options = OptionsBuilder::new()
            .shards(usize::try_from(parts).unwrap_or(1))
            .estimated_items_capacity(capacity.functions as usize)
            .weight_capacity(capacity.code)
            .build();
        let lifecycle = Evictions(Arc::clone(&evictions));
        let hasher = DefaultHashBuilder::default();
        let cache = match options {
            Ok(options) => Cache::with_options(options, weights, hasher, lifecycle),
            // Building the cache fails only if a setting is missing.
            Err(_) => Cache::with(0, capacity.code, weights, hasher, lifecycle),
        };
        Self {
            cache,
            loads: AtomicU64::new(0),
            evictions,
        }
    }

    pub(super) fn get(&self, id: i64) -> Option<Arc<LoadedFunction>> {
        self.cache.get(&id)
    }

    pub(super) fn remove_if(&self, id: i64, is: impl Fn(&LoadedFunction) -> bool) {
        self.cache.remove_if(&id, |loaded| is(loaded));
    }

    /// Counts a load that begins.
    pub(super) fn count(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the function; the first of several concurrent calls loads it.
    pub(super) async fn get_or_load(
        &self,
        id: i64,
        loading: Loading<'_>,
    ) -> Result<Arc<LoadedFunction>, Fault> {
        self.cache.get_or_insert_async(&id, loading).await
    }

    pub(super) fn figures(&self) -> LoadedFigures {
        let resident = self.cache.iter().map(|(_, loaded)| loaded.code.resident());
        LoadedFigures {
            functions: self.cache.len() as u64,
            bytes: resident.sum(),
            loads: self.loads.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
        }
    }
}

/// The weight of a function, in bytes.
#[derive(Clone)]
struct Weights {
    least: u64,
    most: u64,
}

impl Weighter<i64, Arc<LoadedFunction>> for Weights {
    fn weight(&self, _: &i64, loaded: &Arc<LoadedFunction>) -> u64 {
        let canary = loaded.canary.as_ref();
        let canary = canary.map_or(0, |(canary, _)| canary.code.resident());
        let bytes = loaded.code.resident().saturating_add(canary);
        bytes.max(self.least).min(self.most)
    }
}

/// Counts evictions.
#[derive(Clone)]
struct Evictions(Arc<AtomicU64>);

impl Lifecycle<i64, Arc<LoadedFunction>> for Evictions {
    type RequestState = EvictedFunctions;

    fn on_evict(&self, evicted: &mut EvictedFunctions, _: i64, function: Arc<LoadedFunction>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        evicted.0.push(function);
    }
}

/// Evicted functions. Unmapping them takes time, so it happens off the threads of connections.
#[derive(Default)]
struct EvictedFunctions(Vec<Arc<LoadedFunction>>);

impl Drop for EvictedFunctions {
    fn drop(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let evicted = std::mem::take(&mut self.0);
        // Without a runtime, no connection waits for this.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(evicted));
        }
    }
}
