//! One call, from its arguments to its outcome: a fresh instance of the pool, with limits on time, memory and output.

use crate::abi::objects::Objects;
use crate::accounting::{CpuMeter, MemoryAccounting};
use crate::capability::environment::Environment;
use crate::capability::log::Log;
use crate::capability::process::Process;
use crate::capability::transactions::Transactions;
use crate::engine::{Engine, Function};
use crate::executable::PlannedCall;
use crate::limits::{LimitExceeded, Limits};
use crate::reuse::{InstancePool, UsedInstance};
use crate::state::CallState;
use crate::tape::HostCallTape;
use crate::trace::Trace;
use crate::wasi::{Setup, Wasi};
use crate::{Arg, StatedSignature, Value, error_mapping};
use iof_command::CallContext;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::Store;

/// One call.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// The name of the export.
    pub export: &'a str,
    /// The arguments of the call.
    pub args: Vec<Arg>,
    /// The types of the arguments and the result, if the caller states them.
    pub signature: Option<&'a StatedSignature>,
    /// The environment that the guest sees.
    pub environment: Arc<Environment>,
    /// Identity, grants and deadline.
    pub context: CallContext,
    /// The limits of this call, none above the engine's; `None` for the engine's limits.
    pub limits: Option<Arc<Limits>>,
    /// The tape that records the call, or plays the host's answers to it.
    pub tape: Option<HostCallTape>,
    /// The pool of instances of earlier calls, for a component that is neither recorded nor replayed; `None` for a fresh
    /// instance.
    pub instances: Option<&'a InstancePool>,
    /// The place that has the core time of the call also if the call's future is dropped before its end.
    pub spent: Option<&'a SpentCpu>,
}

/// The core time that a call has used when it ended or was dropped.
#[derive(Debug, Default)]
pub struct SpentCpu(AtomicU64);

impl SpentCpu {
    /// The core time.
    #[must_use]
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

/// A guard that notes the core time of a call when the call ends or is dropped.
struct Spending<'a> {
    meter: &'a CpuMeter,
    spent: &'a SpentCpu,
}

impl Drop for Spending<'_> {
    fn drop(&mut self) {
        let nanoseconds = u64::try_from(self.meter.used().as_nanos()).unwrap_or(u64::MAX);
        self.spent.0.store(nanoseconds, Ordering::Relaxed);
    }
}

/// The end of a call.
#[derive(Debug)]
pub struct Outcome {
    /// The value that the function returned, or the fault that ended it.
    pub result: Result<Value, Fault>,
    /// The function's output, even if the call failed.
    pub log: Log,
    /// The time for which the function's code held a core.
    pub guest_cpu: Duration,
    /// The most bytes of memories, tables and objects that the call had at once, as `limits.memory` counts them.
    pub memory_peak: u64,
    /// The functions that were under way when the call failed, for its log.
    pub trace: Option<Box<Trace>>,
    /// False if the call was refused before any code of the function ran: an unknown export, or arguments that do not
    /// fit.
    pub ran: bool,
}

