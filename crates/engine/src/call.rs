//! One call, from its arguments to its outcome: a fresh instance of the pool, within limits of time, memory and output.

use crate::abi::{self, guest::Guest};
use crate::engine::{Engine, Function};
use crate::host::log::Log;
use crate::host::objects::Objects;
use crate::host::process::Process;
use crate::host::storage::Transactions;
use crate::host::wasi::{Environment, Setup, Wasi};
use crate::limits::{Limits, Reached};
use crate::manifest::Abi;
use crate::state::{CallState, Meter, Space};
use crate::tape::Tape;
use crate::{Arg, Export, StatedSignature, Type, Value, verdict};
use iof_commands::CallContext;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{ModuleExport, Store};

/// One call.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// The name of the export.
    pub export: &'a str,
    /// Its arguments.
    pub args: Vec<Arg>,
    /// The types of its arguments and its result, where the caller states them.
    pub signature: Option<&'a StatedSignature>,
    /// What the guest sees of its surroundings.
    pub environment: Arc<Environment>,
    /// Identity, grants and deadline.
    pub context: CallContext,
    /// The limits of this call; `None`: those of the engine. At most those.
    pub limits: Option<Arc<Limits>>,
    /// Records the call, or answers it.
    pub tape: Option<Tape>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    /// What the function returned, or why it did not.
    pub result: Result<Value, Fault>,
    /// What it printed, also when it failed.
    pub log: Log,
    /// How long its code held a core.
    pub guest_cpu: Duration,
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
        } = invocation;
        let Some((export_name, (export, handle))) = function.exports.get_key_value(name) else {
            return Outcome::refused(verdict::no_such_export(&function.manifest, name));
        };
        if function.manifest.files && self.0.scratch.is_behind() {
            return Outcome::refused(Fault::new(
                FaultKind::ScratchBacklog,
                "Files of earlier calls are still being removed. Try again soon.",
            ));
        }
        let texts = function.handles.malloc.is_some();
        let plan = match abi::plan(export, &args, signature, texts) {
            Ok(plan) => plan,
            Err(fault) => return Outcome::refused(fault),
        };
        let program = match &plan {
            abi::Plan::Command(program) => Some(program.clone()),
            _ => None,
        };
        let deadline = context.deadline;
        let limits = limits.unwrap_or_else(|| Arc::clone(&self.0.limits));
        let output = limits.output.as_u64();
        let setup = Setup {
            call: context.call,
            export: Arc::clone(export_name),
            environment,
            program,
            scratch: function.manifest.files.then(|| Arc::clone(&self.0.scratch)),
            log_limit: usize::try_from(limits.log.as_u64()).unwrap_or(usize::MAX),
            output_limit: usize::try_from(output).unwrap_or(usize::MAX),
            tape: tape.clone(),
        };
        let meter = Arc::new(Meter::new());
        let mut store = Store::new(
            &self.0.wasm,
            CallState {
                context,
                commands: Arc::clone(&self.0.commands),
                meter: Arc::clone(&meter),
                memory: None,
                space: Space::new(&limits),
                storage: Arc::clone(&self.0.storage),
                process: Process::new(),
                transactions: Transactions::default(),
                wasi: Wasi::new(setup, &limits),
                tape,
                objects: Objects::default(),
                codes: vec![],
                limits,
            },
        );
        store.limiter(|state| &mut state.space);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| context.data().tick());

        let ended = {
            // Where it stays: it is large, and whatever takes it by value copies it.
            let run = std::pin::pin!(run(function, &mut store, (export, handle), plan, output));
            tokio::time::timeout_at(deadline, meter.measure(run)).await
        };
        let mut result = ended.unwrap_or_else(|_| Err(Reached::WallTime.into()));
        if let (Ok(value), Abi::Command) = (&mut result, export.abi) {
            *value = store.data().wasi.take_printed();
        }
        let mut log = store.data().wasi.take_log();
        let mut result = result.map_err(|error| verdict::of_error(&error, store.data(), &log));
        if let (Err(fault), Abi::Command) = (&mut result, export.abi) {
            store.data().wasi.keep_beginning(fault, &mut log);
        }
        Outcome {
            result,
            log,
            guest_cpu: meter.used(),
        }
    }
}

/// What a call does in its store.
async fn run(
    function: &Function,
    store: &mut Store<CallState>,
    (export, handle): (&Export, &ModuleExport),
    plan: abi::Plan,
    output: u64,
) -> wasmtime::Result<Value> {
    let instance = function.pre.instantiate_async(&mut *store).await?;
    for start in &function.initialize {
        if let Some(start) = instance
            .get_module_export(&mut *store, start)
            .and_then(wasmtime::Extern::into_func)
        {
            let start = start.typed::<(), ()>(&*store)?;
            start.call_async(&mut *store, ()).await?;
        }
    }
    let Some(target) = instance
        .get_module_export(&mut *store, handle)
        .and_then(wasmtime::Extern::into_func)
    else {
        return Err(wasmtime::Error::msg(
            "an export of the manifest is no function",
        ));
    };
    let mut guest = Guest {
        store,
        instance,
        handles: function.handles,
    };
    let value = abi::call(&mut guest, target, plan, output).await?;
    Ok(match (&export.signature, value) {
        (Some(of), Value::Text(text)) if of.result == Type::Json => Value::Json(text),
        (_, value) => value,
    })
}

impl Outcome {
    fn refused(fault: Fault) -> Self {
        Self {
            result: Err(fault),
            log: Log::default(),
            guest_cpu: Duration::ZERO,
        }
    }
}
