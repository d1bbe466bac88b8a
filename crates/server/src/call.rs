//! One call of a function, once its arguments are known: its turn, the engine, the log, the record. Every API comes
//! through here.

use crate::app::App;
use crate::functions::Loaded;
use crate::journal::{Payload, Row, Told};
use crate::replay::Recorder;
use iof_commands::CallContext;
use iof_engine::{Arg, Invocation, Log, Outcome, StatedSignature};
use iof_fault::{Fault, Source};
use std::sync::Arc;
use tokio::time::Instant;
use uuid::Uuid;

/// The header that states the types of a call whose module does not say them.
pub(crate) const SIGNATURE: &str = "iof-signature";

/// What is called, and how.
pub(crate) struct Wish<'a> {
    pub(crate) export: &'a str,
    pub(crate) args: Vec<Arg>,
    /// The types that the caller states, as they were written and as they were read.
    pub(crate) stated: Option<&'a str>,
    pub(crate) signature: Option<&'a StatedSignature>,
}

/// On whose behalf a function is called, by when it has to end, and how many calls led to it.
pub(crate) fn context(function: &Loaded, call: Uuid, depth: u32, deadline: Instant) -> CallContext {
    let granted = &function.granted;
    CallContext {
        call,
        function: Arc::clone(&function.name),
        function_id: function.id,
        version: function.version,
        grants: Arc::clone(&granted.grants),
        secrets: Arc::clone(&granted.secrets),
        depth,
        deadline,
    }
}

/// Waits for a turn and runs the call. `held` is what its arguments take of the memory for bodies; it is given back
/// before anything is written down.
///
/// # Errors
/// That there is no turn for it; what the call itself came to is in its [`Outcome`].
pub(crate) async fn run<H>(
    app: &Arc<App>,
    function: &Loaded,
    context: CallContext,
    wish: Wish<'_>,
    held: H,
) -> Result<Outcome, Fault> {
    let Wish {
        export,
        args,
        stated,
        signature,
    } = wish;
    let (call, granted) = (context.call, &function.granted);
    let payload = Payload::of(&args);
    let recorder = Recorder::new(
        granted,
        app.records.call_size(),
        (export, &args, stated),
        &function.environment,
    );
    let own_place = match &granted.gate {
        Some(gate) => Some(gate.enter().await?),
        None => None,
    };
    let place = app.gate.enter().await?;
    let outcome = app
        .engine
        .call(
            &function.code,
            Invocation {
                export,
                args,
                environment: Arc::clone(&function.environment),
                context,
                signature,
                limits: Some(Arc::clone(&granted.limits)),
                tape: recorder.as_ref().map(Recorder::tape),
            },
        )
        .await;
    drop((place, own_place, held));
    log(call, function, export, &outcome);
    if let Some(recorder) = recorder {
        recorder.end(app, call, function, &outcome);
    }
    let told = Told::of(call, function.version, export, &outcome);
    let row = Row::called(&function.environment, payload, told, outcome.guest_cpu);
    function.ledger.note(row);
    // Calls that are ready write their answers together (docs/decisions/0019).
    tokio::task::yield_now().await;
    Ok(outcome)
}

/// Most of what a guest prints goes to the log; more of it than this is cut off there.
const LOGGED: usize = 8 << 10;

fn log(call: Uuid, called: &Loaded, export: &str, outcome: &Outcome) {
    let (function, name) = (called.id, called.label.as_deref());
    let Log { stdout, stderr } = &outcome.log;
    for (stream, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        if !bytes.is_empty() {
            let shown = String::from_utf8_lossy(bytes.get(..LOGGED).unwrap_or(bytes));
            tracing::info!(target: "iof::guest", %call, function, name, export, stream, bytes = bytes.len(), text = ?shown);
        }
    }
    let guest_us = u64::try_from(outcome.guest_cpu.as_micros()).unwrap_or(u64::MAX);
    match &outcome.result {
        Ok(_) => {
            tracing::debug!(target: "iof::call", %call, function, name, export, guest_us, "returned");
        }
        Err(fault) => {
            let (code, message, detail) = (fault.code(), &*fault.message, fault.detail.as_deref());
            if fault.kind.source() == Source::Host {
                tracing::error!(target: "iof::call", %call, function, name, export, guest_us, fault = code, detail, "{message}");
            } else {
                tracing::info!(target: "iof::call", %call, function, name, export, guest_us, fault = code, "{message}");
                // A backtrace is for whoever wrote the function.
                tracing::debug!(target: "iof::call", %call, detail);
            }
        }
    }
}
