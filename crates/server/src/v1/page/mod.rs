//! `GET /v1/functions/{function}/try`: a page with a form for each export of a function.
//!
//! The page is the same for every function, and contains nothing about any: with the key of the page's reader, its
//! script fetches the function's own document and calls the function. Nothing is loaded from elsewhere.

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, Response, header};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("try.css");
const SCRIPT: &str = include_str!("try.js");

static PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>iof</title>\n<style>{STYLE}</style>\n<header><h1></h1><p>What it exports, to be called from here.</p>\n\
         <label hidden>Key <small>its usage key, or one of scope call</small><input id=\"key\" type=\"password\" autocomplete=\"off\"></label>\n\
         </header>\n<main></main>\n<noscript>This page calls functions with a script, which your browser does not run.</noscript>\n\
         <script>{SCRIPT}</script>\n"
    )
});

/// The page's own style and script, and requests to this server, and nothing else (CSP 3, section 2.3.1).
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

pub(super) async fn read() -> Response<Body> {
    let mut response = Response::new(Body::from(PAGE.as_str()));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(
        HeaderName::from_static("content-security-policy"),
        POLICY.clone(),
    );
    response
}
