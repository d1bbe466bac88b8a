//! The style and the script of the console. The style begins with that of the pages for callers, and the form of a call is
//! theirs, so that all of them are one product.

use crate::pages;
use axum::body::Body;
use axum::extract::Path;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The stylesheet.
pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let parts = [
        pages::STYLE,
        include_str!("style.css"),
        include_str!("tables.css"),
        include_str!("palette.css"),
    ];
    Asset::new("console.css", "text/css; charset=utf-8", parts.concat())
});

/// The script, one module of small files.
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let parts = [
        include_str!("scripts/shared.js"),
        pages::CALL_FORM,
        include_str!("scripts/live.js"),
        include_str!("scripts/actions.js"),
        include_str!("scripts/deploy.js"),
        include_str!("scripts/call.js"),
        include_str!("scripts/palette.js"),
        include_str!("scripts/start.js"),
    ];
    Asset::new(
        "console.js",
        "text/javascript; charset=utf-8",
        parts.concat(),
    )
});

/// A file of the console.
pub(super) struct Asset {
    /// Its address, which changes with its contents, so that a browser may keep it.
    pub(super) url: String,
    content_type: &'static str,
    text: String,
}

impl Asset {
    fn new(name: &str, content_type: &'static str, text: String) -> Self {
        let digest = hex::encode(Sha256::digest(&text));
        Self {
            url: format!(
                "/console/assets/{name}?v={}",
                digest.get(..16).unwrap_or_default()
            ),
            content_type,
            text,
        }
    }

    fn answer(&'static self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.text.as_str()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(
            CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        );
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        );
        response
    }
}

/// `/console/assets/{name}`: the same for everybody, signed in or not.
pub(super) async fn read(Path(name): Path<String>) -> Response<Body> {
    match name.as_str() {
        "console.css" => STYLE.answer(),
        "console.js" => SCRIPT.answer(),
        _ => {
            let path = format!("/console/assets/{name}");
            crate::reply::failure(&crate::reply::nothing_at(&path))
        }
    }
}
