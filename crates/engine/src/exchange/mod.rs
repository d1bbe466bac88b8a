//! One HTTP exchange of a component: a request goes in and a response comes out, while both bodies stream.
//!
//! The future of [`Engine::exchange`] drives the guest and ends with it; the response leaves earlier, through a channel
//! (decision 33). From then on either the guest, which writes, or the client, which reads, can end the exchange. An
//! early end of the guest cuts the body, so that a client never mistakes a part for the whole, and a client that stops
//! reading ends the guest.

mod body;
mod driver;

pub use body::ResponseBody;
pub use driver::{RESPONSE_HEADER_BYTES, RESPONSE_HEADERS};

use crate::capability::environment::Environment;
use crate::engine::{Engine, Function};
use crate::executable::{bound, tasks_ended};
use crate::interfaces::missing;
use crate::limits::Limits;
use crate::reuse::{Exports, InstancePool, UsedInstance};
use crate::state::CallState;
use crate::trace::Trace;
use crate::wasi::Setup;
use crate::{Outcome, Value, error_mapping};
use body::RequestBody;
use bytes::Bytes;
use driver::Driver;
use futures::FutureExt;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use iof_command::{BodyError, CallContext};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::handler::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, StreamContext};
use wasmtime_wasi_http::p3::bindings::Service;
use wasmtime_wasi_http::{Error, WasiBody, WasiHttpView, p3};

/// The name under which exchanges are recorded, because no caller names an export for them.
pub const HANDLER: &str = "http";

/// The answer of a guest: a response, or the error that it gives in place of one.
type Answer = Result<Response<WasiBody>, Error>;

/// One HTTP exchange.
pub struct Exchange {
    /// The request. Its URI is absolute.
    pub request: Request<UnsyncBoxBody<Bytes, BodyError>>,
    /// The environment that the guest sees.
    pub environment: Arc<Environment>,
    /// Identity, grants and deadline.
    pub context: CallContext,
    /// The limits of this exchange, none above the engine's; `None` for those of the engine.
    pub limits: Option<Arc<Limits>>,
    /// The pool of instances of earlier exchanges; `None` for a fresh instance.
    pub instances: Option<InstancePool>,
}

impl Engine {
    /// Runs one exchange until the end of the guest and of its response's body, or the first limit. The response leaves
    /// through `head` as soon as the guest has begun it; if the outcome is a fault and `head` was dropped unused, there is none.
    pub async fn exchange(
        &self,
        function: &Function,
        exchange: Exchange,
        head: oneshot::Sender<Response<ResponseBody>>,
    ) -> Outcome {
        let Exchange {
            request,
            environment,
            context,
            limits,
            instances,
        } = exchange;
        let Some(handler) = function.executable.handler() else {
            return Outcome::refused(function.manifest.no_such_export(HANDLER));
        };
        if function.manifest.files && self.0.scratch.is_behind() {
            return Outcome::refused(Fault::new(
                FaultKind::ScratchBacklog,
                "Files of earlier calls are still being removed. Try again soon.",
            ));
        }
        let limits = limits.unwrap_or_else(|| Arc::clone(&self.0.limits));
        let size = |size: bytesize::ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        let setup = Setup {
            call: context.call,
            export: HANDLER.into(),
            environment,
            program: None,
            scratch: function.manifest.files.then(|| Arc::clone(&self.0.scratch)),
            log_limit: size(limits.log),
            output_limit: size(limits.output),
            tape: None,
            handles: Some(limits.handles),
        };
        let (sender, answer) = oneshot::channel();
        let (taken, body_taken) = oneshot::channel();
        let without_body = request.method() == http::Method::HEAD;
        let (deadline, own) = (context.deadline, Arc::clone(&limits));
        let (mut store, meter, mut used) =
            self.store(function, (context, setup, limits, None), instances.as_ref());
        // Declared after the store: if both are dropped, the body is notified before its writer is gone.
        let mut driver = Driver::new(deadline, own, without_body, (answer, head, taken));
        let ended = {
            let run = handle(
                handler,
                &mut store,
                &mut used,
                request,
                (sender, body_taken),
            );
            let mut run = Box::pin(run);
            driver.drive(meter.measure(run.as_mut())).await
        };
        if ended.is_ok() {
            finish(store.data_mut());
        }
        let ended = ended.map_err(missing::classify);
        let trace = ended.as_ref().err().and_then(Trace::of);
        let log = store.data().wasi.take_log();
        let result = ended.map_err(|error| error_mapping::of_error(&error, store.data(), &log));
        driver.settle(&result);
        let memory_peak = store.data().space.peak();
        // The instance's slot is free for others while the client reads the rest.
        match instances {
            Some(instances) => instances.settle(store, used, result.is_ok()),
            None => drop(store),
        }
        let result = driver.end(result).await;
        Outcome {
            result: result.map(|()| Value::Unit),
            log,
            guest_cpu: meter.used(),
            memory_peak,
            trace,
            ran: true,
        }
    }
}

