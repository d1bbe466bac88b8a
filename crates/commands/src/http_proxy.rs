//! `http_proxy [OPTIONS] METHOD URL [HEADERS_JSON]`: one HTTP request, with standard input as its
//! body and the response's body as standard output.
//!
//! This is the contract of the program that functions of 2020 started, kept where it was good: an HTTP status, also 404
//! or 500, is not a failure (those functions pass the body on, and would break), `HEADERS_JSON` replaces the default
//! header, and nothing else is on stdout. It differs where the original was a trap: an unknown method is an error and
//! no longer a GET, options named as curl's ([`Options`]) show status and headers and more, and a failure is one line
//! on stderr with a [`status`] for its kind, instead of a panic. The command line is parsed here ([`Invocation`]) for
//! the native program, too.

use async_trait::async_trait;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Response, Version};
use iof_command::{CallContext, Command, Output, Request, TIMED_OUT};
use iof_egress::{Egress, Error, Kind, Outbound, header, parse_outbound_url};
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::outbound::outbound;

/// The usage of the command, in one line.
pub const USAGE: &str =
    "http_proxy [--include] [--compressed] [--retry N] METHOD URL [HEADERS_JSON]";

/// The exit statuses.
pub mod status {
    /// There was a response, of whatever HTTP status.
    pub const OK: i32 = 0;
    /// The arguments are wrong: method, URL or headers.
    pub const USAGE: i32 = 2;
    /// No rule allows the request, or its address may not be dialled.
    pub const DENIED: i32 = 3;
    /// No connection: the name was not found, nothing listened, TLS failed.
    pub const UNREACHABLE: i32 = 4;
    /// The deadline passed.
    pub const TIMEOUT: i32 = 5;
    /// Something is too large, or there were too many redirects, or the response was not HTTP.
    pub const PROTOCOL: i32 = 6;
}

/// The `Content-Type` of a request whose `HEADERS_JSON` is missing.
const DEFAULT: HeaderValue = HeaderValue::from_static("text/plain");

const METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];

/// The built-in command.
pub struct HttpProxy {
    egress: Egress,
}

impl HttpProxy {
    /// A command that sends through `egress`, by the rules of each call's grants.
    pub fn new(egress: Egress) -> HttpProxy {
        HttpProxy { egress }
    }
}

#[async_trait]
impl Command for HttpProxy {
    fn name(&self) -> &str {
        "http_proxy"
    }

    fn keeps_time(&self) -> bool {
        // Every wait in `egress` has the deadline of its context.
        true
    }

    async fn run(&self, call: &CallContext, request: Request) -> Output {
        let invocation = match Invocation::parse(&request.args) {
            Ok(invocation) => invocation,
            Err(failure) => return failure.into_output(),
        };
        let own = Instant::now()
            .checked_add(request.timeout)
            .unwrap_or(call.deadline);
        let context = outbound(call, own);
        match invocation.send(&self.egress, &context, request.stdin).await {
            Ok(stdout) => Output {
                status: status::OK,
                stdout,
                ..Output::default()
            },
            // Its deadline passed before its turn came: the message says that, and names the setting.
            Err(failure) if failure.waited && Instant::now() >= own.min(call.deadline) => Output {
                status: TIMED_OUT,
                ..failure.into_output()
            },
            Err(failure) => failure.into_output(),
        }
    }
}

/// A command line, parsed.
#[derive(Clone, Debug)]
pub struct Invocation {
    method: Method,
    url: Url,
    headers: HeaderMap,
    options: Options,
}

/// The options before `METHOD`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--include`, `-i`: the status line and the headers before the body.
    pub include: bool,
    /// `--retry N`: how often a request with a temporary failure is sent again; see
    /// [`Outbound::retries`].
    pub retries: u32,
    /// `--compressed`: a compressed response is requested, and decoded; see [`Outbound::decode`].
    pub compressed: bool,
}

/// The reason why there is nothing on stdout. `Display` is one line, without the program's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit [`status`].
    pub status: i32,
    message: String,
    /// True if it did not get its turn among the requests in progress.
    waited: bool,
}

