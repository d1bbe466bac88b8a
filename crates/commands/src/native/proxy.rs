//! The proxy that a native program reaches instead of a network: its requests are sent as the
//! function's own, by the function's rules.
//!
//! Plain requests are parsed, so rules, secrets, limits and redirects are those of all other egress. TLS goes through a
//! tunnel ([`Egress::tunnel`]), whose bytes cannot be inspected. A refusal is an HTTP response with the reason in its
//! body, as programs print it.
//!
//! The rules are checked before a body is read, and the bodies of one run share `max_request`
//! ([`BodyBudget`]): however many connections a program opens, the host holds no more for it.

use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use iof_command::CallContext;
use iof_egress::{Egress, Error, Kind, Outbound, Tunnel, drop_framing};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::outbound::outbound;

/// Answers connections as long as it is polled.
pub(super) async fn serve(egress: &Egress, call: &CallContext, mut arriving: Receiver<TcpStream>) {
    let budget = BodyBudget::new(egress.max_request());
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(stream) = arriving.recv() => {
                let (egress, call, budget) = (egress.clone(), call.clone(), budget.clone());
                open.spawn(async move { connection(&egress, &call, &budget, stream).await });
            }
            Some(_) = open.join_next() => {}
            // No more connections will come; the run goes on without.
            else => std::future::pending().await,
        }
    }
}

/// The memory that the bodies of a run's requests may take together on the host, until they are sent.
#[derive(Clone)]
struct BodyBudget {
    /// A permit a KiB.
    left: Arc<Semaphore>,
    all: u32,
}

impl BodyBudget {
    fn new(bytes: u64) -> BodyBudget {
        let all = permits(bytes);
        BodyBudget {
            left: Arc::new(Semaphore::new(all as usize)),
            all,
        }
    }

    /// Waits until a body of this many bytes has room, or one of unknown size, which may take all.
    /// A waiting request holds no part of it: two that each held a part could wait for each other forever.
    async fn room(&self, bytes: Option<u64>) -> Option<OwnedSemaphorePermit> {
        let wanted = bytes.map_or(self.all, permits).min(self.all);
        // It is never closed.
        self.left.clone().acquire_many_owned(wanted).await.ok()
    }
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 3)
}

type Opened<'a> = Mutex<Option<(OnUpgrade, Tunnel<'a>)>>;

async fn connection(egress: &Egress, call: &CallContext, budget: &BodyBudget, stream: TcpStream) {
    let context = outbound(call, call.deadline);
    let opened = Opened::default();
    let service = service_fn(|request| answer(egress, &context, budget, &opened, request));
    // Its end matters only to the program, which sees it.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    let opened = opened.into_inner();
    if let Some((upgrade, tunnel)) = opened
        && let Ok(upgraded) = upgrade.await
    {
        tunnel.carry(TokioIo::new(upgraded)).await;
    }
}

async fn answer<'a>(
    egress: &'a Egress,
    context: &'a Outbound<'a>,
    budget: &BodyBudget,
    opened: &Opened<'a>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::CONNECT {
        let authority = request.uri().authority().map(ToString::to_string);
        let tunnel = egress.tunnel(context, &authority.unwrap_or_default()).await;
        return Ok(match tunnel {
            Ok(tunnel) => {
                let upgrade = hyper::upgrade::on(&mut request);
                *opened.lock() = Some((upgrade, tunnel));
                Response::new(Full::default())
            }
            Err(error) => refusal(&error),
        });
    }
    if request.uri().authority().is_none() {
        let message = "this is a proxy: the request has to name scheme and host\n";
        return Ok(plain(StatusCode::BAD_REQUEST, message.to_owned()));
    }
    let (mut parts, mut body) = request.into_parts();
    drop_framing(&mut parts.headers);
    let most = egress.max_request();
    let too_large = body.size_hint().lower() > most;
    if too_large || !egress.allows(context, &parts.method, &parts.uri) {
        // A program that still writes would not read the reason.
        drain(&mut body, most).await;
        if too_large {
            return Ok(larger_than(most));
        }
        // Refused there as well, and recorded.
        let request = Request::from_parts(parts, Bytes::new());
        return Ok(sent(egress, context, request).await);
    }
    let _room = budget.room(body.size_hint().exact()).await;
    let limit = usize::try_from(most).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, limit).collect().await else {
        return Ok(larger_than(most));
    };
    let request = Request::from_parts(parts, body.to_bytes());
    Ok(sent(egress, context, request).await)
}

async fn sent(
    egress: &Egress,
    context: &Outbound<'_>,
    request: Request<Bytes>,
) -> Response<Full<Bytes>> {
    match egress.send(context, request).await {
        Ok(response) => response.map(Full::new),
        Err(error) => refusal(&error),
    }
}

/// Reads and drops a body, up to a number of bytes.
async fn drain(body: &mut Incoming, most: u64) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await
        && read < most
    {
        read += frame.data_ref().map_or(0, |data| data.len() as u64);
    }
}

fn larger_than(most: u64) -> Response<Full<Bytes>> {
    let message = format!("the request is larger than {most} bytes (limit max_request)\n");
    plain(StatusCode::PAYLOAD_TOO_LARGE, message)
}

fn refusal(error: &Error) -> Response<Full<Bytes>> {
    let status = match error.kind() {
        Kind::Denied | Kind::Address | Kind::Url | Kind::Header => StatusCode::FORBIDDEN,
        Kind::TimeoutConnect | Kind::TimeoutFirstByte | Kind::TimeoutIdle | Kind::TimeoutTotal => {
            StatusCode::GATEWAY_TIMEOUT
        }
        Kind::RequestTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::BAD_GATEWAY,
    };
    let mut response = plain(status, format!("iof: {error}\n"));
    let headers = response.headers_mut();
    headers.insert("iof-fault", HeaderValue::from_static(error.code()));
    response
}

fn plain(status: StatusCode, message: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(message));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
