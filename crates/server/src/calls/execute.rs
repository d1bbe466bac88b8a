//! The execution of a prepared call: its permits, and the engine.

use super::ended::EndedCall;
use super::observe::Observers;
use super::prepare::{PreparedCall, StatedTypes};
use crate::app::App;
use crate::envelope;
use crate::functions::LoadedFunction;
use iof_admission::Permit;
use iof_engine::{Arg, Invocation, Outcome};
use iof_fault::Fault;
use std::sync::Arc;
use std::time::Instant;

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
    } = prepared;
    let CallRequest {
        export,
        args,
        stated,
    } = request;
    let (call, trace) = (context.call, context.trace.clone());
    let observers = match &replayed {
        None => Some(Observers::begin(app, &function, export, &args, stated)),
        Some(_) => None,
    };
    let began = Instant::now();
    let permits = Permits::acquire(app, &function).await?;
    let queued = began.elapsed();
    let invocation = Invocation {
        export,
        args,
        environment: Arc::clone(&function.environment),
        context,
        signature: stated.map(|stated| &stated.signature),
        limits: Some(Arc::clone(&function.granted.limits)),
        tape: replayed.or_else(|| observers.as_ref().and_then(Observers::tape)),
        instances: function.granted.instances.as_ref(),
    };
    let mut outcome = app.engine.call(&function.code, invocation).await;
    envelope::response::check(&mut outcome.result);
    let wall = began.elapsed();
    // The result is complete: a client that reads it slowly keeps no other call waiting.
    drop((permits, memory));
    if let Some(observers) = observers {
        let frames = frames(app, &function, &mut outcome).await;
        let ended = EndedCall {
            call,
            function: &function,
            export,
            caller,
            outcome: &outcome,
            frames: &frames,
            trace: trace.as_ref(),
            queued,
            wall,
        };
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
