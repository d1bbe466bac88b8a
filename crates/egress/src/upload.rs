//! The body of a request on its way out: whole, or still being made.
//!
//! A body in progress is read only as fast as the other side takes it. It ends early, as an error that
//! closes its connection or resets its stream, when its source fails, when it is longer than its limit or not as long
//! as its `Content-Length`, and when its request is cancelled: the other side must not take a part of it for the whole.

use parking_lot::{Mutex, MutexGuard};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use futures::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use iof_policy::headers::is_framing;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::{Error, Kind};

/// The error of a source or of a body, as hyper passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request that is still being made.
pub type RequestStream = UnsyncBoxBody<Bytes, BoxError>;

/// The body of a request, as connections send it.
pub(crate) enum OutgoingBody {
    Whole(Full<Bytes>),
    Stream(Box<Streamed>),
}

/// A body that is still being made, before it is sent.
pub(crate) struct Upload {
    stream: RequestStream,
    /// The most bytes that it may have.
    most: u64,
    /// Its `Content-Length`.
    declared: Option<u64>,
}

/// A body that is still being made, while it is sent.
pub(crate) struct Streamed {
    upload: Upload,
    /// A frame that was read before the request was sent.
    first: Option<Frame<Bytes>>,
    progress: Arc<Progress>,
    /// Closed when the request is cancelled.
    wanted: oneshot::Receiver<Infallible>,
}

/// The progress of a body, for those who wait for its response.
pub(crate) struct Progress {
    sent: AtomicU64,
    stage: Mutex<Stage>,
    waiting: AtomicWaker,
}

/// The party that a body waits for.
#[derive(Clone)]
pub(crate) enum Stage {
    /// A connection.
    Connection(Instant),
    /// Its source.
    Source,
    /// The other side, which has bytes to process.
    Upstream(Instant),
    /// No party: all of it was handed to the connection.
    Ended(Instant),
    Failed(Error),
}

/// A guard; the body may be sent while it is held.
pub(crate) struct Wanted(#[expect(dead_code, reason = "held")] oneshot::Sender<Infallible>);

impl Upload {
    /// A body of at most `most` bytes, and of `declared` if its request says so.
    pub(crate) fn new(stream: RequestStream, most: u64, declared: Option<u64>) -> Upload {
        Upload {
            stream,
            most,
            declared,
        }
    }

    /// Reads all of it.
    pub(crate) async fn collect(mut self) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        while let Some(frame) = self.stream.frame().await {
            let frame = frame.map_err(|e| unfinished(&e))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if (body.len() + data.len()) as u64 > self.most {
                return Err(too_large(self.most));
            }
            body.extend_from_slice(&data);
        }
        match self.declared {
            Some(declared) if declared != body.len() as u64 => Err(not_as_declared(declared)),
            _ => Ok(body.freeze()),
        }
    }

    /// The body of one request, which is sent once. One that has ended already is whole, and so needs no chunks.
    pub(crate) fn send(mut self) -> (OutgoingBody, Option<(Arc<Progress>, Wanted)>) {
        let mut context = Context::from_waker(Waker::noop());
        let first = match Pin::new(&mut self.stream).poll_frame(&mut context) {
            Poll::Ready(None) if self.declared.unwrap_or(0) == 0 => {
                return (OutgoingBody::Whole(Full::default()), None);
            }
            Poll::Ready(Some(Ok(frame))) => Some(frame),
            // Reported once more as the end of the body: a stream that has ended stays ended.
            Poll::Ready(Some(Err(e))) => {
                self.stream = failing(e);
                None
            }
            Poll::Ready(None) | Poll::Pending => None,
        };
        let progress = Arc::new(Progress {
            sent: AtomicU64::new(0),
            stage: Mutex::new(Stage::Connection(Instant::now())),
            waiting: AtomicWaker::new(),
        });
        let (sender, wanted) = oneshot::channel();
        let streamed = Streamed {
            upload: self,
            first,
            progress: Arc::clone(&progress),
            wanted,
        };
        let body = OutgoingBody::Stream(Box::new(streamed));
        (body, Some((progress, Wanted(sender))))
    }
}

fn failing(error: BoxError) -> RequestStream {
    let frames = futures::stream::once(std::future::ready(Err::<Frame<Bytes>, _>(error)));
    http_body_util::StreamBody::new(frames).boxed_unsync()
}

