//! Arguments of a call as the parts of a form: `multipart/form-data`.
//!
//! A part is the argument of its name, as it is: bytes need no base64, and a program gets a file as its stdin and words
//! beside it. Of a function that says no names, the parts are its arguments in their order.

use super::call::{allowed_missing, check, misfit};
use crate::app::App;
use crate::functions::Loaded;
use crate::second_state::multipart::{Part, parts};
use bytes::Bytes;
use http::HeaderMap;
use iof_engine::{Arg, Export, Fault, Type};

/// The arguments of a form.
///
/// # Errors
/// `multipart`, `multipart-parts`; `arguments`, naming the one that does not fit.
pub(super) async fn arguments(
    app: &App,
    function: &Loaded,
    export: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Vec<Arg>, Fault> {
    let parts = parts(headers, body, app.second_state.multipart_parts).await?;
    match function.code.manifest().export(export) {
        Some(export) => named(function, export, parts),
        // The call itself says what there is.
        None => Ok(vec![]),
    }
}

fn named(function: &Loaded, export: &Export, mut parts: Vec<Part>) -> Result<Vec<Arg>, Fault> {
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        let arg = |part: Part| match part.is_file {
            true => Arg::Bytes(part.body),
            false => Arg::Text(part.body),
        };
        return Ok(parts.into_iter().map(arg).collect());
    };
    let mut args = Vec::with_capacity(signature.params.len());
    let params = signature.params.iter().zip(&described.params);
    for (at, (ty, param)) in params.enumerate() {
        let found = parts.iter().position(|part| part.name == param.name);
        let arg = match found {
            Some(at) => of_part(ty, parts.swap_remove(at).body),
            None => allowed_missing(export, ty)
                .ok_or_else(|| misfit(export, &format!("`{}` is missing", param.name)))?,
        };
        if parts.iter().any(|part| part.name == param.name) {
            let problem = format!("`{}` came more than once", param.name);
            return Err(misfit(export, &problem));
        }
        if *ty == Type::Json {
            let (Arg::Text(json) | Arg::Bytes(json)) = &arg;
            let value = serde_json::from_slice(json).map_err(|error| {
                misfit(export, &format!("`{}` is not JSON: {error}", param.name))
            })?;
            check(function, export, at, &value)?;
        }
        args.push(arg);
    }
    match parts.first() {
        None => Ok(args),
        Some(part) => {
            let problem = format!("there is no `{}`", super::shown(&part.name));
            Err(misfit(export, &problem))
        }
    }
}

fn of_part(ty: &Type, body: Bytes) -> Arg {
    match ty {
        Type::Bytes => Arg::Bytes(body),
        _ => Arg::Text(body),
    }
}
