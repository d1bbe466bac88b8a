//! The client: what a request passes through on its way out, in this order.
//!
//! URL, headers and size; rule; a place among the requests in progress; a pooled or a new connection to a checked
//! address; the head of the response; a redirect, which starts over; the body. One pool serves all functions, because a
//! connect and a handshake cost far more than a request: nothing in a request depends on the connection, and HTTP
//! authenticates requests. The whole response is read here, within its limits, so that what runs in a sandbox never
//! holds a socket.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use http::header::{ACCEPT, HeaderValue};
use http::{Extensions, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{Instant, timeout_at};
use url::Url;
use uuid::Uuid;

use crate::dial::Connector;
use crate::limit::Limits;
use crate::record::Record;
use crate::redirect::Hop;
use crate::resolve::Resolve;
use crate::{Config, ConfigError, Error, Kind, Rules, admit, headers};

/// The way out. Cheap to clone: clones share one pool, one resolver and one set of limits.
#[derive(Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

/// On whose behalf a request leaves, and within which bounds.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// The call's id, for the log.
    pub call: Uuid,
    /// The function's name, for the log.
    pub function: &'a str,
    /// What the function may request.
    pub rules: &'a Rules,
    /// When the call ends; a request ends then at the latest.
    pub deadline: Instant,
}

struct Inner {
    client: Client<Connector, Full<Bytes>>,
    resolve: Arc<Resolve>,
    limits: Arc<Limits>,
    config: Config,
}

impl Egress {
    /// Builds the client: reads `ca_files` and the system's resolver configuration, so it may block; once, at start.
    ///
    /// # Errors
    /// A [`ConfigError`] that names the setting.
    pub fn new(config: Config) -> Result<Egress, ConfigError> {
        config.check()?;
        let resolve = Arc::new(Resolve::new(&config)?);
        let connector = Connector::new(
            resolve.clone(),
            tls(&config.ca_files)?,
            config.max_connections,
            config.connect_timeout,
        );
        // Checked to be 16 MiB at most.
        let max_head = config.max_response_headers.as_u64() as u32;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle_timeout)
            .pool_max_idle_per_host(config.pool_max_idle_per_host)
            .http1_max_buf_size(max_head as usize)
            .http1_max_headers(config.max_response_header_count)
            .http2_max_header_list_size(max_head)
            // One HTTP/2 connection carries everything to its host: notice when it is dead.
            .http2_keep_alive_interval(Some(Duration::from_secs(20)))
            .build(connector);
        let limits = Limits::new(config.max_concurrent, config.max_concurrent_per_upstream);
        Ok(Egress {
            inner: Arc::new(Inner {
                client,
                resolve,
                limits,
                config,
            }),
        })
    }

    /// Tells where this server listens (all of its listeners, and addresses by which others reach them, such as a
    /// public one in front of NAT): from now on no connection goes there, through a pin neither. A listener's port is
    /// refused on every address of this machine. Call it before the first request.
    pub fn set_own_listeners(&self, listeners: Vec<SocketAddr>) {
        self.inner.resolve.set_own_listeners(listeners);
    }

    /// Sends a request and returns the response with its whole body, redirects followed, content not decoded. Any HTTP
    /// status is a response and no error. Connection headers of the response (`transfer-encoding`, …) are removed.
    ///
    /// # Errors
    /// An [`Error`] whose `Display` may be shown to the function.
    pub async fn send(
        &self,
        context: &Outbound<'_>,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Error> {
        let deadline = context
            .deadline
            .min(Instant::now() + self.inner.config.total_timeout);
        let (parts, body) = request.into_parts();
        let mut record = Record::new(context, &parts.method);
        record.bytes_out = body.len();
        let first = self
            .inner
            .first(&parts.uri.to_string(), &parts.headers, &body);
        let mut hop = match first {
            Ok(url) => Hop {
                method: parts.method,
                url,
                headers: parts.headers,
                body,
            },
            Err(e) => return Err(fail(record, e)),
        };
        hop.headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("*/*"));

        let mut redirects = 0;
        loop {
            record.url(&hop.url);
            let exchange = Exchange {
                inner: &self.inner,
                context,
                deadline,
            };
            let (next, method) = match exchange.run(&hop, &mut record).await {
                Ok(Answer::Response(response)) => {
                    record.done("ok");
                    return Ok(response);
                }
                Ok(Answer::Redirect(next, method)) => (next, method),
                Err(e) => {
                    return Err(fail(
                        record,
                        if redirects > 0 { e.after_redirect() } else { e },
                    ));
                }
            };
            if redirects == self.inner.config.max_redirects {
                let message = format!("more than {redirects} redirects (limit max_redirects)");
                return Err(fail(record, Error::new(Kind::TooManyRedirects, message)));
            }
            redirects += 1;
            record.done("redirect");
            record = Record::new(context, &method);
            hop = match next {
                Ok(next) => next,
                Err(e) => return Err(fail(record, e.after_redirect())),
            };
            record.bytes_out = hop.body.len();
        }
    }
}

