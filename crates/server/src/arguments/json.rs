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

/// Memory of a value in a tree, and what an object takes beside that.
const VALUE: usize = 220;
const OBJECT: usize = 520;

/// How deep an argument that is checked against a schema is nested: such a tree is read on the stack.
const CHECKED_DEPTH: u32 = 127;

/// The JSON text of each argument; `None` if the body lacks it.
type Pieces<'a> = Vec<Option<&'a str>>;

/// The arguments of a body.
///
/// # Errors
/// `arguments`, naming the one that does not fit; `json`, `json-depth`, `json-values`, `schema-steps`, and those of the
/// budget.
pub(super) fn read(
    function: &LoadedFunction,
    export: &Export,
    text: &str,
    body: &Bytes,
    limits: BodyLimits,
    budget: &mut Budget,
) -> Result<Vec<Arg>, Fault> {
    let (Some(signature), Some(described)) = (&export.signature, &export.described) else {
        // A module that says no names: an array is its arguments, all else is its one argument.
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
            return Err(misfit(export, &format!("{came} arguments came")));
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
                // Which some types take.
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

/// The form of a body, and the part of it that is each argument.
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

/// Reads a text to its end, and finds the arguments in it. Of two fields of one name, the last counts.
fn pieces<'a>(
    text: &'a str,
    place: impl Fn(&str) -> Option<usize>,
    count: usize,
    depth: u32,
    budget: &mut Budget,
) -> Result<Shape<'a>, Fault> {
    let mut scanner = Scanner::new(text);
    let (mut pieces, mut unknown, mut came) = (vec![None; count], None, 0);
    // The place of the value that comes next, and where that begins.
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

/// JSON as an argument: as it was written, each name once, and as its schema says.
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
            "The body has a number that no double can hold, or half a character. Send it as a string, or leave it out.",
        ),
        Failure::TooDeep(depth) if depth < limits.depth => Fault::new(
            FaultKind::JsonDepth,
            format!("The argument is nested deeper than {depth}, which is how deep one with a JSON Schema may be. Send it flatter."),
        ),
        Failure::TooDeep(depth) => too_deep(depth),
        Failure::Fault(fault) => fault,
    })?;
    if is_checked {
        if json.values > limits.values as usize {
            return Err(Fault::new(
                FaultKind::JsonValues,
                format!(
                    "An argument has more values than server.json_values = {}, which is how many are checked against a schema. Send fewer.",
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
/// `json`, `json-depth`, and those of the budget.
pub(super) fn check(text: &str, depth: u32, budget: &mut Budget) -> Result<(), Fault> {
    pieces(text, |_| None, 0, depth, budget).map(drop)
}

/// The fault of a text that is not JSON.
pub(super) fn broken(at: usize) -> Fault {
    Fault::new(
        FaultKind::Json,
        format!(
            "The body is not JSON from byte {at} on. Mend it there, or send a text as `content-type: text/plain`."
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
        // The engine knows the ranges.
        _ => {
            let number: serde_json::Number = serde_json::from_str(piece).ok()?;
            let whole = integer(&number).map(|number| number.to_string());
            Arg::Text(whole.unwrap_or_else(|| number.to_string()).into())
        }
    })
}

/// The integer that a number of JSON is, however it is written.
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
