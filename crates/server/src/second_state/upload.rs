//! The upload of a module to the API of 2020, with its bytes in the body and all else in headers.

use super::answer::content_type_fault;
use super::request::{CREATE_USAGE_KEY, DESCRIPTION, header};
use crate::app::App;
use crate::deploy;
use crate::http::essence;
use axum::body::Body;
use http::HeaderMap;
use iof_fault::{Fault, FaultKind};
use iof_store::NewVersion;

/// The most characters of a description that are stored, as in the original. A description is a line for people.
const DESCRIPTION_LENGTH: usize = 255;

/// Reads the description of a function, and whether it is private, from the headers of an upload.
pub(super) fn wishes(headers: &HeaderMap) -> (String, bool) {
    let description = header(headers, &DESCRIPTION)
        .unwrap_or("undefined")
        .chars()
        .take(DESCRIPTION_LENGTH)
        .collect();
    let private = matches!(header(headers, &CREATE_USAGE_KEY), Some("true" | "True"));
    (description, private)
}

/// Reads, checks and compiles the module of a request.
///
/// # Errors
/// `content-type`, `module-size`, and the compiler's fault for the module.
pub(super) async fn take(app: &App, headers: &HeaderMap, body: Body) -> Result<NewVersion, Fault> {
    if essence(headers) != "application/octet-stream" {
        return Err(content_type_fault(
            "Content-Type must be application/octet-stream",
        ));
    }
    let limit = app.module_size;
    let held = app
        .bodies
        .read(headers, body, limit, || {
            Fault::new(
                FaultKind::ModuleSize,
                format!("The module is larger than compile.module_size = {limit}."),
            )
        })
        .await?;
    Ok(deploy::compile(app, held.bytes.clone()).await?.0)
}
