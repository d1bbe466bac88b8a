//! The driver of an exchange: it runs the guest, hands out its response, and ends it at its limits or when the client
//! has left.
//!
//! Both a timer here and the ticks of the engine keep the time: a guest that waits gets no ticks, and one that computes
//! keeps the timer from firing until its tick.

use super::Answer;
use super::body::{ResponseBody, Shared};
use crate::limits::{LimitExceeded, Limits};
use futures::FutureExt;
use http::header::CONTENT_LENGTH;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use iof_fault::{Fault, FaultKind};
use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use wasmtime_wasi_http::WasiBody;

/// The most headers of a response, and the most bytes of their names and values.
pub const RESPONSE_HEADERS: usize = 64;
/// See [`RESPONSE_HEADERS`].
pub const RESPONSE_HEADER_BYTES: usize = 16 << 10;

/// The state of an exchange while its guest runs.
pub(super) struct Driver {
    limits: Arc<Limits>,
    began: Instant,
    deadline: Instant,
    /// True if the request asks for no body.
    without_body: bool,
    /// The guest's answer; `None` once it was handed out or abandoned.
    answer: Option<oneshot::Receiver<Answer>>,
    head: Option<oneshot::Sender<Response<ResponseBody>>>,
    shared: Arc<Shared>,
    /// Resolves when no one reads the body of the response any more.
    end: Option<oneshot::Receiver<()>>,
    /// Signalled or dropped at that time: a guest of WASI 0.3 is kept until then.
    taken: Option<oneshot::Sender<()>>,
    /// A body that no one reads, but that its guest still writes.
    dropped: Option<WasiBody>,
    /// True once the result is known.
    settled: bool,
}

enum Event {
    Ended(wasmtime::Result<()>),
    Answered(Result<Answer, oneshot::error::RecvError>),
    Gone,
    Read,
    Dropped(bool),
    Time,
}

impl Driver {
    pub(super) fn new(
        deadline: Instant,
        limits: Arc<Limits>,
        without_body: bool,
        (answer, head, taken): (
            oneshot::Receiver<Answer>,
            oneshot::Sender<Response<ResponseBody>>,
            oneshot::Sender<()>,
        ),
    ) -> Self {
        Self {
            limits,
            began: Instant::now(),
            deadline,
            without_body,
            answer: Some(answer),
            head: Some(head),
            shared: Arc::default(),
            end: None,
            taken: Some(taken),
            dropped: None,
            settled: false,
        }
    }

    /// Runs the guest to its end.
    ///
    /// # Errors
    /// The reason for an early end: the guest's own error, a limit, or its client.
    pub(super) async fn drive(
        &mut self,
        run: impl Future<Output = wasmtime::Result<()>>,
    ) -> wasmtime::Result<()> {
        let mut run = pin!(run);
        loop {
            let due = self.due().0;
            let event = tokio::select! {
                biased;
                ended = &mut run => Event::Ended(ended),
                answer = next(&mut self.answer) => Event::Answered(answer),
                () = closed(&mut self.head) => Event::Gone,
                read = next(&mut self.end) => match read {
                    Ok(()) => Event::Read,
                    Err(_) => Event::Gone,
                },
                more = frame(&mut self.dropped) => Event::Dropped(more),
                () = sleep_until(due) => Event::Time,
            };
            match event {
                Event::Ended(ended) => {
                    ended?;
                    let answer = self.answer.take();
                    return match answer.map(FutureExt::now_or_never) {
                        Some(Some(Ok(answer))) => self.hand_out(answer),
                        Some(_) => Err(no_response().into()),
                        None => Ok(()),
                    };
                }
                Event::Answered(Ok(answer)) => {
                    self.answer = None;
                    self.hand_out(answer)?;
                }
                // The guest dropped the means to answer.
                Event::Answered(Err(_)) => {
                    self.answer = None;
                    return Err(no_response().into());
                }
                Event::Gone => return Err(self.gone()),
                Event::Read => {
                    self.end = None;
                    self.taken = None;
                }
                Event::Dropped(true) => {}
                Event::Dropped(false) => self.dropped = None,
                Event::Time => {
                    if let (at, Some(limit)) = self.due()
                        && at <= Instant::now()
                    {
                        return Err(limit.into());
                    }
                }
            }
        }
    }

    /// Records the result of the guest, with which the body of its response ends.
    pub(super) fn settle(&mut self, result: &Result<(), Fault>) {
        if let Err(fault) = result {
            self.shared.fail(fault.clone());
        }
    }

