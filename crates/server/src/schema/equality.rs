//! Equality and order of JSON values, as JSON Schema defines them: 1 equals 1.0, and the order of fields does not
//! matter.

use super::run::{Run, Stop};
use serde_json::{Number, Value as Json};
use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};

/// Compares two values.
///
/// # Errors
/// The errors of the run.
pub(super) fn equal(one: &Json, other: &Json, run: &mut Run<'_>) -> Result<bool, Stop> {
    run.step(1)?;
    match (one, other) {
        (Json::Null, Json::Null) => Ok(true),
        (Json::Bool(one), Json::Bool(other)) => Ok(one == other),
        (Json::Number(one), Json::Number(other)) => Ok(compare(one, other).is_eq()),
        (Json::String(one), Json::String(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            run.read(one.len())?;
            Ok(one == other)
        }
        (Json::Array(one), Json::Array(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (one, other) in one.iter().zip(other) {
                if !equal(one, other, run)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Json::Object(one), Json::Object(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            for (name, one) in one {
                run.read(name.len())?;
                let Some(other) = other.get(name) else {
                    return Ok(false);
                };
                if !equal(one, other, run)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A hash that is the same for equal values.
///
/// # Errors
/// The errors of the run.
pub(super) fn hash(value: &Json, seed: &RandomState, run: &mut Run<'_>) -> Result<u64, Stop> {
    run.step(1)?;
    Ok(match value {
        Json::Null => seed.hash_one(0),
        Json::Bool(value) => seed.hash_one(value),
        // Zero and minus zero are one number.
        Json::Number(value) => seed.hash_one((value.as_f64().unwrap_or_default() + 0.0).to_bits()),
        Json::String(value) => {
            run.read(value.len())?;
            seed.hash_one(value)
        }
        Json::Array(values) => {
            let mut whole = seed.hash_one(1);
            for value in values {
                whole = seed.hash_one((whole, hash(value, seed, run)?));
            }
            whole
        }
        Json::Object(fields) => {
            let mut whole = seed.hash_one(2);
            for (name, value) in fields {
                run.read(name.len())?;
                let field = seed.hash_one((name, hash(value, seed, run)?));
                whole = whole.wrapping_add(field);
            }
            whole
        }
    })
}

/// Compares two numbers: exactly if both are whole, however they are written.
pub(super) fn compare(one: &Number, other: &Number) -> Ordering {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => {
            let of = |number: &Number| number.as_f64().unwrap_or_default();
            of(one).total_cmp(&of(other))
        }
    }
}

/// Returns whether one number is a multiple of another, within the precision of doubles.
pub(super) fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Some(number), Some(of)) = (whole(number), whole(of)) {
        return of != 0 && number % of == 0;
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else {
        return false;
    };
    let quotient = number / of;
    quotient.is_finite()
        && (quotient - quotient.round()).abs() <= 4.0 * f64::EPSILON * quotient.abs().max(1.0)
}

/// A number without a fraction.
pub(super) fn whole(number: &Number) -> Option<i128> {
    /// Below this bound, each whole double is an `i128`.
    const MOST: f64 = 1e38;
    if let Some(number) = number.as_i128() {
        return Some(number);
    }
    let number = number.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it has no fraction and is small enough"
    )]
    (number.fract() == 0.0 && number.abs() < MOST).then_some(number as i128)
}
