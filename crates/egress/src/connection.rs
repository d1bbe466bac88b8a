//! One connection of the pool.
//!
//! An HTTP/1 connection has no task of its own: the call that waits for its response drives it, so that bytes from an
//! upstream wake only that call. (A separate task, as in hyper-util's client, costs two more wake-ups for each request,
//! and those are most of the cost of a call that sends one small request.) An HTTP/2 connection carries the requests of
//! many calls and needs a task.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::header::HOST;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;

use crate::stream::{Stream, Watch};
use crate::upload::OutgoingBody;

/// A request as it is sent. Its URI is the path and the query; the connection knows the origin.
pub(crate) type OutgoingRequest = Request<OutgoingBody>;
type NotSent = TrySendError<OutgoingRequest>;

/// The number of a thread, unique in the process.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct ThreadId(usize);

impl ThreadId {
    /// The number of the current thread.
    pub(crate) fn current() -> ThreadId {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static HERE: ThreadId = ThreadId(NEXT.fetch_add(1, Ordering::Relaxed)));
        HERE.with(|here| *here)
    }
}

/// An HTTP/1 connection. It makes progress only while a call waits for it.
pub(crate) struct Http1 {
    sender: http1::SendRequest<OutgoingBody>,
    /// `None` when it has ended.
    connection: Option<http1::Connection<TokioIo<Stream>, OutgoingBody>>,
    watch: Arc<Watch>,
    host: HeaderValue,
    /// The time for which the other side keeps it open, from its last response.
    kept: Option<Duration>,
    pub(crate) to: SocketAddr,
    /// The thread that is woken for its bytes.
    pub(crate) thread: ThreadId,
}

impl Http1 {
    /// Starts HTTP/1 on `io`; `host` is the `Host` of every request on it (RFC 9112 section 3.2).
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

    /// Returns whether it can take a request now: the last response was read, and the other side has neither closed it
    /// nor sent anything since.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        self.sender.is_ready()
    }

    /// The same check against the kernel, after a wait: a request on a connection that the other side has closed is
    /// lost, and it is unknown whether it was carried out.
    pub(crate) fn is_still_ready(&mut self) -> bool {
        self.watch.check_kernel(true);
        let ready = self.is_ready();
        self.watch.check_kernel(false);
        ready
    }

    /// The time for which it may wait for the next request, if the other side stated one: a second less, or half of it,
    /// because a request has to arrive before the other side closes.
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
        mut request: OutgoingRequest,
    ) -> Result<Response<Incoming>, NotSent> {
        // The request is whole, if HTTP/2 has just refused it.
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

    /// Polls `wait`, which waits only for this connection.
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
            // Unreachable; returning `Pending` here would be a future that nothing wakes.
            cx.waker().wake_by_ref();
        }
        waited
    }

    /// Drives it as far as it goes; `cx` is woken when it can go further. Returns whether it is open.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // The reason for the end is passed to the call that waits for the response.
            self.connection = None;
        }
        self.connection.is_some()
    }
}

/// The most by which a connection is given up before the other side closes it.
const MARGIN: Duration = Duration::from_secs(1);

/// The time in `Keep-Alive: timeout=5` (RFC 2068 section 19.7.1): seconds without a request after which the other side
/// closes. The least of several; a value that is not a number is ignored.
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

/// An HTTP/2 connection, shared by many requests.
#[derive(Clone)]
pub(crate) struct Http2 {
    pub(crate) sender: http2::SendRequest<OutgoingBody>,
    pub(crate) authority: Authority,
    pub(crate) to: SocketAddr,
}

impl Http2 {
    /// HTTP/2 writes the whole URI (RFC 9113 section 8.3.1), and the pool speaks it only in TLS.
    pub(crate) async fn send(
        &mut self,
        mut request: OutgoingRequest,
    ) -> Result<Response<Incoming>, NotSent> {
        let mut parts = Parts::default();
        parts.scheme = Some(Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = request.uri().path_and_query().cloned();
        // All three parts are present, which is all that it requires.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request.headers_mut().remove(HOST);
        self.sender.try_send_request(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_states_the_time() {
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
