//! One hop: a request whose URL is admitted, and the head of its response, with a limit for each wait and each size.
//!
//! More than 400 lines: the steps of one exchange, in the order in which they happen.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use bytesize::ByteSize;
use futures::FutureExt;
use http::uri::PathAndQuery;
use http::{Extensions, Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use crate::body::Body;
use crate::dial::late_tls_failure;
use crate::headers::TRACE_PARENT;
use crate::limit::Limits;
use crate::pool::{Connecting, Failure, Key, Pool};
use crate::record::{Observer, Record};
use crate::redirect::Hop;
use crate::resend::Resends;
use crate::retry::Retries;
use crate::transfer::{Delivered, Transfer};
use crate::upload::OutgoingBody;
use crate::url_parts::{origin, upstream};
use crate::{Config, Error, Kind, LocalDispatch, Outbound, Rules, decode, headers};

/// The state that all requests of one [`Egress`](crate::Egress) share.
pub(crate) struct Shared {
    pub(crate) pool: Arc<Pool>,
    pub(crate) limits: Limits,
    /// The server that answers requests to itself; set late, because the server holds this client.
    pub(crate) local_dispatch: OnceLock<Arc<dyn LocalDispatch>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) config: Config,
}

/// The result of one hop.
pub(crate) enum Answer {
    Response(Response<Bytes>),
    /// A response that was handed out while it arrived.
    Delivered(Delivered),
    /// The next hop, or the reason why the `Location` is refused, and the requested method.
    Redirect(Result<Hop, Error>, http::Method),
    /// The same hop again, after a pause.
    Retry(Duration),
    /// The same hop again after a pause, because its connection failed.
    Resend(Duration),
}

/// One hop in progress.
pub(crate) struct Exchange<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) context: &'a Outbound<'a>,
    pub(crate) deadline: Instant,
}

impl<'a> Exchange<'a> {
    /// Sends one request and reads its response.
    ///
    /// `secret_sent` is set once any hop carried a secret; from then on every response and error is
    /// masked. With a `transfer`, the request's body is sent and the response handed out while they are made.
    pub(crate) async fn run(
        &self,
        (hop, transfer): (&Hop, &mut Option<Box<Transfer>>),
        secret_sent: &mut bool,
        retries: &mut Retries,
        resends: &mut Resends,
        record: &mut Record<'a>,
    ) -> Result<Answer, Error> {
        let config = &self.shared.config;
        let Some(rule) = self.context.rules.allows(&hop.method, &hop.url) else {
            return Err(denied(self.context.rules, hop));
        };
        record.rule = Some(rule);
        if self.context.secrets.are_withheld() && identifies(config, &hop.url) {
            return Err(withheld(hop));
        }
        if let Some(own) = self
            .shared
            .local_dispatch
            .get()
            .filter(|own| own.is_own(&hop.url))
        {
            // Boxed, so that other requests, which are most, need not carry this future.
            return self.dispatch(&**own, hop, transfer, record).boxed().await;
        }
        let host = upstream(&hop.url);
        let _permit = self
            .shared
            .limits
            .acquire(
                self.context.function,
                &host,
                self.deadline,
                &mut record.wait,
            )
            .await?;

        let request = match transfer {
            None => self.request((hop, hop.body.clone().into()), secret_sent, record)?,
            // Boxed, like everything that only these requests need.
            Some(transfer) => {
                let (whole, body) = self.body_of(hop, transfer, record).boxed().await?;
                let hop = whole.as_ref().unwrap_or(hop);
                self.request((hop, body), secret_sent, record)?
            }
        };
        let mask = self.context.secrets.mask().filter(|_| *secret_sent);
        let head = Limit::new(
            Kind::TimeoutFirstByte,
            "first_byte_timeout",
            config.first_byte_timeout,
        );
        let key: Key = origin(&hop.url).into();
        // Calls that are ready write together (docs/decisions/0019).
        tokio::task::yield_now().await;
        let pool = &self.shared.pool;
        // Pinned in place, because it is large, and a timeout that takes it by value copies it.
        let response = {
            let connecting = Connecting {
                fresh: resends.fresh(),
                within: transfer
                    .as_ref()
                    .and_then(|transfer| transfer.timeouts.connect),
            };
            let sent = pin!(pool.send(&key, &hop.url, request, connecting, &mut record.address));
            match transfer {
                None => self.within(&head, &host, sent).await?,
                Some(transfer) => self.while_sending(&host, transfer, sent).boxed().await?,
            }
        };
        let (response, http1) = match response {
            Ok(answered) => answered,
            Err(e) => {
                if let Some(own) = transfer.as_ref().and_then(|transfer| transfer.failure()) {
                    return Err(own);
                }
                let again = match transfer.as_ref().and_then(|transfer| transfer.progress()) {
                    // The part of its body that was read is lost.
                    Some(_) => None,
                    None => resends.after(&hop.method, &e, self.deadline),
                };
                return match again {
                    Some(pause) => Ok(Answer::Resend(pause)),
                    None => Err(failure(&host, config, &e)),
                };
            }
        };
        record.status = Some(response.status());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9110, section 15.2.2: only for a request that asked for it, and none does.
            let message = format!("{host} changed the protocol of the connection");
            return Err(Error::new(Kind::Protocol, message));
        }

