//! From what a client sent to what an export takes.

use super::super::given::{Given, Meant, convert, fit as fit_types, misfit, name, spread};
use super::layout::{self, Era};
use super::{Fallible, Plan, Returns, Slot, core_of};
use crate::manifest::{Core, Export, Signature, Type};
use crate::types::listed;
use crate::{Arg, StatedSignature};
use iof_fault::{Fault, FaultKind};
use std::collections::HashSet;

/// Decides how `export` is called. Without `texts`, the module cannot be handed any: it exports no allocator.
pub(super) fn bind(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
    texts: bool,
) -> Result<Plan, Fault> {
    let given: Vec<Given> = args.iter().map(Given::new).collect();
    if let Some(stated) = stated {
        let place = believed(export, stated)?;
        return typed(export, &stated.params, place, given);
    }
    if let Some(signature) = &export.signature
        && let Some(place) = place_of(export, signature)
    {
        return typed(export, &signature.params, place, given);
    }
    let takes = || format!("has the core parameters ({})", listed(&export.core_params));
    if let Some(numbers) = counted(export, &given) {
        return shaped(export, &numbers, false)
            .ok_or_else(|| misfit(&export.name, &takes(), numbers.len()));
    }
    let any = |texts: bool| {
        shaped(export, &given, texts)
            // One text that cannot be the argument may hold all of them.
            .or_else(|| shaped(export, &spread(&given)?, texts))
            .or_else(|| padded(export, given.clone(), texts))
    };
    match any(texts) {
        Some(plan) => Ok(plan),
        None if !texts && any(true).is_some() => Err(no_allocator(export)),
        None => Err(misfit(&export.name, &takes(), args.len())),
    }
}

/// The elements of an array that holds a number for each core parameter of a function that returns a number: they are
/// its arguments. A text would be two parameters.
fn counted(export: &Export, given: &[Given]) -> Option<Vec<Given>> {
    let one_number = match export.core_results.as_slice() {
        [one] | [one, Core::I32, Core::I32] => number(*one).is_some(),
        _ => false,
    };
    let elements = spread(given).filter(|_| one_number)?;
    let all = elements.len() == export.core_params.len() && !elements.is_empty();
    (all && elements.iter().all(Given::is_number)).then_some(elements)
}

/// The fault of a text for a module that no text can be handed to.
fn no_allocator(export: &Export) -> Fault {
    Fault::new(
        FaultKind::NoAllocator,
        format!(
            "`{}` cannot be given a text: the module exports no `__wbindgen_malloc`. Send numbers, as a JSON array; it \
             takes ({}). Or build it with wasm-bindgen.",
            export.name,
            listed(&export.core_params)
        ),
    )
}

/// Where known types are in a core type.
struct Place {
    params: Era,
    returns: Returns,
    /// The number for `None` in an `f64`, where the version of wasm-bindgen is known.
    none: Option<f64>,
}

/// The signature, if the core type agrees with it.
///
/// # Errors
/// A clause that says so.
pub(super) fn agrees(export: &Export, signature: Signature) -> Result<Signature, String> {
    match place_of(export, &signature) {
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

fn place_of(export: &Export, signature: &Signature) -> Option<Place> {
    let fallible = Some(signature.fallible);
    let (params, result) = (&signature.params, &signature.result);
    let place = place(export, params, result, fallible, signature.patch)?;
    let none = signature.patch.map(layout::float_none);
    Some(Place { none, ..place })
}

/// Where known types are in the core type, if it agrees with them. Only what is stated may be `fallible` or not.
fn place(
    export: &Export,
    params: &[Type],
    result: &Type,
    fallible: Option<bool>,
    patch: Option<u32>,
) -> Option<Place> {
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
        Some(Place {
            params: era,
            returns,
            none: None,
        })
    })
}

