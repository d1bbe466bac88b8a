//! What a call carries while its code runs: limits that it uses up, its host capabilities, its log.
//!
//! One [`CallState`] is the data of one wasmtime store. Everything in it that costs more than a few nanoseconds to make
//! is made when the guest first asks for it: most calls never touch WASI or a command.

use crate::host::{
    objects::{Holder, Objects},
    process::Process,
    storage::{KEY, Storage, Transactions},
    wasi::Wasi,
};
use crate::limits::{Limits, Reached};
use crate::{tape::Tape, watch};
use async_trait::async_trait;
use bytes::Bytes;
use iof_commands::{CallContext, Registry};
use iof_fault::Fault;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::{Memory, ResourceLimiter, UpdateDeadline};

/// The data of one call's store.
pub(crate) struct CallState {
    pub(crate) limits: Arc<Limits>,
    pub(crate) context: CallContext,
    pub(crate) commands: Arc<Registry>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) meter: Arc<Meter>,
    /// The guest's memory, once a function of the host has looked for it.
    pub(crate) memory: Option<Memory>,
    pub(crate) space: Space,
    pub(crate) process: Process,
    pub(crate) transactions: Transactions,
    pub(crate) wasi: Wasi,
    /// What is recorded of the call, or played to it.
    pub(crate) tape: Option<Tape>,
    /// What the guest made for JavaScript.
    pub(crate) objects: Objects,
    /// The types of a conversion that the guest is about to ask for.
    pub(crate) codes: Vec<u32>,
}

/// A call that has computed this long when a tick finds it is not a short one.
const LONG: Duration = Duration::from_millis(1);

impl CallState {
    /// What to do when a tick passed while guest code ran: end the call at its limit, or let others run.
    ///
    /// # Errors
    /// The limit that was reached; it traps the guest.
    pub(crate) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        let used = self.meter.used();
        if used > self.limits.guest_cpu {
            return Err(Reached::GuestCpu.into());
        }
        if tokio::time::Instant::now() >= self.context.deadline {
            return Err(Reached::WallTime.into());
        }
        if used >= LONG {
            watch::note();
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

/// Core time of one call: the sum of the slices in which its future was being polled.
///
/// It is shared between the future that polls and the store inside that future, hence the atomics. Wall time of a
/// slice is taken for core time: reading the thread's own clock would be a system call for every slice.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Zero of the two fields below.
    origin: Instant,
    /// Nanoseconds of all slices that ended.
    ended: AtomicU64,
    /// When the running slice began, in nanoseconds since `origin`; `IDLE` between slices.
    began: AtomicU64,
}

const IDLE: u64 = u64::MAX;

impl Meter {
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

/// Memories and tables of one instance, in bytes, against one limit.
#[derive(Debug)]
pub(crate) struct Space {
    used: usize,
    limit: usize,
    /// A growth was refused. If the guest then traps, this is why.
    pub(crate) refused: bool,
}

impl Space {
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
}

impl Space {
    /// Takes room for something of the host's that the guest made; `false` if there is not enough.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        self.grow(0, bytes)
    }

    /// Gives back what [`Space::take`] took.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }
}

impl Holder for CallState {
    fn objects(&mut self) -> (&mut Objects, &mut Space) {
        (&mut self.objects, &mut self.space)
    }
}

/// What one table element costs us.
pub(crate) const ELEMENT: usize = size_of::<usize>();

impl ResourceLimiter for Space {
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

/// The storage of a store in which nothing is ever run.
struct Nowhere;

#[async_trait]
impl Storage for Nowhere {
    async fn load(&self, _: &str, _: &[u8; KEY]) -> Result<Option<Bytes>, Fault> {
        Ok(None)
    }

    async fn save(
        &self,
        _: &str,
        _: ([u8; KEY], Option<Bytes>),
        _: Bytes,
        _: u64,
    ) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn remove(&self, _: &str, _: [u8; KEY]) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn names(&self, _: &str, _: &[u8], _: &[u8], _: u32) -> Result<Vec<Bytes>, Fault> {
        Ok(vec![])
    }
}

impl CallState {
    /// The state of a store in which nothing is ever run: linkers are asked through one.
    pub(crate) fn nobody(limits: &Limits) -> Self {
        use crate::host::wasi::Setup;
        let context = CallContext {
            call: uuid::Uuid::nil(),
            function: "".into(),
            function_id: 0,
            version: 0,
            grants: Arc::default(),
            secrets: Arc::default(),
            depth: 0,
            deadline: tokio::time::Instant::now(),
        };
        let setup = Setup {
            call: context.call,
            export: "".into(),
            environment: Arc::default(),
            program: None,
            scratch: None,
            log_limit: 0,
            output_limit: 0,
            tape: None,
        };
        Self {
            limits: Arc::new(limits.clone()),
            context,
            commands: Arc::default(),
            storage: Arc::new(Nowhere),
            meter: Arc::new(Meter::new()),
            memory: None,
            space: Space::new(limits),
            process: Process::new(),
            transactions: Transactions::default(),
            wasi: Wasi::new(setup, limits),
            tape: None,
            objects: Objects::default(),
            codes: vec![],
        }
    }
}
