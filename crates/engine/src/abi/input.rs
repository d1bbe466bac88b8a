//! Client arguments, and their conversion to an export's parameter types.

use super::layout::CoreArg;
use crate::Arg;
use crate::json::elements;
use crate::manifest::Type;
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use serde::de::{DeserializeOwned, IgnoredAny};

/// One argument, with a hint of its meaning.
#[derive(Clone, Debug)]
pub(super) struct InputArg {
    pub(super) bytes: Bytes,
    pub(super) hint: ArgHint,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ArgHint {
    /// Plain text, which may spell a number.
    Text,
    /// Never a number.
    Bytes,
    /// A string of JSON: never a number, and without its quotes.
    Quoted,
    /// A number or a boolean of JSON: never text unless nothing else fits.
    Number,
    /// A whole request: never anything else.
    Request,
}

/// The most arguments of any function; a longer array is not read to its end.
pub(super) const ARGUMENTS: usize = 1000;

impl InputArg {
    pub(super) fn new(arg: &Arg) -> Self {
        let (bytes, hint) = match arg {
            Arg::Text(bytes) => (bytes, ArgHint::Text),
            Arg::Bytes(bytes) => (bytes, ArgHint::Bytes),
            Arg::Request(bytes) => (bytes, ArgHint::Request),
        };
        Self {
            bytes: bytes.clone(),
            hint,
        }
    }