/// Where the result of a known type is.
fn returned(
    export: &Export,
    result: &Type,
    era: Era,
    fallible: Option<bool>,
    area: bool,
) -> Option<Returns> {
    let mut cores = vec![];
    layout::flatten(result, era, &mut cores);
    let known = |fallible| Returns::Known {
        ty: result.clone(),
        era,
        area,
        fallible,
    };
    if area {
        // One value is returned as it is; what has an area is more, or the error beside it.
        let several = cores.len() >= 2 || cores == [Core::I64];
        return match fallible {
            None if several => Some(known(Fallible::Perhaps)),
            None | Some(true) => Some(known(Fallible::Yes)),
            Some(false) => several.then(|| known(Fallible::No)),
        };
    }
    let (plain, error) = export.core_results.split_at_checked(cores.len())?;
    if plain != cores {
        return None;
    }
    match (error, fallible) {
        ([], None | Some(false)) if cores.is_empty() => Some(Returns::Nothing),
        ([], None | Some(false)) => Some(known(Fallible::No)),
        ([Core::I32, Core::I32], None | Some(true)) => Some(known(Fallible::Yes)),
        _ => None,
    }
}

/// What a caller states, if neither the module nor its core type contradicts.
fn believed(export: &Export, stated: &StatedSignature) -> Result<Place, Fault> {
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
        if let Some(place) = place_of(export, said) {
            return Ok(place);
        }
    }
    place(export, &stated.params, &stated.result, None, None).ok_or_else(|| {
        let (takes, gives) = (listed(&export.core_params), listed(&export.core_results));
        refused(&format!(
            "its core type is ({takes}) -> ({gives}), which carries other types"
        ))
    })
}

/// One argument as core values.
pub(super) enum Lowered {
    One(Slot),
    /// A word that says whether there is a value, and the value.
    Tagged(i32, Slot),
}

fn typed(export: &Export, params: &[Type], place: Place, given: Vec<Given>) -> Result<Plan, Fault> {
    let lowered = fit_types(
        &export.name,
        params,
        given,
        |ty, given| lower(ty, given, place.params, place.none),
        name,
    )?;
    let mut slots = Vec::with_capacity(lowered.len());
    for lowered in lowered {
        match lowered {
            Lowered::One(slot) => slots.push(slot),
            Lowered::Tagged(tag, slot) => slots.extend([Slot::I32(tag), slot]),
        }
    }
    Ok(Plan {
        slots,
        returns: place.returns,
    })
}

/// One argument of a known type, as the module's version has it.
fn lower(ty: &Type, given: &Given, era: Era, none: Option<f64>) -> Option<Lowered> {
    let one = |slot| Some(Lowered::One(slot));
    match ty {
        Type::Option(inner) if given.is_absent(inner) => match &**inner {
            Type::I32 | Type::U32 | Type::F32 if era.float_options => one(Slot::F64(none?)),
            Type::Enum { hole, .. } if era.float_enums => one(Slot::F64(f64::from(*hole))),
            Type::Enum { hole, .. } => one(Slot::I32(hole.cast_signed())),
            Type::String | Type::Bytes | Type::List(_) => one(Slot::Null),
            inner if layout::is_tagged(inner) => Some(Lowered::Tagged(0, zero(inner, era))),
            _ => one(Slot::I32(layout::NARROW_NONE)),
        },
        Type::Option(inner) => match (lower(inner, given, era, none)?, &**inner) {
            (Lowered::One(Slot::I32(n)), Type::I32) if era.float_options => {
                one(Slot::F64(n.into()))
            }
            (Lowered::One(Slot::I32(n)), Type::U32) if era.float_options => {
                one(Slot::F64(n.cast_unsigned().into()))
            }
            (Lowered::One(Slot::F32(n)), Type::F32) if era.float_options => {
                one(Slot::F64(n.into()))
            }
            (Lowered::One(slot), inner) if layout::is_tagged(inner) => {
                Some(Lowered::Tagged(1, slot))
            }
            (lowered, _) => Some(lowered),
        },
        Type::Enum { hole, .. } => {
            let number: i64 = std::str::from_utf8(&given.bytes)
                .ok()?
                .trim()
                .parse()
                .ok()?;
            // The number of `None` is none of an enum's own.
            if number == i64::from(*hole) {
                return None;
            }
            let word = i32::try_from(number)
                .or_else(|_| u32::try_from(number).map(u32::cast_signed))
                .ok()?;
            match (era.float_enums, u32::try_from(number)) {
                (true, Ok(number)) => one(Slot::F64(number.into())),
                (true, Err(_)) => one(Slot::F64(word.into())),
                (false, _) => one(Slot::I32(word)),
            }
        }
        ty => one(match convert(ty, given)? {
            Slot::I64(value) if era.halves => Slot::Halves(value),
            slot => slot,
        }),
    }
}