fn fail(record: Record<'_>, error: Error) -> Error {
    record.failed(&error);
    error
}

/// What came of one hop.
enum Answer {
    Response(Response<Bytes>),
    /// The next hop, or why the `Location` is refused, and the method asked for.
    Redirect(Result<Hop, Error>, http::Method),
}

impl Inner {
    /// What is checked once, whatever redirects follow.
    fn first(&self, uri: &str, headers: &http::HeaderMap, body: &Bytes) -> Result<Url, Error> {
        let url = admit(uri)?;
        headers::check_request(headers, body.len())?;
        let (size, limit) = (headers::size(headers) + body.len(), self.config.max_request);
        if size as u64 > limit.as_u64() {
            let message = format!(
                "the request has {size} bytes, {} are allowed (limit max_request)",
                bytes(limit)
            );
            return Err(Error::new(Kind::RequestTooLarge, message));
        }
        Ok(url)
    }
}

/// One hop in progress.
struct Exchange<'a> {
    inner: &'a Inner,
    context: &'a Outbound<'a>,
    deadline: Instant,
}

impl<'a> Exchange<'a> {
    async fn run(&self, hop: &Hop, record: &mut Record<'a>) -> Result<Answer, Error> {
        let config = &self.inner.config;
        let Some(rule) = self.context.rules.allows(&hop.method, &hop.url) else {
            return Err(denied(hop));
        };
        record.rule = Some(rule);
        let host = upstream(&hop.url);
        let _place = self.inner.limits.place(host.clone(), self.deadline).await?;

        let mut request = Request::new(Full::new(hop.body.clone()));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = Uri::try_from(hop.url.as_str())
            .map_err(|e| Error::new(Kind::Url, format!("not a URL: {e}")))?;
        *request.headers_mut() = hop.headers.clone();
        let connection = capture_connection(&mut request);
        let head = Limit::new(
            Kind::TimeoutFirstByte,
            "first_byte_timeout",
            config.first_byte_timeout,
        );
        let answer = self
            .within(&head, &host, self.inner.client.request(request))
            .await;
        record.address = address(&connection);
        let response = answer?.map_err(|e| client_failure(&host, config, e))?;
        record.status = Some(response.status());

        let (mut parts, body) = response.into_parts();
        let count = parts.headers.len();
        if count > config.max_response_header_count {
            let limit = config.max_response_header_count;
            let message = format!(
                "{host} sent {count} headers, {limit} are allowed (limit max_response_header_count)"
            );
            return Err(Error::new(Kind::ResponseTooLarge, message));
        }
        match hop.next(parts.status, &parts.headers) {
            Ok(None) => {}
            Ok(Some(next)) => {
                let method = next.method.clone();
                return Ok(Answer::Redirect(Ok(next), method));
            }
            Err(e) => return Ok(Answer::Redirect(Err(e), hop.method.clone())),
        }
        let body = self.body(&host, body, record).await?;
        headers::drop_of_connection(&mut parts.headers);
        parts.extensions = Extensions::new();
        Ok(Answer::Response(Response::from_parts(parts, body)))
    }