    /// The argument that stands in for a missing one.
    pub(super) fn missing() -> Self {
        Self {
            bytes: Bytes::new(),
            hint: ArgHint::Bytes,
        }
    }
}

/// The elements of a JSON array that was sent as one text. Of an array longer than any function takes, one element too
/// many is returned.
pub(super) fn expand_array(given: &[InputArg]) -> Option<Vec<InputArg>> {
    let [
        InputArg {
            bytes,
            hint: ArgHint::Text,
        },
    ] = given
    else {
        return None;
    };
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    if *first != b'[' {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let elements = elements(text, ARGUMENTS + 1)?.into_iter();
    elements
        .map(|element| {
            let (element, hint) = match element.starts_with('"') {
                true => (unquoted(element)?, ArgHint::Quoted),
                false => (bytes.slice_ref(element.as_bytes()), ArgHint::Number),
            };
            Some(InputArg {
                bytes: element,
                hint,
            })
        })
        .collect()
}

/// The text of a JSON string; `None` if it is not Unicode.
fn unquoted(text: &str) -> Option<Bytes> {
    let text: String = serde_json::from_str(text).ok()?;
    Some(text.into())
}

/// Converts arguments to known types: as they were sent, as elements of an array, or with empty texts for missing
/// arguments.
///
/// # Errors
/// `arguments`, stating what the function takes.
pub(super) fn coerce<T, S>(
    function: &str,
    types: &[T],
    given: Vec<InputArg>,
    convert: impl Fn(&T, &InputArg) -> Option<S>,
    wanted: impl Fn(&T) -> String,
) -> Result<Vec<S>, Fault> {
    let arity = types.len();
    let expand_array = expand_array(&given);
    let takes = || match types {
        [] => NO_ARGUMENTS.to_owned(),
        types => {
            let names: Vec<_> = types.iter().map(&wanted).collect();
            format!("takes {}", names.join(", then "))
        }
    };
    let arranged = match expand_array {
        // A single text that cannot be the argument may be an array that contains it.
        Some(only) if arity == 1 && only.len() == 1 => {
            if types
                .iter()
                .zip(&given)
                .all(|(ty, given)| convert(ty, given).is_some())
            {
                given
            } else {
                only
            }
        }
        _ if given.len() == arity => given,
        Some(all) if all.len() == arity => all,
        None if given.len() < arity => {
            let mut padded = given;
            padded.resize_with(arity, InputArg::missing);
            padded
        }
        _ => return Err(arity_error(function, &takes(), given.len())),
    };
    types
        .iter()
        .zip(arranged)
        .enumerate()
        .map(|(at, (ty, given))| {
            convert(ty, &given).ok_or_else(|| {
                let was = String::from_utf8_lossy(&given.bytes)
                    .chars()
                    .take(40)
                    .collect::<String>();
                let wanted = wanted(ty);
                Fault::new(
                    FaultKind::Arguments,
                    format!(
                        "Argument {} of `{function}` must be {wanted}, and was `{was}`.",
                        at + 1
                    ),
                )
            })
        })
        .collect()
}

/// The fault of arguments whose number does not fit.
pub(super) fn arity_error(function: &str, takes: &str, count: usize) -> Fault {
    let got = match count {
        0 => "none".to_owned(),
        1 => "one argument".to_owned(),
        n => format!("{n} arguments"),
    };
    let (misfit, next) = match (takes, count) {
        (NO_ARGUMENTS, _) => ("", "Send an empty body."),
        (_, 0) => ("", ARGUMENTS_AS),
        (_, 1) => (", which does not fit", ARGUMENTS_AS),
        _ => (", which do not fit", ARGUMENTS_AS),
    };
    Fault::new(
        FaultKind::Arguments,
        format!("`{function}` {takes}: got {got}{misfit}. {next}"),
    )
}

/// The ways to write arguments in a body.
const ARGUMENTS_AS: &str =
    "Send one text or one number as the body, or several as a JSON array: [\"text\", 2].";
/// The phrase for a function without parameters.
const NO_ARGUMENTS: &str = "takes no arguments";

/// One argument converted to a type; [`Type::Option`] and [`Type::Enum`] depend on the module's compiler and are not
/// converted here.
pub(super) fn convert(ty: &Type, given: &InputArg) -> Option<CoreArg> {
    let text = || std::str::from_utf8(&given.bytes).ok().map(str::trim);
    let signed = |bits: u32| {
        let limit = 1i64 << (bits - 1);
        text()?
            .parse::<i64>()
            .ok()
            .filter(|n| (-limit..limit).contains(n))
    };
    let unsigned = |bits: u32| text()?.parse::<u64>().ok().filter(|n| *n >> bits == 0);
    let word = |n: i64| i32::try_from(n).ok().map(CoreArg::I32);
    match ty {
        // Only the surface that received the request can make this argument.
        Type::Request => {
            (given.hint == ArgHint::Request).then(|| CoreArg::Bytes(given.bytes.clone()))
        }
        _ if given.hint == ArgHint::Request => None,
        Type::Unit | Type::Response | Type::Option(_) | Type::Enum { .. } => None,
        Type::Bool => match text()? {
            "true" | "1" => Some(CoreArg::I32(1)),
            "false" | "0" => Some(CoreArg::I32(0)),
            _ => None,
        },
        Type::I8 => word(signed(8)?),
        Type::I16 => word(signed(16)?),
        Type::I32 => word(signed(32)?),
        Type::U8 => word(unsigned(8)?.cast_signed()),
        Type::U16 => word(unsigned(16)?.cast_signed()),
        Type::U32 => u32::try_from(unsigned(32)?)
            .ok()
            .map(|n| CoreArg::I32(n.cast_signed())),
        Type::I64 => text()?.parse().ok().map(CoreArg::I64),
        Type::U64 => text()?
            .parse::<u64>()
            .ok()
            .map(|n| CoreArg::I64(n.cast_signed())),
        Type::I128 => text()?
            .parse::<i128>()
            .ok()
            .map(|n| CoreArg::I128(n.cast_unsigned())),
        Type::U128 => text()?.parse().ok().map(CoreArg::I128),
        Type::F32 => text()?.parse().ok().map(CoreArg::F32),
        Type::F64 => text()?.parse().ok().map(CoreArg::F64),
        Type::Char => {
            let mut chars = std::str::from_utf8(&given.bytes).ok()?.chars();
            let one = chars.next().filter(|_| chars.next().is_none())?;
            Some(CoreArg::I32(u32::from(one).cast_signed()))
        }
        // The callee trusts its text to be UTF-8.
        Type::String => std::str::from_utf8(&given.bytes)
            .is_ok()
            .then(|| CoreArg::Bytes(given.bytes.clone())),
        Type::Bytes => Some(CoreArg::Bytes(
            numbers(given).unwrap_or_else(|| given.bytes.clone()),
        )),
        Type::Json => json(given).map(CoreArg::Bytes),
        Type::List(element) => list(element, &given.bytes),
    }
}

/// A JSON array as a list in memory, little-endian; a missing argument is an empty array.
fn list(element: &Type, json: &[u8]) -> Option<CoreArg> {
    let json = if json.is_empty() { b"[]" } else { json };
    let width = element.width()?;
    let bytes = match element {
        Type::I8 => packed(json, i8::to_le_bytes),
        Type::U8 => packed(json, u8::to_le_bytes),
        Type::I16 => packed(json, i16::to_le_bytes),
        Type::U16 => packed(json, u16::to_le_bytes),
        Type::I32 => packed(json, i32::to_le_bytes),
        Type::U32 => packed(json, u32::to_le_bytes),
        Type::I64 => packed(json, i64::to_le_bytes),
        Type::U64 => packed(json, u64::to_le_bytes),
        Type::F32 => packed(json, f32::to_le_bytes),
        Type::F64 => packed(json, f64::to_le_bytes),
        Type::Bool => packed(json, |value: bool| u32::from(value).to_le_bytes()),
        Type::Char => packed(json, |value: char| u32::from(value).to_le_bytes()),
        Type::String => return serde_json::from_slice(json).ok().map(CoreArg::Texts),
        _ => None,
    }?;
    Some(CoreArg::List { bytes, width })
}

/// The elements of one type, packed in memory order.
fn packed<N: DeserializeOwned, const W: usize>(
    json: &[u8],
    bytes: impl Fn(N) -> [u8; W],
) -> Option<Bytes> {
    let elements: Vec<N> = serde_json::from_slice(json).ok()?;
    let mut all = Vec::with_capacity(elements.len().checked_mul(W)?);
    for element in elements {
        all.extend_from_slice(&bytes(element));
    }
    Some(all.into())
}

/// A JSON array of bytes inside an array of arguments, as in `["a", [1, 2, 255]]`.
fn numbers(given: &InputArg) -> Option<Bytes> {
    if given.hint != ArgHint::Number || !given.bytes.starts_with(b"[") {
        return None;
    }
    serde_json::from_slice::<Vec<u8>>(&given.bytes)
        .ok()
        .map(Bytes::from)
}

/// JSON for the function to parse; a missing argument is `null`.
fn json(given: &InputArg) -> Option<Bytes> {
    if given.hint == ArgHint::Quoted {
        let text = std::str::from_utf8(&given.bytes).ok()?;
        return serde_json::to_vec(text).ok().map(Bytes::from);
    }
    if given.bytes.is_empty() {
        return Some(Bytes::from_static(b"null"));
    }
    let valid = serde_json::from_slice::<IgnoredAny>(&given.bytes).is_ok();
    valid.then(|| given.bytes.clone())
}

/// A type in words.
pub(super) fn name(ty: &Type) -> String {
    let words = match ty {
        Type::Unit => "nothing",
        Type::Bool => "a boolean (true or false)",
        Type::I8 => "an integer from -128 to 127",
        Type::U8 => "an integer from 0 to 255",
        Type::I16 => "an integer from -32768 to 32767",
        Type::U16 => "an integer from 0 to 65535",
        Type::I32 => "an integer of 32 bits",
        Type::U32 => "an unsigned integer of 32 bits",
        Type::I64 => "an integer of 64 bits",
        Type::U64 => "an unsigned integer of 64 bits",
        Type::I128 => "an integer of 128 bits",
        Type::U128 => "an unsigned integer of 128 bits",
        Type::F32 | Type::F64 => "a number",
        Type::Char => "a single character",
        Type::String => "a text in UTF-8",
        Type::Bytes => "bytes",
        Type::Json => "JSON",
        Type::Request => "an HTTP request, which a call at /v1 or /fn is",
        Type::Response => "an HTTP response",
        Type::List(element) => return format!("a JSON array, each element {}", name(element)),
        Type::Option(inner) => return format!("{}, or null", name(inner)),
        Type::Enum { name, .. } => return format!("a number of the enum {name}"),
    };
    words.to_owned()
}

impl InputArg {
    /// Returns whether the argument stands for an absent value of this type: it is missing, or `null`.
    pub(super) fn is_absent(&self, ty: &Type) -> bool {
        let textual = matches!(ty, Type::String | Type::Bytes | Type::Char);
        match self.hint {
            ArgHint::Number => &*self.bytes == b"null",
            ArgHint::Bytes => self.bytes.is_empty(),
            ArgHint::Text => !textual && matches!(&*self.bytes, b"" | b"null"),
            ArgHint::Quoted | ArgHint::Request => false,
        }
    }

    /// Returns whether the argument's text is a number, whatever type it was sent as.
    pub(super) fn reads_as_number(&self) -> bool {
        let text = std::str::from_utf8(&self.bytes).map(str::trim);
        text.is_ok_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite))
    }

    pub(super) fn is_number(&self) -> bool {
        self.hint == ArgHint::Number && matches!(self.bytes.first(), Some(b'-' | b'0'..=b'9'))
    }
}