        let (mut parts, incoming) = response.into_parts();
        let body = Body::new(incoming, http1, key, Arc::clone(pool));
        let (size, count) = (headers::size(&parts.headers), parts.headers.len());
        if size as u64 > config.max_response_headers.as_u64()
            || count > config.max_response_header_count
        {
            return Err(headers_too_large(&host, config));
        }
        if let Some(pause) = retries.after_response(hop, parts.status, &parts.headers) {
            return Ok(Answer::Retry(pause));
        }
        if let Some(mask) = mask {
            // The `Location` of a redirect is masked, too, before it is followed.
            mask.headers(&mut parts.headers);
        }
        if let Some(transfer) = transfer {
            let delivered = self.deliver(&host, parts, body, mask, (transfer, record));
            return delivered.boxed().await.map(Answer::Delivered);
        }
        let next = match config.answers_redirects {
            true => Ok(None),
            false => hop.next(parts.status, &parts.headers),
        };
        match next {
            Ok(None) => {}
            Ok(Some(next)) => {
                let method = next.method.clone();
                return Ok(Answer::Redirect(Ok(next), method));
            }
            Err(e) => return Ok(Answer::Redirect(Err(e), hop.method.clone())),
        }
        let body = self.body(&host, body, record).await?;
        let body = self.content(&host, &mut parts, body, mask).await?;
        headers::drop_of_connection(&mut parts.headers);
        parts.extensions = Extensions::new();
        Ok(Answer::Response(Response::from_parts(parts, body)))
    }

    /// Lets this server answer. No permit is held meanwhile, because the calls that it causes need permits, too.
    async fn dispatch(
        &self,
        own: &dyn LocalDispatch,
        hop: &Hop,
        transfer: &mut Option<Box<Transfer>>,
        record: &mut Record<'a>,
    ) -> Result<Answer, Error> {
        let upload = transfer
            .as_mut()
            .and_then(|transfer| transfer.upload.take());
        let streamed = self.collect(upload, record).await?;
        let body = streamed.unwrap_or_else(|| hop.body.clone());
        let mut request = Request::new(body);
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = hop.url.as_str().parse().map_err(not_a_url)?;
        *request.headers_mut() = hop.headers.clone();
        // Inside, a call goes on with the trace of the one that made it; the function cannot choose another.
        if let Some(trace) = record.trace() {
            headers::trace(request.headers_mut(), &trace);
        }
        let total = self.shared.config.total_timeout;
        let limit = Limit::new(Kind::TimeoutTotal, "total_timeout", total);
        let answered = own.answer(self.context, request);
        let host = upstream(&hop.url);
        let response = self.within(&limit, &host, answered).await?;
        let Some(response) = response else {
            return Err(Error::new(
                Kind::Denied,
                "functions may call this server only at /api/run and /api/multipart/run",
            ));
        };
        record.status = Some(response.status());
        record.bytes_in = response.body().len();
        match transfer {
            None => Ok(Answer::Response(response)),
            Some(transfer) => Ok(Answer::Delivered(self.hand_out(response, transfer).await)),
        }
    }

    /// The request as it is sent. The hop keeps the function's view: the next hop is made from it.
    fn request(
        &self,
        (hop, body): (&Hop, OutgoingBody),
        secret_sent: &mut bool,
        record: &mut Record<'a>,
    ) -> Result<Request<OutgoingBody>, Error> {
        // A secret is in the headers or in the query.
        let (path, mut headers) = match self.context.secrets.inject(
            (&hop.method, &hop.url, &hop.headers),
            &hop.body,
            SystemTime::now(),
        ) {
            None => (path(&hop.url)?, hop.headers.clone()),
            Some(injected) => {
                *secret_sent = true;
                record.secrets = Some(injected.names);
                (path(&injected.url)?, injected.headers)
            }
        };
        if *secret_sent {
            headers::request_identity_encoding(&mut headers);
        } else if self.context.decode {
            decode::ask(&mut headers);
        }
        let propagate = &self.shared.config.propagate;
        if let Some(trace) = record.trace()
            && propagate.allows(&hop.method, &hop.url).is_some()
            && !headers.contains_key(TRACE_PARENT)
        {
            headers::trace(&mut headers, &trace);
        }
        let mut request = Request::new(body);
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = path.into();
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Waits for `future` until the limit or the request's total deadline, whichever comes first.
    pub(crate) async fn within<T>(
        &self,
        limit: &Limit,
        host: &str,
        future: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let at = (Instant::now() + limit.duration).min(self.deadline);
        timeout_at(at, future)
            .await
            .map_err(|_| self.late(limit, host, at))
    }

    /// The error of a wait for `host` that ended at `at`, by `limit` or by the request's total deadline.
    pub(crate) fn late(&self, limit: &Limit, host: &str, at: Instant) -> Error {
        if at < self.deadline {
            let message = format!(
                "nothing arrived from {host} for {} (limit {})",
                duration(limit.duration),
                limit.name
            );
            Error::new(limit.kind, message)
        } else if self.deadline == self.context.deadline {
            Error::new(
                Kind::TimeoutTotal,
                format!("the call's time was over before {host} had answered"),
            )
        } else {
            let total = duration(self.shared.config.total_timeout);
            let message = format!("{host} had not answered after {total} (limit total_timeout)");
            Error::new(Kind::TimeoutTotal, message)
        }
    }
}

