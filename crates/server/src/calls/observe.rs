//! The observers of calls: each is told once how a call ended.
//!
//! An observer that needs the arguments takes its part of them in [`Observers::begin`], before the engine has them. To
//! add an observer, add its line to [`Observers::end`].

use super::ended::EndedCall;
use super::prepare::StatedTypes;
use crate::app::App;
use crate::call_log::{CallSummary, Payload, RefusedCall};
use crate::functions::LoadedFunction;
use crate::metrics::CallCost;
use crate::otlp::exported_ids;
use crate::recording::Recorder;
use iof_engine::{Arg, HostCallTape, Log};
use iof_fault::Source;

/// The observers of one call, with their part of its arguments.
pub(super) struct Observers {
    arguments: Payload,
    /// `None`, at no cost, for a function that records nothing.
    recorder: Option<Box<Recorder>>,
}

impl Observers {
    /// Shows a call to its observers before it runs.
    pub(super) fn begin(
        app: &App,
        function: &LoadedFunction,
        export: &str,
        args: &[Arg],
        stated: Option<&StatedTypes<'_>>,
    ) -> Self {
        Self {
            arguments: Payload::of(args),
            recorder: Recorder::new(
                &function.granted,
                app.outbound_log.call_size(),
                (export, args, stated.map(|stated| stated.text)),
                &function.environment,
            )
            .map(Box::new),
        }
    }

    /// The observers of an exchange, whose bodies are not kept.
    pub(super) fn of_exchange() -> Self {
        Self {
            arguments: Payload::None,
            recorder: None,
        }
    }

    /// The tape on which the call is recorded.
    pub(super) fn tape(&self) -> Option<HostCallTape> {
        self.recorder.as_deref().map(Recorder::tape)
    }

    /// Tells every observer but the recorder how the call ended: half of a call cannot be replayed.
    pub(super) fn end_unrecorded(self, app: &App, ended: &EndedCall<'_>) {
        let unrecorded = Self {
            recorder: None,
            ..self
        };
        unrecorded.end(app, ended);
    }

    /// Tells every observer how the call ended.
    pub(super) fn end(self, app: &App, ended: &EndedCall<'_>) {
        log(ended);
        app.otlp.end(ended);
        app.recent_faults.note(ended);
        if let Some(recorder) = self.recorder {
            recorder.end(&app.outbound_log, ended);
        }
        match &ended.outcome.result {
            // A caller can have calls refused at will, so a refused call never takes the room of a row of a call that
            // ran.
            Err(fault) if !ended.outcome.ran => {
                let refused = RefusedCall::new(ended.call, ended.export, fault);
                app.call_log.refused(ended.function.id, refused);
            }
            _ => {
                record(self.arguments, ended);
                measure(ended);
            }
        }
    }
}

/// Adds a row to the log of the function, and the call to its usage.
fn record(arguments: Payload, ended: &EndedCall<'_>) {
    let (function, outcome) = (ended.function, ended.outcome);
    let (call, version) = (ended.call, function.version);
    let summary =
        CallSummary::of(call, version, ended.export, outcome, ended.frames).made_by(ended.caller);
    function.log.called(arguments, summary, outcome.guest_cpu);
}

/// Adds the call to the metrics of its function.
fn measure(ended: &EndedCall<'_>) {
    let outcome = ended.outcome;
    let fault = outcome.result.as_ref().err().map(|fault| fault.kind);
    let cost = CallCost {
        wall: ended.wall,
        cpu: outcome.guest_cpu,
        queue: ended.queued,
        memory: outcome.memory_peak,
        trace: exported_ids(ended),
    };
    ended.function.metrics.called(fault, cost);
}

/// The most bytes of the name of an export that go to the server's own log.
const NAMED: usize = 200;
/// The most bytes of each stream that go to the server's own log.
const LOGGED: usize = 8 << 10;

/// Writes what a call printed and how it ended to the server's own log.
fn log(ended: &EndedCall<'_>) {
    let EndedCall {
        call,
        function,
        export,
        outcome,
        ..
    } = *ended;
    // A caller chose the name, and there may be no such export.
    let export = export
        .get(..export.floor_char_boundary(NAMED))
        .unwrap_or_default();
    let (function, name, version) = (function.id, function.label.as_deref(), function.version);
    let Log { stdout, stderr } = &outcome.log;
    for (stream, bytes) in [("stdout", stdout), ("stderr", stderr)] {
        if !bytes.is_empty() {
            let shown = String::from_utf8_lossy(bytes.get(..LOGGED).unwrap_or(bytes));
            tracing::info!(target: "iof::guest", %call, function, name, version, export, stream, bytes = bytes.len(), text = &*shown);
        }
    }
    let guest_us = u64::try_from(outcome.guest_cpu.as_micros()).unwrap_or(u64::MAX);
    match &outcome.result {
        Ok(_) => {
            tracing::debug!(target: "iof::call", %call, function, name, version, export, guest_us, "returned");
        }
        Err(fault) => {
            let (code, message, detail) =
                (fault.code(), fault.full_message(), fault.detail.as_deref());
            if fault.kind.source() == Source::Host {
                tracing::error!(target: "iof::call", %call, function, name, version, export, guest_us, fault = code, detail, "{message}");
            } else {
                tracing::info!(target: "iof::call", %call, function, name, version, export, guest_us, fault = code, "{message}");
                // A backtrace is for the author of the function.
                tracing::debug!(target: "iof::call", %call, detail);
            }
        }
    }
}
