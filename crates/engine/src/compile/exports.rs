//! The functions that a component exports: the names by which they are called, and which of them run a program or answer HTTP
//! requests.

use crate::interfaces::served::{self, WASI_0_2, WASI_0_3};
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;
use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentFunc, ComponentItem, Type};

/// The interface that programs export.
const RUN: &str = "wasi:cli/run";
/// The function of [`RUN`] that runs the program.
const RUN_FUNCTION: &str = "run";
/// The interface that handlers of HTTP requests export, in WASI 0.2.
const HANDLER: &str = "wasi:http/incoming-handler";
/// The interface of handlers in WASI 0.3.
const ASYNC_HANDLER: &str = "wasi:http/handler";
/// All functions that a component exports, by symbol: `function`, or `interface#function`.
///
/// # Errors
/// `unsupported-kind` for a program or a handler of HTTP requests of another WASI, `module-names`.
pub(super) fn functions(
    engine: &Engine,
    ty: &types::Component,
) -> Result<Vec<(String, ComponentFunc)>, Fault> {
    let mut functions = vec![];
    for (name, export) in ty.exports(engine) {
        super::shape::name(name)?;
        let (interface, version) = served::split(name);
        let served = match interface {
            HANDLER => Some(WASI_0_2),
            ASYNC_HANDLER => Some(WASI_0_3),
            RUN if version.is_some() => match WASI_0_2.has(version) {
                true => Some(WASI_0_2),
                false => Some(WASI_0_3),
            },
            _ => None,
        };
        if served.is_some_and(|served| !served.has(version)) {
            return Err(unserved_export(name));
        }
        match export.ty {
            ComponentItem::ComponentFunc(of) => functions.push((name.to_owned(), of)),
            ComponentItem::ComponentInstance(instance) => {
                for (function, of) in instance.exports(engine) {
                    super::shape::name(function)?;
                    if let ComponentItem::ComponentFunc(of) = of.ty {
                        functions.push((format!("{name}#{function}"), of));
                    }
                }
            }
            _ => {}
        }
    }
    // The functions of the world come first: its author wrote them for callers.
    functions.sort_by_key(|(symbol, _)| symbol.contains('#'));
    Ok(functions)
}

/// The names by which functions are called: that of a function of an interface begins with the interface's short name,
/// or with its full name if two interfaces share the short one.
pub(super) fn names(functions: &[(String, ComponentFunc)]) -> Vec<String> {
    fn short(interface: &str) -> &str {
        let (interface, _) = served::split(interface);
        interface.rsplit('/').next().unwrap_or(interface)
    }
    let mut whole: HashMap<&str, &str> = HashMap::new();
    let mut shared = vec![];
    for (symbol, _) in functions {
        if let Some((interface, _)) = symbol.split_once('#') {
            let first = whole.entry(short(interface)).or_insert(interface);
            if *first != interface {
                shared.push(short(interface));
            }
        }
    }
    let name = |(symbol, _): &(String, ComponentFunc)| match symbol.split_once('#') {
        None => symbol.clone(),
        Some((interface, function)) => match shared.contains(&short(interface)) {
            true => format!("{interface}/{function}"),
            false => format!("{}/{function}", short(interface)),
        },
    };
    functions.iter().map(name).collect()
}

/// The fault of a component whose program or handler is of a version that is not served, such as a release candidate.
fn unserved_export(name: &str) -> Fault {
    let (second, third) = (WASI_0_2.current, WASI_0_3.current);
    Fault::new(
        FaultKind::UnsupportedKind,
        format!(
            "The component exports `{name}`, a version that this server does not call. Build it with current tools: for \
             {HANDLER} or {RUN} 0.2.0 to {second}, or for {ASYNC_HANDLER}@{third} or {RUN}@{third} (docs/components.md)."
        ),
    )
}

/// Checks the type of a handler of HTTP requests.
///
/// # Errors
/// `invalid-module`
pub(super) fn handles(symbol: &str, of: &ComponentFunc) -> Result<(), Fault> {
    let owned = |ty: &Type| matches!(ty, Type::Own(_));
    let params: Vec<_> = of.params().map(|(_, ty)| owned(&ty)).collect();
    let results: Vec<_> = of.results().collect();
    let fits = match served::split(symbol).0 {
        // `handle: func(request: incoming-request, response-out: response-outparam)`
        HANDLER => params == [true, true] && results.is_empty(),
        // `handle: async func(request: request) -> result<response, error-code>`
        _ => {
            let answers = |ty: &Type| matches!(ty, Type::Result(of) if of.ok().is_some_and(|ok| owned(&ok)) && of.err().is_some());
            params == [true] && of.async_() && matches!(&*results, [result] if answers(result))
        }
    };
    match fits {
        true => Ok(()),
        false => {
            let message =
                format!("The component exports `{symbol}` with another type than WASI defines.");
            Err(Fault::new(FaultKind::InvalidModule, message))
        }
    }
}

/// Returns whether a function runs a program.
pub(super) fn is_run(symbol: &str) -> bool {
    let (interface, function) = symbol.split_once('#').unwrap_or((symbol, ""));
    let (interface, version) = served::split(interface);
    interface == RUN && version.is_some() && function == RUN_FUNCTION
}

/// Returns whether a function answers HTTP requests.
pub(super) fn is_handler(symbol: &str) -> bool {
    matches!(served::split(symbol).0, HANDLER | ASYNC_HANDLER)
}
