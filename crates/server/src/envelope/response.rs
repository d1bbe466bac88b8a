//! Responses of functions, and the headers that they may set.
//!
//! A response is served from the origin of this server's own pages, so a function chooses only headers whose effect
//! ends with its answer. They come from a list of allowed headers: a list of forbidden ones would let future features
//! of browsers and proxies through. The policy that the edge adds to every answer limits what HTML may do, and no
//! function can replace it.

use super::open;
use crate::wording;
use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, AGE, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING,
    CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, EXPIRES, LAST_MODIFIED,
    LOCATION, RETRY_AFTER, TRAILER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use iof_engine::{RESPONSE_HEADER_BYTES as HEADER_BYTES, RESPONSE_HEADERS as HEADERS, Value};
use iof_fault::{Fault, FaultKind};
use serde::Deserialize;

/// The longest head that is read, in bytes: each byte of a value may take six in JSON.
const HEAD: usize = 6 * HEADER_BYTES + (4 << 10);

/// Headers that affect only their own answer.
const ALLOWED: [HeaderName; 11] = [
    ALLOW,
    CACHE_CONTROL,
    CONTENT_DISPOSITION,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    LOCATION,
    RETRY_AFTER,
    VARY,
];

/// Prefixes of a function's own headers, some of which senders of webhooks require.
const OWN: [&str; 2] = ["x-", "webhook-"];
/// Prefixes of headers on which browsers, or proxies in front of this server, act.
const ACTED_ON: [&str; 20] = [
    "x-accel-",
    "x-cascade",
    "x-content-",
    "x-dns-prefetch-control",
    "x-envoy-",
    "x-frame-options",
    "x-lighttpd-",
    "x-litespeed-",
    "x-middleware-",
    "x-nf-",
    "x-now-",
    "x-permitted-cross-domain-policies",
    "x-proxy",
    "x-reproxy-",
    "x-robots-",
    "x-sendfile",
    "x-sourcemap",
    "x-ua-compatible",
    "x-webkit-",
    "x-xss-protection",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    status: u16,
    #[serde(default)]
    headers: Vec<(String, String)>,
}

/// Replaces a response that cannot be sent by the fault that states why.
pub(crate) fn check(result: &mut Result<Value, Fault>) {
    if let Ok(Value::Response(sealed)) = result
        && let Err(fault) = read(sealed)
    {
        *result = Err(fault);
    }
}

/// Reads the response that a function wrote.
///
/// # Errors
/// `response`, naming what cannot be sent; `response-head`.
pub(crate) fn read(sealed: &Bytes) -> Result<Response<Bytes>, Fault> {
    let (head, body) = open(sealed).ok_or_else(|| refused("is not a head and a body"))?;
    if head.len() > HEAD {
        return Err(too_large());
    }
    let head: Head = serde_json::from_slice(&head).map_err(|error| {
        refused(format_args!(
            "has an invalid head: {}",
            wording::of_json(&error)
        ))
    })?;
    let status = status(head.status, body.is_empty())?;
    let headers = headers(&head.headers)?;
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn status(number: u16, is_empty: bool) -> Result<StatusCode, Fault> {
    let status = (200..=599)
        .contains(&number)
        .then(|| StatusCode::from_u16(number));
    let Some(Ok(status)) = status else {
        return Err(refused(format_args!(
            "has an invalid status: got {number}. Use one from 200 to 599"
        )));
    };
    // RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5
    let bare = [
        StatusCode::NO_CONTENT,
        StatusCode::RESET_CONTENT,
        StatusCode::NOT_MODIFIED,
    ];
    if bare.contains(&status) && !is_empty {
        return Err(refused(format_args!(
            "has a body, which status {number} does not allow. Leave it out, or use another status"
        )));
    }
    Ok(status)
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, Fault> {
    let bytes = given.iter().map(|(name, value)| name.len() + value.len());
    if given.len() > HEADERS || bytes.sum::<usize>() > HEADER_BYTES {
        return Err(too_large());
    }
    let mut headers = HeaderMap::with_capacity(given.len());
    for (name, value) in given {
        let shown = crate::http::truncate(name);
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| refused(format_args!("has an invalid header name: got {shown:?}")))?;
        if !is_allowed(&name) {
            return Err(refused(format_args!(
                "sets the header `{shown}`, which no function may set. Leave it out; docs/guide/webhooks.md lists those that \
                 one may set"
            )));
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            refused(format_args!(
                "has a value of `{shown}` that is not a single line of text"
            ))
        })?;
        if headers.insert(name, value).is_some() {
            return Err(refused(format_args!(
                "sets `{shown}` twice. Join the values by a comma"
            )));
        }
    }
    Ok(headers)
}

fn is_allowed(name: &HeaderName) -> bool {
    let begins = |with: &str| name.as_str().starts_with(with);
    ALLOWED.contains(name)
        || (OWN.iter().any(|with| begins(with)) && !ACTED_ON.iter().any(|with| begins(with)))
}

