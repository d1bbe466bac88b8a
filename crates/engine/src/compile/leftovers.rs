//! Exports that a compiler leaves in a program for its own use, and that clients do not call.
//!
//! A module that exports `_start` is a program, and its other functions stay callable. Compilers add exports of their
//! own: allocators (TinyGo), the C `main` that `_start` calls (Rust of 2020 to 2023), functions that unwind and rewind
//! a stack (Binaryen's asyncify), functions for a host of Emscripten or of components.

use crate::manifest::Core;

/// Names that belong to a compiler whatever their type. `main` is among them, because the program is called by that
/// name.
const NAMES: [&str; 20] = [
    "malloc",
    "free",
    "calloc",
    "realloc",
    "reallocarray",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "malloc_usable_size",
    "main",
    "__main_void",
    "__main_argc_argv",
    "__original_main",
    "stackSave",
    "stackRestore",
    "stackAlloc",
    "setTempRet0",
    "getTempRet0",
    "setThrew",
    "runtime.alloc",
];

/// Prefixes of such names.
const PREFIXES: [&str; 6] = [
    "asyncify_",
    "cabi_",
    "emscripten_",
    "_emscripten_",
    "dynCall_",
    "legalstub$",
];

/// Returns whether a compiler added an export to a program.
pub(super) fn is_compilers(name: &str, params: &[Core], results: &[Core]) -> bool {
    const I32: Core = Core::I32;
    match name {
        // A program may define these names itself; only those of the runtime have this type.
        "resume" | "go_scheduler" => params.is_empty() && results.is_empty(),
        "fflush" => params == [I32] && results == [I32],
        name => NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_compilers_are_known() {
        const I32: Core = Core::I32;
        for (name, params, results) in [
            ("malloc", &[I32][..], &[I32][..]),
            ("main", &[I32, I32], &[I32]),
            ("asyncify_start_unwind", &[I32], &[]),
            ("cabi_realloc", &[I32, I32, I32, I32], &[I32]),
            ("resume", &[], &[]),
        ] {
            assert!(is_compilers(name, params, results), "{name}");
        }
        for (name, params) in [
            ("resume", &[I32][..]),
            ("add", &[I32, I32]),
            ("mallocs", &[]),
        ] {
            assert!(!is_compilers(name, params, &[]), "{name}");
        }
    }
}
