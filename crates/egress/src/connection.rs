//! One connection of the pool.
//!
//! An HTTP/1 connection has no task of its own: whoever waits for its response moves it, so that
//! the bytes of an upstream wake the call that asked for them and nothing in between. (A task
//! beside it, as hyper-util's client has, costs two wake-ups more for each request, and a call that
//! sends one small request is mostly that.) An HTTP/2 connection carries the requests of many and
//! has to have one.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;

use crate::stream::{Stream, Watch};

/// A request as it leaves. Its URI is the path and the query; whose they are, the connection knows.
pub(crate) type Outgoing = Request<Full<Bytes>>;
type NotSent = TrySendError<Outgoing>;

/// The number of a thread, which is of no other.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct ThreadId(usize);

impl ThreadId {
    /// The thread that asks.
    pub(crate) fn current() -> ThreadId {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HERE: ThreadId = ThreadId(NEXT.fetch_add(1, Ordering::Relaxed)));
        HERE.with(|here| *here)
    }
}

/// An HTTP/1 connection. It moves only while somebody waits for it.
pub(crate) struct Http1 {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` when it has ended.
    connection: Option<http1::Connection<TokioIo<Stream>, Full<Bytes>>>,
    watch: Arc<Watch>,
    host: HeaderValue,
    /// The time that the other side keeps it open, as its last response said.
    kept: Option<Duration>,
    pub(crate) to: SocketAddr,
    /// The thread that hears of its bytes.
    pub(crate) thread: ThreadId,
}

impl Http1 {
    /// `host` is what every request on it says of its host (RFC 9112 section 3.2).
    pub(crate) async fn handshake(
        io: Stream,
        builder: &http1::Builder,
        host: HeaderValue,
    ) -> hyper::Result<Http1> {
        let (to, watch) = (io.to(), io.watch());
        let (sender, connection) = builder.handshake(TokioIo::new(io)).await?;
        Ok(Http1 {
            sender,
            connection: Some(connection),
            watch,
            host,
            kept: None,
            to,
            thread: ThreadId::current(),
        })
    }

    /// Returns whether it takes a request now: the last response was read, and the other side has neither
    /// closed nor said anything since.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready()
    }

    /// The same after a wait, as the kernel knows it: what is sent on a connection that the other
    /// side has closed is lost, and nobody can tell whether it was carried out.
    pub(crate) fn is_still_ready(&mut self) -> bool {
        self.watch.ask(true);
        let ready = self.is_ready();
        self.watch.ask(false);
        ready
    }

    /// The time that it may wait for the next request, if the other side said: a second less, or half
    /// of it, because what is sent has to arrive before it closes.
    pub(crate) fn waits(&self) -> Option<Duration> {
        let kept = self.kept?;
        Some(kept.saturating_sub(MARGIN.min(kept / 2)))
    }

    /// Returns whether a byte came since the last request.
    pub(crate) fn answered(&self) -> bool {
        self.watch.answered()
    }

    pub(crate) async fn send(
        &mut self,
        mut request: Outgoing,
    ) -> Result<Response<Incoming>, NotSent> {
        // Whole, if HTTP/2 has just not taken it.
        if request.uri().authority().is_some() {
            let path = request.uri().path_and_query().cloned();
            *request.uri_mut() = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
        }
        request.headers_mut().insert(HOST, self.host.clone());
        self.watch.begin();
        let mut response = pin!(self.sender.try_send_request(request));
        let response = poll_fn(|cx| self.poll_with(cx, |cx| response.as_mut().poll(cx))).await?;
        self.kept = kept(response.headers());
        Ok(response)
    }

    /// Polls `wait`, which waits for this connection and for nothing else.
    pub(crate) fn poll_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut wait: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.drive(cx);
        // The connection was just driven, so its response is already available or not; a no-op waker
        // avoids a spurious wake-up.
        let waited = wait(&mut Context::from_waker(Waker::noop()));
        if waited.is_pending() && self.connection.is_none() {
            // Cannot be, or nobody would ever wake it.
            cx.waker().wake_by_ref();
        }
        waited
    }

    /// Moves it as far as it goes; `cx` is woken when it goes further.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // Why it ended is told to whoever waits for the response.
            self.connection = None;
        }
    }
}

/// The most that a connection is given up earlier than the other side closes it.
const MARGIN: Duration = Duration::from_secs(1);

/// The time in `Keep-Alive: timeout=5` (RFC 2068 section 19.7.1): seconds without a request after which
/// the other side closes. Of several the least; what is not a number says nothing.
fn kept(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all("keep-alive").iter();
    let parameters = lines.filter_map(|line| line.to_str().ok());
    let seconds = parameters
        .flat_map(|line| line.split(','))
        .filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            let timeout = name.trim().eq_ignore_ascii_case("timeout");
            timeout.then(|| value.parse().ok())?
        });
    seconds.min().map(Duration::from_secs)
}

/// An HTTP/2 connection, which many share.
#[derive(Clone)]
pub(crate) struct Http2 {
    pub(crate) sender: http2::SendRequest<Full<Bytes>>,
    pub(crate) authority: Authority,
    pub(crate) to: SocketAddr,
}

impl Http2 {
    /// HTTP/2 writes the URI whole (RFC 9113 section 8.3.1), and the pool speaks it in TLS only.
    pub(crate) async fn send(
        &mut self,
        mut request: Outgoing,
    ) -> Result<Response<Incoming>, NotSent> {
        let mut parts = Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = request.uri().path_and_query().cloned();
        // All three are there, which is all that it asks for.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request.headers_mut().remove(HOST);
        self.sender.try_send_request(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_says_how_long() {
        for (lines, seconds) in [
            (&["timeout=5"][..], Some(5)),
            (&["timeout=5, max=100"], Some(5)),
            (&["max=100,Timeout = \"7\""], Some(7)),
            (&["timeout=9", "timeout=3"], Some(3)),
            (&["timeout=0"], Some(0)),
            (&["timeout=-1"], None),
            (&["timeout=99999999999999999999999"], None),
            (&["timeout", "timeout=", "max=3", ""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("keep-alive", HeaderValue::from_static(line));
            }
            assert_eq!(
                kept(&headers),
                seconds.map(Duration::from_secs),
                "{lines:?}"
            );
        }
    }
}