impl Invocation {
    /// Parses all arguments, without the command's name.
    ///
    /// # Errors
    /// [`status::USAGE`], naming the argument.
    pub fn parse(args: &[String]) -> Result<Invocation, Failure> {
        let mut options = Options::default();
        let mut words = args;
        while let [option, rest @ ..] = words
            && option.starts_with('-')
        {
            words = rest;
            // The value is an argument of its own, or follows the `=`.
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (option.as_str(), None),
            };
            match (name, value) {
                ("--include" | "-i", None) => options.include = true,
                ("--compressed", None) => options.compressed = true,
                ("--retry", _) => {
                    let value = value.or_else(|| {
                        let (value, rest) = words.split_first()?;
                        words = rest;
                        Some(value)
                    });
                    options.retries =
                        value.and_then(|value| value.parse().ok()).ok_or_else(|| {
                            usage("the option --retry has no number. Write one, such as --retry 3")
                        })?;
                }
                ("--", None) => break,
                _ => return Err(usage(format!("unknown option: got {option:?}"))),
            }
        }
        Invocation::new(options, words)
    }

    /// Parses `METHOD URL [HEADERS_JSON]`, after the options were removed.
    ///
    /// # Errors
    /// [`status::USAGE`], naming the argument.
    pub fn new(options: Options, words: &[String]) -> Result<Invocation, Failure> {
        let (method, url, headers) = match words {
            [] => return Err(usage("the METHOD is missing")),
            [_] => return Err(usage("the URL is missing")),
            [method, url] => (method, url, None),
            [method, url, headers] => (method, url, Some(headers)),
            [_, _, _, more, ..] => return Err(usage(format!("unexpected argument: got {more:?}"))),
        };
        let url = parse_outbound_url(url)?;
        Ok(Invocation {
            method: parse_method(method)?,
            url,
            headers: match headers {
                Some(headers) => parse_headers(headers)?,
                None => HeaderMap::from_iter([(CONTENT_TYPE, DEFAULT)]),
            },
            options,
        })
    }

    /// Sends the request, as its options say, and returns the bytes for stdout.
    ///
    /// # Errors
    /// A [`Failure`] by [`status`].
    pub async fn send(
        self,
        egress: &Egress,
        context: &Outbound<'_>,
        body: Bytes,
    ) -> Result<Bytes, Failure> {
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method;
        *request.headers_mut() = self.headers;
        // The body is attached for every method, and an empty one is stated as empty.
        let length = request.body().len();
        request
            .headers_mut()
            .entry(CONTENT_LENGTH)
            .or_insert(length.into());
        let context = Outbound {
            retries: self.options.retries,
            decode: self.options.compressed,
            ..*context
        };
        let response = egress.send_to(&context, self.url, request).await?;
        Ok(if self.options.include {
            with_head(response)
        } else {
            response.into_body()
        })
    }
}

impl Failure {
    /// The failure as the output of a command: its status, and its line on stderr.
    pub fn into_output(self) -> Output {
        let stderr = format!("http_proxy: {}\n", self.message);
        Output {
            status: self.status,
            stderr: stderr.into(),
            ..Output::default()
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match error.kind() {
            Kind::Url | Kind::Header => status::USAGE,
            Kind::Denied | Kind::Address => status::DENIED,
            Kind::Dns | Kind::Connect | Kind::Tls => status::UNREACHABLE,
            Kind::TimeoutConnect
            | Kind::TimeoutFirstByte
            | Kind::TimeoutIdle
            | Kind::TimeoutTotal
            | Kind::Busy => status::TIMEOUT,
            Kind::RequestTooLarge
            | Kind::ResponseTooLarge
            | Kind::TooManyRedirects
            | Kind::Encoded
            | Kind::Protocol => status::PROTOCOL,
        };
        let next = match error.kind() {
            // For an internal name, the function gets the same error as for a missing one.
            Kind::Dns => {
                ". Check its spelling; a name inside the server's network is reached only where its operator pins it \
                 (egress.pin)"
            }
            _ => "",
        };
        Failure {
            status,
            message: format!("{error}{next}"),
            waited: error.kind() == Kind::Busy,
        }
    }
}

fn parse_method(text: &str) -> Result<Method, Failure> {
    let method = METHODS
        .into_iter()
        .find(|method| method.as_str().eq_ignore_ascii_case(text));
    method.ok_or_else(|| {
        let known: Vec<_> = METHODS
            .iter()
            .map(|m| m.as_str().to_ascii_lowercase())
            .collect();
        let message = format!(
            "unknown method: got {text:?}. Use one of {}",
            known.join(", ")
        );
        Failure {
            status: status::USAGE,
            message,
            waited: false,
        }
    })
}

fn parse_headers(text: &str) -> Result<HeaderMap, Failure> {
    let wrong = |message: String| Failure {
        status: status::USAGE,
        message,
        waited: false,
    };
    let headers: Value = serde_json::from_str(text).map_err(|e| {
        wrong(format!(
            "HEADERS_JSON is not JSON: {e}. Write an object such as {{\"Accept\":\"text/html\"}}"
        ))
    })?;
    let Value::Object(headers) = headers else {
        let message = "HEADERS_JSON is not an object. Write one such as {\"Accept\":\"text/html\"}";
        return Err(wrong(message.to_owned()));
    };
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        let Value::String(value) = value else {
            return Err(wrong(format!(
                "HEADERS_JSON: the value of {name:?} is not a string"
            )));
        };
        let (name, value) = header(name, value)?;
        map.append(name, value);
    }
    Ok(map)
}

fn usage(message: impl std::fmt::Display) -> Failure {
    Failure {
        status: status::USAGE,
        message: format!("{message}; usage: {USAGE}"),
        waited: false,
    }
}

/// The response as `curl --include` prints it.
fn with_head(response: Response<Bytes>) -> Bytes {
    let (parts, body) = response.into_parts();
    let version = match parts.version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let reason = parts.status.canonical_reason().unwrap_or_default();
    let mut out = BytesMut::with_capacity(body.len() + 1024);
    out.put_slice(format!("{version} {} {reason}\r\n", parts.status.as_str()).as_bytes());
    for (name, value) in &parts.headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
    out.put_slice(&body);
    out.freeze()
}
