//! The outbound client: the steps of a request, in this order.
//!
//! URL, headers and size; rule; a permit among the requests in progress; a pooled or a new connection to a checked
//! address; the head of the response; a redirect, which starts over; the body. One pool serves all functions, because a
//! connect and a handshake cost far more than a request: no part of a request depends on the connection, and HTTP
//! authenticates requests. The whole response is read here, within its limits, so that a sandbox never holds a socket.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use http::{Method, Request, Response, Uri};
use tokio::time::Instant;
use url::Url;

use crate::dial::Connector;
use crate::download::HeadSender;
use crate::exchange::{Answer, Exchange, Shared};
use crate::limit::Limits;
use crate::pool::Pool;
use crate::proxy::Proxy;
use crate::record::{Observer, Record};
use crate::redirect::Hop;
use crate::resend::Resends;
use crate::resolve::Resolve;
use crate::retry::Retries;
use crate::tls::Tls;
use crate::transfer::{Delivered, StreamTimeouts, Transfer};
use crate::upload::{RequestStream, Upload};
use crate::{
    Config, ConfigError, Error, Kind, LocalDispatch, Outbound, headers, parse_outbound_url,
};

/// The outbound client. Cheap to clone: clones share one pool, one resolver and one set of limits.
#[derive(Clone)]
pub struct Egress {
    shared: Arc<Shared>,
}

impl Egress {
    /// Builds the client of a program that does not listen and keeps no records:
    /// [`Egress::for_server`] without either.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the setting.
    pub fn new(config: Config) -> Result<Egress, ConfigError> {
        Egress::for_server(config, Vec::new(), Vec::new())
    }

    /// Builds the client of a server: reads `ca_files`, `client_certificate` and the system's
    /// resolver configuration, so it may block; once, at start.
    ///
    /// `listeners` are the addresses where the server listens, and those by which others reach it, such as a public one
    /// in front of NAT. The client never connects to them, not even through a pin, and refuses a listener's port on
    /// every address of this machine. `observers` get the record of every request, besides the log.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the setting.
    pub fn for_server(
        config: Config,
        listeners: Vec<SocketAddr>,
        observers: Vec<Arc<dyn Observer>>,
    ) -> Result<Egress, ConfigError> {
        config.check()?;
        let resolve = Arc::new(Resolve::new(&config, listeners)?);
        let connector = Connector::new(
            resolve,
            Proxy::new(&config.proxy)?,
            Tls::new(&config)?,
            config.max_connections,
            config.connect_timeout,
        );
        let pool = Pool::new(&config, connector);
        let limits = Limits::new(&config);
        Ok(Egress {
            shared: Arc::new(Shared {
                pool,
                limits,
                observers,
                local_dispatch: OnceLock::new(),
                config,
            }),
        })
    }

    /// Sets the part that answers requests to this server by its public name; the first one stays. It
    /// is set late, because it holds the server, which holds this client.
    pub fn set_local_dispatch(&self, dispatch: Arc<dyn LocalDispatch>) {
        let _ = self.shared.local_dispatch.set(dispatch);
    }

    /// The setting `max_request`, in bytes.
    pub fn max_request(&self) -> u64 {
        self.shared.config.max_request.as_u64()
    }

    /// Returns whether a rule of the function allows a request, so that no caller reads a body for a request that
    /// [`Egress::send`] refuses anyway.
    pub fn allows(&self, context: &Outbound<'_>, method: &Method, uri: &Uri) -> bool {
        parse_outbound_url(&uri.to_string())
            .is_ok_and(|url| context.rules.allows(method, &url).is_some())
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Sends a request to its own URI: [`parse_outbound_url`] and [`Egress::send_to`].
    ///
    /// # Errors
    /// An [`Error`] whose `Display` may be shown to the function.
    pub async fn send(
        &self,
        context: &Outbound<'_>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        match parse_outbound_url(&request.uri().to_string()) {
            Ok(url) => self.send_to(context, url, request).await,
            Err(e) => {
                let observers = &self.shared.observers;
                let mut record = Record::new(context, observers, request.method());
                record.bytes_out = request.body().len();
                Err(fail(record, e))
            }
        }
    }

    /// Sends a request to `url`, which has to come from [`parse_outbound_url`], and returns the response with its whole
    /// body, redirects followed, content unchanged unless [`Outbound::decode`] is set. The request's own URI is
    /// ignored. A response of any HTTP status is not an error. Connection headers of the response (`transfer-encoding`,
    /// …) are removed. Secrets that were attached on the way are in neither the response nor the error.
    ///
    /// # Errors
    /// An [`Error`] whose `Display` may be shown to the function.
    pub async fn send_to(
        &self,
        context: &Outbound<'_>,
        url: Url,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        let (parts, body) = request.into_parts();
        let observers = &self.shared.observers;
        let mut record = Record::new(context, observers, &parts.method);
        record.bytes_out = body.len();
        if let Err(e) = check(&self.shared.config, &parts.headers, &body) {
            return Err(fail(record, e));
        }
        let hop = Hop {
            method: parts.method,
            url,
            headers: parts.headers,
            body,
        };
        match self.run(context, hop, None, record).await? {
            Answered::Whole(response) => Ok(response),
            // Only a transfer is delivered.
            Answered::Delivered => Err(Error::new(Kind::Protocol, "no response")),
        }
    }

