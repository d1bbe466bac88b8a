//! Accounts of what one call uses up: core time and memory.

use crate::limits::Limits;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::ResourceLimiter;

/// A meter of the core time of one call: the sum of the slices in which its future was being polled.
///
/// The future that polls and the store inside that future share the meter, hence the atomics. Wall time of a slice is
/// taken for core time: reading the thread's own clock would be a system call for every slice.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    /// Zero of the two fields below.
    origin: Instant,
    /// Nanoseconds of all slices that ended.
    ended: AtomicU64,
    /// When the running slice began, in nanoseconds since `origin`; `IDLE` between slices.
    began: AtomicU64,
}

const IDLE: u64 = u64::MAX;

impl CpuMeter {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            ended: AtomicU64::new(0),
            began: AtomicU64::new(IDLE),
        }
    }

    fn now(&self) -> u64 {
        // 584 years fit.
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(IDLE - 1)
    }

    fn begin(&self) {
        self.began.store(self.now(), Ordering::Relaxed);
    }

    fn end(&self) {
        let began = self.began.swap(IDLE, Ordering::Relaxed);
        if began != IDLE {
            self.ended
                .fetch_add(self.now().saturating_sub(began), Ordering::Relaxed);
        }
    }

    /// Core time used until now.
    pub(crate) fn used(&self) -> Duration {
        let running = match self.began.load(Ordering::Relaxed) {
            IDLE => 0,
            began => self.now().saturating_sub(began),
        };
        Duration::from_nanos(self.ended.load(Ordering::Relaxed) + running)
    }

    /// Measures every poll of `future`.
    pub(crate) fn measure<F: Future>(
        &self,
        mut future: Pin<&mut F>,
    ) -> impl Future<Output = F::Output> {
        std::future::poll_fn(move |cx| {
            self.begin();
            let poll = future.as_mut().poll(cx);
            self.end();
            poll
        })
    }
}

/// An account of the bytes of one instance's memories and tables, against one limit.
#[derive(Debug)]
pub(crate) struct MemoryAccounting {
    used: usize,
    limit: usize,
    /// Set once a growth was refused: if the guest then traps, this is why.
    pub(crate) refused: bool,
}

impl MemoryAccounting {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            used: 0,
            limit: usize::try_from(limits.memory.as_u64()).unwrap_or(usize::MAX),
            refused: false,
        }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let after = self.used.saturating_add(desired.saturating_sub(current));
        if after > self.limit {
            self.refused = true;
            return false;
        }
        self.used = after;
        true
    }

    /// Takes room for an object that the guest made the host keep; `false` if there is not enough.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.grow(0, bytes)
    }

    /// Gives back what [`MemoryAccounting::take`] took.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// Bytes that one table element takes of the host.
pub(crate) const ELEMENT: usize = size_of::<usize>();

impl ResourceLimiter for MemoryAccounting {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(
            current.saturating_mul(ELEMENT),
            desired.saturating_mul(ELEMENT),
        ))
    }
}
