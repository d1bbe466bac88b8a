//! The body of a response, which keeps its connection until it is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use crate::connection::Http1;
use crate::pool::{Key, Pool};

/// The body of a response. When it was read to its end its connection returns to the pool; otherwise the connection is
/// closed, unless nothing more is to come.
pub(crate) struct Body {
    incoming: Option<Incoming>,
    /// HTTP/1 only: the connection of HTTP/2 stays in the pool.
    connection: Option<ReturnToPool>,
}

struct ReturnToPool {
    http1: Box<Http1>,
    key: Key,
    pool: Arc<Pool>,
}

impl Body {
    /// The body of a response that came on a connection of `key`: with HTTP/1 on `http1`, which returns to `pool`.
    pub(crate) fn new(
        incoming: Incoming,
        http1: Option<Box<Http1>>,
        key: Key,
        pool: Arc<Pool>,
    ) -> Body {
        Body {
            incoming: Some(incoming),
            connection: http1.map(|http1| ReturnToPool { http1, key, pool }),
        }
    }

    /// Lets the connection send more of its request while the response is not read. Returns `true` if it can.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        match &mut self.connection {
            Some(ReturnToPool { http1, .. }) => http1.drive(cx),
            // HTTP/2 continues by itself.
            None => true,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Body {
            incoming,
            connection,
        } = &mut *self;
        let Some(incoming) = incoming else {
            return Poll::Ready(None);
        };
        let mut incoming = Pin::new(incoming);
        match connection {
            None => incoming.poll_frame(cx),
            Some(ReturnToPool { http1, .. }) => {
                // A chunk may be ready; polling for one makes the connection read the next.
                let first = incoming
                    .as_mut()
                    .poll_frame(&mut Context::from_waker(Waker::noop()));
                match first {
                    Poll::Ready(frame) => Poll::Ready(frame),
                    Poll::Pending => http1.poll_with(cx, |cx| incoming.as_mut().poll_frame(cx)),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(SizeHint::default, Incoming::size_hint)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        // Checked before the connection is polled, which closes it if its body is not read to the end.
        self.incoming = None;
        if let Some(ReturnToPool {
            mut http1,
            key,
            pool,
        }) = self.connection.take()
            && http1.is_ready()
        {
            pool.put(key, http1);
        }
    }
}