    /// Sends a request whose body may still be in progress, and hands out the response while it arrives, through
    /// `head`. Returns when both have ended. The rules are those of [`Egress::send`]; redirects are responses, nothing
    /// is sent again once a part of its body is gone, and `retries` and `decode` are ignored. Dropping the future
    /// cancels the request: a body that is not at its end then never counts as complete, on either side.
    ///
    /// # Errors
    /// An [`Error`] whose `Display` may be shown to the function. If the head was handed out before, it is the end of
    /// the response's body, too.
    pub async fn exchange(
        &self,
        context: &Outbound<'_>,
        request: Request<RequestStream>,
        timeouts: StreamTimeouts,
        head: HeadSender,
    ) -> Result<(), Error> {
        let context = &Outbound {
            retries: 0,
            decode: false,
            ..*context
        };
        let (parts, stream) = request.into_parts();
        let observers = &self.shared.observers;
        let record = Record::new(context, observers, &parts.method);
        let admitted = parse_outbound_url(&parts.uri.to_string())
            .and_then(|url| Ok((url, check_stream(&self.shared.config, &parts.headers)?)));
        let (url, (most, declared)) = match admitted {
            Ok(admitted) => admitted,
            Err(e) => return Err(fail(record, e)),
        };
        let hop = Hop {
            method: parts.method,
            url,
            headers: parts.headers,
            body: Bytes::new(),
        };
        let transfer = Box::new(Transfer {
            upload: Some(Upload::new(stream, most, declared)),
            head: Some(head),
            timeouts,
            sending: None,
            whole: None,
        });
        // Boxed, so that the future of a whole request need not carry it.
        self.run(context, hop, Some(transfer), record)
            .boxed()
            .await
            .map(drop)
    }

    async fn run<'a>(
        &'a self,
        context: &'a Outbound<'a>,
        mut hop: Hop,
        mut transfer: Option<Box<Transfer>>,
        mut record: Record<'a>,
    ) -> Result<Answered, Error> {
        let deadline = context
            .deadline
            .min(Instant::now() + self.shared.config.total_timeout);
        let observers = &self.shared.observers;
        hop.headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));

        let most = self.shared.config.max_redirects;
        let most = context.max_redirects.map_or(most, |own| own.min(most));
        let mut redirects = 0;
        let mut retries = Retries::new(context, &self.shared.config, deadline);
        let mut resends = Resends::default();
        let mut secret_sent = false;
        loop {
            record.url(&hop.url);
            record.bytes_out = hop.body.len();
            let exchange = Exchange {
                shared: &self.shared,
                context,
                deadline,
            };
            let answer = exchange
                .run(
                    (&hop, &mut transfer),
                    &mut secret_sent,
                    &mut retries,
                    &mut resends,
                    &mut record,
                )
                .await;
            let answer = match context.secrets.mask() {
                Some(mask) if secret_sent => answer.map_err(|e| e.masked(mask)),
                _ => answer,
            };
            match answer {
                Ok(Answer::Response(response)) => {
                    record.done("ok");
                    return Ok(Answered::Whole(response));
                }
                Ok(Answer::Delivered(delivered)) => {
                    // A response that was not taken is recorded as cancelled.
                    if let Delivered::Whole = delivered {
                        record.done("ok");
                    }
                    return Ok(Answered::Delivered);
                }
                Ok(Answer::Redirect(next, method)) => {
                    if redirects == most {
                        let message =
                            format!("more than {redirects} redirects (limit max_redirects)");
                        return Err(fail(record, Error::new(Kind::TooManyRedirects, message)));
                    }
                    redirects += 1;
                    resends = Resends::default();
                    record.done("redirect");
                    record = Record::new(context, observers, &method);
                    hop = match next {
                        Ok(next) => next,
                        Err(e) => return Err(fail(record, e.after_redirect())),
                    };
                }
                Ok(Answer::Retry(pause)) => {
                    record.done("retried");
                    resends = Resends::default();
                    tokio::time::sleep(pause).await;
                    record = Record::new(context, observers, &hop.method);
                }
                Ok(Answer::Resend(pause)) => {
                    record.done("resent");
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    record = Record::new(context, observers, &hop.method);
                }
                Err(e) => {
                    let pause = retries.after_error(&hop, &e);
                    let e = if redirects > 0 { e.after_redirect() } else { e };
                    let e = fail(record, e);
                    let Some(pause) = pause else { return Err(e) };
                    resends = Resends::default();
                    tokio::time::sleep(pause).await;
                    record = Record::new(context, observers, &hop.method);
                }
            }
        }
    }
}

/// A response: whole, or handed out while it arrived.
enum Answered {
    Whole(Response<Bytes>),
    Delivered,
}

pub(crate) fn fail(record: Record<'_>, error: Error) -> Error {
    record.failed(&error);
    error
}

/// Checks the parts of a request that do not change with redirects.
fn check(config: &Config, headers: &HeaderMap, body: &Bytes) -> Result<(), Error> {
    headers::check_request(headers, body.len())?;
    let (size, limit) = (
        headers::size(headers) + body.len(),
        config.max_request.as_u64(),
    );
    if size as u64 > limit {
        return Err(too_large(size as u64, limit));
    }
    Ok(())
}

/// The same for a request whose body is still to come. Returns the bytes that the body may have, and those that the
/// head states.
fn check_stream(config: &Config, headers: &HeaderMap) -> Result<(u64, Option<u64>), Error> {
    headers::check_framing(headers)?;
    let declared = headers::declared_length(headers)?;
    let (head, limit) = (headers::size(headers) as u64, config.max_request.as_u64());
    let size = head.saturating_add(declared.unwrap_or(0));
    if size > limit {
        return Err(too_large(size, limit));
    }
    Ok((limit - head, declared))
}

fn too_large(size: u64, limit: u64) -> Error {
    let message =
        format!("the request is larger than {limit} bytes: got {size} (limit max_request)");
    Error::new(Kind::RequestTooLarge, message)
}
