//! The stored callback of a function.

use super::answer::{bare_id, content_type_fault, error_body};
use super::request::{administered, of_admin, read_owned};
use crate::app::App;
use crate::callback::RequestTarget;
use crate::http::content_type;
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use http::{Request, Response};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;

/// The host of the original, for which no callback could be stored, because such callbacks called each other endlessly.
/// The host no longer exists, so a callback that names it is still a mistake.
const GONE: &str = "rpc.ssvm.secondstate.io";
const REFUSAL: &str = "Not allowed to store a callback to the rpc.ssvm.secondstate.io hostname in the database. Please utilise the SSVM_Callback feature in the request header if you want to execute a callback to this hostname";
const NOT_JSON: &str = "Must use Content-Type of application/json in the header, please check your request and try again";

/// `PUT /api/callback/{wasm_id}`: the body is the target of every call's result; `{}` removes it.
pub(super) async fn write(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let (parts, body) = request.into_parts();
    // The original's order is kept: errors in the callback come first.
    let written = async {
        let bytes = read_owned(&app, &parts.headers, body).await?;
        let callback = std::str::from_utf8(&bytes).unwrap_or_default();
        if callback.contains(GONE) {
            return Err(Fault::new(FaultKind::Callback, REFUSAL));
        }
        if content_type(&parts.headers) != "application/json" {
            return Err(content_type_fault(NOT_JSON));
        }
        let function = administered(&app, &id, &parts.headers).await?;
        RequestTarget::callback(callback)?;
        of_admin(&app, &function)
            .set_callback(function.function_id, callback.to_owned())
            .await?;
        app.functions.changed(function.function_id);
        Ok(())
    };
    let written = written.await;
    if let Err(fault) = &written
        && fault.message == REFUSAL
    {
        return reply::ok_but(fault, reply::HTML, error_body(REFUSAL));
    }
    bare_id(
        written,
        &id,
        error_body(&format!("{id} does not exist")),
        &format!("Wrong Admin key ... {id} can not be accessed."),
    )
}
