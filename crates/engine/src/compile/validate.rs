//! Checks of a module's bytes: its header, its validity, and the sizes that every call would pay for.

use super::functions::is_users;
use super::refusals::invalid;
use crate::limits::CompileLimits;
use crate::proposals;
use iof_fault::{Fault, FaultKind};
use wasmparser::{ExternalKind, Parser, Payload, WasmFeatures, types::Types};

/// The checks that the serving process makes before it starts a worker: cheap ones, for the most common mistakes.
///
/// # Errors
/// `module-size`, `not-wasm`
pub(super) fn precheck(source: &[u8], limits: &CompileLimits) -> Result<(), Fault> {
    if source.len() as u64 > limits.module_size.as_u64() {
        return Err(Fault::new(
            FaultKind::ModuleSize,
            format!(
                "The module is larger than compile.module_size = {}.",
                limits.module_size
            ),
        ));
    }
    match source {
        [] => Err(not_wasm("It is empty.")),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        source if is_component(source) => Ok(()),
        [0, b'a', b's', b'm', ..] => Err(not_wasm(
            "Its header names a version that no runtime knows.",
        )),
        [b'(', ..] => Err(not_wasm(
            "It is WebAssembly text; turn it into a module with `wat2wasm` first.",
        )),
        _ => Err(not_wasm(
            "It does not begin with the bytes 00 61 73 6d. Send the file itself: --data-binary @file.wasm.",
        )),
    }
}

/// Returns whether bytes begin with the header of a component.
pub(super) fn is_component(source: &[u8]) -> bool {
    source.starts_with(&[0, b'a', b's', b'm', 13, 0, 1, 0])
}

fn not_wasm(why: &str) -> Fault {
    Fault::new(
        FaultKind::NotWasm,
        format!("The body is not a WebAssembly module. {why}"),
    )
}

/// Validates a module, and bounds the sizes that later steps and every call would pay for.
///
/// # Errors
/// `invalid-module`, `unsupported-feature` with the proposal's name, `module-functions`, `module-exports`.
pub(super) fn validate(source: &[u8], limits: &CompileLimits) -> Result<Types, Fault> {
    let mut parser = Parser::new(0);
    parser.set_features(proposals::SERVED);
    for payload in parser.parse_all(source) {
        match payload.map_err(invalid)? {
            Payload::FunctionSection(section) if section.count() > limits.module_functions => {
                return Err(too_many(
                    "functions",
                    section.count(),
                    FaultKind::ModuleFunctions,
                    limits.module_functions,
                ));
            }
            Payload::ExportSection(section) => {
                let functions = section
                    .into_iter()
                    .filter(|export| matches!(export, Ok(e) if e.kind == ExternalKind::Func && is_users(e.name)))
                    .count();
                let functions = u32::try_from(functions).unwrap_or(u32::MAX);
                if functions > limits.module_exports {
                    return Err(too_many(
                        "exported functions",
                        functions,
                        FaultKind::ModuleExports,
                        limits.module_exports,
                    ));
                }
            }
            _ => {}
        }
    }
    wasmparser::Validator::new_with_features(proposals::SERVED)
        .validate_all(source)
        .map_err(invalid)
}

/// The deepest nesting of components and modules.
const NESTING: u32 = 16;

/// Validates a component, and bounds the sizes that later steps and every call would pay for.
///
/// # Errors
/// `invalid-module`, `unsupported-feature` with the proposal's name, `module-functions`, `module-nesting`,
/// `module-components`.
pub(super) fn component(source: &[u8], limits: &CompileLimits) -> Result<(), Fault> {
    let (mut functions, mut depth) = (0u32, 0u32);
    let mut parser = Parser::new(0);
    parser.set_features(proposals::COMPONENTS);
    for payload in parser.parse_all(source) {
        match payload.map_err(invalid)? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                if depth > NESTING {
                    return Err(Fault::new(
                        FaultKind::ModuleNesting,
                        format!(
                            "The component nests others deeper than {NESTING}. Link them into fewer."
                        ),
                    ));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::FunctionSection(section) => {
                functions = functions.saturating_add(section.count());
                if functions > limits.module_functions {
                    return Err(too_many(
                        "functions",
                        functions,
                        FaultKind::ModuleFunctions,
                        limits.module_functions,
                    ));
                }
            }
            _ => {}
        }
    }
    let validate = |features| {
        wasmparser::Validator::new_with_features(features)
            .validate_all(source)
            .map(drop)
    };
    // Most components use WASI 0.2, which has no tasks.
    let without_tasks = proposals::COMPONENTS.difference(WasmFeatures::CM_ASYNC);
    if validate(without_tasks).is_ok() {
        return Ok(());
    }
    validate(proposals::COMPONENTS).map_err(invalid)?;
    super::tasks::check(source)
}

pub(super) fn too_many(what: &str, count: u32, kind: FaultKind, limit: u32) -> Fault {
    let setting = kind.as_str().replace('-', "_");
    Fault::new(
        kind,
        format!("The module has {count} {what}, more than compile.{setting} = {limit}."),
    )
}
