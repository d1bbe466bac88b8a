//! Calls of exports without known types: the core type and the arguments decide.

use super::super::input::{ArgHint, InputArg, convert, expand_array};
use crate::abi::layout::{CallPlan, CoreArg, Era, ErrorLayout, ResultLayout};
use crate::manifest::{Core, Export, Type};
use std::collections::HashSet;

/// The elements of an array with one number for each core parameter of a function that returns a number. They are the
/// function's arguments, because a text would take two parameters.
pub(super) fn counted(export: &Export, given: &[InputArg]) -> Option<Vec<InputArg>> {
    let one_number = match export.core_results.as_slice() {
        [one] | [one, Core::I32, Core::I32] => number(*one).is_some(),
        _ => false,
    };
    let elements = expand_array(given).filter(|_| one_number)?;
    let all = elements.len() == export.core_params.len() && !elements.is_empty();
    (all && elements.iter().all(InputArg::is_number)).then_some(elements)
}

/// The most core parameters for which empty texts are tried: no limit of a call covers the time of this search.
const PADDED: usize = 64;

/// Plans a call with fewer arguments than the function takes: the missing ones are empty texts, as in 2020. An array of
/// arguments is never padded.
pub(super) fn padded(export: &Export, mut given: Vec<InputArg>, texts: bool) -> Option<CallPlan> {
    if expand_array(&given).is_some() || export.core_params.len() > PADDED {
        return None;
    }
    while given.len() < export.core_params.len() {
        given.push(InputArg::missing());
        if let Some(plan) = shaped(export, &given, texts) {
            return Some(plan);
        }
    }
    None
}

/// Plans a call by the core type only.
pub(super) fn shaped(export: &Export, given: &[InputArg], texts: bool) -> Option<CallPlan> {
    let params = export.core_params.as_slice();
    let plan = |params: &[Core], returns| {
        Some(CallPlan {
            slots: divide(params, given, texts)?,
            returns,
        })
    };
    match export.core_results.as_slice() {
        // A function that returns a text is more likely than one that returns nothing, so it is tried first.
        [] => match params.split_first() {
            Some((Core::I32, rest)) if texts => plan(rest, ResultLayout::Area),
            _ => None,
        }
        .or_else(|| plan(params, ResultLayout::Nothing)),
        [Core::I32, Core::I32] => plan(params, ResultLayout::Pair(false)),
        [Core::I32, Core::I32, Core::I32, Core::I32] => plan(params, ResultLayout::Pair(true)),
        [one] => plan(params, scalar(*one, ErrorLayout::No)?),
        [one, Core::I32, Core::I32] => plan(params, scalar(*one, ErrorLayout::Yes)?),
        _ => None,
    }
}

/// Returns whether [`shaped`] knows a layout of the results, whatever the arguments are.
pub(super) fn passes_result(export: &Export) -> bool {
    match export.core_results.as_slice() {
        [] | [Core::I32, Core::I32] | [Core::I32, Core::I32, Core::I32, Core::I32] => true,
        [one] | [one, Core::I32, Core::I32] => number(*one).is_some(),
        _ => false,
    }
}

/// The result layout of a signed number of a core type.
fn scalar(core: Core, fallible: ErrorLayout) -> Option<ResultLayout> {
    Some(ResultLayout::Known {
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
fn divide(params: &[Core], given: &[InputArg], texts: bool) -> Option<Vec<CoreArg>> {
    // The number of texts follows from the counts; a division that cannot succeed is not searched.
    let count = params.len().checked_sub(given.len())?;
    if count > given.len() || count > 0 && !texts {
        return None;
    }
    let mut slots = Vec::with_capacity(given.len());
    search(params, given, &mut slots, &mut HashSet::new()).then_some(slots)
}

/// Searches depth first, each dead end once: (parameters left, arguments left).
fn search(
    params: &[Core],
    given: &[InputArg],
    slots: &mut Vec<CoreArg>,
    dead: &mut HashSet<(usize, usize)>,
) -> bool {
    let Some((first, others)) = given.split_first() else {
        return params.is_empty();
    };
    if dead.contains(&(params.len(), given.len())) {
        return false;
    }
    let text =
        matches!(params, [Core::I32, Core::I32, ..]).then(|| CoreArg::Bytes(first.bytes.clone()));
    let scalar = params
        .first()
        .and_then(|core| convert(&number(*core)?, first).or_else(|| wide(*core, first)));
    let choices = match first.hint {
        ArgHint::Bytes | ArgHint::Quoted => [text, None],
        ArgHint::Text => [text, scalar],
        ArgHint::Number => [scalar, text],
        ArgHint::Request => [None, None],
    };
    for slot in choices.into_iter().flatten() {
        let taken = slot.cores().len();
        slots.push(slot);
        if search(params.get(taken..).unwrap_or_default(), others, slots, dead) {
            return true;
        }
        slots.pop();
    }
    dead.insert((params.len(), given.len()));
    false
}

/// The value of an unsigned number or a boolean, which the core type does not distinguish from a signed number.
fn wide(core: Core, given: &InputArg) -> Option<CoreArg> {
    match core {
        Core::I32 => convert(&Type::U32, given).or_else(|| {
            (given.hint == ArgHint::Number)
                .then(|| convert(&Type::Bool, given))
                .flatten()
        }),
        Core::I64 => convert(&Type::U64, given),
        _ => None,
    }
}
