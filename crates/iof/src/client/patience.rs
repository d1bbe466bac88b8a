//! The time for which a client waits for an answer.

use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// The timeout of a request, longer than the server's own time limits.
const PATIENCE: Duration = Duration::from_secs(100);
/// The timeout of an upload, which is compiled before it is answered: operators raise `compile.compile_time` for
/// interpreters.
pub(super) const UPLOAD_PATIENCE: Duration = Duration::from_secs(600);

/// The timeout of a request with these headers. Modules are uploaded as forms.
pub(super) fn of(headers: &[(HeaderName, HeaderValue)]) -> Duration {
    let is_form = headers.iter().any(|(name, value)| {
        name == CONTENT_TYPE && value.as_bytes().starts_with(b"multipart/form-data")
    });
    match is_form {
        true => UPLOAD_PATIENCE,
        false => PATIENCE,
    }
}
