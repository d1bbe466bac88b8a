//! Arguments in a body of JSON.

use super::{BodyLimits, allowed_missing, misfit};
use crate::functions::LoadedFunction;
use crate::http::truncate;
use crate::json::{Failure, RewriteOptions, Style, too_deep};
use crate::parsing::Budget;
use crate::wording;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use iof_engine::json::{Scanner, Token};
use iof_engine::{Arg, Export, Type};
use iof_fault::{Fault, FaultKind};
use serde_json::Value as Json;

/// The bytes of memory that one value of a JSON tree takes, and an object's additional bytes.
const VALUE: usize = 220;
const OBJECT: usize = 520;

/// The deepest nesting of an argument that is checked against a schema: its tree is read recursively.
const CHECKED_DEPTH: u32 = 127;

/// The JSON text of each argument; `None` if the body lacks it.
type Pieces<'a> = Vec<Option<&'a str>>;

/// The arguments of a body.
///
/// # Errors
/// `arguments`, naming the one that does not fit; `json`, `json-depth`, `json-values`, `schema-steps`, and the errors
/// of the budget.
pub(super) fn read(
    function: &LoadedFunction,
    export: &Export,
    text: &str,
    body: &Bytes,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        // For a module that does not name its arguments, an array holds the arguments, and any other value is the one
        // argument.
        pieces(text, |_| None, 0, limits.depth, budget)?;
        budget.take(text.len())?;
        return Ok(vec![Arg::Text(match unquoted(text.trim()) {
            Some(text) => text.into(),
            None => body.clone(),
        })]);
    };
    let params = &described.params;
    let place = |name: &str| params.iter().position(|param| param.name == name);
    let count = signature.params.len();
    let pieces = match pieces(text, place, count, limits.depth, budget)? {
        Shape::Object {
            unknown: Some(name),
            ..
        } => {
            return Err(misfit(
                export,
                &format!("there is no `{}`", truncate(&name)),
            ));
        }
        Shape::Array { came, .. } if came > count => {
            return Err(misfit(export, &format!("got {came} arguments")));
        }
        Shape::Object { pieces, .. } | Shape::Array { pieces, .. } => pieces,
        Shape::Other => {
            return Err(misfit(
                export,
                "the body is an object of its arguments by name, or an array of them",
            ));
        }
    };
    let types = signature.params.iter().zip(params).zip(pieces);
    types
        .enumerate()
        .map(|(at, ((ty, param), piece))| {
            let missing = || misfit(export, &format!("`{}` is missing", param.name));
            if *ty == Type::Json {
                let checked = argument(
                    function,
                    export,
                    at,
                    piece.unwrap_or("null"),
                    limits,
                    budget,
                );
                // Some types accept a missing argument as `null`.
                return match piece {
                    Some(_) => checked,
                    None => checked.map_err(|_| missing()),
                };
            }
            let Some(piece) = piece else {
                return allowed_missing(export, ty).ok_or_else(missing);
            };
            budget.take(2 * piece.len())?;
            of_piece(ty, piece).ok_or_else(|| {
                misfit(
                    export,
                    &format!("`{}` must be {}", param.name, in_words(ty)),
                )
            })
        })
        .collect()
}

/// The shape of a body, and the text of each argument in it.
enum Shape<'a> {
    Object {
        pieces: Pieces<'a>,
        /// A name that no argument has.
        unknown: Option<String>,
    },
    Array {
        pieces: Pieces<'a>,
        came: usize,
    },
    Other,
}

/// Reads a text to its end, and finds the arguments in it. Of two fields with the same name, the last counts.
fn pieces<'a>(
    text: &'a str,
    place: impl Fn(&str) -> Option<usize>,
    count: usize,
    depth: u32,
    budget: &mut Budget,
) -> Result<Shape<'a>, Fault> {
    let mut scanner = Scanner::new(text);
    let (mut pieces, mut unknown, mut came) = (vec![None; count], None, 0);
    // The index of the argument that comes next, and the position at which it begins.
    let (mut next, mut start) = (None, None);
    let mut outermost = None;
    while let Some((token, piece)) = scanner.token().map_err(|error| broken(error.at))? {
        budget.spend(piece.len() + 1)?;
        if scanner.depth() > depth as usize {
            return Err(too_deep(depth));
        }
        let end = scanner.position();
        let Some(outermost) = outermost else {
            outermost = Some(token);
            continue;
        };
        match token {
            Token::Key if scanner.depth() == 1 => {
                let name = unquoted(piece).ok_or_else(|| broken(end))?;
                next = place(&name);
                if next.is_none() {
                    unknown.get_or_insert(name);
                }
                continue;
            }
            Token::EndObject | Token::EndArray | Token::Key => {}
            _ => {
                start.get_or_insert(end - piece.len());
            }
        }
        if scanner.depth() == 1
            && let Some(start) = start.take()
        {
            if outermost == Token::BeginArray {
                next = Some(came);
                came += 1;
            }
            if let Some(slot) = next.and_then(|at| pieces.get_mut(at)) {
                *slot = text.get(start..end);
            }
        }
    }
    Ok(match outermost {
        Some(Token::BeginObject) => Shape::Object { pieces, unknown },
        Some(Token::BeginArray) => Shape::Array { pieces, came },
        _ => Shape::Other,
    })
}