impl Engine {
    /// Runs one call in a fresh instance, until its end or its first limit.
    pub async fn call(&self, function: &Function, invocation: Invocation<'_>) -> Outcome {
        let Invocation {
            export: name,
            args,
            signature,
            environment,
            context,
            limits,
            tape,
            instances,
            spent,
        } = invocation;
        let Some(export) = function.executable.export(name) else {
            return Outcome::refused(function.manifest.no_such_export(name));
        };
        if function.manifest.files && self.0.scratch.is_behind() {
            return Outcome::refused(Fault::new(
                FaultKind::ScratchBacklog,
                "Files of earlier calls are still being removed. Try again soon.",
            ));
        }
        let limits = limits.unwrap_or_else(|| Arc::clone(&self.0.limits));
        let planned = match export.plan(&args, signature, &limits) {
            Ok(planned) => planned,
            Err(fault) => return Outcome::refused(fault),
        };
        let program = planned.program().cloned();
        let is_program = program.is_some();
        let deadline = context.deadline;
        let output = limits.output.as_u64();
        let setup = Setup {
            call: context.call,
            export: Arc::clone(planned.name()),
            environment,
            program,
            scratch: function.manifest.files.then(|| Arc::clone(&self.0.scratch)),
            log_limit: usize::try_from(limits.log.as_u64()).unwrap_or(usize::MAX),
            output_limit: usize::try_from(output).unwrap_or(usize::MAX),
            tape: tape.clone(),
            handles: planned.is_component().then_some(limits.handles),
        };
        let instances = instances.filter(|_| planned.is_component() && tape.is_none());
        let (mut store, meter, mut used) =
            self.store(function, (context, setup, limits, tape), instances);
        let _spending = spent.map(|spent| Spending {
            meter: &meter,
            spent,
        });
        // Each format awaits its own future: a wrapper around both would cost another copy in every call.
        let ended = match planned {
            PlannedCall::Core(call) => {
                // Pinned in place: the future is large, and passing it by value copies it.
                let run = std::pin::pin!(call.run(&mut store, output));
                tokio::time::timeout_at(deadline, meter.measure(run)).await
            }
            PlannedCall::Component(call) => {
                let mut run = Box::pin(call.run(&mut store, &mut used, output));
                tokio::time::timeout_at(deadline, meter.measure(run.as_mut())).await
            }
        };
        let mut result = ended.unwrap_or_else(|_| Err(LimitExceeded::WallTime.into()));
        if let (Ok(value), true) = (&mut result, is_program) {
            *value = store.data().wasi.take_printed();
        }
        let trace = result.as_ref().err().and_then(Trace::of);
        let mut log = store.data().wasi.take_log();
        let mut result =
            result.map_err(|error| error_mapping::of_error(&error, store.data(), &log));
        if let (Err(fault), true) = (&mut result, is_program) {
            store.data().wasi.keep_beginning(fault, &mut log);
        }
        let memory_peak = store.data().space.peak();
        if let Some(instances) = instances {
            instances.settle(store, used, result.is_ok());
        }
        Outcome {
            result,
            log,
            guest_cpu: meter.used(),
            memory_peak,
            trace,
            ran: true,
        }
    }
}

impl Engine {
    /// A store for one call, with its limits: that of an instance of an earlier call, or a new one.
    #[inline]
    pub(crate) fn store(
        &self,
        function: &Function,
        (context, setup, limits, tape): (CallContext, Setup, Arc<Limits>, Option<HostCallTape>),
        instances: Option<&InstancePool>,
    ) -> (Store<CallState>, Arc<CpuMeter>, UsedInstance) {
        let meter = Arc::new(CpuMeter::new());
        let taken = instances.and_then(|instances| instances.take(function.load));
        let state = CallState {
            context,
            commands: Arc::clone(&self.0.commands),
            http: None,
            meter: Arc::clone(&meter),
            memory: None,
            space: MemoryAccounting::new(&limits),
            storage: Arc::clone(&self.0.storage),
            process: Process::default(),
            transactions: Transactions::default(),
            wasi: Wasi::new(setup, &limits),
            tape,
            objects: Objects::default(),
            codes: vec![],
            limits,
        };
        if let Some(taken) = taken {
            let (store, used) = taken.begin(state);
            return (store, meter, used);
        }
        let mut store = Store::new(&self.0.wasm, state);
        store.limiter(|state| &mut state.space);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| context.data().tick());
        (store, meter, UsedInstance::new(function.load))
    }
}

impl Outcome {
    /// The outcome of a call that was dropped before its end, after this core time; `ran` is true if its function had begun.
    #[must_use]
    pub fn dropped(fault: Fault, guest_cpu: Duration, ran: bool) -> Self {
        Self {
            guest_cpu,
            ran,
            ..Self::refused(fault)
        }
    }

    pub(crate) fn refused(fault: Fault) -> Self {
        Self {
            result: Err(fault),
            log: Log::default(),
            guest_cpu: Duration::ZERO,
            memory_peak: 0,
            trace: None,
            ran: false,
        }
    }
}
