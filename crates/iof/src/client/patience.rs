//! The time for which a client waits for an answer.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// Longer than the server's own limits of time.
const PATIENCE: Duration = Duration::from_secs(100);
/// The same for an upload, which is compiled before its answer: operators raise `compile.compile_time` for interpreters.
pub(super) const UPLOAD_PATIENCE: Duration = Duration::from_secs(600);

/// The longest time for an answer to a request with these headers. Modules are uploaded in forms.
pub(super) fn of(headers: &[(HeaderName, HeaderValue)]) -> Duration {
    let is_form = headers.iter().any(|(name, value)| {
        name == CONTENT_TYPE && value.as_bytes().starts_with(b"multipart/form-data")
    });
    match is_form {
        true => UPLOAD_PATIENCE,
        false => PATIENCE,
    }
}
