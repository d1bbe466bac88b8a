//! The ABI of the crate `wasmedge-bindgen` (2021): values cross in memory, located by tables.
//!
//! ```text
//! f(arguments, count) -> answer
//!
//! arguments: count × { pointer: u32, elements: u32 }
//! answer:    { flag: u8, pointer: u32, length: u32 }, without a gap
//!            flag 0: pointer leads to length × { pointer: u32, type: u32, bytes: u32 }, one for each result
//!            other:  pointer and length are the text of an error
//! ```
//!
//! A number is a table entry of one element. Lengths count elements in arguments and bytes in results (from the macro's
//! source, 0.4.1). The guest owns and drops its arguments; results are never freed: their instance ends with the call.
//! Results carry their types; arguments do not, and a number of the wrong width is read without an error. So without
//! stated types, only values that cannot be misread are passed: text, bytes, booleans, and numbers in the widest form,
//! whose low bytes a narrower integer type reads.

use super::guest::{Guest, result};
use super::input::{
    ARGUMENTS, ArgHint, InputArg, arity_error, coerce, convert, expand_array, name,
};
use super::layout::CoreArg;
use crate::limits::LimitExceeded;
use crate::manifest::{Export, Type};
use crate::{Arg, StatedSignature, Value};
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use serde_json::Value as Json;
use wasmtime::Func;

mod results;
#[cfg(test)]
mod tests;

/// One argument, as it lies in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Argument {
    bytes: Bytes,
    elements: usize,
}

/// A plan of one call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CallPlan {
    arguments: Vec<Argument>,
}

/// Bytes of a table entry for an argument.
const ENTRY: u32 = 8;
/// Bytes of an answer.
const ANSWER: u32 = 9;
/// The most bytes of an error's text that are shown.
const ERROR: u32 = 4096;

/// Plans the call of `export` with `args`. Callers need not state the result: results carry their types.
///
/// # Errors
/// `arguments` when they do not fit, or when their width has to be stated.
pub(crate) fn plan(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
) -> Result<CallPlan, Fault> {
    let given: Vec<InputArg> = args.iter().map(InputArg::new).collect();
    let arguments = match stated {
        Some(stated) => {
            if let Some(ty) = stated.params.iter().find(|ty| !carries(ty)) {
                let text = format!(
                    "`{}` is not `{stated}`: wasmedge-bindgen has no {ty}.",
                    export.name
                );
                return Err(Fault::new(FaultKind::Arguments, text));
            }
            coerce(&export.name, &stated.params, given, typed, name)?
        }
        None => {
            let given = expand_array(&given).unwrap_or(given);
            if given.len() > ARGUMENTS {
                let takes = format!("takes at most {ARGUMENTS} arguments");
                return Err(arity_error(&export.name, &takes, given.len()));
            }
            given
                .iter()
                .enumerate()
                .map(|(at, given)| {
                    untyped(given).ok_or_else(|| undecided(&export.name, at + 1, given))
                })
                .collect::<Result<_, _>>()?
        }
    };
    Ok(CallPlan { arguments })
}

/// Lays out an argument of a stated type.
fn typed(ty: &Type, given: &InputArg) -> Option<Argument> {
    let (bytes, elements) = match convert(ty, given)? {
        CoreArg::Bytes(bytes) => return Some(Argument::of_bytes(bytes)),
        CoreArg::List { bytes, width } => {
            let elements = bytes.len() / width as usize;
            return Some(Argument { bytes, elements });
        }
        CoreArg::I32(n) => (n.to_le_bytes().to_vec(), 1),
        CoreArg::I64(n) => (n.to_le_bytes().to_vec(), 1),
        CoreArg::F32(n) => (n.to_le_bytes().to_vec(), 1),
        CoreArg::F64(n) => (n.to_le_bytes().to_vec(), 1),
        CoreArg::SplitI64(_) | CoreArg::I128(_) | CoreArg::Texts(_) | CoreArg::Null => return None,
    };
    let bytes = Bytes::from(bytes);
    let width = bytes.len().min(width(ty));
    Some(Argument {
        bytes: bytes.slice(..width),
        elements,
    })
}

/// Returns whether this ABI can pass arguments of a type.
fn carries(ty: &Type) -> bool {
    match ty {
        Type::I128
        | Type::U128
        | Type::Option(_)
        | Type::Enum { .. }
        | Type::Request
        | Type::Response => false,
        Type::List(element) => matches!(
            **element,
            Type::I8 | Type::U16 | Type::I16 | Type::U32 | Type::I32 | Type::U64 | Type::I64
        ),
        _ => true,
    }
}

