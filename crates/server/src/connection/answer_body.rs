//! The body of an answer, which a connection sends in pieces, so that memory is released while a slow client reads, and
//! a stalled client is noticed.

use super::answer_share::AnswerShare;
use super::exchange::Exchange;
use super::streams;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The size of a piece of an answer: a frame of HTTP/2.
const PIECE: usize = 16 << 10;

/// The body of an answer until the connection has taken all of it.
pub(crate) struct AnswerBody {
    body: Body,
    /// The rest of a large frame.
    rest: Bytes,
    _exchange: Exchange,
    _share: Option<Arc<AnswerShare>>,
}

impl AnswerBody {
    /// Makes an answer that keeps its exchange until the connection has taken all of it.
    pub(crate) fn of(exchange: Exchange, mut response: Response<Body>) -> Response<Self> {
        streams::progress();
        if exchange.begin_answer() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let share = response.extensions_mut().remove::<Arc<AnswerShare>>();
        response.map(|body| Self {
            body,
            rest: Bytes::new(),
            _exchange: exchange,
            _share: share,
        })
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        streams::progress();
        let piece = this.rest.split_to(this.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}