/// Headers that a streamed response may have in addition: those of its body, and those that state which pages may read
/// it.
const OF_STREAM: [HeaderName; 6] = [
    ACCEPT_RANGES,
    AGE,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    TRAILER,
];
const CORS: &str = "access-control-";

/// Returns whether a streamed response may have a header.
pub(crate) fn may_leave(name: &HeaderName) -> bool {
    is_allowed(name) || OF_STREAM.contains(name) || name.as_str().starts_with(CORS)
}

fn refused(problem: impl std::fmt::Display) -> Fault {
    Fault::new(
        FaultKind::BadResponse,
        format!("The response of the function {problem}."),
    )
}

fn too_large() -> Fault {
    let message = format!(
        "The response of the function has more than {HEADERS} headers or {HEADER_BYTES} bytes of them. Set fewer, or put \
         them into the body."
    );
    Fault::new(FaultKind::ResponseHead, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::seal;
    use serde_json::json;

    fn of(head: &serde_json::Value, body: &[u8]) -> Result<Response<Bytes>, Fault> {
        read(&seal(head.to_string().as_bytes(), body))
    }

    #[test]
    fn a_response_has_the_status_and_headers_of_its_function() {
        let head = json!({"status": 201, "headers": [
            ["Content-Type", "text/plain"], ["x-hook-secret", "s"], ["WebHook-Allowed-Origin", "*"], ["location", "/x"],
        ]});
        let response = of(&head, b"body").unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["x-hook-secret"], "s");
        assert_eq!(response.body(), "body");
        for status in [200, 299, 302, 404, 599] {
            assert_eq!(
                of(&json!({ "status": status }), b"").unwrap().status(),
                status
            );
        }
    }

    #[test]
    fn what_reaches_beyond_the_answer_is_refused_by_name() {
        for name in [
            "set-cookie",
            "Set-Cookie",
            "clear-site-data",
            "content-security-policy",
            "content-security-policy-report-only",
            "access-control-allow-origin",
            "strict-transport-security",
            "alt-svc",
            "service-worker-allowed",
            "refresh",
            "www-authenticate",
            "permissions-policy",
            "cross-origin-opener-policy",
            "report-to",
            "nel",
            "link",
            "connection",
            "keep-alive",
            "transfer-encoding",
            "content-length",
            "content-encoding",
            "trailer",
            "upgrade",
            "date",
            "server",
            "iof-call",
            "iof-fault",
            "x-content-type-options",
            "x-frame-options",
            "x-accel-redirect",
            "x-sendfile",
            "x-envoy-immediate-health-check-fail",
            "x-xss-protection",
        ] {
            let fault = of(&json!({"status": 200, "headers": [[name, "x"]]}), b"").unwrap_err();
            assert_eq!(fault.kind, FaultKind::BadResponse, "{name}");
            assert!(
                fault.message.contains(&format!("`{name}`")),
                "{}",
                fault.message
            );
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for (head, body) in [
            (json!({"status": 101}), ""),
            (json!({"status": 199}), ""),
            (json!({"status": 600}), ""),
            (json!({"status": 70_000}), ""),
            (json!({"status": -1}), ""),
            (json!({}), ""),
            (json!({"status": 200, "more": 1}), ""),
            (json!({"status": 204}), "body"),
            (json!({"status": 304}), "body"),
            (json!({"status": 200, "headers": [["", "x"]]}), ""),
            (json!({"status": 200, "headers": [["x y", "x"]]}), ""),
            (
                json!({"status": 200, "headers": [["x-a", "a\r\nx-b: c"]]}),
                "",
            ),
            (json!({"status": 200, "headers": [["x-a", "a\u{0}"]]}), ""),
            (
                json!({"status": 200, "headers": [["x-a", "1"], ["X-A", "2"]]}),
                "",
            ),
        ] {
            let fault = of(&head, body.as_bytes()).unwrap_err();
            assert_eq!(fault.kind, FaultKind::BadResponse, "{head}");
        }
        for sealed in [&b""[..], b"{}", b"\xff\xff\xff\xff", b"\x02\0\0\0{x"] {
            let fault = read(&Bytes::from_static(sealed)).unwrap_err();
            assert_eq!(fault.kind, FaultKind::BadResponse);
        }
    }

    #[test]
    fn headers_are_bounded() {
        let many = |count: usize, value: usize| {
            let headers: Vec<_> = (0..count)
                .map(|at| [format!("x-{at}"), "v".repeat(value)])
                .collect();
            of(&json!({ "status": 200, "headers": headers }), b"").map(drop)
        };
        assert!(many(64, 200).is_ok());
        for refused in [many(65, 1), many(2, 9000), many(1, 1 << 20)] {
            assert_eq!(refused.unwrap_err().kind, FaultKind::ResponseHead);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_safe(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(&bytes.into());
        }
    }
}
