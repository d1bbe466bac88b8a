//! Limits on the size of a request's head. The parser has higher limits of its own; its answers (400, 414 and 431) have
//! no body.

use crate::settings::Settings;
use http::Request;
use iof_fault::{Fault, FaultKind};

/// The fault of a head that is too large; `None` for any other head.
pub(crate) fn refusal<B>(settings: &Settings, request: &Request<B>) -> Option<Fault> {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len()) as u64;
    let most = settings.uri_size;
    if target > most.as_u64() {
        let message = format!(
            "The request's URI is too long: got {target} bytes, server.uri_size is {most}. Send long values in the body."
        );
        return Some(Fault::new(FaultKind::UriSize, message));
    }
    let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() as u64 + value.len() as u64
    };
    let fields: u64 = request.headers().iter().map(size).sum();
    let size = fields + request.method().as_str().len() as u64;
    let most = settings.head_size;
    if size > most.as_u64() {
        let message = format!(
            "The request's method and header fields are too large: got {size} bytes, server.head_size is {most}. Send fewer or shorter ones."
        );
        return Some(Fault::new(FaultKind::HeadSize, message));
    }
    None
}
