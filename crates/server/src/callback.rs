//! Requests that a caller attaches to a call (fetches and callbacks), written as options of Node's `https` module.
//!
//! `{"hostname": "…", "path": "/…", "method": "POST", "port": 443, "headers": {…}, "maxRedirects":
//! 20}`. A fetch may be a bare URL, and may carry a `body` (`data` in the documentation of 2020), which is sent as
//! JSON. The original supported only https; `"protocol": "http:"` is Node's option for http. `"auth": "user:password"`
//! is `Authorization: Basic`. An unsupported option is refused by name.

use crate::wording;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use iof_engine::json::Scanner;
use iof_fault::{Fault, FaultKind};
use serde_json::{Map, Value as Json, json};
use url::Url;

/// The options of a callback.
const OPTIONS: [&str; 9] = [
    "auth",
    "headers",
    "host",
    "hostname",
    "maxRedirects",
    "method",
    "path",
    "port",
    "protocol",
];
/// The most characters of a refused option's name that are shown.
const LONGEST_NAME: usize = 64;
/// The options of a fetch in addition to those of a callback.
const BODY: [&str; 2] = ["body", "data"];
/// The most names, values and brackets in the JSON of one request.
const TOKENS: usize = 10_000;

/// A request to be made: a fetch, or a callback.
#[derive(Clone, Debug)]
pub(crate) struct RequestTarget {
    pub(crate) url: Url,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    /// The body of a fetch.
    pub(crate) body: Option<String>,
    pub(crate) max_redirects: Option<usize>,
    /// True if it was written as an object and not as a URL.
    pub(crate) is_object: bool,
}

impl RequestTarget {
    /// Reads a callback; `None` for `{}`, which stands for no callback.
    ///
    /// # Errors
    /// `callback`, naming the field.
    pub(crate) fn callback(text: &str) -> Result<Option<Self>, Fault> {
        let callback = |problem: String| {
            Fault::new(
                FaultKind::Callback,
                format!("The callback cannot be used: {problem}."),
            )
        };
        let fields = object(text).map_err(callback)?;
        if fields.is_empty() {
            return Ok(None);
        }
        served(&fields, &[]).map_err(callback)?;
        Self::of_fields(&fields, Method::POST)
            .map(Some)
            .map_err(callback)
    }

    /// Reads a fetch: a URL, or request options.
    ///
    /// # Errors
    /// `fetch`, naming the field.
    pub(crate) fn fetch(text: &str) -> Result<Self, Fault> {
        let fetch = |problem: String| {
            Fault::new(
                FaultKind::Fetch,
                format!("The fetch cannot be made: {problem}."),
            )
        };
        // The original distinguished a URL from options in this way.
        if text.starts_with("http") {
            let url =
                iof_egress::parse_outbound_url(text).map_err(|error| fetch(error.to_string()))?;
            return Ok(Self {
                url,
                method: Method::GET,
                headers: HeaderMap::new(),
                body: None,
                max_redirects: None,
                is_object: false,
            });
        }
        let fields = object(text).map_err(fetch)?;
        served(&fields, &BODY).map_err(fetch)?;
        let mut target = Self::of_fields(&fields, Method::GET).map_err(fetch)?;
        target.body = fields
            .get("body")
            .or_else(|| fields.get("data"))
            .map(Json::to_string);
        Ok(target)
    }

    /// The request for the log, without the values of its headers, which are often secrets.
    pub(crate) fn to_json(&self) -> Json {
        let headers: Map<_, _> = self
            .headers
            .keys()
            .map(|name| (name.to_string(), "(hidden)".into()))
            .collect();
        json!({
            "hostname": self.url.host_str(),
            "port": self.url.port_or_known_default(),
            "path": self.url.path(),
            "method": self.method.as_str(),
            "headers": headers,
        })
    }