impl Function {
    /// Returns whether the function answers HTTP requests ([`Engine::exchange`]) instead of being called.
    #[must_use]
    pub fn takes_http(&self) -> bool {
        self.executable.handler().is_some()
    }
}

/// The channel for the answer of a guest, and the signal that no one reads the rest of its body.
type AnswerChannels = (oneshot::Sender<Answer>, oneshot::Receiver<()>);

/// Lets a component handle a request, in an instance of an earlier exchange or in a new one.
async fn handle(
    handler: &ProxyPre<CallState>,
    store: &mut Store<CallState>,
    used: &mut UsedInstance,
    request: Request<UnsyncBoxBody<Bytes, BodyError>>,
    (answer, body_taken): AnswerChannels,
) -> wasmtime::Result<()> {
    bound(store);
    let most = store.data().limits.streamed_body.as_u64();
    let request = request.map(|body| RequestBody::new(body, most));
    let proxy = match used.exports.take() {
        Some(Exports::Handler(proxy)) => Proxy::P2(proxy),
        _ => {
            store.data().instantiates();
            let proxy = handler.instantiate_async(&mut *store).await?;
            store.data().is_instantiated();
            proxy
        }
    };
    match proxy {
        Proxy::P2(proxy) => {
            let mut http = store.data_mut().http();
            let scheme = match request.uri().scheme() {
                Some(scheme) if *scheme == http::uri::Scheme::HTTPS => Scheme::Https,
                _ => Scheme::Http,
            };
            let request = http.new_incoming_request(scheme, request)?;
            let out = http.new_response_outparam_from_callback(move |answered| {
                // The driver has the receiver for as long as it drives the guest.
                let _ = answer.send(answered.map_err(Error::from));
            })?;
            let incoming = proxy.wasi_http_incoming_handler();
            incoming.call_handle(&mut *store, request, out).await?;
            used.exports = Some(Exports::Handler(proxy));
            Ok(())
        }
        Proxy::P3(service) => {
            let handled = store.run_concurrent(async |store| {
                handle_concurrently(store, &service, request, (answer, body_taken)).await
            });
            handled.await.flatten()
        }
    }
}

/// Lets a component of WASI 0.3 handle a request, until all of its tasks have ended and no one reads the body of its
/// response any more; the event loop of its store moves that body.
async fn handle_concurrently(
    store: &Accessor<CallState>,
    service: &Service,
    request: Request<RequestBody>,
    (answer, body_taken): AnswerChannels,
) -> wasmtime::Result<()> {
    let request = store.with(|mut store| {
        let (request, _) = p3::Request::from_http(store.data_mut().http().hooks, request);
        request
    });
    let answered = service.handle(store, request).await?;
    let body_taken = body_taken.map(drop).shared();
    let sent = body_taken.clone();
    let answered = match answered {
        Ok(response) => Ok(store.with(|store| {
            // The guest is notified when its response has been sent.
            response.into_http(store, sent.map(Ok))
        })?),
        Err(code) => Err(Error::from(code)),
    };
    // The driver has the receiver for as long as it drives the guest.
    let _ = answer.send(answered);
    tasks_ended(store).await;
    body_taken.await;
    Ok(())
}

/// Cuts the bodies that a guest has not finished, as `wasi:http` asks: the host's end of them would read as their end.
fn finish(state: &mut CallState) {
    for entry in state.wasi.table().iter_mut() {
        if let Some(body) = entry.downcast_mut::<HostOutgoingBody>() {
            let (empty, _) = HostOutgoingBody::new(StreamContext::Response, None, 1, 1);
            std::mem::replace(body, empty).abort();
        }
    }
}
