//! Surfaces of the server: what of it a path belongs to, and which manners answers there have towards browsers.
//!
//! | surface | CORS, preflights, a slash at the end, 404 for a wrong method | any other |
//! |---|---|---|
//! | [`SecondState`](Surface::SecondState): `/`, `/api`, what is nowhere | as in 2020 | |
//! | [`V1`](Surface::V1), [`Probe`](Surface::Probe) | none | 404 and 405 as JSON |
//!
//! Answers of `/api` show what callers and functions chose, under `text/html`, because clients of 2020 look at that type.
//! Every answer therefore carries a policy under which a browser that is led to it runs nothing of it, in an origin of
//! its own. Without keys, pages of other origins may run functions and read nothing else: whatever else is open is so
//! only because whoever reaches loopback is trusted, and that page is not.

use crate::app::App;
use crate::reply;
use axum::body::Body;
use http::header::{CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use iof_fault::{Fault, FaultKind};

/// Nothing of the answer runs or loads, its origin is opaque, and no page frames it (CSP 3; `sandbox`: HTML, section 7.5).
const POLICY: HeaderValue =
    HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");

/// A part of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    /// The API of 2020, and every path that is nobody's.
    SecondState {
        /// Whether pages of any origin may read the answer.
        cors: bool,
    },
    /// Our own API.
    V1,
    /// `/healthz`, `/readyz`.
    Probe,
}

impl Surface {
    pub(crate) fn of(app: &App, path: &str) -> Self {
        let below = |prefix| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if below("/v1") {
            Self::V1
        } else if below("/healthz") || below("/readyz") {
            Self::Probe
        } else {
            let runs = ["/api/run/", "/api/multipart/run/"];
            let cors = app.keys.are_set() || runs.iter().any(|run| path.starts_with(run));
            Self::SecondState { cors }
        }
    }

    pub(crate) fn is_second_state(self) -> bool {
        matches!(self, Self::SecondState { .. })
    }

    /// The answer to a request that is refused before anybody looks at it: for its host, its path or its origin; or to a
    /// browser that asks before it sends.
    pub(crate) fn early<B>(self, app: &App, request: &Request<B>) -> Option<Response<Body>> {
        let admitted = app.names.admit(request).and_then(|authority| {
            readable(request.uri().path())?;
            match self {
                Self::V1 if app.names.is_foreign(request, authority) => Err(foreign()),
                _ => Ok(()),
            }
        });
        if let Err(fault) = admitted {
            reply::log(&fault, "refused");
            return Some(reply::failure(&fault));
        }
        (self.is_second_state() && request.method() == Method::OPTIONS)
            .then(|| self.preflight(request.headers()))
    }

    /// The answer to a preflight: any method, and the headers that the browser named.
    fn preflight(self, asked: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let answer = response.headers_mut();
        answer.insert(
            header::VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
        if (self == Self::SecondState { cors: true }) {
            answer.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE"),
            );
            if let Some(asked) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
                answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
            }
        }
        response
    }

    /// Adds to an answer what a browser is told.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        if !headers.contains_key(CONTENT_SECURITY_POLICY) {
            headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if (self == Self::SecondState { cors: true }) {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            );
            headers.insert(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(
                    "iof-status,iof-fault,iof-message,iof-exit-status,iof-call,iof-request,iof-callback-status",
                ),
            );
        }
    }

    /// The answer to a path that leads nowhere, or to a method that a path does not have: Express knows no 405.
    pub(crate) fn nowhere<B>(self, request: &Request<B>) -> Response<Body> {
        let path: String = request.uri().path().chars().take(200).collect();
        match self {
            Self::SecondState { .. } => page_of_express(request.method(), &path),
            Self::V1 | Self::Probe => reply::failure(&Fault::new(
                FaultKind::NoSuchRoute,
                format!("There is nothing at {path}."),
            )),
        }
    }
}

/// The answer to a method that a path does not have; the router adds `Allow`.
pub(crate) async fn wrong_method(request: Request<Body>) -> Response<Body> {
    let message = format!(
        "Method {} is not allowed here. Use one that the header Allow names.",
        request.method()
    );
    reply::failure(&Fault::new(FaultKind::Method, message))
}

fn foreign() -> Fault {
    let message = "Pages of other origins have no access to /v1. Send the request from a program, or from a page of public_url.";
    Fault::new(FaultKind::Origin, message)
}

/// Refuses a path whose percent signs spell no text (RFC 3986, section 2.1).
fn readable(path: &str) -> Result<(), Fault> {
    if !path.contains('%') {
        return Ok(());
    }
    let mut parts = path.split('%').skip(1);
    let hexadecimal = parts.all(|part| {
        let digits = part.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let text = percent_encoding::percent_decode_str(path).decode_utf8();
    if hexadecimal && text.is_ok() {
        return Ok(());
    }
    let shown: String = path.chars().take(200).collect();
    let message =
        format!("Path is not percent-encoded UTF-8: got `{shown}`. Write a percent sign as %25.");
    Err(Fault::new(FaultKind::Path, message))
}

fn page_of_express(method: &Method, path: &str) -> Response<Body> {
    let path: String = path.chars().flat_map(escape).collect();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n\
         <pre>Cannot {method} {path}</pre>\n</body>\n</html>\n",
    );
    let mut response = reply::ok(StatusCode::NOT_FOUND, reply::HTML, page);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

fn escape(c: char) -> impl Iterator<Item = char> {
    let text: String = match c {
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '&' => "&amp;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        c => c.into(),
    };
    text.chars().collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_spell_text() {
        for path in ["/", "/a%20b", "/%C3%A9", "/%25", "/%2F%2e"] {
            assert!(readable(path).is_ok(), "{path}");
        }
        for path in [
            "/per%cent",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/%C3",
            "/%+1",
            "/a%%20",
        ] {
            assert_eq!(readable(path).unwrap_err().code(), "path", "{path}");
        }
    }
}
