//! Client arguments, lowered to the parameters of an export.

use super::super::input::{InputArg, arity_error, expand_array};
use super::typed::{check_stated_signature, layout_of, typed};
use super::untyped::{counted, padded, passes_result, shaped};
use crate::abi::layout::CallPlan;
use crate::manifest::Export;
use crate::types::listed;
use crate::{Arg, StatedSignature};
use iof_fault::{Fault, FaultKind};

/// Plans the call of `export`. `texts` is true if the module exports an allocator, without which it cannot receive
/// texts.
///
/// # Errors
/// `arguments`, `no-allocator`, `unsupported-type`
pub(super) fn lower(
    export: &Export,
    args: &[Arg],
    stated: Option<&StatedSignature>,
    texts: bool,
) -> Result<CallPlan, Fault> {
    let given: Vec<InputArg> = args.iter().map(InputArg::new).collect();
    if let Some(stated) = stated {
        let layout = check_stated_signature(export, stated)?;
        return typed(export, &stated.params, layout, given);
    }
    if let Some(signature) = &export.signature
        && let Some(layout) = layout_of(export, signature)
    {
        return typed(export, &signature.params, layout, given);
    }
    if !passes_result(export) {
        return Err(unsupported_result(export));
    }
    let takes = || format!("has the core parameters ({})", listed(&export.core_params));
    if let Some(numbers) = counted(export, &given) {
        return shaped(export, &numbers, false)
            .ok_or_else(|| arity_error(&export.name, &takes(), numbers.len()));
    }
    let any = |texts: bool| {
        shaped(export, &given, texts)
            // A single text that cannot be the argument may be a JSON array of all arguments.
            .or_else(|| shaped(export, &expand_array(&given)?, texts))
            .or_else(|| padded(export, given.clone(), texts))
    };
    match any(texts) {
        Some(plan) => Ok(plan),
        None if !texts && any(true).is_some() => Err(match numbers(&given) {
            Some(count) => wrong_count(export, count),
            None => no_allocator(export),
        }),
        None => Err(arity_error(&export.name, &takes(), args.len())),
    }
}

/// The number of arguments, if all of them are numbers.
fn numbers(given: &[InputArg]) -> Option<usize> {
    match expand_array(given) {
        Some(elements) => elements
            .iter()
            .all(InputArg::is_number)
            .then_some(elements.len()),
        None => given
            .iter()
            .all(InputArg::reads_as_number)
            .then_some(given.len()),
    }
}

/// The fault of too few or too many numbers.
fn wrong_count(export: &Export, count: usize) -> Fault {
    Fault::new(
        FaultKind::Arguments,
        format!(
            "`{}` takes {} numbers ({}): got {count}. Send them as a JSON array.",
            export.name,
            export.core_params.len(),
            listed(&export.core_params)
        ),
    )
}

/// The fault of a result that no call can pass on.
fn unsupported_result(export: &Export) -> Fault {
    Fault::new(
        FaultKind::UnsupportedType,
        format!(
            "`{}` returns ({}), which no call can pass on. Return one number, or a text.",
            export.name,
            listed(&export.core_results)
        ),
    )
}

/// The fault of a text for a module without an allocator.
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