/// Lays out an argument whose form shows its type.
fn untyped(given: &InputArg) -> Option<Argument> {
    let one = |bytes: &[u8]| {
        Some(Argument {
            bytes: Bytes::copy_from_slice(bytes),
            elements: 1,
        })
    };
    match given.hint {
        ArgHint::Text | ArgHint::Bytes | ArgHint::Quoted => {
            Some(Argument::of_bytes(given.bytes.clone()))
        }
        ArgHint::Number => match serde_json::from_slice(&given.bytes).ok()? {
            Json::Bool(value) => one(&[u8::from(value)]),
            Json::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(n), _) => one(&n.to_le_bytes()),
                (_, Some(n)) => one(&n.to_le_bytes()),
                // A number without a fraction is an integer too large for any type.
                _ => one(&n.as_f64().filter(|f| f.fract() != 0.0)?.to_le_bytes()),
            },
            Json::Array(_) => serde_json::from_slice::<Vec<u8>>(&given.bytes)
                .ok()
                .map(|bytes| Argument::of_bytes(bytes.into())),
            Json::Null | Json::String(_) | Json::Object(_) => None,
        },
        ArgHint::Request => None,
    }
}

impl Argument {
    fn of_bytes(bytes: Bytes) -> Self {
        let elements = bytes.len();
        Self { bytes, elements }
    }
}

/// The width of one number, in bytes.
fn width(ty: &Type) -> usize {
    match ty {
        Type::Bool | Type::I8 | Type::U8 => 1,
        Type::I16 | Type::U16 => 2,
        Type::I64 | Type::U64 | Type::F64 => 8,
        _ => 4,
    }
}

fn undecided(function: &str, at: usize, given: &InputArg) -> Fault {
    let was: String = String::from_utf8_lossy(&given.bytes)
        .chars()
        .take(40)
        .collect();
    Fault::new(
        FaultKind::Arguments,
        format!(
            "Argument {at} of `{function}`, `{was}`, may be meant as several types, and the module does not say which. \
             State them with the header `iof-signature: (f64, [i32], string) -> string`."
        ),
    )
}

/// Makes the call in a fresh instance.
///
/// # Errors
/// Any trap or malformed answer: a fault of the guest, of a limit or of the host.
pub(crate) async fn call<T: Send + 'static>(
    guest: &mut Guest<'_, T>,
    function: Func,
    plan: CallPlan,
    output_limit: u64,
) -> wasmtime::Result<Value> {
    let mut table = Vec::with_capacity(plan.arguments.len() * ENTRY as usize);
    for argument in &plan.arguments {
        let [size, elements] = [argument.bytes.len(), argument.elements]
            .map(|n| u32::try_from(n).map_err(|_| LimitExceeded::Memory));
        // At least eight bytes: a guest's pointer for an empty allocation is aligned only for bytes.
        let pointer = guest.allocate(size?.max(8), 8).await?;
        guest.write(pointer, &argument.bytes)?;
        table.extend_from_slice(&pointer.to_le_bytes());
        table.extend_from_slice(&elements?.to_le_bytes());
    }
    let size = u32::try_from(table.len()).map_err(|_| LimitExceeded::Memory)?;
    let pointer = guest.allocate(size.max(ENTRY), 8).await?;
    guest.write(pointer, &table)?;
    let answer = function
        .typed::<(u32, u32), u32>(&*guest.store)?
        .call_async(&mut *guest.store, (pointer, size / ENTRY))
        .await?;

    let memory = guest.data()?;
    let answer = result(memory, answer, ANSWER.into(), ANSWER.into())?;
    let [flag, p0, p1, p2, p3, l0, l1, l2, l3] = *answer else {
        return Err(wasmtime::Error::msg("an answer of another length"));
    };
    let pointer = u32::from_le_bytes([p0, p1, p2, p3]);
    let length = u32::from_le_bytes([l0, l1, l2, l3]);
    if flag == 0 {
        return results::read(memory, pointer, length, output_limit);
    }
    let text = result(memory, pointer, length.min(ERROR).into(), ERROR.into())?;
    let text = String::from_utf8_lossy(text);
    let text = format!("The function returned an error: {text}");
    Err(Fault::new(FaultKind::GuestError, text).into())
}
