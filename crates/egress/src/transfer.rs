//! A request whose body is still in progress, and a response that is handed out while it arrives.
//!
//! The steps are those of every request ([`Exchange::run`]); this module has the differences once bytes flow. Redirects
//! are not followed: a redirect is a response, as for `fetch` with `redirect: "manual"`, because a body that was sent
//! cannot be sent again. For the same reason a request with a body is not sent again when its connection fails
//! (decision 60).

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::header::CONTENT_LENGTH;
use http::response::Parts;
use http::{HeaderMap, Response};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use iof_policy::headers::is_framing;
use iof_policy::{Mask, StreamMask};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::body::Body;
use crate::content::{SEARCHED_IN_PLACE, encoded};
use crate::download::{self, HeadSender, Part};
use crate::exchange::{Exchange, Limit};
use crate::record::Record;
use crate::redirect::Hop;
use crate::upload::{OutgoingBody, Progress, Stage, Upload, Wanted};
use crate::{Error, Kind, headers};

/// The time that the caller gives a response, if less than the settings do.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamTimeouts {
    /// `connect_timeout`, counted from the search for a connection.
    pub connect: Option<Duration>,
    /// `first_byte_timeout`, counted from the end of the request's body.
    pub first_byte: Option<Duration>,
    /// `idle_timeout`.
    pub between_bytes: Option<Duration>,
}

/// A request whose bodies stream: the part that is still to be sent, and the receiver of its response.
pub(crate) struct Transfer {
    /// `None` once it was sent, or read.
    pub(crate) upload: Option<Upload>,
    /// The request's body, if all of it was read before it was sent.
    pub(crate) whole: Option<Bytes>,
    /// `None` once the head was handed out.
    pub(crate) head: Option<HeadSender>,
    pub(crate) timeouts: StreamTimeouts,
    pub(crate) sending: Option<(Arc<Progress>, Wanted)>,
}

/// The end of a response that was handed out while it arrived.
pub(crate) enum Delivered {
    Whole,
    /// Its receiver was dropped.
    Abandoned,
}

impl Transfer {
    pub(crate) fn progress(&self) -> Option<&Arc<Progress>> {
        self.sending.as_ref().map(|(progress, _)| progress)
    }

    /// The reason why the request's body ended early, which is then the reason of everything else.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.progress()?.failure()
    }
}

