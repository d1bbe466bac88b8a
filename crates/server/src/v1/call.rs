//! `POST /v1/functions/{function}/call/{export}`: one call, answered at once or, with `Prefer: respond-async`, later.
//!
//! | body | arguments |
//! |---|---|
//! | JSON, an object | each by its name, where the function says names; else the one argument |
//! | JSON, an array | each by its place |
//! | text, bytes | the one argument, as it is |
//! | a form (`multipart/form-data`) | each part by its name, as it is |
//!
//! In JSON an argument of bytes is a string in base64. A result is a body of its own type: text, bytes, or JSON.

use super::jobs::JobRequest;
use super::{Problem, access, answer, failed, form};
use crate::app::App;
use crate::call::{self, SIGNATURE, Wish};
use crate::functions::{Loaded, no_such_function};
use crate::reply;
use axum::body::Body;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use iof_engine::{Abi, Arg, Export, Fault, StatedSignature, Type, Value};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use tokio::time::Instant;
use utoipa::ToSchema;

/// A call that goes on.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Where its outcome will be: `/v1/jobs/{job}`.
    job: String,
}

/// Call a function
///
/// A public function is called by anybody; a private one with its usage key, or a key of scope `call`.
#[utoipa::path(post, path = "/functions/{function}/call/{export}", operation_id = "call", tag = "calls",
    params(
        ("function" = String, Path, description = "Its number or name"),
        ("export" = String, Path, description = "What of it is called"),
        ("Prefer" = Option<String>, Header, description = "`respond-async`: answer 202, and keep the outcome to be fetched"),
        ("iof-signature" = Option<String>, Header, description = "The types of a function that does not say them: `(i32, i32) -> i32`"),
    ),
    request_body(content((Json = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"), (Object = "multipart/form-data"))),
    security((), ("key" = [])),
    responses(
        (status = 200, description = "What it returned: text, bytes or JSON", content(
            (Json = "application/json"), (String = "text/plain"), (Vec<u8> = "application/octet-stream"))),
        (status = 202, body = Accepted),
        (status = 204, description = "It returned nothing."),
        (status = "default", body = Problem)))]
pub(super) async fn call(
    State(app): State<Arc<App>>,
    Path((id, export)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let call = reply::new_id();
    let mut response = match run(&app, call, &id, &export, request).await {
        Ok(response) => response,
        Err(fault) => failed(&fault),
    };
    reply::of_call(&mut response, call);
    response
}

async fn run(
    app: &Arc<App>,
    id: uuid::Uuid,
    function: &str,
    export: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Fault> {
    let (parts, body) = request.into_parts();
    let function = find(app, function).await?;
    let keys = (function.usage_key.as_ref(), &function.admin_key);
    access::call(app, function.id, keys, &parts.headers).await?;
    if let Some(pace) = &function.granted.pace {
        pace.count()?;
    }
    let deadline = Instant::now() + function.granted.limits.wall_time;
    let stated = parts.headers.get(SIGNATURE);
    let stated = stated.map(|text| text.to_str().unwrap_or_default());
    let signature = stated.map(StatedSignature::parse).transpose()?;
    let most = app.settings.request_body;
    let too_large = || {
        let message = format!("The body is larger than server.request_body = {most}.");
        Fault::limit("request-body", 413, message)
    };
    let held = app.bodies.read(body, most, too_large).await?;
    let args = match essence(&parts.headers).as_str() {
        "multipart/form-data" => {
            let body = held.bytes.clone();
            form::arguments(app, &function, export, &parts.headers, body).await?
        }
        _ => arguments(&function, export, &parts.headers, &held.bytes)?,
    };
    if later(&parts.headers) {
        let request = JobRequest::of(&args, stated);
        let job = app.jobs.submit(app, id, &function, export, request).await?;
        let accepted = Accepted {
            job: job.to_string(),
        };
        let mut response = answer(StatusCode::ACCEPTED, Ok(accepted));
        if let Ok(place) = HeaderValue::from_str(&format!("/v1/jobs/{job}")) {
            response.headers_mut().insert(header::LOCATION, place);
        }
        return Ok(response);
    }
    let wish = Wish {
        export,
        args,
        stated,
        signature: signature.as_ref(),
    };
    let context = call::context(&function, id, 0, deadline);
    let outcome = call::run(app, &function, context, wish, held).await?;
    Ok(body_of(outcome.result?))
}

/// The function of a path, ready to be called.
async fn find(app: &App, id: &str) -> Result<Arc<Loaded>, Fault> {
    let unknown = || no_such_function(super::shown(id));
    if id.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = access::number(app, id).await?.ok_or_else(unknown)?;
        return app.functions.get(number).await;
    }
    let number = app.functions.named(id).await?.ok_or_else(unknown)?;
    match app.functions.get(number).await {
        // The name of a function that is gone may belong to another one now.
        Err(fault) if fault.code == "no-such-function" => {
            app.functions.forget(id);
            let number = app.functions.named(id).await?.ok_or_else(unknown)?;
            app.functions.get(number).await
        }
        other => other,
    }
}

/// Whether the client would rather fetch the outcome (RFC 7240, section 4.1).
fn later(headers: &HeaderMap) -> bool {
    let wishes = headers.get_all("prefer").iter();
    wishes
        .filter_map(|wish| wish.to_str().ok())
        .flat_map(|wish| wish.split(','))
        .any(|wish| wish.trim().eq_ignore_ascii_case("respond-async"))
}

/// The type of a body, without parameters.
fn essence(headers: &HeaderMap) -> String {
    let content_type = headers.get(header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.to_ascii_lowercase()
}

/// The arguments of a body.
///
/// # Errors
/// `arguments`, naming the one that does not fit; `json`, `content-type`.
fn arguments(
    function: &Loaded,
    name: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Vec<Arg>, Fault> {
    match essence(headers).as_str() {
        _ if body.is_empty() => Ok(vec![]),
        "application/octet-stream" => Ok(vec![Arg::Bytes(body.clone())]),
        "text/plain" | "" => Ok(vec![Arg::Text(body.clone())]),
        "application/json" => {
            let json: Json = serde_json::from_slice(body)
                .map_err(|error| Fault::client("json", format!("The body is no JSON: {error}.")))?;
            match function.code.manifest().export(name) {
                Some(export) => of_json(function, export, json, body),
                // The call itself says what there is.
                None => Ok(vec![]),
            }
        }
        _ => Err(Fault::client(
            "content-type",
            "Content-Type must be application/json, text/plain, application/octet-stream or multipart/form-data.",
        )
        .with_status(415)),
    }
}

fn of_json(
    function: &Loaded,
    export: &Export,
    json: Json,
    body: &Bytes,
) -> Result<Vec<Arg>, Fault> {
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        // A module that says no names: an array is its arguments, all else is its one argument.
        return Ok(vec![match json {
            Json::String(text) => Arg::Text(text.into()),
            _ => Arg::Text(body.clone()),
        }]);
    };
    let values: Vec<Option<Json>> = match json {
        Json::Object(mut object) => {
            let named = described.params.iter();
            let values = named
                .map(|param| object.shift_remove(&param.name))
                .collect();
            unknown(export, &object)?;
            values
        }
        Json::Array(values) => values.into_iter().map(Some).collect(),
        _ => {
            return Err(misfit(
                export,
                "the body is an object of its arguments by name, or an array of them",
            ));
        }
    };
    if values.len() > signature.params.len() {
        return Err(misfit(export, &format!("{} arguments came", values.len())));
    }
    let none = || std::iter::repeat_with(|| None);
    let params = signature.params.iter().zip(&described.params);
    params
        .zip(values.into_iter().chain(none()))
        .enumerate()
        .map(|(at, ((ty, param), value))| {
            let missing = || misfit(export, &format!("`{}` is missing", param.name));
            let Some(value) = value else {
                let arg = allowed_missing(export, ty).ok_or_else(missing)?;
                if *ty == Type::Json {
                    check(function, export, at, &Json::Null).map_err(|_| missing())?;
                }
                return Ok(arg);
            };
            if *ty == Type::Json {
                check(function, export, at, &value)?;
            }
            argument(ty, value).ok_or_else(|| {
                misfit(
                    export,
                    &format!("`{}` must be {}", param.name, in_words(ty)),
                )
            })
        })
        .collect()
}

/// What stands for an argument that did not come, where one may be missing: `null` as JSON, which some types take, and
/// nothing as the stdin of a program.
pub(super) fn allowed_missing(export: &Export, ty: &Type) -> Option<Arg> {
    match (ty, export.abi) {
        (Type::Json, _) => Some(Arg::Text(Bytes::from_static(b"null"))),
        (Type::String, Abi::Command) => Some(Arg::Text(Bytes::new())),
        _ => None,
    }
}

/// Checks a value against the schema of its argument, if that has one.
pub(super) fn check(
    function: &Loaded,
    export: &Export,
    at: usize,
    value: &Json,
) -> Result<(), Fault> {
    let exports = &function.code.manifest().exports;
    function.schemas.check(exports, export, at, value)
}

fn unknown(export: &Export, rest: &Map<String, Json>) -> Result<(), Fault> {
    match rest.keys().next() {
        None => Ok(()),
        Some(name) => Err(misfit(
            export,
            &format!("there is no `{}`", super::shown(name)),
        )),
    }
}

/// Says what would have fitted.
pub(super) fn misfit(export: &Export, problem: &str) -> Fault {
    let params = export
        .described
        .iter()
        .flat_map(|described| &described.params);
    let names: Vec<_> = params.map(|param| format!("`{}`", param.name)).collect();
    let takes = match names.as_slice() {
        [] => "no arguments".to_owned(),
        names => names.join(", "),
    };
    Fault::client(
        "arguments",
        format!("`{}` takes {takes}; {problem}.", export.name),
    )
}

/// A value of JSON as an argument of a type.
fn argument(ty: &Type, value: Json) -> Option<Arg> {
    Some(match (ty, value) {
        (Type::String, Json::String(text)) => Arg::Text(text.into()),
        (Type::Bytes, Json::String(text)) => Arg::Bytes(BASE64_STANDARD.decode(text).ok()?.into()),
        (Type::Json, value) => Arg::Text(value.to_string().into()),
        (Type::Bool, Json::Bool(value)) => Arg::Text(value.to_string().into()),
        (Type::Unit | Type::String | Type::Bytes | Type::Bool, _) => return None,
        // The engine knows the ranges.
        (_, Json::Number(number)) => {
            let whole = super::integer(&number).map(|number| number.to_string());
            Arg::Text(whole.unwrap_or_else(|| number.to_string()).into())
        }
        _ => return None,
    })
}

fn in_words(ty: &Type) -> &'static str {
    match ty {
        Type::String => "a string",
        Type::Bytes => "bytes, a string in base64",
        Type::Bool => "true or false",
        _ => "a number",
    }
}

/// The type that a result is sent under, and its bytes.
pub(super) fn typed(value: Value) -> (Option<HeaderValue>, Bytes) {
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    let content_type = match &value {
        Value::Unit => None,
        Value::Text(_) => Some(TEXT),
        Value::Bytes(_) => Some(reply::OCTETS),
        // What JSON has no number for.
        Value::F32(n) if !n.is_finite() => Some(TEXT),
        Value::F64(n) if !n.is_finite() => Some(TEXT),
        Value::Bool(_) | Value::Integer(_) | Value::F32(_) | Value::F64(_) | Value::Json(_) => {
            Some(reply::JSON)
        }
    };
    (content_type, value.into_body())
}

fn body_of(value: Value) -> Response<Body> {
    let (content_type, body) = typed(value);
    match content_type {
        Some(content_type) => reply::ok(StatusCode::OK, content_type, body),
        None => super::no_content(Ok(())),
    }
}
