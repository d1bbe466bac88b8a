//! Conversion of a client's request to the arguments of a call, for every surface except that of 2020.
//!
//! | the function takes | arguments |
//! |---|---|
//! | the whole request | the request as bytes ([`envelope::request`](crate::envelope)) |
//! | its body, raw | the one argument: the body, of any content type |
//! | arguments, and the body is a JSON object | each by its name, if the function names them; else the one argument |
//! | arguments, and the body is a JSON array | each by its position |
//! | arguments, and the body is text or bytes | the one argument, unchanged |
//! | arguments, and the body is a form, or a query replaces it | each field by its name, unchanged |
//!
//! In JSON, an argument of bytes is a string in base64. JSON is read without building a tree. Only a value that is
//! checked against a schema becomes a tree, whose memory is counted and whose number of values is bounded.

mod form;
mod json;

pub(crate) use json::integer;

use crate::app::App;
use crate::caller::hides_key;
use crate::charset;
use crate::envelope::{self, SentHead};
use crate::functions::LoadedFunction;
use crate::http::{content_type, essence_of, truncate};
use crate::memory::{MemoryReservation, SMALL};
use crate::parsing::Budget;
use bytes::Bytes;
use http::Method;
use iof_engine::{Abi, Arg, BodyUse, Export, Type};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use tokio::time::Instant;

/// The limits of a body.
#[derive(Clone, Copy)]
struct BodyLimits {
    /// `server.json_depth`
    depth: u32,
    /// `server.json_values`
    values: u32,
    /// `server.schema_steps`
    steps: u64,
    /// `server.multipart_parts`
    parts: u32,
    /// `server.form_fields`
    fields: u32,
}

/// The part of a request that arguments are made of.
enum ArgumentSource {
    /// The whole request; its head is already encoded.
    Request(Vec<u8>),
    /// The body, unchanged.
    Raw,
    /// The body, read by its content type.
    Body,
    /// The query.
    Query(String),
}

/// Reads the arguments of a call, on this thread if the body is small.
///
/// # Errors
/// `arguments`, naming the one that does not fit; `json`, `content-type`, `charset`, `query`, `json-depth`,
/// `json-values`, `schema-steps`, `form-fields`, `multipart`, `multipart-parts`, `head-size`, and the errors of the
/// budget.
pub(crate) async fn read(
    app: &App,
    function: &Arc<LoadedFunction>,
    export: &str,
    sent: SentHead<'_>,
    body: &Bytes,
    deadline: Instant,
) -> Result<(Vec<Arg>, MemoryReservation), Fault> {
    let limits = BodyLimits {
        depth: app.settings.json_depth,
        values: app.settings.json_values,
        steps: app.settings.schema_steps,
        parts: app.settings.multipart_parts,
        fields: app.settings.form_fields,
    };
    // The call itself reports an unknown export.
    let Some(known) = function.code.manifest().export(export) else {
        return Ok((vec![], MemoryReservation::default()));
    };
    let given = match known.body_use() {
        BodyUse::Request => {
            let hides_key = hides_key(app, function, sent.headers);
            ArgumentSource::Request(envelope::request::head(sent, hides_key))
        }
        body_use => without_head(known, body_use, sent, body)?,
    };
    let content_type = content_type(sent.headers);
    if body.len() <= SMALL {
        let budget = &mut Budget::default();
        let args = of(
            function,
            known,
            (&given, content_type, body),
            limits,
            budget,
        );
        if !budget.needs_turn() {
            return Ok((args?, MemoryReservation::default()));
        }
    }
    // The next steps read and copy the body, which must not happen on the thread of a connection.
    iof_engine::leave().await;
    let (function, export) = (Arc::clone(function), export.to_owned());
    let (content_type, body) = (content_type.to_owned(), body.clone());
    let read = move |budget: &mut Budget| {
        let known = function.code.manifest().export(&export);
        let args = known.map(|known| {
            of(
                &function,
                known,
                (&given, &content_type, &body),
                limits,
                budget,
            )
        });
        args.unwrap_or_else(|| Ok(vec![]))
    };
    Box::pin(app.bodies.parse(deadline, read)).await
}

/// Chooses the part of a request that an export takes, and refuses a path or a query that nothing would read.
fn without_head(
    export: &Export,
    body_use: BodyUse,
    sent: SentHead<'_>,
    body: &Bytes,
) -> Result<ArgumentSource, Fault> {
    if !sent.path.is_empty() {
        let path: String = sent.path.chars().take(200).collect();
        return Err(Fault::new(
            FaultKind::NoSuchRoute,
            format!(
                "`{}` takes no path below its own: got {path}. Leave it out, or have the function take an `iof::Request`.",
                export.name
            ),
        ));
    }
    // A request without a body has its fields in the query.
    let is_query = body.is_empty() && [Method::GET, Method::HEAD].contains(sent.method);
    match body_use {
        BodyUse::Arguments if is_query => return Ok(ArgumentSource::Query(sent.query.to_owned())),
        _ if sent.query.is_empty() => {}
        _ => {
            let message = format!(
                "`{}` takes no query: got `?{}`. Leave it out; a function that takes `iof::Request` sees it.",
                export.name,
                truncate(sent.query)
            );
            return Err(Fault::new(FaultKind::Query, message));
        }
    }
    Ok(match body_use {
        BodyUse::Raw => ArgumentSource::Raw,
        _ => ArgumentSource::Body,
    })
}