/// Rewrites JSON as an argument, with each name once, and checks it against the argument's schema, if it has one.
pub(super) fn argument(
    function: &LoadedFunction,
    export: &Export,
    at: usize,
    piece: &str,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Arg, Fault> {
    let params = export.described.iter().flat_map(|said| &said.params);
    let schema = params.skip(at).map(|param| &param.schema).next();
    let is_checked = schema.is_some_and(Option::is_some);
    let depth = if is_checked {
        limits.depth.min(CHECKED_DEPTH)
    } else {
        limits.depth
    };
    let rewriting = RewriteOptions::new(Style::AsWritten, depth);
    let json = rewriting.run(piece, budget).map_err(|failure| match failure {
        Failure::NotJson => Fault::new(
            FaultKind::Json,
            "The body has a number that no double can hold, or an unpaired surrogate. Send it as a string, or leave it out.",
        ),
        Failure::TooDeep(depth) if depth < limits.depth => Fault::new(
            FaultKind::JsonDepth,
            format!("The argument is nested deeper than {depth}, the most for one with a JSON Schema. Nest it less deeply."),
        ),
        Failure::TooDeep(depth) => too_deep(depth),
        Failure::Fault(fault) => fault,
    })?;
    if is_checked {
        if json.values > limits.values as usize {
            return Err(Fault::new(
                FaultKind::JsonValues,
                format!(
                    "An argument has more values than server.json_values = {}, the most that are checked against a schema. Send fewer.",
                    limits.values
                ),
            ));
        }
        let tree = json.values * VALUE + json.objects * OBJECT;
        budget.take(tree)?;
        let value: Json = serde_json::from_str(&json.text).map_err(|error| {
            Fault::new(
                FaultKind::Json,
                format!(
                    "The body is not JSON that can be checked: {}.",
                    wording::of_json(&error)
                ),
            )
        })?;
        budget.spend(tree)?;
        let exports = &function.code.manifest().exports;
        let schemas = &function.schemas;
        schemas.check(exports, export, at, &value, limits.steps, budget)?;
        budget.give_back(tree);
    }
    Ok(Arg::Text(json.text.into()))
}

/// The text of a JSON string.
fn unquoted(piece: &str) -> Option<String> {
    piece
        .starts_with('"')
        .then(|| serde_json::from_str(piece).ok())
        .flatten()
}

/// Reads a text to its end.
///
/// # Errors
/// `json`, `json-depth`, and the errors of the budget.
pub(super) fn check(text: &str, depth: u32, budget: &mut Budget) -> Result<(), Fault> {
    pieces(text, |_| None, 0, depth, budget).map(drop)
}

/// The fault of a text that is not JSON.
pub(super) fn broken(at: usize) -> Fault {
    Fault::new(
        FaultKind::Json,
        format!(
            "The body is not JSON from byte {at} on. Correct it there, or send a text as `content-type: text/plain`."
        ),
    )
}

/// A value of JSON as an argument of a type.
fn of_piece(ty: &Type, piece: &str) -> Option<Arg> {
    Some(match ty {
        Type::String => Arg::Text(unquoted(piece)?.into()),
        Type::Bytes => Arg::Bytes(BASE64_STANDARD.decode(unquoted(piece)?).ok()?.into()),
        Type::Bool => match piece {
            "true" | "false" => Arg::Text(piece.to_owned().into()),
            _ => return None,
        },
        Type::Unit | Type::Json => return None,
        // The engine checks the ranges.
        _ => {
            let number: serde_json::Number = serde_json::from_str(piece).ok()?;
            let whole = integer(&number).map(|number| number.to_string());
            Arg::Text(whole.unwrap_or_else(|| number.to_string()).into())
        }
    })
}

/// The integer value of a JSON number, however it is written.
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and in range")]
pub(crate) fn integer(number: &serde_json::Number) -> Option<i64> {
    const MOST: f64 = (1u64 << 53) as f64;
    let float = || {
        number
            .as_f64()
            .filter(|n| n.fract() == 0.0 && n.abs() <= MOST)
    };
    number.as_i64().or_else(|| float().map(|n| n as i64))
}

fn in_words(ty: &Type) -> &'static str {
    match ty {
        Type::String => "a string",
        Type::Bytes => "bytes, a string in base64",
        Type::Bool => "true or false",
        _ => "a number",
    }
}
