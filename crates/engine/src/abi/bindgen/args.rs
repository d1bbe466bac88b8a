//! From what a client sent to what an export takes.

use super::super::given::{Given, Meant, convert, fit as fit_types, misfit, name, spread};
use super::{Plan, Returns, Slot, core_of};
use crate::manifest::{Core, Export, Type};
use crate::signature::StatedType;
use crate::{Arg, Fault, StatedSignature};
use std::collections::HashSet;

pub(super) fn bind(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
) -> Result<Plan, Fault> {
    let given: Vec<Given> = args.iter().map(Given::new).collect();
    if let Some(stated) = stated {
        let (params, place) = believed(export, stated)?;
        return typed(export, &params, &place, given);
    }
    if let Some(signature) = &export.signature
        && let Some(place) = place(
            export,
            &signature.params,
            signature.result,
            Some(signature.fallible),
        )
    {
        return typed(export, &signature.params, &place, given);
    }
    shaped(export, &given)
        // One text that cannot be the argument may hold all of them.
        .or_else(|| shaped(export, &spread(&given)?))
        .or_else(|| padded(export, given))
        .ok_or_else(|| {
            let names: Vec<_> = export
                .core_params
                .iter()
                .map(|core| format!("{core:?}").to_lowercase())
                .collect();
            let takes = format!("has the core parameters ({})", names.join(", "));
            misfit(&export.name, &takes, args.len())
        })
}

/// How the core type carries known types.
struct Place {
    /// 64 bits take two `i32`.
    halves: bool,
    returns: Returns,
}

/// Where known types are in the core type, if it agrees with them. Only what is stated may be `fallible` or not.
fn place(export: &Export, params: &[Type], result: Type, fallible: Option<bool>) -> Option<Place> {
    let text = match result {
        Type::String | Type::Json => Some(true),
        Type::Bytes => Some(false),
        _ => None,
    };
    let wide = matches!(result, Type::I64 | Type::U64);
    let sure = fallible != Some(true);
    let i32 = Core::I32;
    [false, true].into_iter().find_map(|halves| {
        let flat: Vec<Core> = params
            .iter()
            .flat_map(|ty| core(*ty, halves))
            .copied()
            .collect();
        let plain = export.core_params == flat;
        let area = export.core_params.split_first() == Some((&i32, &flat));
        let returns = match export.core_results.as_slice() {
            [] if text.is_some() => area.then_some(Returns::Area(text)),
            [] if wide => (area && sure).then_some(Returns::Area64(result)),
            [] => (plain && sure && result == Type::Unit).then_some(Returns::Nothing),
            _ if !plain => None,
            [Core::I32, Core::I32] if text.is_some() => sure.then_some(Returns::Pair(text, false)),
            [Core::I32, Core::I32] if wide => sure.then_some(Returns::Halves(result)),
            [Core::I32, Core::I32, Core::I32, Core::I32] if text.is_some() => {
                fallible.is_none().then_some(Returns::Pair(text, true))
            }
            [one, Core::I32, Core::I32] if result.core() == [*one] => {
                fallible.is_none().then_some(Returns::Scalar(result, true))
            }
            results => (sure && text.is_none() && result.core() == results)
                .then_some(Returns::Scalar(result, false)),
        }?;
        Some(Place { halves, returns })
    })
}

fn core(ty: Type, halves: bool) -> &'static [Core] {
    match ty {
        Type::I64 | Type::U64 if halves => &[Core::I32, Core::I32],
        _ => ty.core(),
    }
}

/// What a caller states, if neither the module nor its core type contradicts.
fn believed(export: &Export, stated: &StatedSignature) -> Result<(Vec<Type>, Place), Fault> {
    let refused = |why: &str| {
        let text = format!("`{}` is not `{stated}`: {why}.", export.name);
        Fault::client("arguments", text)
    };
    let one = |ty: &StatedType| match ty {
        StatedType::One(ty) => Ok(*ty),
        StatedType::Array(_) => Err(refused(
            "only modules of wasmedge-bindgen take and return arrays of numbers",
        )),
    };
    let params = stated
        .params
        .iter()
        .map(one)
        .collect::<Result<Vec<_>, _>>()?;
    let result = one(&stated.result)?;
    if let Some(said) = &export.signature
        && (said.params != params || said.result != result)
    {
        let said = StatedSignature {
            params: said.params.iter().copied().map(StatedType::One).collect(),
            result: StatedType::One(said.result),
        };
        return Err(refused(&format!("the module says `{said}`")));
    }
    let place = place(export, &params, result, None).ok_or_else(|| {
        let list = |types: &[Core]| {
            let names: Vec<_> = types
                .iter()
                .map(|core| format!("{core:?}").to_lowercase())
                .collect();
            names.join(", ")
        };
        let (takes, gives) = (list(&export.core_params), list(&export.core_results));
        refused(&format!(
            "its core type is ({takes}) -> ({gives}), which carries other types"
        ))
    })?;
    Ok((params, place))
}

fn typed(
    export: &Export,
    params: &[Type],
    place: &Place,
    given: Vec<Given>,
) -> Result<Plan, Fault> {
    let slot = |ty: &Type, given: &Given| {
        Some(match convert(*ty, given)? {
            Slot::I64(value) if place.halves => Slot::Halves(value),
            slot => slot,
        })
    };
    let slots = fit_types(&export.name, params, given, slot, |ty| name(*ty).to_owned())?;
    Ok(Plan {
        slots,
        returns: place.returns,
    })
}

/// Core parameters up to which empty texts are tried: trying costs time that no limit of a call counts.
const PADDED: usize = 64;

/// Binds fewer arguments than the function takes: the missing ones are empty texts, as in 2020. Who sends an array of
/// arguments has counted them.
fn padded(export: &Export, mut given: Vec<Given>) -> Option<Plan> {
    if spread(&given).is_some() || export.core_params.len() > PADDED {
        return None;
    }
    while given.len() < export.core_params.len() {
        given.push(Given::missing());
        if let Some(plan) = shaped(export, &given) {
            return Some(plan);
        }
    }
    None
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
        Core::I32 => convert(Type::U32, given).or_else(|| {
            (given.meant == Meant::Number)
                .then(|| convert(Type::Bool, given))
                .flatten()
        }),
        Core::I64 => convert(Type::U64, given),
        _ => None,
    }
}
