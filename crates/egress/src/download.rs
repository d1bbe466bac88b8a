//! The body of a response that is handed out while it arrives.
//!
//! One piece at a time waits to be taken: a receiver that takes nothing stops the other side, by the connection's own
//! flow control. The end is a piece of its own, so that a response whose request was cancelled does not count as
//! complete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, oneshot};

use crate::{Error, Kind};

/// The receiver of the head of a response, and of its body while it arrives.
pub type HeadSender = oneshot::Sender<Response<ResponseStream>>;

/// The body of a response while it arrives.
#[derive(Debug)]
pub struct ResponseStream {
    parts: mpsc::Receiver<Part>,
    ended: bool,
    hint: SizeHint,
}

#[derive(Debug)]
pub(crate) enum Part {
    Frame(Frame<Bytes>),
    End,
    Failed(Error),
}

/// The body of a response; `hint` is its size, if it is known. If it `ended`, nothing more is to come.
pub(crate) fn channel(hint: SizeHint, ended: bool) -> (mpsc::Sender<Part>, ResponseStream) {
    let (sender, parts) = mpsc::channel(1);
    let stream = ResponseStream { parts, ended, hint };
    (sender, stream)
}

impl Body for ResponseStream {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(cx));
        Poll::Ready(match part {
            Some(Part::Frame(frame)) => Some(Ok(frame)),
            end => {
                self.ended = true;
                match end {
                    Some(Part::End) => None,
                    Some(Part::Failed(e)) => Some(Err(e)),
                    Some(Part::Frame(_)) | None => {
                        let message = "the request was cancelled before its response had ended";
                        Some(Err(Error::new(Kind::Protocol, message)))
                    }
                }
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.ended {
            true => SizeHint::with_exact(0),
            false => self.hint,
        }
    }
}