impl Exchange<'_> {
    /// Waits for the head of a response while the request's body is sent. The time for the first byte begins when all
    /// of the body is sent; before that, the other side has to take it. The source has the time of the call.
    pub(crate) async fn while_sending<T>(
        &self,
        host: &str,
        transfer: &mut Transfer,
        sent: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let (first_byte, idle) = self.limits(transfer.timeouts);
        let Some(progress) = transfer.progress().cloned() else {
            return self.within(&first_byte, host, sent).await;
        };
        let mut sent = pin!(sent);
        loop {
            let (since, limit) = match progress.stage() {
                Stage::Connection(at) | Stage::Ended(at) => (at, &first_byte),
                Stage::Upstream(at) => (at, &idle),
                Stage::Source | Stage::Failed(_) => (Instant::now(), &idle),
            };
            let due = since + limit.duration();
            // The party that the body waits for may change meanwhile, to one with less time.
            let at = due.min(Instant::now() + idle.duration()).min(self.deadline);
            if let Ok(answered) = timeout_at(at, sent.as_mut()).await {
                return Ok(answered);
            }
            let late = match progress.stage() {
                Stage::Connection(now) | Stage::Ended(now) | Stage::Upstream(now) => {
                    now <= since && due <= at
                }
                Stage::Source => false,
                Stage::Failed(_) => true,
            };
            if late || at >= self.deadline {
                return Err(self.late(limit, host, at));
            }
        }
    }

    /// The body of a request. A secret that signs it needs all of it; the hop then includes the body.
    pub(crate) async fn body_of(
        &self,
        hop: &Hop,
        transfer: &mut Transfer,
        record: &mut Record<'_>,
    ) -> Result<(Option<Hop>, OutgoingBody), Error> {
        if transfer.upload.is_some() && self.context.secrets.sign_body(&hop.method, &hop.url) {
            transfer.whole = self.collect(transfer.upload.take(), record).await?;
        }
        if let Some(body) = &transfer.whole {
            record.bytes_out = body.len();
            let whole = Hop {
                body: body.clone(),
                ..hop.clone()
            };
            return Ok((Some(whole), body.clone().into()));
        }
        let Some(upload) = transfer.upload.take() else {
            return Ok((None, hop.body.clone().into()));
        };
        let (body, sending) = upload.send();
        record.upload = sending.as_ref().map(|(progress, _)| Arc::clone(progress));
        transfer.sending = sending;
        Ok((None, body))
    }

    /// Reads all of a body that cannot leave in parts, if it was not read before.
    pub(crate) async fn collect(
        &self,
        upload: Option<Upload>,
        record: &mut Record<'_>,
    ) -> Result<Option<Bytes>, Error> {
        let Some(upload) = upload else {
            return Ok(None);
        };
        let body = match timeout_at(self.deadline, upload.collect()).await {
            Ok(body) => body?,
            Err(_) => {
                let message = "the call's time was over before the request's body had ended";
                return Err(Error::new(Kind::TimeoutTotal, message));
            }
        };
        record.bytes_out = body.len();
        Ok(Some(body))
    }

    /// Hands out a complete response.
    pub(crate) async fn hand_out(
        &self,
        response: Response<Bytes>,
        transfer: &mut Transfer,
    ) -> Delivered {
        let size = response.body().len() as u64;
        let (sender, stream) = download::channel(SizeHint::with_exact(size), size == 0);
        let (parts, body) = response.into_parts();
        let head = Response::from_parts(parts, stream);
        let taker = transfer.head.take();
        let taken = taker.is_some_and(|taker| taker.send(head).is_ok());
        let rest = async {
            sender.send(Part::Frame(Frame::data(body))).await.ok()?;
            sender.send(Part::End).await.ok()
        };
        let rest = timeout_at(self.deadline, rest);
        match taken && (size == 0 || matches!(rest.await, Ok(Some(())))) {
            true => Delivered::Whole,
            false => Delivered::Abandoned,
        }
    }

    fn limits(&self, timeouts: StreamTimeouts) -> (Limit, Limit) {
        let config = &self.shared.config;
        let least =
            |setting: Duration, own: Option<Duration>| own.map_or(setting, |own| own.min(setting));
        (
            Limit::new(
                Kind::TimeoutFirstByte,
                "first_byte_timeout",
                least(config.first_byte_timeout, timeouts.first_byte),
            ),
            Limit::new(
                Kind::TimeoutIdle,
                "idle_timeout",
                least(config.idle_timeout, timeouts.between_bytes),
            ),
        )
    }

    /// Hands out a response while it arrives.
    pub(crate) async fn deliver(
        &self,
        host: &str,
        mut parts: Parts,
        body: Body,
        mask: Option<&Arc<Mask>>,
        (transfer, record): (&mut Transfer, &mut Record<'_>),
    ) -> Result<Delivered, Error> {
        let hint = body.size_hint();
        self.check_size(host, hint.lower())?;
        let ended = body.is_end_stream();
        let masking = mask
            .filter(|_| !ended)
            .map(|mask| StreamMask::new(Arc::clone(mask)));
        let hint = match &masking {
            None => hint,
            Some(_) if headers::is_encoded(&parts.headers) => return Err(encoded(host)),
            Some(_) => {
                headers::fit_to_unknown_body(&mut parts.headers);
                SizeHint::default()
            }
        };
        headers::drop_of_connection(&mut parts.headers);
        let (sender, stream) = download::channel(hint, ended);
        let mut head = Response::new(stream);
        *head.status_mut() = parts.status;
        *head.headers_mut() = parts.headers;
        *head.version_mut() = parts.version;
        let taker = transfer.head.take();
        let taken = taker.is_some_and(|taker| taker.send(head).is_ok());
        if !taken {
            return Ok(Delivered::Abandoned);
        }
        let mut delivery = Delivery {
            exchange: self,
            host,
            idle: self.limits(transfer.timeouts).1,
            sender,
            body,
            masking,
            mask,
        };
        let delivered = match ended {
            true => Ok(Delivered::Whole),
            false => delivery.run(record).await,
        };
        match delivered {
            Ok(Delivered::Whole) => {
                delivery.rest_of(transfer.progress()).await;
                Ok(Delivered::Whole)
            }
            Ok(Delivered::Abandoned) => Ok(Delivered::Abandoned),
            Err(e) => {
                let e = match mask {
                    Some(mask) => e.masked(mask),
                    None => e,
                };
                // A receiver that was dropped gets no error.
                let _ = delivery.pass(Part::Failed(e.clone())).await;
                Err(e)
            }
        }
    }
}

