//! Arguments of a call as the fields of a form: `multipart/form-data`, `application/x-www-form-urlencoded`, or a query.
//!
//! A field is the argument of its name, unchanged: bytes need no base64, and a program can get a file as its stdin
//! together with arguments. For a function that does not name its arguments, the parts of a multipart form are the
//! arguments, in order.

use super::{BodyLimits, allowed_missing, json, misfit};
use crate::functions::LoadedFunction;
use crate::http::truncate;
use crate::multipart::{Part, PartLimit, boundary, split};
use crate::parsing::Budget;
use bytes::Bytes;
use iof_engine::json::is_json;
use iof_engine::{Arg, Export, Type};
use iof_fault::{Fault, FaultKind};

/// The name and the value of a field.
type Field = (Option<String>, Bytes);

/// The arguments in the parts of a multipart form.
///
/// # Errors
/// `multipart`, `multipart-parts`; `arguments`, naming the one that does not fit; the errors of the budget.
pub(super) fn of_parts(
    function: &LoadedFunction,
    export: &Export,
    content_type: &str,
    body: Bytes,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let most = PartLimit {
        number: limits.parts,
        setting: "server.multipart_parts",
    };
    let parts = split(boundary(content_type)?, body, most, budget)?;
    for part in parts.iter().filter(|part| !part.is_file) {
        part.utf8_only()?;
    }
    if export.signature.is_none() || export.described.is_none() {
        let arg = |part: Part| match part.is_file {
            true => Arg::Bytes(part.body),
            false => Arg::Text(part.body),
        };
        return Ok(parts.into_iter().map(arg).collect());
    }
    let fields = parts.into_iter().map(|part| (part.name, part.body));
    named(function, export, fields.collect(), limits, budget)
}

/// The arguments in the fields of a URL-encoded form (WHATWG URL, section 5.1).
///
/// # Errors
/// `form-fields`; `arguments`, naming the one that does not fit; the errors of the budget.
pub(super) fn of_fields(
    function: &LoadedFunction,
    export: &Export,
    text: &[u8],
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let most = limits.fields;
    if text.iter().filter(|byte| **byte == b'&').count() >= most as usize {
        let message = format!(
            "The form has more fields than server.form_fields = {most}. Send fewer, or JSON."
        );
        return Err(Fault::new(FaultKind::FormFields, message));
    }
    // The decoded form is no longer than the text.
    budget.take(text.len())?;
    budget.spend(text.len())?;
    let fields = url::form_urlencoded::parse(text);
    let fields =
        fields.map(|(name, value)| (Some(name.into_owned()), Bytes::from(value.into_owned())));
    named(function, export, fields.collect(), limits, budget)
}

/// Takes each argument from the field of its name.
fn named(
    function: &LoadedFunction,
    export: &Export,
    mut fields: Vec<Field>,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        return match fields.is_empty() {
            true => Ok(vec![]),
            false => Err(misfit(
                export,
                "it does not name its arguments, so a form cannot be matched to them",
            )),
        };
    };
    let mut args = Vec::with_capacity(signature.params.len());
    let params = signature.params.iter().zip(&described.params);
    for (at, (ty, param)) in params.enumerate() {
        let is_named = |field: &Field| field.0.as_deref() == Some(&*param.name);
        let found = fields.iter().position(is_named);
        let body = found.map(|found| fields.remove(found).1);
        if fields.iter().any(is_named) {
            let problem = format!("`{}` was sent more than once", param.name);
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
                let checked = json::argument(function, export, at, text, limits, budget);
                // Some types accept a missing argument as `null`.
                checked.map_err(|fault| if came { fault } else { missing() })?
            }
            (Type::Bytes, Some(body)) => Arg::Bytes(body),
            (_, Some(body)) => Arg::Text(body),
            (_, None) => allowed_missing(export, ty).ok_or_else(missing)?,
        });
    }
    match fields.first() {
        None => Ok(args),
        Some((name, _)) => {
            let name = name.as_deref().unwrap_or_default();
            let problem = format!("there is no `{}`", truncate(name));
            Err(misfit(export, &problem))
        }
    }
}
