//! The functions that a module exports: their names, their core types, and the ones that its author wrote.

use crate::abi::command::START;
use crate::types::Core;
use std::collections::HashMap;
use wasmparser::{Parser, Payload, types::EntityType, types::Types};

/// Exports that set a module up, in the order in which they run.
pub(super) const INITIALIZERS: [&str; 2] = [INITIALIZE, "__wbindgen_start"];
/// The initialiser of a library for WASI.
pub(super) const INITIALIZE: &str = "_initialize";
/// The author's set-up, which runs once at upload.
pub(super) const PRIME: &str = "iof_prime";

/// Prefixes of the exports that describe functions.
const DESCRIPTIONS: [&str; 2] = ["__wbindgen_describe_", "__iof_describe_"];

/// Returns whether an export describes a function.
pub(super) fn describes(name: &str) -> bool {
    DESCRIPTIONS.iter().any(|kind| name.starts_with(kind))
}

/// Returns whether an export is one of the author's functions.
pub(super) fn is_users(name: &str) -> bool {
    !name.starts_with("__") && !matches!(name, INITIALIZE | START | PRIME)
}

/// The core types of exported functions, by name.
pub(super) type Functions = HashMap<String, (Vec<Core>, Vec<Core>)>;

/// The exported functions of a valid module, in its order, and their types.
pub(super) fn functions(source: &[u8], types: &Types) -> (Vec<String>, Functions) {
    let (mut names, mut functions) = (vec![], HashMap::new());
    let types = types.as_ref();
    let section = Parser::new(0)
        .parse_all(source)
        .find_map(|payload| match payload {
            Ok(Payload::ExportSection(section)) => Some(section),
            _ => None,
        });
    for export in section.into_iter().flatten().filter_map(Result::ok) {
        let Some(EntityType::Func(id)) = types.entity_type_from_export(&export) else {
            continue;
        };
        let ty = types[id].unwrap_func();
        let cores = |types: &[wasmparser::ValType]| types.iter().map(Core::from).collect();
        names.push(export.name.to_owned());
        functions.insert(
            export.name.to_owned(),
            (cores(ty.params()), cores(ty.results())),
        );
    }
    (names, functions)
}

/// Returns whether a module exports a function of this name and type.
pub(super) fn is(types: &Functions, name: &str, params: &[Core], results: &[Core]) -> bool {
    types
        .get(name)
        .is_some_and(|(takes, gives)| takes == params && gives == results)
}