struct Delivery<'a> {
    exchange: &'a Exchange<'a>,
    host: &'a str,
    idle: Limit,
    sender: mpsc::Sender<Part>,
    body: Body,
    masking: Option<StreamMask>,
    mask: Option<&'a Arc<Mask>>,
}

impl Delivery<'_> {
    async fn run(&mut self, record: &mut Record<'_>) -> Result<Delivered, Error> {
        let mut trailers = None;
        while !self.body.is_end_stream() {
            let frame = match self.body.frame().now_or_never() {
                Some(frame) => frame,
                None => tokio::select! {
                    frame = self.exchange.within(&self.idle, self.host, self.body.frame()) => frame?,
                    () = self.sender.closed() => return Ok(Delivered::Abandoned),
                },
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|e| crate::content::broken(self.host, &e))?;
            match frame.into_data() {
                Ok(chunk) => {
                    record.bytes_in += chunk.len();
                    self.exchange
                        .check_size(self.host, record.bytes_in as u64)?;
                    if !self.data(chunk).await? {
                        return Ok(Delivered::Abandoned);
                    }
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        let rest = self
            .masking
            .as_mut()
            .map(StreamMask::end)
            .unwrap_or_default();
        let mut taken = rest.is_empty() || self.pass(Part::Frame(Frame::data(rest.into()))).await?;
        if let Some(trailers) = trailers {
            let trailers = Part::Frame(Frame::trailers(self.trailers(trailers)));
            taken = taken && self.pass(trailers).await?;
        }
        if !taken {
            return Ok(Delivered::Abandoned);
        }
        // A receiver that knows the length need not wait for the end.
        self.pass(Part::End).await?;
        Ok(Delivered::Whole)
    }

    /// Passes a chunk on, masked. Returns `true` if it was taken.
    async fn data(&mut self, chunk: Bytes) -> Result<bool, Error> {
        let Some(masking) = &mut self.masking else {
            return self.pass(Part::Frame(Frame::data(chunk))).await;
        };
        if chunk.len() <= SEARCHED_IN_PLACE {
            let masked = masking.push(&chunk);
            return match masked.is_empty() {
                true => Ok(true),
                false => self.pass(Part::Frame(Frame::data(masked.into()))).await,
            };
        }
        for piece in chunk.chunks(SEARCHED_IN_PLACE) {
            let masked = match &mut self.masking {
                Some(masking) => masking.push(piece),
                None => Vec::new(),
            };
            if !masked.is_empty() && !self.pass(Part::Frame(Frame::data(masked.into()))).await? {
                return Ok(false);
            }
            // Searching delays other tasks of this thread.
            tokio::task::yield_now().await;
        }
        Ok(true)
    }

    fn trailers(&self, mut trailers: HeaderMap) -> HeaderMap {
        let framing = |name: &&http::HeaderName| is_framing(name) || **name == CONTENT_LENGTH;
        let dropped: Vec<_> = trailers.keys().filter(framing).cloned().collect();
        for name in dropped {
            trailers.remove(name);
        }
        if let Some(mask) = self.mask {
            mask.headers(&mut trailers);
        }
        trailers
    }

    /// Waits until a part is taken, while the request's body is sent. Returns `true` if it is taken.
    async fn pass(&mut self, part: Part) -> Result<bool, Error> {
        let part = match self.sender.try_send(part) {
            Ok(()) => return Ok(true),
            Err(mpsc::error::TrySendError::Closed(_)) => return Ok(false),
            Err(mpsc::error::TrySendError::Full(part)) => part,
        };
        let deadline = self.exchange.deadline;
        let body = &mut self.body;
        let sending = std::future::poll_fn(|cx| {
            body.drive(cx);
            Poll::<()>::Pending
        });
        let taken = async {
            tokio::select! {
                permit = self.sender.reserve() => permit.map(|permit| permit.send(part)).is_ok(),
                () = sending => false,
            }
        };
        match timeout_at(deadline, taken).await {
            Ok(taken) => Ok(taken),
            Err(_) => Err(self.exchange.late(&self.idle, self.host, deadline)),
        }
    }

    /// Sends the rest of the request's body after the response has ended: the other side may still read it.
    async fn rest_of(&mut self, progress: Option<&Arc<Progress>>) {
        let Some(progress) = progress else { return };
        let body = &mut self.body;
        let over = std::future::poll_fn(|cx| match progress.is_over(cx) || !body.drive(cx) {
            true => Poll::Ready(()),
            false => match progress.is_over(cx) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            },
        });
        let _ = timeout_at(self.exchange.deadline, over).await;
    }
}
