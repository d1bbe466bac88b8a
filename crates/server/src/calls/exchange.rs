//! The exchange of a function that answers HTTP requests: its permits, the engine, and the notice to its observers at
//! the end of the answer's body.
//!
//! The guest runs in a task of its own, because its answer leaves while it still writes. The task belongs to the
//! server, which waits for it when it stops; it ends when the client leaves. When the guest and its answer's body have
//! ended, the resources of the call are released, and its observers are told.

use super::ended::EndedCall;
use super::execute::{Permits, frames};
use super::observe::Observers;
use super::prepare::PreparedCall;
use crate::app::App;
use crate::call_log::CallerKind;
use crate::runtime::MigratingRequest;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use iof_command::BodyError;
use iof_engine::{Exchange, HANDLER, ResponseBody};
use iof_fault::Fault;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// The tasks in which the guests of exchanges run.
#[derive(Clone)]
pub(crate) struct ExchangeTasks {
    pub(crate) tasks: TaskTracker,
    /// The runtime of CPU-bound calls.
    pub(crate) compute: Handle,
}

/// The body of a request, while it arrives.
pub(crate) type RequestStream = UnsyncBoxBody<Bytes, BodyError>;

/// Waits for the permits of an exchange, starts it, and returns the head of its response; or the fault with which the
/// guest ended earlier, which its observers have been told.
///
/// # Errors
/// The fault of a permit that was not granted.
pub(crate) async fn exchange(
    app: &Arc<App>,
    tasks: &ExchangeTasks,
    prepared: PreparedCall,
    request: Request<RequestStream>,
) -> Result<Result<Response<ResponseBody>, Fault>, Fault> {
    let PreparedCall {
        function, context, ..
    } = prepared;
    let began = Instant::now();
    let permits = Permits::acquire(app, &function).await?;
    let queued = began.elapsed();
    let (head, answer) = oneshot::channel();
    let (ended, end) = oneshot::channel();
    let running = {
        let app = Arc::clone(app);
        async move {
            let (call, trace) = (context.call, context.trace.clone());
            let exchange = Exchange {
                request,
                environment: Arc::clone(&function.environment),
                context,
                limits: Some(Arc::clone(&function.granted.limits)),
                instances: function.granted.instances.clone(),
            };
            let mut outcome = app.engine.exchange(&function.code, exchange, head).await;
            let wall = began.elapsed();
            drop(permits);
            let frames = frames(&app, &function, &mut outcome).await;
            let told = EndedCall {
                call,
                function: &function,
                export: HANDLER,
                caller: CallerKind::Client,
                outcome: &outcome,
                frames: &frames,
                trace: trace.as_ref(),
                queued,
                wall,
            };
            Observers::of_exchange().end(&app, &told);
            // The receiver is gone if the answer has begun.
            let _ = ended.send(outcome.result.err());
        }
    };
    tasks
        .tasks
        .spawn(MigratingRequest::new(running, tasks.compute.clone()));
    // Dropping this future drops the receiver, which ends the guest.
    match answer.await {
        Ok(response) => Ok(Ok(response)),
        Err(_) => match end.await {
            Ok(Some(fault)) => Ok(Err(fault)),
            _ => Ok(Err(Fault::host(
                "The call failed inside the server.",
                "an exchange ended without an answer",
            ))),
        },
    }
}