/// The value of an optional type that is not there.
fn zero(inner: &Type, era: Era) -> Slot {
    match inner {
        Type::F32 => Slot::F32(0.0),
        Type::F64 => Slot::F64(0.0),
        Type::I64 | Type::U64 if era.halves => Slot::Halves(0),
        Type::I64 | Type::U64 => Slot::I64(0),
        Type::I128 | Type::U128 => Slot::I128(0),
        _ => Slot::I32(0),
    }
}

/// Core parameters up to which empty texts are tried: trying costs time that no limit of a call counts.
const PADDED: usize = 64;

/// Binds fewer arguments than the function takes: the missing ones are empty texts, as in 2020. Who sends an array of
/// arguments has counted them.
fn padded(export: &Export, mut given: Vec<Given>, texts: bool) -> Option<Plan> {
    if spread(&given).is_some() || export.core_params.len() > PADDED {
        return None;
    }
    while given.len() < export.core_params.len() {
        given.push(Given::missing());
        if let Some(plan) = shaped(export, &given, texts) {
            return Some(plan);
        }
    }
    None
}

/// Binds by the core type alone.
fn shaped(export: &Export, given: &[Given], texts: bool) -> Option<Plan> {
    let params = export.core_params.as_slice();
    let fit = |params: &[Core], returns| {
        Some(Plan {
            slots: fit(params, given, texts)?,
            returns,
        })
    };
    match export.core_results.as_slice() {
        // A function that returns text is likelier than one that returns nothing: it is tried first.
        [] => match params.split_first() {
            Some((Core::I32, rest)) if texts => fit(rest, Returns::Area),
            _ => None,
        }
        .or_else(|| fit(params, Returns::Nothing)),
        [Core::I32, Core::I32] => fit(params, Returns::Pair(false)),
        [Core::I32, Core::I32, Core::I32, Core::I32] => fit(params, Returns::Pair(true)),
        [one] => fit(params, scalar(*one, Fallible::No)?),
        [one, Core::I32, Core::I32] => fit(params, scalar(*one, Fallible::Yes)?),
        _ => None,
    }
}

/// A number of a core type, signed.
fn scalar(core: Core, fallible: Fallible) -> Option<Returns> {
    Some(Returns::Known {
        ty: number(core)?,
        era: Era::default(),
        area: false,
        fallible,
    })
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
fn fit(params: &[Core], given: &[Given], texts: bool) -> Option<Vec<Slot>> {
    // With the counts known, so is the number of texts; what cannot work out is not searched.
    let count = params.len().checked_sub(given.len())?;
    if count > given.len() || count > 0 && !texts {
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
        .and_then(|core| convert(&number(*core)?, first).or_else(|| wide(*core, first)));
    let choices = match first.meant {
        Meant::Bytes | Meant::Quoted => [text, None],
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
        Core::I32 => convert(&Type::U32, given).or_else(|| {
            (given.meant == Meant::Number)
                .then(|| convert(&Type::Bool, given))
                .flatten()
        }),
        Core::I64 => convert(&Type::U64, given),
        _ => None,
    }
}
