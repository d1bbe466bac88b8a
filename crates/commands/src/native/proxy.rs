//! The proxy that a native program reaches instead of a network: its requests leave as the
//! function's own, by the function's rules.
//!
//! Plain requests are understood, so rules, secrets, limits and redirects are those of every other
//! way out. TLS goes through a tunnel ([`Egress::tunnel`]), which cannot be looked into. A refusal is
//! an HTTP response with the reason in its body, as programs print it.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use iof_egress::{Egress, Error, Kind, Outbound, Tunnel, drop_framing};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

use crate::CallContext;

/// Answers connections as long as it is polled.
pub(super) async fn serve(egress: &Egress, call: &CallContext, mut arriving: Receiver<TcpStream>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(stream) = arriving.recv() => {
                let (egress, call) = (egress.clone(), call.clone());
                open.spawn(async move { connection(&egress, &call, stream).await });
            }
            Some(_) = open.join_next() => {}
            // No more will come; the run goes on without.
            else => std::future::pending().await,
        }
    }
}

type Opened<'a> = Mutex<Option<(OnUpgrade, Tunnel<'a>)>>;

async fn connection(egress: &Egress, call: &CallContext, stream: TcpStream) {
    let context = call.outbound(call.deadline);
    let opened = Opened::default();
    let service = service_fn(|request| answer(egress, &context, &opened, request));
    // How it ends matters to the program alone, and it sees it.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    let opened = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((upgrade, tunnel)) = opened
        && let Ok(upgraded) = upgrade.await
    {
        tunnel.carry(TokioIo::new(upgraded)).await;
    }
}

async fn answer<'a>(
    egress: &'a Egress,
    context: &'a Outbound<'a>,
    opened: &Opened<'a>,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::CONNECT {
        let authority = request.uri().authority().map(ToString::to_string);
        let tunnel = egress.tunnel(context, &authority.unwrap_or_default()).await;
        return Ok(match tunnel {
            Ok(tunnel) => {
                let upgrade = hyper::upgrade::on(&mut request);
                *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgrade, tunnel));
                Response::new(Full::default())
            }
            Err(error) => refusal(&error),
        });
    }
    if request.uri().authority().is_none() {
        let message = "this is a proxy: the request has to name scheme and host\n";
        return Ok(plain(StatusCode::BAD_REQUEST, message.to_owned()));
    }
    let (mut parts, body) = request.into_parts();
    let most = usize::try_from(egress.max_request()).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, most).collect().await else {
        let message = format!("the request is larger than {most} bytes (limit max_request)\n");
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, message));
    };
    drop_framing(&mut parts.headers);
    let request = Request::from_parts(parts, body.to_bytes());
    Ok(match egress.send(context, request).await {
        Ok(response) => response.map(Full::new),
        Err(error) => refusal(&error),
    })
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
