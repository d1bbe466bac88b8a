//! The bodies of an exchange, on their way to the guest and from it.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use iof_command::BodyError;
use iof_fault::{Fault, FaultKind};
use parking_lot::{Mutex, MutexGuard};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::oneshot;
use tokio::time::Instant;
use wasmtime_wasi_http::{Error, WasiBody};

/// The body of a request, which ends with an error at its limit.
pub(super) struct RequestBody {
    body: UnsyncBoxBody<Bytes, BodyError>,
    most: u64,
    left: u64,
}

impl RequestBody {
    pub(super) fn new(body: UnsyncBoxBody<Bytes, BodyError>, most: u64) -> Self {
        Self {
            body,
            most,
            left: most,
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            // The client left, or violated the protocol.
            let frame = frame.map_err(|_| Error::ConnectionTerminated)?;
            let length = frame.data_ref().map_or(0, Bytes::len) as u64;
            match self.left.checked_sub(length) {
                Some(left) => {
                    self.left = left;
                    Ok(frame)
                }
                None => Err(Error::HttpRequestBodySize(Some(self.most))),
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The part of an exchange that its driver and its response's body share.
#[derive(Default)]
pub(super) struct Shared(Mutex<State>);

#[derive(Default)]
struct State {
    /// The time since which the client has been waiting for bytes.
    waiting: Option<Instant>,
    /// The reason why the body is not whole.
    fault: Option<Fault>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.0.lock()
    }

    /// The time since which the client has been waiting for bytes.
    pub(super) fn waiting(&self) -> Option<Instant> {
        self.lock().waiting
    }

    /// Records why the body is incomplete; only the first reason is kept.
    pub(super) fn fail(&self, fault: Fault) -> Fault {
        self.lock().fault.get_or_insert(fault).clone()
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.lock().fault.clone()
    }
}

/// The body of a response while its guest writes it. Dropping it before its end ends the guest.
pub struct ResponseBody {
    /// `None` for a response that has no body, whatever its guest writes.
    body: Option<WasiBody>,
    shared: Arc<Shared>,
    left: u64,
    /// The rest of its length, if `Content-Length` or the body itself states it: a connection reads nothing beyond it.
    declared: Option<u64>,
    /// Signals that the body has ended or was dropped.
    end: Option<oneshot::Sender<()>>,
}

impl ResponseBody {
    pub(super) fn new(
        body: Option<WasiBody>,
        shared: Arc<Shared>,
        (most, declared): (u64, Option<u64>),
    ) -> (Self, oneshot::Receiver<()>) {
        let (sender, end) = oneshot::channel();
        let length = body.as_ref().and_then(|body| body.size_hint().exact());
        let mut this = Self {
            body,
            shared,
            left: most,
            declared: declared.or(length),
            end: Some(sender),
        };
        if this.body.is_none() {
            this.tell();
        }
        (this, end)
    }

    /// Signals to the driver that no more bytes will be read.
    fn tell(&mut self) {
        if let Some(end) = self.end.take() {
            // The receiver is gone once the guest is.
            let _ = end.send(());
        }
    }

    fn checked(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, Fault> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        match self.left.checked_sub(length) {
            Some(left) => {
                self.left = left;
                self.declared = self.declared.map(|left| left.saturating_sub(length));
                Ok(frame)
            }
            // The driver has the message.
            None => Err(Fault::new(FaultKind::StreamedBody, "")),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            this.shared.lock().waiting.get_or_insert_with(Instant::now);
            return Poll::Pending;
        };
        this.shared.lock().waiting = None;
        let failed = match frame {
            Some(Ok(frame)) => match this.checked(frame) {
                Ok(frame) => return Poll::Ready(Some(Ok(frame))),
                Err(fault) => fault,
            },
            Some(Err(error)) => unfinished(&error),
            None => match this.shared.fault() {
                // The error of a body that is too short may get lost after its last piece.
                None if this.declared.is_some_and(|left| left > 0) => {
                    unfinished(&Error::HttpResponseBodySize(None))
                }
                None => {
                    this.body = None;
                    this.tell();
                    return Poll::Ready(None);
                }
                Some(fault) => fault,
            },
        };
        let fault = this.shared.fail(failed);
        this.body = None;
        this.end = None;
        Poll::Ready(Some(Err(fault)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            None => SizeHint::with_exact(0),
            Some(body) => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if self.declared == Some(0) {
            self.tell();
        }
    }
}

/// The fault of a response that its guest did not finish.
fn unfinished(error: &Error) -> Fault {
    let message = match error {
        Error::HttpResponseBodySize(_) => {
            "The body of the function's response is not as long as its content-length. Set the right one, or none."
                .to_owned()
        }
        error => format!(
            "The function did not finish the body of its response: {error}. Call outgoing-body.finish in WASI 0.2; in 0.3, \
             give its trailers a value."
        ),
    };
    Fault::new(FaultKind::BadResponse, message)
}
