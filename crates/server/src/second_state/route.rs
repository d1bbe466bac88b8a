//! The routes that run functions, and the form of results under each.

use crate::reply;
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};

/// A route that runs a function:
///
/// | path | answers |
/// |---|---|
/// | `/api/run/{wasm_id}/{function}` | the result as text |
/// | `/api/run/{wasm_id}/{function}/bytes` | the result unchanged |
/// | `/api/multipart/run/…` | the same, for several arguments |
///
/// These routes are not in the router. They get most of the requests, and the router's general mechanisms (a table of
/// routes, parameters by name, boxed middleware) were a thirtieth of the cost of such a request.
pub(super) struct Route {
    pub(super) id: String,
    pub(super) function: String,
    /// True if the result is sent as bytes.
    pub(super) bytes: bool,
    /// True if the body has several arguments.
    pub(super) multipart: bool,
}

impl Route {
    /// The route of a path of this API, if it runs a function.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        let (multipart, rest) = match path.strip_prefix("/api/multipart/run/") {
            Some(rest) => (true, rest),
            None => (false, path.strip_prefix("/api/run/")?),
        };
        let decode = |part: &str| {
            let bytes = percent_encoding::percent_decode_str(part);
            let text = bytes.decode_utf8().ok().filter(|text| !text.is_empty());
            text.map(|text| text.into_owned())
        };
        let mut parts = rest.split('/');
        let (id, function) = (decode(parts.next()?)?, decode(parts.next()?)?);
        let bytes = match (parts.next(), parts.next()) {
            (None, _) => false,
            (Some("bytes"), None) => true,
            _ => return None,
        };
        Some(Self {
            id,
            function,
            bytes,
            multipart,
        })
    }

    pub(super) fn content_type(&self) -> HeaderValue {
        if self.bytes {
            reply::OCTETS
        } else {
            reply::HTML
        }
    }

    /// A result under this route: as bytes, or as text.
    pub(super) fn encode(&self, value: Bytes) -> Response<Body> {
        let value = match String::from_utf8_lossy(&value) {
            std::borrow::Cow::Owned(text) if !self.bytes => text.into(),
            _ => value,
        };
        reply::ok(StatusCode::OK, self.content_type(), value)
    }
}
