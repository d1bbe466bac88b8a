//! The proposals of WebAssembly: the list of those that this server supports, and the names of the others.
//!
//! The list configures both the engine ([`crate::config::wasm_config`]) and the validator, so the engine compiles every
//! module that validates.

use iof_fault::{Fault, FaultKind};
use wasmparser::{BinaryReaderError, WasmFeatures};

/// The part of WebAssembly 3.0 that is not supported: shared memories cannot be accounted to one call.
pub(crate) const WITHOUT: WasmFeatures = WasmFeatures::THREADS;

/// The supported features: the rest of WebAssembly 3.0. Objects and exceptions live in a heap of the store, which its
/// limiter counts as it counts memories.
pub(crate) const SERVED: WasmFeatures = WasmFeatures::WASM3
    .union(WasmFeatures::GC_TYPES)
    .difference(WITHOUT);

/// The supported features of components and their modules: those of WASI 0.2 and 0.3, and maps.
pub(crate) const COMPONENTS: WasmFeatures = SERVED
    .union(WasmFeatures::COMPONENT_MODEL)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_MAP);

/// Proposals that are not supported: the flag, the name, the way to build without it.
const UNSERVED: [(WasmFeatures, &str, &str); 12] = [
    (
        WasmFeatures::SHARED_EVERYTHING_THREADS,
        "shared-everything-threads",
        "Build it without threads",
    ),
    (
        WasmFeatures::THREADS,
        "threads",
        "Build it without threads and shared memory",
    ),
    (
        WasmFeatures::LEGACY_EXCEPTIONS,
        "legacy exceptions",
        "Build it with the exceptions of WebAssembly 3.0 (LLVM: -mllvm -wasm-use-legacy-eh=false), or without any",
    ),
    (
        WasmFeatures::STACK_SWITCHING,
        "stack switching",
        "Build it without stack switching",
    ),
    (
        WasmFeatures::CUSTOM_PAGE_SIZES,
        "custom page sizes",
        "Build it with pages of 64 KiB",
    ),
    (
        WasmFeatures::WIDE_ARITHMETIC,
        "wide arithmetic",
        "Build it without -mwide-arithmetic",
    ),
    (
        WasmFeatures::CM_ASYNC_STACKFUL,
        "asynchronous functions with stacks of their own",
        "Build it with callbacks, as wit-bindgen does",
    ),
    (
        WasmFeatures::CM_MORE_ASYNC_BUILTINS,
        "further built-in functions of asynchronous components",
        "Build it for WASI 0.3.0",
    ),
    (
        WasmFeatures::CM_THREADING,
        "threads of components",
        "Build it without threads",
    ),
    (
        WasmFeatures::CM_ERROR_CONTEXT,
        "error contexts",
        "Build it for WASI 0.3.0, which has none",
    ),
    (
        WasmFeatures::CM_FIXED_LENGTH_LISTS,
        "lists of fixed length",
        "Use a list or a tuple in its WIT",
    ),
    (
        WasmFeatures::MEMORY_CONTROL,
        "memory control",
        "Build it without memory.discard",
    ),
];

/// The fault of a module whose validation failed because of a proposal; `None` if it failed for another reason.
pub(crate) fn missing(error: &BinaryReaderError) -> Option<Fault> {
    let feature = error.missing_wasm_feature()?;
    let known = UNSERVED.iter().find(|(flag, ..)| feature.intersects(*flag));
    let (name, step) = match known {
        Some((_, name, step)) => ((*name).to_owned(), *step),
        None => {
            let mut flags = feature.iter_names().map(|(name, _)| name);
            let name = flags.next().unwrap_or("an unknown one");
            (
                name.to_ascii_lowercase().replace('_', "-"),
                "Build it without it",
            )
        }
    };
    Some(Fault::new(
        FaultKind::UnsupportedFeature,
        format!(
            "The module needs a proposal of WebAssembly that this server does not serve: {name} ({error}). {step}; \
                 docs/guide/functions.md lists what is served."
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let source = wat::parse_str(text).unwrap();
        let error = wasmparser::Validator::new_with_features(SERVED)
            .validate_all(&source)
            .map(drop)
            .expect_err(text);
        missing(&error)
            .unwrap_or_else(|| panic!("{text}: {error}"))
            .message
    }

    #[test]
    fn a_proposal_is_named() {
        for (text, name) in [
            ("(module (memory 1 1 shared))", "threads"),
            (
                "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
                "threads",
            ),
            ("(module (memory 1 (pagesize 1)))", "custom page sizes"),
        ] {
            let message = refusal(text);
            assert!(
                message.contains(&format!("not serve: {name} (")),
                "{message}"
            );
        }
    }

    #[test]
    fn a_proposal_of_components_is_named() {
        let validate = |text: &str| {
            let source = wat::parse_str(text).unwrap();
            wasmparser::Validator::new_with_features(COMPONENTS)
                .validate_all(&source)
                .map(drop)
        };
        validate("(component (type (map string u32)))").unwrap();
        let error = validate("(component (type (list u32 4)))").unwrap_err();
        let message = missing(&error).unwrap().message;
        assert!(
            message.contains("not serve: lists of fixed length ("),
            "{message}"
        );
    }

    #[test]
    fn what_is_served_is_valid() {
        for text in [
            "(module (memory i64 1))",
            "(module (memory 1) (memory 1))",
            "(module (func $f (return_call $f)))",
            "(module (func (result v128) (v128.const i32x4 0 0 0 0)))",
            "(module (table 1 externref) (func (param externref) (result i32 i32) i32.const 0 i32.const 0))",
            "(module (global i32 (i32.add (i32.const 1) (i32.const 2))))",
            "(module (tag $t) (func (throw $t)))",
            "(module (type (struct (field (mut i8)))) (func (result (ref 0)) (struct.new_default 0)))",
        ] {
            let source = wat::parse_str(text).unwrap();
            wasmparser::Validator::new_with_features(SERVED)
                .validate_all(&source)
                .expect(text);
        }
    }
}
