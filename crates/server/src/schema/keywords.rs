//! Readers of keywords' values; each refusal states what the value must be.

use super::program::{Pattern, Types};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Number, Value as Json};

/// Compiled sizes of patterns, in bytes: the largest that costs about one step for each byte of text, and the largest
/// allowed.
const SMALL_PATTERN: usize = 16 << 10;
const LARGE_PATTERN: usize = 256 << 10;
/// Steps that a large pattern costs for each byte.
const LARGE_PATTERN_STEPS: u64 = 16;

/// All type names.
const TYPES: [&str; 7] = [
    "null", "boolean", "object", "array", "number", "string", "integer",
];
/// Keywords that are compiled with their neighbours.
const NEIGHBOURS: [&str; 13] = [
    "prefixItems",
    "items",
    "contains",
    "minContains",
    "maxContains",
    "properties",
    "patternProperties",
    "additionalProperties",
    "if",
    "then",
    "else",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords that check nothing: names, texts for people, and hints for programs (JSON Schema 2020-12; the last four are
/// from OpenAPI 3.1).
const ANNOTATIONS: [&str; 21] = [
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "examples",
    "format",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "$schema",
    "discriminator",
    "example",
    "externalDocs",
    "xml",
];
/// The prefixes of the dialects' names.
const DIALECTS: [&str; 2] = ["https://json-schema.org/", "http://json-schema.org/"];

/// Returns whether a keyword without a check of its own is known.
pub(super) fn is_known(keyword: &str) -> bool {
    NEIGHBOURS.contains(&keyword) || ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

pub(super) fn dialect(value: &Json) -> Result<(), String> {
    let name = text(value)?;
    match DIALECTS.iter().any(|known| name.starts_with(known)) {
        true => Ok(()),
        false => Err("names a dialect that this server does not know".into()),
    }
}

pub(super) fn types(value: &Json) -> Result<Types, String> {
    let known = |value: &Json| {
        let name = value.as_str()?;
        TYPES.into_iter().find(|known| *known == name)
    };
    let names = match value {
        Json::Array(names) => names.iter().map(known).collect::<Option<_>>(),
        name => known(name).map(|name| vec![name]),
    };
    let names = names.ok_or_else(|| {
        let types = TYPES.join(", ");
        format!("must be a type or a list of types, which are {types}")
    });
    names.map(Types)
}

pub(super) fn text(value: &Json) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a text".into())
}

pub(super) fn flag(value: &Json) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| "must be true or false".into())
}

pub(super) fn list(value: &Json) -> Result<&Vec<Json>, String> {
    value.as_array().ok_or_else(|| "must be a list".into())
}

pub(super) fn map(value: &Json) -> Result<&Map<String, Json>, String> {
    value.as_object().ok_or_else(|| "must be an object".into())
}

pub(super) fn number(value: &Json) -> Result<Number, String> {
    match value {
        Json::Number(number) => Ok(number.clone()),
        _ => Err("must be a number".into()),
    }
}

pub(super) fn positive(value: &Json) -> Result<Number, String> {
    let positive = |number: &Number| number.as_f64().is_some_and(|number| number > 0.0);
    let number = number(value).ok().filter(positive);
    number.ok_or_else(|| "must be a number greater than 0".into())
}

/// A number as a count; a number with only zeros after the point is a whole number, too.
pub(super) fn count(value: &Json) -> Result<u64, String> {
    let whole = |number: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and not negative, and a larger one counts as the largest"
        )]
        (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
    };
    let count = value.as_u64().or_else(|| value.as_f64().and_then(whole));
    count.ok_or_else(|| "must be a whole number, 0 or more".into())
}

pub(super) fn names(value: &Json) -> Result<Vec<String>, String> {
    let names = value.as_array().and_then(|names| {
        let names = names.iter().map(|name| name.as_str().map(str::to_owned));
        names.collect()
    });
    names.ok_or_else(|| "must be a list of names".into())
}

/// Compiles a pattern.
///
/// # Errors
/// The part that the engine of regular expressions does not support, in the engine's words, which suit authors of
/// patterns.
pub(super) fn pattern(pattern: &str) -> Result<Pattern, String> {
    let sized = |size| RegexBuilder::new(pattern).size_limit(size).build();
    let of = |regex: Regex, steps| Pattern { regex, steps };
    sized(SMALL_PATTERN)
        .map(|regex| of(regex, 1))
        .or_else(|_| sized(LARGE_PATTERN).map(|regex| of(regex, LARGE_PATTERN_STEPS)))
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                let most = LARGE_PATTERN >> 10;
                format!("has a pattern that takes more than {most} KiB compiled")
            }
            error => {
                // The lines before the last repeat the pattern and point into it.
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                let why = last.strip_prefix("error: ").unwrap_or(last);
                format!("has a pattern that cannot be used ({why})")
            }
        })
}
