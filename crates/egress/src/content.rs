//! The body of a response: read within its limits, and transformed for the function.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::header::CONTENT_ENCODING;
use http::response::Parts;
use http_body::Body;
use http_body_util::BodyExt;
use iof_policy::Mask;

use crate::body::Body as Incoming;
use crate::decode::{self, DecodeError};
use crate::exchange::{Exchange, Limit, bytes, is_nonsense};
use crate::record::Record;
use crate::{Error, Kind, headers};

/// The most bytes that are searched on the same thread. Searching them takes less than a millisecond; a longer search
/// would hold up others on the runtime's threads.
pub(crate) const SEARCHED_IN_PLACE: usize = 32 * 1024;

impl<'a> Exchange<'a> {
    /// Reads the whole body.
    pub(crate) async fn body(
        &self,
        host: &str,
        mut body: Incoming,
        record: &mut Record<'a>,
    ) -> Result<Bytes, Error> {
        let config = &self.shared.config;
        self.check_size(host, body.size_hint().lower())?;
        let idle = Limit::new(Kind::TimeoutIdle, "idle_timeout", config.idle_timeout);
        // Most bodies come as one chunk, which is passed on as it is.
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while !body.is_end_stream() {
            // Bytes that came with the head are here already, and need no timer.
            let frame = match body.frame().now_or_never() {
                Some(frame) => frame,
                None => self.within(&idle, host, body.frame()).await?,
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|e| broken(host, &e))?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            record.bytes_in += chunk.len();
            self.check_size(host, record.bytes_in as u64)?;
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&chunk);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// Checks the size of a response's body, including the bytes to come if their number is known.
    pub(crate) fn check_size(&self, host: &str, size: u64) -> Result<(), Error> {
        let max = bytes(self.shared.config.max_response);
        if size <= max {
            return Ok(());
        }
        let message =
            format!("the response of {host} has more than {max} bytes (limit max_response)");
        Err(Error::new(Kind::ResponseTooLarge, message))
    }

    /// Decodes or masks `body` for the function, and corrects `head` for it.
    pub(crate) async fn content(
        &self,
        host: &str,
        head: &mut Parts,
        body: Bytes,
        mask: Option<&Arc<Mask>>,
    ) -> Result<Bytes, Error> {
        if body.is_empty() {
            return Ok(body);
        }
        let changed = match mask {
            // Checked late, because only now is it known that there is a body.
            Some(_) if headers::is_encoded(&head.headers) => return Err(encoded(host)),
            Some(mask) => self.masked(host, mask.clone(), &body).await?,
            None if self.context.decode => self.decoded(host, head, &body).await?,
            None => None,
        };
        Ok(match changed {
            None => body,
            Some(changed) => {
                headers::fit_to_body(&mut head.headers, changed.len());
                changed
            }
        })
    }

    async fn masked(
        &self,
        host: &str,
        mask: Arc<Mask>,
        body: &Bytes,
    ) -> Result<Option<Bytes>, Error> {
        let search = {
            let body = body.clone();
            move || mask.bytes(&body).map(Bytes::from)
        };
        if body.len() <= SEARCHED_IN_PLACE {
            return Ok(search());
        }
        self.aside(host, search).await
    }

    /// The body with its content coding removed, if it has one; the header is removed.
    async fn decoded(
        &self,
        host: &str,
        head: &mut Parts,
        body: &Bytes,
    ) -> Result<Option<Bytes>, Error> {
        let coding = decode::coding(head).map_err(|count| {
            let message = format!("the response of {host} is encoded {count} times over");
            Error::new(Kind::Protocol, message)
        })?;
        let Some(coding) = coding else {
            return Ok(None);
        };
        let (max, deadline) = (self.shared.config.max_response, self.deadline.into_std());
        let body = body.clone();
        let decoding = move || decode::decode(body, coding, max.as_u64(), deadline);
        let decoded = self.aside(host, decoding).await?.map_err(|e| match e {
            DecodeError::TooLarge => {
                let bytes = bytes(max);
                let message = format!(
                    "the response of {host} has more than {bytes} bytes when decoded (limit \
                     max_response)"
                );
                Error::new(Kind::ResponseTooLarge, message)
            }
            DecodeError::Broken(e) => {
                let message =
                    format!("the response of {host} is not in the encoding that it names");
                Error::new(Kind::Protocol, message).with_detail(e)
            }
        })?;
        head.headers.remove(CONTENT_ENCODING);
        Ok(Some(decoded.into()))
    }

    /// Runs work that takes longer than a thread of the runtime may.
    async fn aside<T: Send + 'static>(
        &self,
        host: &str,
        compute: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let total = self.shared.config.total_timeout;
        let limit = Limit::new(Kind::TimeoutTotal, "total_timeout", total);
        let computed = self.within(&limit, host, tokio::task::spawn_blocking(compute));
        computed.await?.map_err(|e| {
            let message = format!("the response of {host} could not be searched or decoded");
            Error::new(Kind::Protocol, message).with_detail(e)
        })
    }
}

/// The error of a response that ended in its middle.
pub(crate) fn broken(host: &str, error: &hyper::Error) -> Error {
    let message = format!("{host} closed the connection in the middle of its response");
    Error::new(Kind::Protocol, message)
        .with_detail(error)
        .transient_if(!is_nonsense(error))
}

pub(crate) fn encoded(host: &str) -> Error {
    let message = format!(
        "the response of {host} is compressed although the request forbids it, and a response to a \
         request with a secret is searched for it"
    );
    Error::new(Kind::Encoded, message)
}
