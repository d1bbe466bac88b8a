//! The execution of a prepared call: its permits, and the engine.

use super::ended::EndedCall;
use super::observe::Observers;
use super::prepare::{PreparedCall, StatedTypes};
use crate::app::App;
use crate::call_log::CallerKind;
use crate::envelope;
use crate::functions::LoadedFunction;
use iof_admission::Permit;
use iof_engine::{Arg, Invocation, Outcome, SpentCpu};
use iof_fault::{Fault, FaultKind};
use iof_trace::CallTrace;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The export that is called, and its arguments.
pub(crate) struct CallRequest<'a> {
    pub(crate) export: &'a str,
    pub(crate) args: Vec<Arg>,
    /// The types that the caller states.
    pub(crate) stated: Option<&'a StatedTypes<'a>>,
}

/// The permits of one call: the function's and the server's. They own their limiters, so they may outlive the call's
/// future: an answer with a streaming body holds them to its end.
pub(super) struct Permits {
    _server: Permit,
    _function: Option<Permit>,
}

impl Permits {
    pub(super) async fn acquire(app: &App, function: &LoadedFunction) -> Result<Self, Fault> {
        let own = match &function.granted.limiter {
            Some(limiter) => Some(limiter.acquire().await?),
            None => None,
        };
        Ok(Self {
            _server: app.limiter.acquire().await?,
            _function: own,
        })
    }
}

/// A call that waits for its permits or runs. If it is dropped before its end, because its client or the call that asked for it
/// is gone, its observers are told so: what it used counts, and its row says why there is no result.
struct CallInProgress<'a> {
    app: &'a App,
    function: &'a LoadedFunction,
    export: &'a str,
    caller: CallerKind,
    call: Uuid,
    trace: Option<&'a Arc<CallTrace>>,
    /// `None` for a replay, and once the call has ended.
    observers: Option<Observers>,
    began: Instant,
    /// The time for which it waited for its permits; `None` until it has them.
    queued: Option<Duration>,
    spent: &'a SpentCpu,
}

impl CallInProgress<'_> {
    fn ended<'a>(
        &'a self,
        outcome: &'a Outcome,
        frames: &'a [Box<str>],
        wall: Duration,
    ) -> EndedCall<'a> {
        EndedCall {
            call: self.call,
            function: self.function,
            export: self.export,
            caller: self.caller,
            outcome,
            frames,
            trace: self.trace,
            queued: self.queued.unwrap_or(wall),
            wall,
        }
    }
}

impl Drop for CallInProgress<'_> {
    fn drop(&mut self) {
        let Some(observers) = self.observers.take() else {
            return;
        };
        // A stop ends calls as well, whose clients are there.
        if self.app.stopping.load(Ordering::Relaxed) {
            return;
        }
        let fault = Fault::new(
            FaultKind::ClientGone,
            "The client left before it had its answer.",
        );
        let outcome = Outcome::dropped(fault, self.spent.get(), self.queued.is_some());
        let ended = self.ended(&outcome, &[], self.began.elapsed());
        observers.end_unrecorded(self.app, &ended);
    }
}

/// Waits for the permits of a call and runs it. `memory` is the share of the memory for bodies that its arguments take;
/// it is released before anything is logged.
///
/// # Errors
/// The fault of a permit that was not granted. A failure of the call itself is in its [`Outcome`].
pub(crate) async fn execute<M>(
    app: &App,
    prepared: PreparedCall,
    request: CallRequest<'_>,
    memory: M,
) -> Result<Outcome, Fault> {
    let PreparedCall {
        function,
        context,
        caller,
        replayed,
        start,
    } = prepared;
    let CallRequest {
        export,
        args,
        stated,
    } = request;
    let (call, trace) = (context.call, context.trace.clone());
    let spent = SpentCpu::default();
    let mut progress = CallInProgress {
        app,
        function: &function,
        export,
        caller,
        call,
        trace: trace.as_ref(),
        observers: match &replayed {
            None => Some(Observers::begin(app, &function, export, &args, stated)),
            Some(_) => None,
        },
        began: Instant::now(),
        queued: None,
        spent: &spent,
    };
    let permits = match Permits::acquire(app, &function).await {
        Ok(permits) => permits,
        Err(fault) => {
            // The caller logs the refusal.
            progress.observers = None;
            return Err(fault);
        }
    };
    if let Some(start) = start {
        start.begin().await;
    }
    progress.queued = Some(progress.began.elapsed());
    let invocation = Invocation {
        export,
        args,
        environment: Arc::clone(&function.environment),
        context,
        signature: stated.map(|stated| &stated.signature),
        limits: Some(Arc::clone(&function.granted.limits)),
        instances: function.granted.instances.as_ref(),
        tape: replayed.or_else(|| progress.observers.as_ref().and_then(Observers::tape)),
        spent: Some(&spent),
    };
    let mut outcome = app.engine.call(&function.code, invocation).await;
    envelope::response::check(&mut outcome.result);
    let wall = progress.began.elapsed();
    // The result is complete: a client that reads it slowly keeps no other call waiting.
    drop((permits, memory));
    if let Some(observers) = progress.observers.take() {
        let frames = frames(app, &function, &mut outcome).await;
        let ended = progress.ended(&outcome, &frames, wall);
        observers.end(app, &ended);
    }
    // Calls that are ready write their answers together (docs/decisions/0019).
    tokio::task::yield_now().await;
    Ok(outcome)
}

/// The frames of a call that failed in its code, as text.
pub(super) async fn frames(
    app: &App,
    function: &LoadedFunction,
    outcome: &mut Outcome,
) -> Vec<Box<str>> {
    match outcome.trace.take() {
        Some(trace) => app.functions.trace(function, &trace).await,
        None => vec![],
    }
}
