//! The pool of instances in which calls run.
//!
//! A memory slot keeps the image of the module that used it last, and a call takes the slot with its module's image, if
//! there is one: such a call changes no mapping. So the pool has as many memory slots as [`Capacity`] allows, and as
//! many of all other resources as calls can run at once.

use crate::capacity::{Capacity, STACKS};
use crate::config::wasm_config;
use crate::limits::Limits;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Bytes of a slot's tables that stay resident.
const KEEP_TABLE: usize = 64 << 10;
/// The most tables of one instance.
pub(crate) const TABLES: u32 = 4;
/// The most tables of all modules of a component.
pub(crate) const COMPONENT_TABLES: u32 = 8;
/// The most memories of all modules of a component.
pub(crate) const COMPONENT_MEMORIES: u32 = 4;
/// The most core instances of a component: its own code, its libraries, and adapters.
pub(crate) const CORE_INSTANCES: u32 = 64;
/// The most bytes of a component's instances, without memories and tables.
const COMPONENT_INSTANCE: usize = 4 << 20;
/// The most elements of one table; the largest runtimes (Python) need about ten thousand.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;
/// Processors that share one list of free slots.
///
/// wasmtime makes a list for each processor, and a thread takes a slot of its own list: a function that is called on
/// two threads holds two slots, each with its mappings. A list is locked twice per call, for a tenth of a microsecond.
const PROCESSORS_A_LIST: usize = 8;

/// Figures of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolFigures {
    /// Slots in which calls run.
    pub used: u64,
    /// Free slots, most with the image of a module in place.
    pub warm: u64,
    /// Bytes that stay resident in the free slots.
    pub resident: u64,
}

/// The figures of an engine's pool.
pub(crate) fn figures(engine: &Engine) -> Option<PoolFigures> {
    let metrics = engine.pooling_allocator_metrics()?;
    Some(PoolFigures {
        used: metrics.memories() as u64,
        warm: u64::from(metrics.unused_warm_memories()),
        resident: metrics.unused_memory_bytes_resident() as u64,
    })
}

/// Makes an engine with a pool for `calls` calls at once, and for `instances` of components: those of the calls, and those
/// that wait for a call.
///
/// # Errors
/// An error if the host refuses the address space.
pub(crate) fn engine(
    limits: &Limits,
    (calls, instances): (u32, u32),
    capacity: &Capacity,
) -> wasmtime::Result<Engine> {
    let memory = usize::try_from(limits.memory.as_u64())
        .unwrap_or(usize::MAX)
        .clamp(1 << 16, 4 << 30);
    let mut pool = PoolingAllocationConfig::default();
    pool.total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_component_instances(instances)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(COMPONENT_MEMORIES)
        .max_tables_per_component(COMPONENT_TABLES)
        .max_component_instance_size(COMPONENT_INSTANCE)
        .total_memories(capacity.slots)
        .total_stacks(calls.saturating_mul(STACKS))
        .total_gc_heaps(instances)
        .max_tables_per_module(TABLES)
        .total_tables(instances.saturating_mul(COMPONENT_TABLES))
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(memory)
        .linear_memory_keep_resident(usize::try_from(capacity.kept).unwrap_or(usize::MAX))
        .table_keep_resident(KEEP_TABLE)
        .max_unused_warm_slots(capacity.slots)
        .pagemap_scan(Enabled::Auto);
    let mut config = wasm_config(limits);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    std::thread::scope(|scope| {
        let made = scope.spawn(|| {
            // If the kernel refuses this, the pool has more lists.
            let _ = use_few_processors();
            Engine::new(&config)
        });
        made.join()
            .unwrap_or_else(|_| Err(wasmtime::Error::msg("the engine's constructor panicked")))
    })
}

/// Restricts this thread to as many processors as the pool that it makes is to have lists.
fn use_few_processors() -> rustix::io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let processors = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
    let mut few = CpuSet::new();
    for processor in processors.step_by(PROCESSORS_A_LIST) {
        few.set(processor);
    }
    sched_setaffinity(None, &few)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fingerprint;

    /// A worker has no pool; if the pool affected the code, the server would refuse every artefact and compile it
    /// again.
    #[test]
    fn worker_and_server_agree_on_the_fingerprint() {
        let limits = Limits::default();
        let worker = Engine::new(&wasm_config(&limits)).unwrap();
        let pooled = engine(&limits, (2, 2), &Capacity::of(2)).unwrap();
        assert_eq!(fingerprint(&worker), fingerprint(&pooled));
    }

    #[test]
    fn a_module_keeps_one_slot_whichever_thread_calls_it() {
        let engine = engine(&Limits::default(), (4, 4), &Capacity::of(200)).unwrap();
        let module = wat::parse_str(r#"(module (memory 1) (data (i32.const 0) "x"))"#).unwrap();
        let module = wasmtime::Module::new(&engine, module).unwrap();
        for _ in 0..4 {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut store = wasmtime::Store::new(&engine, ());
                    store.set_epoch_deadline(1);
                    wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
                });
            });
        }
        let figures = figures(&engine).unwrap();
        assert_eq!((figures.used, figures.warm), (0, 1), "{figures:?}");
        assert!(figures.resident <= 2 * 4096, "{figures:?}");
    }
}