    async fn body(
        &self,
        host: &str,
        mut body: Incoming,
        record: &mut Record<'a>,
    ) -> Result<Bytes, Error> {
        let config = &self.inner.config;
        let max = config.max_response;
        let too_large = || {
            let message = format!(
                "the response of {host} has more than {} bytes (limit max_response)",
                bytes(max)
            );
            Error::new(Kind::ResponseTooLarge, message)
        };
        if body.size_hint().lower() > max.as_u64() {
            return Err(too_large());
        }
        let idle = Limit::new(Kind::TimeoutIdle, "idle_timeout", config.idle_timeout);
        // Most bodies come as one chunk, which is handed on as it is.
        let (mut first, mut all) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = self.within(&idle, host, body.frame()).await? {
            let frame = frame.map_err(|e| {
                Error::new(
                    Kind::Protocol,
                    format!("{host} broke off in the middle of its response"),
                )
                .with_detail(e)
            })?;
            let Ok(chunk) = frame.into_data() else {
                continue;
            };
            record.bytes_in += chunk.len();
            if record.bytes_in as u64 > max.as_u64() {
                return Err(too_large());
            }
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                all.extend_from_slice(&std::mem::take(&mut first));
                all.extend_from_slice(&chunk);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// Waits for `future` until the limit or the end of all time for this request, whichever comes first.
    async fn within<T>(
        &self,
        limit: &Limit,
        host: &str,
        future: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let at = (Instant::now() + limit.duration).min(self.deadline);
        timeout_at(at, future).await.map_err(|_| {
            if at < self.deadline {
                let message = format!(
                    "nothing from {host} for {} (limit {})",
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
                let total = duration(self.inner.config.total_timeout);
                let message =
                    format!("{host} had not answered after {total} (limit total_timeout)");
                Error::new(Kind::TimeoutTotal, message)
            }
        })
    }
}

struct Limit {
    kind: Kind,
    name: &'static str,
    duration: Duration,
}

impl Limit {
    fn new(kind: Kind, name: &'static str, duration: Duration) -> Limit {
        Limit {
            kind,
            name,
            duration,
        }
    }
}

fn denied(hop: &Hop) -> Error {
    let mut url = hop.url.clone();
    url.set_query(None);
    Error::new(
        Kind::Denied,
        format!(
            "no outbound rule of this function allows {} {url}",
            hop.method
        ),
    )
}

/// `host:port`, the default port included.
fn upstream(url: &Url) -> String {
    let (host, port) = (
        url.host_str().unwrap_or_default(),
        url.port_or_known_default().unwrap_or_default(),
    );
    format!("{host}:{port}")
}

fn address(connection: &CaptureConnection) -> Option<SocketAddr> {
    let mut extras = Extensions::new();
    connection
        .connection_metadata()
        .as_ref()?
        .get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::remote_addr)
}

/// Finds the cause in an error of the pooled client.
fn client_failure(host: &str, config: &Config, error: ClientError) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    let mut chain = Vec::new();
    while let Some(this) = cause {
        if let Some(ours) = this.downcast_ref::<Error>() {
            return ours.clone();
        }
        if this
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_parse_too_large)
        {
            let (size, count) = (
                config.max_response_headers,
                config.max_response_header_count,
            );
            let message = format!(
                "the response headers of {host} exceed {} bytes or {count} lines (limits max_response_headers, \
                 max_response_header_count)",
                bytes(size)
            );
            return Error::new(Kind::ResponseTooLarge, message);
        }
        chain.push(this.to_string());
        cause = this.source();
    }
    Error::new(
        Kind::Protocol,
        format!("{host} did not answer in HTTP or broke off before it"),
    )
    .with_detail(chain.join(": "))
}

fn bytes(size: ByteSize) -> u64 {
    size.as_u64()
}

fn duration(duration: Duration) -> impl std::fmt::Display {
    humantime_serde::re::humantime::format_duration(duration)
}

/// Mozilla's roots and the operator's. The provider is named here: a process-wide default would be whatever another
/// crate installed first.
fn tls(ca_files: &[PathBuf]) -> Result<ClientConfig, ConfigError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for path in ca_files {
        let problem = |problem: String| ConfigError::CaFile {
            path: path.clone(),
            problem,
        };
        let mut found = 0;
        for certificate in
            CertificateDer::pem_file_iter(path).map_err(|e| problem(e.to_string()))?
        {
            let certificate = certificate.map_err(|e| problem(e.to_string()))?;
            roots.add(certificate).map_err(|e| problem(e.to_string()))?;
            found += 1;
        }
        if found == 0 {
            return Err(problem("no certificate in PEM form in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| ConfigError::Tls(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}
