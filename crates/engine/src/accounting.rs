//! Accounts of what one call uses: core time and memory.

use crate::limits::Limits;
use rustix::time::ClockId;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::ResourceLimiter;

/// A meter of the core time of one call: the sum of the slices in which its future was being polled.
///
/// Until the call has used [`COARSE`], the wall time of a slice counts as core time, because reading the thread's own
/// clock is a system call. After that the thread's clock counts, so that a call whose thread waits for a core is
/// neither charged for the wait nor mistaken for a CPU-bound one.
///
/// The polling future and the store inside it share the meter, so it uses atomics.
#[derive(Debug)]
pub(crate) struct CpuMeter {
    /// The origin of the wall clock.
    origin: Instant,
    /// Nanoseconds of all slices that ended.
    ended: AtomicU64,
    /// Nanoseconds of the slices that were measured by the thread's clock.
    precise: AtomicU64,
    /// The beginning of the running slice, in nanoseconds of the wall clock or the thread's; `IDLE` between slices.
    began: AtomicU64,
    /// True if the running slice is measured by the thread's clock.
    by_thread: AtomicBool,
}

const IDLE: u64 = u64::MAX;
/// The first nanoseconds of a call, which are measured by the wall clock.
const COARSE: u64 = 1_000_000;

impl CpuMeter {
    pub(crate) fn new() -> Self {
        Self {
            origin: Instant::now(),
            ended: AtomicU64::new(0),
            precise: AtomicU64::new(0),
            began: AtomicU64::new(IDLE),
            by_thread: AtomicBool::new(false),
        }
    }

    fn now(&self, by_thread: bool) -> u64 {
        if by_thread {
            let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
            let nanoseconds = Duration::try_from(time).unwrap_or_default().as_nanos();
            return u64::try_from(nanoseconds).unwrap_or(IDLE - 1);
        }
        // Nanoseconds in a `u64` last for 584 years.
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(IDLE - 1)
    }

    fn begin(&self) {
        let by_thread = self.ended.load(Ordering::Relaxed) >= COARSE;
        self.by_thread.store(by_thread, Ordering::Relaxed);
        self.began.store(self.now(by_thread), Ordering::Relaxed);
    }

    fn end(&self) {
        let (running, by_thread) = self.running();
        self.began.store(IDLE, Ordering::Relaxed);
        self.ended.fetch_add(running, Ordering::Relaxed);
        if by_thread {
            self.precise.fetch_add(running, Ordering::Relaxed);
        }
    }

    /// Nanoseconds of the running slice, and whether the thread's clock measured them.
    fn running(&self) -> (u64, bool) {
        let by_thread = self.by_thread.load(Ordering::Relaxed);
        match self.began.load(Ordering::Relaxed) {
            IDLE => (0, false),
            began => (self.now(by_thread).saturating_sub(began), by_thread),
        }
    }

    /// Core time used so far. While a slice runs, call this only on the slice's own thread.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.ended.load(Ordering::Relaxed) + self.running().0)
    }

    /// Core time used so far, without the time in which the thread waited for a core.
    pub(crate) fn certain(&self) -> Duration {
        let running = match self.running() {
            (running, true) => running,
            (_, false) => 0,
        };
        Duration::from_nanos(self.precise.load(Ordering::Relaxed) + running)
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
    /// The most that was used at once.
    peak: usize,
    limit: usize,
    /// Set once a growth was refused: if the guest then traps, this is the cause.
    pub(crate) refused: bool,
}

impl MemoryAccounting {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            used: 0,
            peak: 0,
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
        self.peak = self.peak.max(after);
        true
    }

    /// Reserves bytes for an object that the guest made the host keep; `false` if too few are left.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.grow(0, bytes)
    }

    /// The bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.used as u64
    }

    /// The account of the next call of the same instance, which keeps its memories and tables.
    pub(crate) fn for_next_call(&self, limits: &Limits) -> Self {
        Self {
            used: self.used,
            peak: self.used,
            ..Self::new(limits)
        }
    }

    /// The most bytes that were used at once until now.
    pub(crate) fn peak(&self) -> u64 {
        self.peak as u64
    }

    /// Gives back what [`MemoryAccounting::take`] took.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

/// The bytes that one table element takes on the host.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll, Waker};

    /// Measures `slices` polls, each of which does `work`.
    fn measured(slices: usize, work: impl Fn()) -> CpuMeter {
        let meter = CpuMeter::new();
        let mut left = slices;
        let future = std::future::poll_fn(|_| {
            work();
            left -= 1;
            match left {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        });
        let future = std::pin::pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        let mut measured = Box::pin(meter.measure(future));
        while measured.as_mut().poll(&mut context).is_pending() {}
        drop(measured);
        meter
    }

    /// Blocks, as a thread does that waits for a core.
    #[expect(clippy::disallowed_methods, reason = "the test is of such a wait")]
    fn wait() {
        std::thread::sleep(Duration::from_millis(10));
    }

    fn compute() {
        let time = || Duration::try_from(rustix::time::clock_gettime(ClockId::ThreadCPUTime));
        let began = time().unwrap();
        while time().unwrap() - began < Duration::from_millis(10) {}
    }

    #[test]
    fn a_thread_that_waits_for_a_core_uses_none() {
        let meter = measured(20, wait);
        // The first wait counts as use.
        assert!(meter.used() >= Duration::from_millis(10));
        assert!(meter.used() < Duration::from_millis(100), "{meter:?}");
        assert!(meter.certain() < Duration::from_millis(5), "{meter:?}");
    }

    #[test]
    fn what_a_call_computes_is_counted() {
        let meter = measured(5, compute);
        assert!(meter.used() >= Duration::from_millis(50), "{meter:?}");
        assert!(meter.certain() >= Duration::from_millis(40), "{meter:?}");
    }

    #[test]
    fn a_short_call_asks_no_thread_for_its_clock() {
        assert_eq!(measured(100, || ()).certain(), Duration::ZERO);
    }
}