fn of(
    function: &LoadedFunction,
    export: &Export,
    (given, content_type, body): (&ArgumentSource, &str, &Bytes),
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    match given {
        ArgumentSource::Request(head) => {
            budget.take(head.len() + body.len())?;
            budget.spend(body.len())?;
            Ok(vec![Arg::Request(envelope::seal(head, body))])
        }
        ArgumentSource::Raw => Ok(vec![raw(function, export, body, limits, budget)?]),
        ArgumentSource::Query(query) => {
            form::of_fields(function, export, query.as_bytes(), limits, budget)
        }
        ArgumentSource::Body => of_body(function, export, content_type, body, limits, budget),
    }
}

/// The body as the one argument of an export.
fn raw(
    function: &LoadedFunction,
    export: &Export,
    body: &Bytes,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Arg, Fault> {
    let params = export.signature.as_ref().map(|of| of.params.as_slice());
    let text = || {
        std::str::from_utf8(body).map_err(|error| {
            let at = error.valid_up_to();
            let message = format!(
                "The body is not UTF-8 from byte {at} on. `{}` takes a text: send one.",
                export.name
            );
            Fault::new(FaultKind::Arguments, message)
        })
    };
    budget.spend(body.len())?;
    match params {
        Some([Type::Bytes]) => Ok(Arg::Bytes(body.clone())),
        Some([Type::Json]) => {
            let text =
                std::str::from_utf8(body).map_err(|error| json::broken(error.valid_up_to()))?;
            let text = if body.is_empty() { "null" } else { text };
            json::check(text, limits.depth, budget)?;
            json::argument(function, export, 0, text, limits, budget)
        }
        _ => text().map(|_| Arg::Text(body.clone())),
    }
}

/// The arguments in a body, by its content type.
fn of_body(
    function: &LoadedFunction,
    export: &Export,
    content_type: &str,
    body: &Bytes,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let essence = essence_of(content_type);
    // An empty text can be an argument; an empty form has no fields.
    let has_fields = !matches!(&*essence, "" | "text/plain" | "application/octet-stream");
    match essence.as_str() {
        _ if body.is_empty() && has_fields && export.described.is_some() => {
            form::of_fields(function, export, body, limits, budget)
        }
        _ if body.is_empty() => Ok(vec![]),
        "application/octet-stream" => Ok(vec![Arg::Bytes(body.clone())]),
        "text/plain" | "" => {
            charset::utf8_only(content_type)?;
            Ok(vec![Arg::Text(body.clone())])
        }
        "application/json" => {
            charset::utf8_only(content_type)?;
            let text =
                std::str::from_utf8(body).map_err(|error| json::broken(error.valid_up_to()))?;
            json::read(function, export, text, body, limits, budget)
        }
        "multipart/form-data" => {
            form::of_parts(function, export, content_type, body.clone(), limits, budget)
        }
        "application/x-www-form-urlencoded" if export.described.is_some() => {
            charset::utf8_only(content_type)?;
            form::of_fields(function, export, body, limits, budget)
        }
        _ => Err(Fault::new(
            FaultKind::ContentType,
            "Content-Type must be application/json, text/plain, application/octet-stream, multipart/form-data or, for a \
             function that names its arguments, application/x-www-form-urlencoded. A function with \
             #[iof::function(raw)] takes any.",
        )),
    }
}

/// The value of an argument that a request lacks, if it may be missing: a program then has an empty stdin.
fn allowed_missing(export: &Export, ty: &Type) -> Option<Arg> {
    match (ty, export.abi) {
        (Type::String, Abi::Command) => Some(Arg::Text(Bytes::new())),
        _ => None,
    }
}

/// The fault of arguments that do not fit, with those that the export takes.
fn misfit(export: &Export, problem: &str) -> Fault {
    let params = export
        .described
        .iter()
        .flat_map(|described| &described.params);
    let names: Vec<_> = params.map(|param| format!("`{}`", param.name)).collect();
    let takes = match names.as_slice() {
        [] => "no arguments".to_owned(),
        names => names.join(", "),
    };
    Fault::new(
        FaultKind::Arguments,
        format!("`{}` takes {takes}; {problem}.", export.name),
    )
}
