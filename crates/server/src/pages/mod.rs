//! Pages for people: the list of functions at `/`, and a page from which to call a function.
//!
//! A page is the same for everyone, and contains nothing about any function: its script requests `/v1` with the key
//! that the reader typed. Answers are inserted into the page as text. Nothing is loaded from elsewhere, and a key is
//! kept in the storage of the browser's tab, under an origin that no function has (decisions 22 and 40).

use crate::reply;
use axum::Router;
use axum::body::Body;
use axum::routing::get;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{self, ACCEPT};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style of these pages, with which the console's style begins.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The script of the form of a call, which the console uses, too. It takes `base`, the address of the function, and
/// `key` and `headers`, which authorise a request.
pub(crate) const CALL_FORM: &str = concat!(
    include_str!("element.js"),
    include_str!("json.js"),
    include_str!("field.js"),
    include_str!("request.js"),
    include_str!("answer.js"),
    include_str!("form.js"),
);

/// `/`, on a server with a console.
static INDEX: LazyLock<Page> = LazyLock::new(|| index(include_str!("index.html")));

/// `/`, on a server whose console is switched off.
static INDEX_ONLY: LazyLock<Page> = LazyLock::new(|| {
    let lines = include_str!("index.html").lines();
    let without = lines.filter(|line| !line.contains("id=\"console\""));
    index(&without.map(|line| format!("{line}\n")).collect::<String>())
});

fn index(html: &str) -> Page {
    Page::new(
        html,
        &[
            include_str!("element.js"),
            include_str!("shared.js"),
            include_str!("index.js"),
        ],
    )
}

/// `/v1/functions/{function}/try`
static FUNCTION: LazyLock<Page> = LazyLock::new(|| {
    Page::new(
        include_str!("function.html"),
        &[
            include_str!("shared.js"),
            CALL_FORM,
            include_str!("function.js"),
        ],
    )
});

/// A page, and its policy.
struct Page {
    html: String,
    policy: HeaderValue,
}

impl Page {
    fn new(body: &str, scripts: &[&str]) -> Self {
        let script = scripts.concat();
        let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
        // The policy allows the page's own style and script, requests to this server, and images in a function's
        // result, and nothing else (CSP 3, section 2.3.1). A script that turned a text into markup would fail (Trusted
        // Types).
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src blob: data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
            hash(STYLE),
            hash(&script)
        );
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<style>{STYLE}</style>\n{body}<script type=\"module\">{script}</script>\n"
        );
        Self {
            html,
            policy: HeaderValue::from_str(&policy)
                .unwrap_or(HeaderValue::from_static("default-src 'none'")),
        }
    }

    fn answer(&'static self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.html.as_str()));
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, reply::HTML),
            (
                header::REFERRER_POLICY,
                HeaderValue::from_static("no-referrer"),
            ),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            (header::CONTENT_SECURITY_POLICY, self.policy.clone()),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                HeaderValue::from_static("same-origin"),
            ),
        ] {
            headers.insert(name, value);
        }
        response
    }
}

/// The page of the root, which leads to the console if there is one.
pub(crate) fn router(console: bool) -> Router {
    let index = async move || {
        let mut response = match console {
            true => INDEX.answer(),
            false => INDEX_ONLY.answer(),
        };
        let accept = HeaderValue::from_static("accept");
        response.headers_mut().insert(header::VARY, accept);
        response
    };
    Router::new()
        .route("/", get(index))
        .fallback(reply::no_such_route)
}

/// The page of a function.
pub(crate) async fn function() -> Response<Body> {
    FUNCTION.answer()
}

/// Returns whether a browser requests the root to show a page. Any other client gets the answer for programs.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    if request.uri().path() != "/" || ![Method::GET, Method::HEAD].contains(request.method()) {
        return false;
    }
    let headers = request.headers();
    // Some browsers state the mode; a script that fetches the root shows no page.
    let mode = headers.get("sec-fetch-mode");
    mode.is_none_or(|mode| mode == "navigate")
        && headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(is_html)
}

/// Returns whether a media range (RFC 9110, section 12.5.1) is that of HTML, and accepted.
fn is_html(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let is_type = parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case("text/html"));
    let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    is_type && weight.is_none_or(|weight| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_page(method: &Method, target: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        is_asked_for(&request.body(()).unwrap())
    }

    #[test]
    fn a_page_is_for_who_goes_there_to_read_it() {
        const FIREFOX: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for accept in [FIREFOX, "text/html", "a/b, TEXT/HTML ; q=0.1"] {
            assert!(
                is_page(&Method::GET, "/", &[("accept", accept)]),
                "{accept}"
            );
            assert!(is_page(&Method::HEAD, "/?x", &[("accept", accept)]));
            assert!(!is_page(&Method::POST, "/", &[("accept", accept)]));
            for path in ["/api", "/v1", "//", "/index.html"] {
                assert!(
                    !is_page(&Method::GET, path, &[("accept", accept)]),
                    "{path}"
                );
            }
        }
        for accept in [
            "",
            "*/*",
            "text/*",
            "application/json",
            "text/html;q=0",
            "text/html;q=x",
            "text/html5",
        ] {
            assert!(
                !is_page(&Method::GET, "/", &[("accept", accept)]),
                "{accept}"
            );
        }
        assert!(!is_page(&Method::GET, "/", &[]));
        let mode = |mode| [("accept", FIREFOX), ("sec-fetch-mode", mode)];
        assert!(is_page(&Method::GET, "/", &mode("navigate")));
        assert!(!is_page(&Method::GET, "/", &mode("cors")));
    }

    #[test]
    fn no_script_ends_early() {
        for page in [&INDEX, &INDEX_ONLY, &FUNCTION] {
            assert_eq!(page.html.matches("</script").count(), 1);
            assert_eq!(page.html.matches("</style").count(), 1);
            assert_ne!(page.policy, "default-src 'none'");
        }
    }
}
