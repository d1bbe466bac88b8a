//! Calls of exports whose types are known, from the module or from the caller.

use super::super::input::{InputArg, coerce, convert, name};
use crate::StatedSignature;
use crate::abi::layout::{self, CallPlan, CoreArg, Era, ErrorLayout, ResultLayout};
use crate::manifest::{Core, Export, Signature, Type};
use crate::types::listed;
use iof_fault::{Fault, FaultKind};

/// The layout of known types in an export's core type.
pub(super) struct SignatureLayout {
    params: Era,
    returns: ResultLayout,
    /// The number for `None` in an `f64`, if the version of wasm-bindgen is known.
    none: Option<f64>,
}

/// The signature, if the core type agrees with it.
///
/// # Errors
/// A clause that states the disagreement.
pub(super) fn agrees(export: &Export, signature: Signature) -> Result<Signature, String> {
    match layout_of(export, &signature) {
        Some(_) => Ok(signature),
        None => {
            let (takes, gives) = (listed(&export.core_params), listed(&export.core_results));
            let params = signature.params;
            let said = StatedSignature {
                params,
                result: signature.result,
            };
            Err(format!(
                "its core type is ({takes}) -> ({gives}), which is not that of `{said}`, as a method of a struct has it"
            ))
        }
    }
}

/// The layout of a signature that the module declares, if its core type agrees.
pub(super) fn layout_of(export: &Export, signature: &Signature) -> Option<SignatureLayout> {
    let fallible = Some(signature.fallible);
    let (params, result) = (&signature.params, &signature.result);
    let layout = arrange(export, params, result, fallible, signature.patch)?;
    let none = signature.patch.map(layout::float_none);
    Some(SignatureLayout { none, ..layout })
}

/// The layout of these types in the core type, if it agrees with them. `fallible` is `None` where a caller states the
/// types.
fn arrange(
    export: &Export,
    params: &[Type],
    result: &Type,
    fallible: Option<bool>,
    patch: Option<u32>,
) -> Option<SignatureLayout> {
    Era::each(patch, params).into_iter().find_map(|era| {
        let mut flat = vec![];
        params
            .iter()
            .for_each(|ty| layout::flatten(ty, era, &mut flat));
        let plain = export.core_params == flat;
        let area = export.core_results.is_empty()
            && export.core_params.split_first() == Some((&Core::I32, &flat));
        let unsure = area && patch.is_none() && layout::is_unsure(result);
        if !plain && !area || unsure {
            return None;
        }
        let returns = Era::each(patch, [result])
            .into_iter()
            .find_map(|era| returned(export, result, era, fallible, area))?;
        Some(SignatureLayout {
            params: era,
            returns,
            none: None,
        })
    })
}

/// The layout of a result of a known type.
fn returned(
    export: &Export,
    result: &Type,
    era: Era,
    fallible: Option<bool>,
    area: bool,
) -> Option<ResultLayout> {
    let mut cores = vec![];
    layout::flatten(result, era, &mut cores);
    let known = |fallible| ResultLayout::Known {
        ty: result.clone(),
        era,
        area,
        fallible,
    };
    if area {
        // One value is returned directly; a return area means several values, or an error beside the value.
        let several = cores.len() >= 2 || cores == [Core::I64];
        return match fallible {
            None if several => Some(known(ErrorLayout::Perhaps)),
            None | Some(true) => Some(known(ErrorLayout::Yes)),
            Some(false) => several.then(|| known(ErrorLayout::No)),
        };
    }
    let (plain, error) = export.core_results.split_at_checked(cores.len())?;
    if plain != cores {
        return None;
    }
    match (error, fallible) {
        ([], None | Some(false)) if cores.is_empty() => Some(ResultLayout::Nothing),
        ([], None | Some(false)) => Some(known(ErrorLayout::No)),
        ([Core::I32, Core::I32], None | Some(true)) => Some(known(ErrorLayout::Yes)),
        _ => None,
    }
}

/// Checks the types that a caller states against the module and its core type.
///
/// # Errors
/// `arguments`
pub(super) fn check_stated_signature(
    export: &Export,
    stated: &StatedSignature,
) -> Result<SignatureLayout, Fault> {
    let refused = |why: &str| {
        let text = format!("`{}` is not `{stated}`: {why}.", export.name);
        Fault::new(FaultKind::Arguments, text)
    };
    if let Some(said) = &export.signature {
        if said.params != stated.params || said.result != stated.result {
            let said = StatedSignature {
                params: said.params.clone(),
                result: said.result.clone(),
            };
            return Err(refused(&format!("the module says `{said}`")));
        }
        if let Some(layout) = layout_of(export, said) {
            return Ok(layout);
        }
    }
    arrange(export, &stated.params, &stated.result, None, None).ok_or_else(|| {
        let (takes, gives) = (listed(&export.core_params), listed(&export.core_results));
        refused(&format!(
            "its core type is ({takes}) -> ({gives}), which carries other types"
        ))
    })
}

