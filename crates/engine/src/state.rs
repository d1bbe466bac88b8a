//! The state of a call while its code runs: its limits, its capabilities, its log.
//!
//! One [`CallState`] is the data of one wasmtime store. Every part that takes more than a few nanoseconds to make is
//! made when the guest first uses it: most calls never use WASI or a command.

use crate::abi::objects::{Holder, Objects};
use crate::accounting::{CpuMeter, MemoryAccounting};
use crate::capability::process::Process;
use crate::capability::storage::{
    Committed, FunctionValues, KEY, Storage, StorageBatch, Updated, ValueChange,
};
use crate::capability::transactions::Transactions;
use crate::interfaces::http::HttpState;
use crate::limits::{LimitExceeded, Limits};
use crate::tape::HostCallTape;
use crate::wasi::{Setup, Wasi};
use crate::watch;
use async_trait::async_trait;
use bytes::Bytes;
use iof_command::{CallContext, Registry};
use iof_fault::Fault;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{Memory, UpdateDeadline};

/// The data of one call's store.
pub(crate) struct CallState {
    pub(crate) limits: Arc<Limits>,
    pub(crate) context: CallContext,
    pub(crate) commands: Arc<Registry>,
    /// The HTTP state of a component, made at first use. Declared before `wasi`, whose resources have to outlive it.
    pub(crate) http: Option<Box<HttpState>>,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) meter: Arc<CpuMeter>,
    /// The guest's memory, once a host function has looked it up.
    pub(crate) memory: Option<Memory>,
    pub(crate) space: MemoryAccounting,
    pub(crate) process: Process,
    pub(crate) transactions: Transactions,
    pub(crate) wasi: Wasi,
    /// The tape that records the call, or plays the host's answers to it.
    pub(crate) tape: Option<HostCallTape>,
    /// Texts that the guest made for JavaScript.
    pub(crate) objects: Objects,
    /// The type codes of a conversion that the guest is about to request.
    pub(crate) codes: Vec<u32>,
}

/// The core time after which a call that a tick finds running counts as CPU-bound.
const LONG: Duration = Duration::from_millis(1);

impl CallState {
    /// Decides, after a tick during guest code, whether to end the call at its limit or to let others run.
    ///
    /// # Errors
    /// The limit that was reached, as an error that traps the guest.
    pub(crate) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        let used = self.meter.used();
        if used > self.limits.guest_cpu {
            return Err(LimitExceeded::GuestCpu.into());
        }
        if tokio::time::Instant::now() >= self.context.deadline {
            return Err(LimitExceeded::WallTime.into());
        }
        if self.meter.certain() >= LONG {
            watch::note();
        }
        Ok(UpdateDeadline::Yield(1))
    }

    /// Counts an access to the function's storage.
    ///
    /// # Errors
    /// The errors of [`Transactions::begin`].
    pub(crate) fn begin_storage(&mut self) -> Result<(), Fault> {
        let granted = self.context.grants.storage;
        self.transactions.begin(granted, &self.limits)
    }

    /// Counts more accesses of the same request.
    ///
    /// # Errors
    /// `storage-transactions`
    pub(crate) fn begin_more(&mut self, count: u32) -> Result<(), Fault> {
        let granted = self.context.grants.storage;
        self.transactions.begin_many(granted, count, &self.limits)
    }

    /// Notes in the trace of the call that its instance begins to be made.
    pub(crate) fn instantiates(&self) {
        if let Some(trace) = &self.context.trace {
            trace.instantiates();
        }
    }

    /// Notes in the trace of the call that its instance was made.
    pub(crate) fn is_instantiated(&self) {
        if let Some(trace) = &self.context.trace {
            trace.is_instantiated();
        }
    }

    /// The transactions of the call, and the values that they change.
    pub(crate) fn storage(&mut self) -> (&mut Transactions, FunctionValues<'_>) {
        let values = FunctionValues {
            store: &*self.storage,
            function: self.context.function_id,
            limits: &self.limits,
            tape: self.tape.as_ref(),
            trace: self.context.trace.as_deref(),
        };
        (&mut self.transactions, values)
    }
}

impl Holder for CallState {
    fn objects(&mut self) -> (&mut Objects, &mut MemoryAccounting) {
        (&mut self.objects, &mut self.space)
    }
}

/// The storage of a store in which no code runs.
struct Nowhere;

#[async_trait]
impl Storage for Nowhere {
    async fn load(&self, _: i64, _: &[u8; KEY]) -> Result<Option<Bytes>, Fault> {
        Ok(None)
    }

    async fn save(
        &self,
        _: i64,
        _: ([u8; KEY], Option<Bytes>),
        _: Bytes,
        _: u64,
    ) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn remove(&self, _: i64, _: [u8; KEY]) -> Result<bool, Fault> {
        Ok(false)
    }

    async fn commit(&self, _: i64, _: StorageBatch, _: u64) -> Result<Committed, Fault> {
        Ok(Committed::Conflict)
    }

    async fn update(
        &self,
        _: i64,
        _: ([u8; KEY], Bytes),
        _: ValueChange,
        _: u64,
    ) -> Result<Updated, Fault> {
        Ok(Updated::Unchanged)
    }

    async fn names(&self, _: i64, _: &[u8], _: &[u8], _: u32) -> Result<Vec<Bytes>, Fault> {
        Ok(vec![])
    }
}

impl CallState {
    /// The state of a store in which no code runs: for queries of linkers, and for an instance between two calls.
    pub(crate) fn of_no_call(limits: Arc<Limits>) -> Self {
        let context = CallContext {
            call: uuid::Uuid::nil(),
            function: "".into(),
            function_id: 0,
            version: 0,
            grants: Arc::default(),
            secrets: Arc::default(),
            depth: 0,
            deadline: tokio::time::Instant::now(),
            trace: None,
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
            handles: None,
        };
        Self {
            context,
            commands: Arc::default(),
            http: None,
            storage: Arc::new(Nowhere),
            meter: Arc::new(CpuMeter::new()),
            memory: None,
            space: MemoryAccounting::new(&limits),
            process: Process::default(),
            transactions: Transactions::default(),
            wasi: Wasi::new(setup, &limits),
            tape: None,
            objects: Objects::default(),
            codes: vec![],
            limits,
        }
    }
}
