//! Arguments of a call as the parts of a form: `multipart/form-data`.
//!
//! A part is the argument of its name, as it is: bytes need no base64, and a program gets a file as its stdin and words
//! beside it. Of a function that says no names, the parts are its arguments in their order.

use super::arguments::{BodyLimits, allowed_missing, json, misfit};
use crate::functions::LoadedFunction;
use crate::http::truncate;
use crate::multipart::{MostParts, Part, boundary, split};
use crate::parsing::Budget;
use bytes::Bytes;
use iof_engine::json::is_json;
use iof_engine::{Arg, Export, Type};
use iof_fault::Fault;

/// The arguments of a form.
///
/// # Errors
/// `multipart`, `multipart-parts`; `arguments`, naming the one that does not fit; those of the budget.
pub(super) fn read(
    function: &LoadedFunction,
    export: &Export,
    content_type: &str,
    body: Bytes,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let most = MostParts {
        number: limits.parts,
        setting: "second_state.multipart_parts",
    };
    let mut parts = split(boundary(content_type)?, body, most, budget)?;
    for part in parts.iter().filter(|part| !part.is_file) {
        part.utf8_only()?;
    }
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
        let is_named = |part: &Part| part.name.as_deref() == Some(&*param.name);
        let found = parts.iter().position(is_named);
        let body = found.map(|found| parts.remove(found).body);
        if parts.iter().any(is_named) {
            let problem = format!("`{}` came more than once", param.name);
            return Err(misfit(export, &problem));
        }
        let missing = || misfit(export, &format!("`{}` is missing", param.name));
        args.push(match (ty, body) {
            (Type::Json, body) => {
                let came = body.is_some();
                let body = body.unwrap_or(Bytes::from_static(b"null"));
                let text = std::str::from_utf8(&body).ok();
                let text = text.filter(|text| is_json(text));
                let not_json = || misfit(export, &format!("`{}` is not JSON", param.name));
                let text = text.ok_or_else(not_json)?;
                budget.spend(text.len())?;
                let checked = json(function, export, at, text, limits, budget);
                // Which some types take.
                checked.map_err(|fault| if came { fault } else { missing() })?
            }
            (Type::Bytes, Some(body)) => Arg::Bytes(body),
            (_, Some(body)) => Arg::Text(body),
            (_, None) => allowed_missing(export, ty).ok_or_else(missing)?,
        });
    }
    match parts.first() {
        None => Ok(args),
        Some(part) => {
            let name = part.name.as_deref().unwrap_or_default();
            let problem = format!("there is no `{}`", truncate(name));
            Err(misfit(export, &problem))
        }
    }
}
