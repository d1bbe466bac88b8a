//! `wasi:http` of 0.2 and 0.3: requests of components leave through the server's outbound client, as those of commands
//! do.
//!
//! `wasmtime_wasi_http` has the resources; this file decides where a request goes and what its guest learns. A refused
//! request gets an error code, never a trap, and its body is read and dropped, because a guest writes the body before
//! it asks for the response.

use crate::limits::Limits;
use crate::state::CallState;
use bytes::Bytes;
use http::header::{EXPECT, TE, TRAILER};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use iof_command::{BodyError, CallContext, HttpClient, HttpRequest, HttpResponse, Registry};
use iof_fault::{Fault, FaultKind};
use parking_lot::Mutex;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready as poll_ready};
use tokio::task::JoinSet;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

/// The most bytes of one set of header fields that a guest assembles, the host's overhead included.
const FIELDS: usize = 64 << 10;
/// The most bytes of a body that the host takes at a time. Up to two such pieces wait to be sent.
pub(crate) const PIECE: usize = 16 << 10;

/// The HTTP state of one call.
pub(crate) struct HttpState {
    ctx: WasiHttpCtx,
    hooks: Hooks,
}

struct Hooks {
    call: CallContext,
    commands: Arc<Registry>,
    /// The number of requests that the call may still send: they count as commands do.
    left: u32,
    /// Set when the call has ended: unfinished bodies are then cut.
    over: Arc<AtomicBool>,
    drains: Drains,
}

impl HttpState {
    fn new(call: &CallContext, commands: &Arc<Registry>, limits: &Limits) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(FIELDS);
        Self {
            ctx,
            hooks: Hooks {
                call: call.clone(),
                commands: Arc::clone(commands),
                left: limits.commands,
                over: Arc::default(),
                drains: Drains::default(),
            },
        }
    }
}

impl Drop for HttpState {
    fn drop(&mut self) {
        self.hooks.over.store(true, Ordering::Release);
    }
}

impl WasiHttpView for CallState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Self {
            http,
            wasi,
            context,
            commands,
            limits,
            ..
        } = self;
        let http = http.get_or_insert_with(|| Box::new(HttpState::new(context, commands, limits)));
        WasiHttpCtxView {
            hooks: &mut http.hooks,
            table: wasi.table(),
            ctx: &mut http.ctx,
        }
    }
}

/// A response, and the future that drives its body.
type Sent = (
    http::Response<WasiBody>,
    Box<dyn Future<Output = Result<(), Error>> + Send>,
);

impl WasiHttpHooks for Hooks {
    fn set_host_header(&mut self) -> bool {
        // The client writes it.
        false
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }

    fn p3_outgoing_body_chunk_size(&mut self) -> usize {
        PIECE
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let (mut parts, body) = request.into_parts();
        let Some(left) = self.left.checked_sub(1) else {
            self.drains.drain(body);
            return Box::new(ready(Err(Error::ConnectionLimitReached)));
        };
        self.left = left;
        let Some(client) = self.commands.http().cloned() else {
            self.drains.drain(body);
            return Box::new(ready(Err(Error::HttpRequestDenied)));
        };
        // Headers of the connection, which belongs to the client.
        for name in [TE, TRAILER, EXPECT] {
            parts.headers.remove(name);
        }
        let unsent = Arc::default();
        let body = SentBody {
            body: Some(body),
            over: Arc::clone(&self.over),
            unsent: Arc::clone(&unsent),
        };
        let options = options.unwrap_or_default();
        let request = HttpRequest {
            request: http::Request::from_parts(parts, body.boxed_unsync()),
            connect: options.connect_timeout,
            first_byte: options.first_byte_timeout,
            between_bytes: options.between_bytes_timeout,
        };
        let rest = (unsent, self.drains.clone());
        Box::new(send(client, self.call.clone(), request, rest))
    }
}

async fn send(
    client: Arc<dyn HttpClient>,
    call: CallContext,
    request: HttpRequest,
    (unsent, drains): (Arc<Mutex<Option<WasiBody>>>, Drains),
) -> Result<Sent, Error> {
    match client.send(call, request).await {
        Ok(HttpResponse { response, rest }) => {
            let response = response.map(|body| body.map_err(|fault| error(&fault)).boxed_unsync());
            let rest = async {
                rest.await;
                Ok(())
            };
            Ok((response, Box::new(rest)))
        }
        Err(fault) => {
            let left = unsent.lock().take();
            if let Some(body) = left.filter(|_| is_denied(fault.kind)) {
                drains.drain(body);
            }
            Err(error(&fault))
        }
    }
}

/// Tasks that read bodies and drop them. They end with the call, which owns both ends.
#[derive(Clone, Default)]
struct Drains(Arc<Mutex<JoinSet<()>>>);

impl Drains {
    fn drain(&self, mut body: WasiBody) {
        let mut tasks = self.0.lock();
        tasks.spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
    }
}

/// Returns whether a request was refused before anything was sent.
fn is_denied(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::EgressDenied
            | FaultKind::EgressAddress
            | FaultKind::EgressUrl
            | FaultKind::EgressHeader
            | FaultKind::EgressDns
            | FaultKind::EgressBusy
    )
}

/// The error code of a fault, as the guest sees it.
fn error(fault: &Fault) -> Error {
    match fault.kind {
        FaultKind::EgressDenied => Error::HttpRequestDenied,
        FaultKind::EgressAddress => Error::DestinationIpProhibited,
        FaultKind::EgressUrl => Error::HttpRequestUriInvalid,
        FaultKind::EgressDns => Error::DnsError {
            rcode: None,
            info_code: None,
        },
        FaultKind::EgressConnect => Error::ConnectionRefused,
        FaultKind::EgressTls => Error::TlsProtocolError,
        FaultKind::EgressTimeoutConnect => Error::ConnectionTimeout,
        FaultKind::EgressTimeoutFirstByte | FaultKind::EgressTimeoutTotal => {
            Error::HttpResponseTimeout
        }
        FaultKind::EgressTimeoutIdle => Error::ConnectionReadTimeout,
        FaultKind::EgressRequestTooLarge => Error::HttpRequestBodySize(None),
        FaultKind::EgressResponseTooLarge => Error::HttpResponseBodySize(None),
        FaultKind::EgressBusy => Error::ConnectionLimitReached,
        FaultKind::EgressEncoded => Error::HttpResponseContentCoding(None),
        FaultKind::EgressProtocol => Error::HttpProtocolError,
        _ => Error::InternalError(Some(fault.message.clone())),
    }
}

/// The body of a guest's request. The part that the client did not read stays readable.
struct SentBody {
    body: Option<WasiBody>,
    over: Arc<AtomicBool>,
    unsent: Arc<Mutex<Option<WasiBody>>>,
}

impl Body for SentBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = poll_ready!(Pin::new(body).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(frame)),
            Some(Err(error)) => Some(Err(error.into())),
            // The writer ended with its guest: this is not the end of the body.
            None if self.over.load(Ordering::Acquire) => {
                Some(Err("the call ended before the body".into()))
            }
            None => {
                self.body = None;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for SentBody {
    fn drop(&mut self) {
        let mut unsent = self.unsent.lock();
        *unsent = self.body.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_is_its_own_error() {
        for (kind, expected) in [
            (FaultKind::EgressDenied, "HTTP request denied"),
            (
                FaultKind::EgressAddress,
                "destination IP address is prohibited",
            ),
            (FaultKind::EgressHeader, "internal error: words"),
        ] {
            assert_eq!(error(&Fault::new(kind, "words")).to_string(), expected);
        }
    }
}