impl From<Bytes> for OutgoingBody {
    fn from(body: Bytes) -> OutgoingBody {
        OutgoingBody::Whole(Full::new(body))
    }
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            OutgoingBody::Whole(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
            OutgoingBody::Stream(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            OutgoingBody::Whole(body) => body.is_end_stream(),
            OutgoingBody::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            OutgoingBody::Whole(body) => body.size_hint(),
            // Its length is the header's, or not known.
            OutgoingBody::Stream(_) => SizeHint::default(),
        }
    }
}

impl Streamed {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if Pin::new(&mut self.wanted).poll(cx).is_ready() {
            let e = Error::new(Kind::Protocol, "the request was cancelled");
            return Poll::Ready(Some(Err(self.progress.fail(e))));
        }
        let frame = match self.first.take() {
            Some(frame) => Some(Ok(frame)),
            None => match Pin::new(&mut self.upload.stream).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending => {
                    self.progress.enter(Stage::Source);
                    return Poll::Pending;
                }
            },
        };
        let counted = match frame {
            Some(Ok(frame)) => self.count(frame).map(Some),
            Some(Err(e)) => Err(unfinished(&e)),
            None => self.end().map(|()| None),
        };
        Poll::Ready(match counted {
            Ok(frame) => frame.map(Ok),
            Err(e) => Some(Err(self.progress.fail(e))),
        })
    }

    fn count(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, Error> {
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let sent = self.progress.sent.fetch_add(length, Ordering::Relaxed) + length;
        if sent > self.upload.most {
            return Err(too_large(self.upload.most));
        }
        if let Some(declared) = self.upload.declared.filter(|declared| sent > *declared) {
            return Err(not_as_declared(declared));
        }
        if let Some(trailers) = frame.trailers_mut() {
            let framing: Vec<_> = trailers
                .keys()
                .filter(|name| is_framing(name))
                .cloned()
                .collect();
            for name in framing {
                trailers.remove(name);
            }
        }
        self.progress.enter(Stage::Upstream(Instant::now()));
        Ok(frame)
    }

    fn end(&mut self) -> Result<(), Error> {
        let sent = self.progress.sent();
        match self.upload.declared {
            Some(declared) if declared != sent => Err(not_as_declared(declared)),
            _ => {
                self.progress.enter(Stage::Ended(Instant::now()));
                Ok(())
            }
        }
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        // A connection that knows the length does not poll for the end.
        let stage = self.progress.stage();
        if !matches!(stage, Stage::Failed(_) | Stage::Ended(_)) {
            self.progress.enter(Stage::Ended(Instant::now()));
        }
    }
}

impl Progress {
    /// The bytes that were handed to the connection.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn stage(&self) -> Stage {
        self.lock().clone()
    }

    /// The reason why the body ended early.
    pub(crate) fn failure(&self) -> Option<Error> {
        match &*self.lock() {
            Stage::Failed(e) => Some(e.clone()),
            _ => None,
        }
    }

    /// Returns whether no more of the body is to be sent; wakes the task when that changes.
    pub(crate) fn is_over(&self, cx: &mut Context<'_>) -> bool {
        self.waiting.register(cx.waker());
        matches!(*self.lock(), Stage::Ended(_) | Stage::Failed(_))
    }

    fn enter(&self, stage: Stage) {
        let over = matches!(stage, Stage::Ended(_) | Stage::Failed(_));
        *self.lock() = stage;
        if over {
            self.waiting.wake();
        }
    }

    fn fail(&self, error: Error) -> BoxError {
        self.enter(Stage::Failed(error.clone()));
        error.into()
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        // No code panics while the lock is held.
        self.stage.lock()
    }
}

fn too_large(most: u64) -> Error {
    let message = format!(
        "the body of the request is larger than {most} bytes (limit max_request, less its headers)"
    );
    Error::new(Kind::RequestTooLarge, message)
}

fn not_as_declared(declared: u64) -> Error {
    let message =
        format!("the header content-length is not the length of the body: got {declared}");
    Error::new(Kind::Header, message)
}

fn unfinished(cause: &BoxError) -> Error {
    let message = "the body of the request was not finished";
    Error::new(Kind::Protocol, message).with_detail(cause)
}
