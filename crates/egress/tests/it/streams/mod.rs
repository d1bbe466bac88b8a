//! Bodies that stream: their bounds, their ends, and what masks them.

mod bodies;
mod ends;
mod limits;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use iof_egress::{
    BoxError, Config, Egress, Error, Kind, Outbound, RequestStream, ResponseStream, Rules,
    SecretInjections, StreamTimeouts,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::secrets::{TOKEN, header, one};
use crate::support::{Upstream, any_rule, outbound, quick, redirect, rules, text};

/// An exchange in progress: its head, and the client's own end of it.
struct Sent {
    head: oneshot::Receiver<Response<ResponseStream>>,
    end: JoinHandle<Result<(), Error>>,
}

impl Sent {
    async fn head(&mut self) -> Response<ResponseStream> {
        (&mut self.head).await.unwrap()
    }

    /// The error of an exchange that has no response.
    async fn error(self) -> Error {
        assert!(self.head.await.is_err(), "no head");
        self.end.await.unwrap().unwrap_err()
    }
}

fn start(egress: &Egress, request: Request<RequestStream>) -> Sent {
    start_with(egress, any_rule(), SecretInjections::default(), request)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test waits for it, or aborts it"
)]
fn start_with(
    egress: &Egress,
    rules: Rules,
    secrets: SecretInjections,
    request: Request<RequestStream>,
) -> Sent {
    let (sender, head) = oneshot::channel();
    let egress = egress.clone();
    let end = tokio::spawn(async move {
        let context = Outbound {
            secrets: &secrets,
            ..outbound(&rules)
        };
        let timeouts = StreamTimeouts::default();
        egress.exchange(&context, request, timeouts, sender).await
    });
    Sent { head, end }
}

fn client(server: &Upstream) -> Egress {
    with(server, quick())
}

fn with(server: &Upstream, config: Config) -> Egress {
    Egress::new(Config {
        pin: vec![server.pin("up.test")],
        max_request: bytesize::ByteSize::gib(1),
        max_response: bytesize::ByteSize::gib(1),
        ..config
    })
    .unwrap()
}

fn nothing() -> RequestStream {
    Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A body that is what the channel gets.
fn channel() -> (mpsc::Sender<Result<&'static [u8], BoxError>>, RequestStream) {
    let (sender, mut receiver) = mpsc::channel(1);
    let frames = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx))
        .map(|piece: Result<&[u8], _>| piece.map(|piece| Frame::data(Bytes::from_static(piece))));
    (sender, StreamBody::new(frames).boxed_unsync())
}

static MEGABYTE: [u8; 1 << 20] = [b'x'; 1 << 20];

/// A body of megabytes, each made when it is asked for.
fn megabytes(count: u64, made: Arc<AtomicU64>) -> RequestStream {
    let frames = futures::stream::iter(0..count).map(move |_| {
        made.fetch_add(1, Ordering::Relaxed);
        Ok(Frame::data(Bytes::from_static(&MEGABYTE)))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// An upstream whose bodies stream: it answers with what it is sent, byte by byte.
async fn echo() -> Upstream {
    Upstream::raw(|stream| async move {
        let service = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        });
        let _ = Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await;
    })
    .await
}

fn post(server: &Upstream, body: RequestStream) -> Request<RequestStream> {
    Request::post(server.url("up.test", "/"))
        .body(body)
        .unwrap()
}

fn get(server: &Upstream, path: &str) -> Request<RequestStream> {
    Request::get(server.url("up.test", path))
        .body(nothing())
        .unwrap()
}