    /// Waits until the body of the response has ended, and returns the result of the exchange.
    pub(super) async fn end(mut self, result: Result<(), Fault>) -> Result<(), Fault> {
        self.settled = true;
        let Some(end) = self.end.take().filter(|_| result.is_ok()) else {
            return result;
        };
        let read = tokio::time::timeout_at(self.deadline, end).await;
        match (self.shared.fault(), read) {
            (Some(fault), _) => Err(self.worded(fault)),
            (None, Ok(Ok(()))) => Ok(()),
            (None, Ok(Err(_))) => Err(client_gone()),
            (None, Err(_)) => {
                let fault = LimitExceeded::WallTime.fault(&self.limits);
                Err(self.shared.fail(fault))
            }
        }
    }

    fn worded(&self, fault: Fault) -> Fault {
        match fault.kind {
            FaultKind::StreamedBody => LimitExceeded::StreamedBody.fault(&self.limits),
            _ => fault,
        }
    }

    /// The next time at which a limit may be reached, and the limit.
    fn due(&self) -> (Instant, Option<LimitExceeded>) {
        let total = (self.deadline, Some(LimitExceeded::WallTime));
        let other = match (&self.head, &self.end) {
            (Some(_), _) => {
                let at = self.began + self.limits.first_byte;
                (at, Some(LimitExceeded::FirstByte))
            }
            (None, Some(_)) => match self.shared.waiting() {
                Some(since) => {
                    let at = since + self.limits.between_bytes;
                    (at, Some(LimitExceeded::BetweenBytes))
                }
                // The client may begin to wait at any time.
                None => (Instant::now() + self.limits.between_bytes, None),
            },
            (None, None) => total,
        };
        match other.0 < total.0 {
            true => other,
            false => total,
        }
    }

    fn hand_out(&mut self, answer: Answer) -> wasmtime::Result<()> {
        let response = answer.map_err(|code| {
            let message =
                format!("The function answered with an error in place of a response: {code}.");
            wasmtime::Error::from(Fault::new(FaultKind::BadResponse, message))
        })?;
        let status = response.status();
        if status.as_u16() < 200 || status.as_u16() > 599 {
            let message = format!(
                "The response of the function has an invalid status: got {}. Use one from 200 to 599.",
                status.as_u16()
            );
            return Err(Fault::new(FaultKind::BadResponse, message).into());
        }
        let headers = response.headers();
        let bytes = headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        if headers.len() > RESPONSE_HEADERS || bytes.sum::<usize>() > RESPONSE_HEADER_BYTES {
            let message = format!(
                "The response of the function has more than {RESPONSE_HEADERS} headers or {RESPONSE_HEADER_BYTES} bytes of \
                 them. Set fewer, or put them into the body."
            );
            return Err(Fault::new(FaultKind::ResponseHead, message).into());
        }
        // RFC 9110, sections 9.3.2, 15.3.5, 15.3.6 and 15.4.5
        let bare = [
            StatusCode::NO_CONTENT,
            StatusCode::RESET_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        let without_body = self.without_body || bare.contains(&status);
        let (parts, body) = response.into_parts();
        let body = match without_body {
            true => {
                self.dropped = Some(body);
                None
            }
            false => Some(body),
        };
        let most = self.limits.streamed_body.as_u64();
        let declared = parts.headers.get(CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
        let (body, end) = ResponseBody::new(body, Arc::clone(&self.shared), (most, declared));
        match without_body {
            true => self.taken = None,
            false => self.end = Some(end),
        }
        let response = Response::from_parts(parts, body);
        let taken = self.head.take();
        match taken.is_some_and(|head| head.send(response).is_ok()) {
            true => Ok(()),
            false => Err(self.gone()),
        }
    }

    /// The error of an exchange whose response no one takes.
    fn gone(&self) -> wasmtime::Error {
        let fault = self.shared.fault().map(|fault| self.worded(fault));
        fault.unwrap_or_else(client_gone).into()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.settled {
            let message = "The server ended the call before its answer was whole.";
            self.shared.fail(Fault::new(FaultKind::Stopping, message));
        }
    }
}

fn client_gone() -> Fault {
    let message = "The client left before it had its answer.";
    Fault::new(FaultKind::ClientGone, message)
}

fn no_response() -> Fault {
    let message =
        "The function ended without a response. Call response-outparam.set, or return one.";
    Fault::new(FaultKind::BadResponse, message)
}

/// The next value of a channel; never, if there is none.
async fn next<T>(
    channel: &mut Option<oneshot::Receiver<T>>,
) -> Result<T, oneshot::error::RecvError> {
    match channel {
        Some(channel) => channel.await,
        None => pending().await,
    }
}

async fn closed<T>(sender: &mut Option<oneshot::Sender<T>>) {
    match sender {
        Some(sender) => sender.closed().await,
        None => pending().await,
    }
}

/// Reads a frame of a body that is dropped. Returns whether there may be more.
async fn frame(body: &mut Option<WasiBody>) -> bool {
    match body {
        Some(body) => matches!(body.frame().await, Some(Ok(_))),
        None => pending().await,
    }
}