    fn of_fields(fields: &Map<String, Json>, method: Method) -> Result<Self, String> {
        let text = |name: &str| match fields.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{name}` must be a text")),
        };
        let number = |name: &str| match fields.get(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Number(number)) => Ok(number.as_u64()),
            Some(Json::String(text)) => Ok(text.parse().ok()),
            Some(_) => Err(format!("`{name}` must be a number")),
        };
        let hostname = text("hostname")?.or(text("host")?);
        let hostname = hostname.ok_or("`hostname` is missing")?;
        let scheme = match text("protocol")? {
            None | Some("https:" | "https") => "https",
            Some("http:" | "http") => "http",
            Some(_) => return Err("`protocol` must be `https:` or `http:`".into()),
        };
        let port = match number("port")? {
            None if fields.get("port").is_some_and(|port| !port.is_null()) => {
                return Err("`port` must be a port number".into());
            }
            None => String::new(),
            Some(port) => format!(":{port}"),
        };
        let path = text("path")?.unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        let url =
            iof_egress::parse_outbound_url(&format!("{scheme}://{hostname}{port}{slash}{path}"))
                .map_err(|error| error.to_string())?;
        let method = match text("method")? {
            None => method,
            Some(text) => text
                .to_ascii_uppercase()
                .parse()
                .map_err(|_| "`method` must be an HTTP method".to_owned())?,
        };
        let max_redirects =
            number("maxRedirects")?.map(|most| usize::try_from(most).unwrap_or(usize::MAX));
        let mut headers = headers(fields.get("headers"))?;
        // As in Node, a header of that name takes precedence, and an empty text counts as none.
        if let Some(auth) = text("auth")?.filter(|auth| !auth.is_empty())
            && !headers.contains_key(AUTHORIZATION)
        {
            let basic = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(auth)));
            headers.insert(
                AUTHORIZATION,
                basic.map_err(|_| "`auth` is not a header value")?,
            );
        }
        Ok(Self {
            url,
            method,
            headers,
            body: None,
            max_redirects,
            is_object: true,
        })
    }
}

/// Refuses options that would otherwise be ignored silently: Node has options for sockets, agents and TLS, too.
fn served(fields: &Map<String, Json>, more: &[&str]) -> Result<(), String> {
    let mut given = fields.iter().filter(|(_, value)| !value.is_null());
    let other = given.find(|(name, _)| !OPTIONS.iter().chain(more).any(|known| known == name));
    match other {
        None => Ok(()),
        Some((name, _)) => {
            let known = [&OPTIONS, more].concat().join("`, `");
            let name: String = name.chars().take(LONGEST_NAME).collect();
            Err(format!(
                "`{name}` is not a supported option; leave it out, or use one of `{known}`"
            ))
        }
    }
}

fn object(text: &str) -> Result<Map<String, Json>, String> {
    // A tree takes a hundred times the memory of its text.
    let mut scanner = Scanner::new(text);
    let mut tokens = std::iter::from_fn(|| scanner.token().ok().flatten());
    if tokens.nth(TOKENS).is_some() {
        return Err(format!(
            "it has more than {TOKENS} names, values and brackets"
        ));
    }
    match serde_json::from_str(text) {
        Ok(Json::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is not a JSON object".into()),
        Err(error) => Err(format!("it is not JSON ({})", wording::of_json(&error))),
    }
}

/// The headers of a request, except for its length and its host, which this server sets.
fn headers(json: Option<&Json>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let fields = match json {
        None | Some(Json::Null) => return Ok(headers),
        Some(Json::Object(fields)) => fields,
        Some(_) => return Err("`headers` must be an object".into()),
    };
    for (name, value) in fields {
        let bad = || format!("`headers.{name}` must be a valid header name with a string value");
        let header: HeaderName = name.parse().map_err(|_| bad())?;
        if matches!(
            header,
            HOST | CONTENT_LENGTH | CONNECTION | TRANSFER_ENCODING
        ) {
            continue;
        }
        let value = match value {
            Json::String(text) => HeaderValue::from_str(text),
            Json::Number(number) => HeaderValue::from_str(&number.to_string()),
            _ => return Err(bad()),
        };
        headers.append(header, value.map_err(|_| bad())?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_options_become_a_request() {
        let target = RequestTarget::callback(
            r#"{"hostname":"api.example.com","path":"/v3/mail/send","method":"post","port":443,
                "headers":{"Content-Type":"application/json","Content-Length":3,"x":1},"maxRedirects":20}"#,
        )
        .unwrap()
        .unwrap();
        assert_eq!(target.url.as_str(), "https://api.example.com/v3/mail/send");
        assert_eq!(
            (target.method, target.max_redirects),
            (Method::POST, Some(20))
        );
        let names: Vec<_> = target.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x"]);
        let http = RequestTarget::fetch(
            r#"{"protocol":"http:","hostname":"a.test","port":"8080","path":"x","data":{"a":1}}"#,
        );
        let http = http.unwrap();
        assert_eq!(http.url.as_str(), "http://a.test:8080/x");
        assert_eq!(
            (http.method, http.body.as_deref()),
            (Method::GET, Some(r#"{"a":1}"#))
        );
        assert!(RequestTarget::callback("{}").unwrap().is_none());
    }

    #[test]
    fn auth_is_basic_unless_a_header_says_otherwise() {
        let of = |options: &str| {
            let target = RequestTarget::callback(&format!(r#"{{"hostname":"a.test",{options}}}"#));
            let target = target.unwrap().unwrap();
            let shown = target.to_json().to_string();
            assert!(!shown.contains("YWRhOnB3"), "{shown}");
            let value = target.headers.get(AUTHORIZATION).cloned();
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of(r#""auth":"ada:pw""#).as_deref(), Some("Basic YWRhOnB3"));
        assert_eq!(
            of(r#""auth":"ädä:\n""#).as_deref(),
            Some("Basic w6Rkw6Q6Cg==")
        );
        let both = r#""auth":"ada:pw","headers":{"Authorization":"Bearer x"}"#;
        assert_eq!(of(both).as_deref(), Some("Bearer x"));
        assert_eq!(of(r#""auth":"","agent":null"#), None);
        assert_eq!(
            RequestTarget::fetch(r#"{"hostname":"a.test","agent":{}}"#)
                .unwrap_err()
                .code(),
            "fetch"
        );
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, named) in [
            ("", "not JSON"),
            ("[]", "not a JSON object"),
            (r#"{"path":"/"}"#, "`hostname`"),
            (r#"{"hostname":7}"#, "`hostname`"),
            (r#"{"hostname":"a.test","port":"x"}"#, "`port`"),
            (r#"{"hostname":"a.test","port":99999}"#, "port"),
            (r#"{"hostname":"a.test","protocol":"file:"}"#, "`protocol`"),
            (r#"{"hostname":"a.test","method":"A B"}"#, "`method`"),
            (r#"{"hostname":"a.test","headers":[]}"#, "`headers`"),
            (
                r#"{"hostname":"a.test","headers":{"a b":"c"}}"#,
                "`headers.a b`",
            ),
            (
                r#"{"hostname":"a.test","headers":{"a":"b\nc"}}"#,
                "`headers.a`",
            ),
            (r#"{"hostname":"a.test@b.test"}"#, "user name"),
            (r#"{"hostname":"a.test","auth":["a","b"]}"#, "`auth`"),
            (
                r#"{"hostname":"a.test","rejectUnauthorized":false}"#,
                "`rejectUnauthorized`",
            ),
            (
                r#"{"hostname":"a.test","socketPath":"/run/x"}"#,
                "`socketPath`",
            ),
            (r#"{"hostname":"a.test","family":4}"#, "`family`"),
            (r#"{"hostname":"a.test","body":"x"}"#, "`body`"),
        ] {
            let fault = RequestTarget::callback(text).unwrap_err();
            assert_eq!(fault.code(), "callback");
            assert!(fault.message.contains(named), "{text}: {}", fault.message);
        }
        assert_eq!(RequestTarget::fetch("http:/x").unwrap_err().code(), "fetch");
        assert_eq!(RequestTarget::fetch("ftp://x").unwrap_err().code(), "fetch");
    }
}