/// One argument as core values.
enum LoweredArgument {
    One(CoreArg),
    /// A word for the presence of a value, and the value.
    Tagged(i32, CoreArg),
}

/// Plans the call of an export of known types.
///
/// # Errors
/// `arguments`
pub(super) fn typed(
    export: &Export,
    params: &[Type],
    layout: SignatureLayout,
    given: Vec<InputArg>,
) -> Result<CallPlan, Fault> {
    let lowered = coerce(
        &export.name,
        params,
        given,
        |ty, given| lower_one(ty, given, layout.params, layout.none),
        name,
    )?;
    let mut slots = Vec::with_capacity(lowered.len());
    for lowered in lowered {
        match lowered {
            LoweredArgument::One(slot) => slots.push(slot),
            LoweredArgument::Tagged(tag, slot) => slots.extend([CoreArg::I32(tag), slot]),
        }
    }
    Ok(CallPlan {
        slots,
        returns: layout.returns,
    })
}

/// Lowers one argument of a known type, as the module's version lays it out.
fn lower_one(ty: &Type, given: &InputArg, era: Era, none: Option<f64>) -> Option<LoweredArgument> {
    let one = |slot| Some(LoweredArgument::One(slot));
    match ty {
        Type::Option(inner) if given.is_absent(inner) => match &**inner {
            Type::I32 | Type::U32 | Type::F32 if era.float_options => one(CoreArg::F64(none?)),
            Type::Enum { hole, .. } if era.float_enums => one(CoreArg::F64(f64::from(*hole))),
            Type::Enum { hole, .. } => one(CoreArg::I32(hole.cast_signed())),
            Type::String | Type::Bytes | Type::List(_) => one(CoreArg::Null),
            inner if layout::is_tagged(inner) => Some(LoweredArgument::Tagged(0, zero(inner, era))),
            _ => one(CoreArg::I32(layout::NARROW_NONE)),
        },
        Type::Option(inner) => match (lower_one(inner, given, era, none)?, &**inner) {
            (LoweredArgument::One(CoreArg::I32(n)), Type::I32) if era.float_options => {
                one(CoreArg::F64(n.into()))
            }
            (LoweredArgument::One(CoreArg::I32(n)), Type::U32) if era.float_options => {
                one(CoreArg::F64(n.cast_unsigned().into()))
            }
            (LoweredArgument::One(CoreArg::F32(n)), Type::F32) if era.float_options => {
                one(CoreArg::F64(n.into()))
            }
            (LoweredArgument::One(slot), inner) if layout::is_tagged(inner) => {
                Some(LoweredArgument::Tagged(1, slot))
            }
            (lowered, _) => Some(lowered),
        },
        Type::Enum { hole, .. } => {
            let number: i64 = std::str::from_utf8(&given.bytes)
                .ok()?
                .trim()
                .parse()
                .ok()?;
            // The number that stands for `None` is not a value of the enum.
            if number == i64::from(*hole) {
                return None;
            }
            let word = i32::try_from(number)
                .or_else(|_| u32::try_from(number).map(u32::cast_signed))
                .ok()?;
            match (era.float_enums, u32::try_from(number)) {
                (true, Ok(number)) => one(CoreArg::F64(number.into())),
                (true, Err(_)) => one(CoreArg::F64(word.into())),
                (false, _) => one(CoreArg::I32(word)),
            }
        }
        ty => one(match convert(ty, given)? {
            CoreArg::I64(value) if era.halves => CoreArg::SplitI64(value),
            slot => slot,
        }),
    }
}

/// The value of an absent optional.
fn zero(inner: &Type, era: Era) -> CoreArg {
    match inner {
        Type::F32 => CoreArg::F32(0.0),
        Type::F64 => CoreArg::F64(0.0),
        Type::I64 | Type::U64 if era.halves => CoreArg::SplitI64(0),
        Type::I64 | Type::U64 => CoreArg::I64(0),
        Type::I128 | Type::U128 => CoreArg::I128(0),
        _ => CoreArg::I32(0),
    }
}
