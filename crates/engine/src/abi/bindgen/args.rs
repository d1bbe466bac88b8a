//! From what a client sent to what an export takes.

use super::{Plan, Returns, Slot, core_of};
use crate::manifest::{Core, Export, Signature, Type};
use crate::{Arg, Fault};
use bytes::Bytes;
use serde_json::Value as Json;
use std::collections::HashSet;

/// One argument, with what is known of its meaning.
#[derive(Clone, Debug)]
struct Given {
    bytes: Bytes,
    meant: Meant,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Meant {
    /// Plain text, which may spell a number.
    Text,
    /// Bytes or a quoted string: never a number.
    Bytes,
    /// A number or a boolean of JSON: never text unless nothing else fits.
    Number,
}

pub(super) fn bind(export: &Export, args: &[Arg]) -> Result<Plan, Fault> {
    let given: Vec<Given> = args
        .iter()
        .map(|arg| match arg {
            Arg::Text(bytes) => Given {
                bytes: bytes.clone(),
                meant: Meant::Text,
            },
            Arg::Bytes(bytes) => Given {
                bytes: bytes.clone(),
                meant: Meant::Bytes,
            },
        })
        .collect();
    if let Some((signature, returns)) = described(export) {
        return typed(export, signature, returns, given);
    }
    shaped(export, &given)
        // One text that cannot be the argument may hold all of them.
        .or_else(|| shaped(export, &spread(&given)?))
        // No body at all: 2020 functions of a text saw an empty one.
        .or_else(|| {
            shaped(
                export,
                &given.is_empty().then(|| empties(export)).flatten()?,
            )
        })
        .ok_or_else(|| misfit(export, args.len()))
}

/// The signature, if the core type agrees with it, and where its result is.
fn described(export: &Export) -> Option<(&Signature, Returns)> {
    let signature = export.signature.as_ref()?;
    let flat: Vec<Core> = signature
        .params
        .iter()
        .flat_map(|ty| ty.core())
        .copied()
        .collect();
    let text = match signature.result {
        Type::String => Some(true),
        Type::Bytes => Some(false),
        _ => None,
    };
    let params = export.core_params.as_slice();
    let returns = match (export.core_results.as_slice(), text) {
        ([], Some(_)) if params.split_first() == Some((&Core::I32, &flat)) => Returns::Area(text),
        ([], None) if params == flat && signature.result == Type::Unit && !signature.fallible => {
            Returns::Nothing
        }
        ([Core::I32, Core::I32], Some(_)) if params == flat && !signature.fallible => {
            Returns::Pair(text, false)
        }
        (results, None)
            if params == flat && results == signature.result.core() && !signature.fallible =>
        {
            Returns::Scalar(signature.result, false)
        }
        _ => return None,
    };
    Some((signature, returns))
}

fn typed(
    export: &Export,
    signature: &Signature,
    returns: Returns,
    given: Vec<Given>,
) -> Result<Plan, Fault> {
    let arity = signature.params.len();
    let count = given.len();
    let given = match count {
        _ if count == arity => given,
        0 => vec![
            Given {
                bytes: Bytes::new(),
                meant: Meant::Bytes
            };
            arity
        ],
        1 => spread(&given)
            .filter(|spread| spread.len() == arity)
            .ok_or_else(|| misfit(export, count))?,
        _ => return Err(misfit(export, count)),
    };
    let slots = signature
        .params
        .iter()
        .zip(given)
        .enumerate()
        .map(|(at, (ty, given))| {
            convert(*ty, &given).ok_or_else(|| {
                let was = String::from_utf8_lossy(&given.bytes)
                    .chars()
                    .take(40)
                    .collect::<String>();
                let wanted = name(*ty);
                Fault::client(
                    "arguments",
                    format!(
                        "Argument {} of `{}` must be {wanted}, and was `{was}`.",
                        at + 1,
                        export.name
                    ),
                )
            })
        })
        .collect::<Result<_, _>>()?;
    Ok(Plan { slots, returns })
}

fn convert(ty: Type, given: &Given) -> Option<Slot> {
    let text = || std::str::from_utf8(&given.bytes).ok().map(str::trim);
    let signed = |bits: u32| {
        let limit = 1i64 << (bits - 1);
        text()?
            .parse::<i64>()
            .ok()
            .filter(|n| (-limit..limit).contains(n))
    };
    let unsigned = |bits: u32| text()?.parse::<u64>().ok().filter(|n| *n >> bits == 0);
    let word = |n: i64| i32::try_from(n).ok().map(Slot::I32);
    match ty {
        Type::Unit => None,
        Type::Bool => match text()? {
            "true" | "1" => Some(Slot::I32(1)),
            "false" | "0" => Some(Slot::I32(0)),
            _ => None,
        },
        Type::I8 => word(signed(8)?),
        Type::I16 => word(signed(16)?),
        Type::I32 => word(signed(32)?),
        Type::U8 => word(unsigned(8)?.cast_signed()),
        Type::U16 => word(unsigned(16)?.cast_signed()),
        Type::U32 => u32::try_from(unsigned(32)?)
            .ok()
            .map(|n| Slot::I32(n.cast_signed())),
        Type::I64 => text()?.parse().ok().map(Slot::I64),
        Type::U64 => text()?
            .parse::<u64>()
            .ok()
            .map(|n| Slot::I64(n.cast_signed())),
        Type::F32 => text()?.parse().ok().map(Slot::F32),
        Type::F64 => text()?.parse().ok().map(Slot::F64),
        // The callee trusts its text to be UTF-8.
        Type::String => std::str::from_utf8(&given.bytes)
            .is_ok()
            .then(|| Slot::Bytes(given.bytes.clone())),
        Type::Bytes => Some(Slot::Bytes(
            numbers(given).unwrap_or_else(|| given.bytes.clone()),
        )),
    }
}

/// A JSON array of bytes inside of an array of arguments, as in `["a", [1, 2, 255]]`.
fn numbers(given: &Given) -> Option<Bytes> {
    if given.meant != Meant::Number || !given.bytes.starts_with(b"[") {
        return None;
    }
    serde_json::from_slice::<Vec<u8>>(&given.bytes)
        .ok()
        .map(Bytes::from)
}

/// Binds by the core type alone.
fn shaped(export: &Export, given: &[Given]) -> Option<Plan> {
    let params = export.core_params.as_slice();
    let fit = |params: &[Core], returns| {
        Some(Plan {
            slots: fit(params, given)?,
            returns,
        })
    };
    match export.core_results.as_slice() {
        // A function that returns text is likelier than one that returns nothing: it is tried first.
        [] => match params.split_first() {
            Some((Core::I32, rest)) => fit(rest, Returns::Area(None)),
            _ => None,
        }
        .or_else(|| fit(params, Returns::Nothing)),
        [Core::I32, Core::I32] => fit(params, Returns::Pair(None, false)),
        [Core::I32, Core::I32, Core::I32, Core::I32] => fit(params, Returns::Pair(None, true)),
        [one] => fit(params, Returns::Scalar(number(*one)?, false)),
        [one, Core::I32, Core::I32] => fit(params, Returns::Scalar(number(*one)?, true)),
        _ => None,
    }
}

fn number(core: Core) -> Option<Type> {
    match core {
        Core::I32 => Some(Type::I32),
        Core::I64 => Some(Type::I64),
        Core::F32 => Some(Type::F32),
        Core::F64 => Some(Type::F64),
        Core::Other => None,
    }
}

/// Divides `params` among the arguments: two `i32` for bytes, one parameter for a number.
fn fit(params: &[Core], given: &[Given]) -> Option<Vec<Slot>> {
    // With the counts known, so is the number of texts; what cannot work out is not searched.
    let texts = params.len().checked_sub(given.len())?;
    if texts > given.len() {
        return None;
    }
    let mut slots = Vec::with_capacity(given.len());
    search(params, given, &mut slots, &mut HashSet::new()).then_some(slots)
}

/// Depth first, each dead end once: (parameters left, arguments left).
fn search(
    params: &[Core],
    given: &[Given],
    slots: &mut Vec<Slot>,
    dead: &mut HashSet<(usize, usize)>,
) -> bool {
    let Some((first, others)) = given.split_first() else {
        return params.is_empty();
    };
    if dead.contains(&(params.len(), given.len())) {
        return false;
    }
    let text =
        matches!(params, [Core::I32, Core::I32, ..]).then(|| Slot::Bytes(first.bytes.clone()));
    let scalar = params
        .first()
        .and_then(|core| convert(number(*core)?, first).or_else(|| wide(*core, first)));
    let choices = match first.meant {
        Meant::Bytes => [text, None],
        Meant::Text => [text, scalar],
        Meant::Number => [scalar, text],
    };
    for slot in choices.into_iter().flatten() {
        let taken = core_of(&slot).len();
        slots.push(slot);
        if search(params.get(taken..).unwrap_or_default(), others, slots, dead) {
            return true;
        }
        slots.pop();
    }
    dead.insert((params.len(), given.len()));
    false
}

/// Unsigned numbers and booleans, which the core type does not tell from signed ones.
fn wide(core: Core, given: &Given) -> Option<Slot> {
    match core {
        Core::I32 => convert(Type::U32, given).or_else(|| {
            (given.meant == Meant::Number)
                .then(|| convert(Type::Bool, given))
                .flatten()
        }),
        Core::I64 => convert(Type::U64, given),
        _ => None,
    }
}

/// The elements of a JSON array that came as one text.
fn spread(given: &[Given]) -> Option<Vec<Given>> {
    let [
        Given {
            bytes,
            meant: Meant::Text,
        },
    ] = given
    else {
        return None;
    };
    let Json::Array(elements) = serde_json::from_slice(bytes).ok()? else {
        return None;
    };
    let given = |element| match element {
        Json::String(text) => Given {
            bytes: text.into(),
            meant: Meant::Bytes,
        },
        other => Given {
            bytes: other.to_string().into(),
            meant: Meant::Number,
        },
    };
    Some(elements.into_iter().map(given).collect())
}

/// As many empty texts as the export takes, if it takes only texts.
fn empties(export: &Export) -> Option<Vec<Given>> {
    let area = export.core_results.is_empty() && export.core_params.len() % 2 == 1;
    let count = (export.core_params.len() - usize::from(area)) / 2;
    (count > 0).then(|| {
        vec![
            Given {
                bytes: Bytes::new(),
                meant: Meant::Bytes
            };
            count
        ]
    })
}

fn misfit(export: &Export, count: usize) -> Fault {
    let came = match count {
        0 => "none came".to_owned(),
        1 => "one came".to_owned(),
        n => format!("{n} came"),
    };
    let takes = match &export.signature {
        Some(signature) if signature.params.is_empty() => "takes no arguments".to_owned(),
        Some(signature) => {
            let names: Vec<_> = signature.params.iter().map(|ty| name(*ty)).collect();
            format!("takes {}", names.join(", then "))
        }
        None => {
            let names: Vec<_> = export
                .core_params
                .iter()
                .map(|core| format!("{core:?}").to_lowercase())
                .collect();
            format!("has the core parameters ({})", names.join(", "))
        }
    };
    Fault::client(
        "arguments",
        format!(
            "`{}` {takes}, and {came} that fits. Send one text or one number as the body, or several as a JSON array: \
             [\"text\", 2].",
            export.name
        ),
    )
}

fn name(ty: Type) -> &'static str {
    match ty {
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
        Type::F32 | Type::F64 => "a number",
        Type::String => "a text in UTF-8",
        Type::Bytes => "bytes",
    }
}