pub(crate) struct Limit {
    kind: Kind,
    name: &'static str,
    duration: Duration,
}

impl Limit {
    pub(crate) fn new(kind: Kind, name: &'static str, duration: Duration) -> Limit {
        Limit {
            kind,
            name,
            duration,
        }
    }

    pub(crate) fn duration(&self) -> Duration {
        self.duration
    }
}

/// The fault of a denied request. It names the origin, and whether the path was the cause, but not the path: that may
/// be a secret (some services put tokens there), or the choice of a server that redirected here.
fn denied(rules: &Rules, hop: &Hop) -> Error {
    let (method, origin) = (&hop.method, origin(&hop.url));
    let place = match rules
        .0
        .iter()
        .any(|rule| rule.allows_elsewhere(method, &hop.url))
    {
        true => " at this path",
        false => "",
    };
    let message = format!("no outbound rule of this function allows {method} {origin}{place}");
    Error::new(Kind::Denied, message)
}

/// Returns whether a client certificate is shown to the host of a URL.
fn identifies(config: &Config, url: &Url) -> bool {
    let certificates = &config.client_certificate;
    certificates
        .iter()
        .any(|certificate| certificate.is_for(url))
}

fn withheld(hop: &Hop) -> Error {
    let message = format!(
        "{} is sent a client certificate of this server (egress.client_certificate), which does not go with a request \
         that a caller of the function names",
        origin(&hop.url)
    );
    Error::new(Kind::Denied, message)
}

/// Path and query, as they are written. A second parser sees only these of the URL: the connection goes to the host
/// that the rules checked.
fn path(url: &Url) -> Result<PathAndQuery, Error> {
    PathAndQuery::try_from(&url[Position::BeforePath..Position::AfterQuery]).map_err(not_a_url)
}

fn not_a_url(error: http::uri::InvalidUri) -> Error {
    Error::new(Kind::Url, format!("the URL is not valid: {error}"))
}

/// Classifies the cause of a failure.
fn failure(host: &str, config: &Config, failure: &Failure) -> Error {
    if let Failure::Connect(ours) = failure {
        return ours.clone();
    }
    let error = failure.http();
    let mut cause = error.map(|error| error as &(dyn std::error::Error + 'static));
    let mut chain = Vec::new();
    let mut nonsense = false;
    while let Some(this) = cause {
        if let Some(hyper) = this.downcast_ref::<hyper::Error>() {
            if hyper.is_parse_too_large() {
                return headers_too_large(host, config);
            }
            nonsense |= is_nonsense(hyper);
        }
        if let Some(tls) = late_tls_failure(host, this) {
            return tls;
        }
        chain.push(this.to_string());
        cause = this.source();
    }
    Error::new(
        Kind::Protocol,
        format!("{host} did not answer in HTTP, or closed the connection before it did"),
    )
    .with_detail(chain.join(": "))
    .transient_if(!nonsense)
}

/// Returns whether the other side, or this one, violated the protocol, which would happen again; every other error is a
/// broken connection.
pub(crate) fn is_nonsense(error: &hyper::Error) -> bool {
    error.is_parse() || error.is_user()
}

fn headers_too_large(host: &str, config: &Config) -> Error {
    let (size, count) = (
        bytes(config.max_response_headers),
        config.max_response_header_count,
    );
    let message = format!(
        "the response headers of {host} exceed {size} bytes or {count} lines (limits max_response_headers, \
         max_response_header_count)"
    );
    Error::new(Kind::ResponseTooLarge, message)
}

pub(crate) fn bytes(size: ByteSize) -> u64 {
    size.as_u64()
}

fn duration(duration: Duration) -> impl std::fmt::Display {
    humantime_serde::re::humantime::format_duration(duration)
}
