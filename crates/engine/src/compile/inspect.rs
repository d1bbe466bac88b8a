//! What a module is, found out from its bytes: refusals that name the reason, and the manifest.

use super::prime::Instance;
use crate::abi::{command, described, descriptor};
use crate::host::{glue, missing};
use crate::limits::{CompileLimits, UnknownImports};
use crate::manifest::{Abi, Allocator, Core, Export, Kind, Manifest, Primed, Unserved};
use crate::{Fault, state::CallState};
use command::START;
use std::collections::HashMap;
use wasmtime::{ExternType, Linker, Module, Store, ValType};

/// Exports that set a module up, in the order in which they run.
pub(super) const INITIALIZERS: [&str; 2] = ["_initialize", "__wbindgen_start"];
/// An author's own set-up, run once at upload.
pub(super) const PRIME: &str = "iof_prime";

/// What the serving process checks before it starts a worker: the cheapest and commonest mistakes.
pub(super) fn precheck(source: &[u8], limits: &CompileLimits) -> Result<(), Fault> {
    if source.len() as u64 > limits.module_size.as_u64() {
        return Err(Fault::limit(
            "module-size",
            413,
            format!(
                "The module is larger than compile.module_size = {}.",
                limits.module_size
            ),
        ));
    }
    match source {
        [] => Err(not_wasm("It is empty.")),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', 13, 0, 1, 0, ..] => Err(Fault::client(
            "unsupported-kind",
            "This is a WebAssembly component, and this server runs core modules: write its functions with iof-guest, or \
             export them from a library for wasm32-wasip1 (docs/guide/functions.md).",
        )
        .with_status(415)),
        [0, b'a', b's', b'm', ..] => Err(not_wasm("Its header names a version that no runtime knows.")),
        [b'(', ..] => Err(not_wasm("It is WebAssembly text; turn it into a module with `wat2wasm` first.")),
        _ => Err(not_wasm("It does not begin with the bytes 00 61 73 6d. Send the file itself: --data-binary @file.wasm.")),
    }
}

fn not_wasm(why: &str) -> Fault {
    Fault::client(
        "not-wasm",
        format!("The body is no WebAssembly module. {why}"),
    )
}

/// Validates, and bounds what later steps and every call would pay for.
pub(super) fn validate(
    source: &[u8],
    limits: &CompileLimits,
    features: wasmparser::WasmFeatures,
) -> Result<(), Fault> {
    let invalid = |error: wasmparser::BinaryReaderError| {
        let cut = if error.message().contains("unexpected end") {
            " The file seems to be cut off."
        } else {
            ""
        };
        Fault::client(
            "invalid-module",
            format!("The module is not valid: {error}.{cut}"),
        )
    };
    for payload in wasmparser::Parser::new(0).parse_all(source) {
        match payload.map_err(invalid)? {
            wasmparser::Payload::FunctionSection(section) => {
                functions(section.count(), limits)?;
            }
            wasmparser::Payload::ImportSection(section) => {
                functions(section.count(), limits)?;
                for import in section.into_imports().flatten() {
                    name_length(import.module, limits)?;
                    name_length(import.name, limits)?;
                }
            }
            wasmparser::Payload::ExportSection(section) => {
                for export in section.clone().into_iter().flatten() {
                    name_length(export.name, limits)?;
                }
                let functions = section
                    .into_iter()
                    .filter(|export| matches!(export, Ok(e) if e.kind == wasmparser::ExternalKind::Func && is_users(e.name)))
                    .count();
                let functions = u32::try_from(functions).unwrap_or(u32::MAX);
                if functions > limits.module_exports {
                    return Err(too_many(
                        "exported functions",
                        functions,
                        "module-exports",
                        limits.module_exports,
                    ));
                }
            }
            _ => {}
        }
    }
    wasmparser::Validator::new_with_features(features)
        .validate_all(source)
        .map_err(invalid)?;
    Ok(())
}

/// # Errors
/// `module-functions`
fn functions(count: u32, limits: &CompileLimits) -> Result<(), Fault> {
    match limits.module_functions {
        limit if count > limit => Err(too_many("functions", count, "module-functions", limit)),
        _ => Ok(()),
    }
}

/// # Errors
/// `module-name`
fn name_length(name: &str, limits: &CompileLimits) -> Result<(), Fault> {
    if name.len() as u64 <= limits.module_name.as_u64() {
        return Ok(());
    }
    let begin: String = name.chars().take(40).collect();
    Err(Fault::limit(
        "module-name",
        422,
        format!(
            "The module has an import or export with a name of {} bytes (`{}…`), more than compile.module_name = {}. \
             Shorten it, or raise the setting.",
            name.len(),
            begin.escape_debug(),
            limits.module_name
        ),
    ))
}

fn too_many(what: &str, count: u32, code: &'static str, limit: u32) -> Fault {
    let setting = code.replace('-', "_");
    Fault::limit(
        code,
        422,
        format!("The module has {count} {what}, more than compile.{setting} = {limit}."),
    )
}

/// Every function that a module imports and nobody serves.
///
/// # Errors
/// `unknown-import` for an import that is no function: there is no call that could fault instead.
pub(super) fn unserved(
    module: &Module,
    linker: &Linker<CallState>,
    store: &mut Store<CallState>,
) -> Result<Vec<Unserved>, Fault> {
    let (mut unserved, mut others) = (vec![], vec![]);
    for import in module.imports() {
        if glue::is_glue(&import) || missing::is_served(&import, linker, &mut *store) {
        } else if let ExternType::Func(_) = import.ty() {
            unserved.push(Unserved {
                module: import.module().to_owned(),
                name: import.name().to_owned(),
                optional: missing::is_optional(import.module()),
            });
        } else {
            others.push(format!(
                "{} {} (no function)",
                import.module(),
                import.name()
            ));
        }
    }
    if others.is_empty() {
        return Ok(unserved);
    }
    let functions: Vec<_> = unserved.iter().map(missing::name).collect();
    Err(refuse(&[functions, others].concat()))
}

/// Judges what [`unserved`] found.
///
/// # Errors
/// `unknown-import`, listing what is not optional, unless the setting lets it fault at the call.
pub(crate) fn accept(unserved: &[Unserved], setting: UnknownImports) -> Result<(), Fault> {
    let needed: Vec<String> = unserved
        .iter()
        .filter(|import| !import.optional)
        .map(missing::name)
        .collect();
    match setting {
        UnknownImports::Refuse if !needed.is_empty() => Err(refuse(&needed)),
        _ => Ok(()),
    }
}

fn refuse(missing: &[String]) -> Fault {
    let list = match missing {
        few if few.len() <= 20 => few.join(", "),
        many => format!(
            "{} and {} more",
            many.get(..20).unwrap_or_default().join(", "),
            many.len() - 20
        ),
    };
    Fault::client(
        "unknown-import",
        format!(
            "The module needs what this server does not have: {list}. It serves wasi_snapshot_preview1, \
             ssvm_process, ssvm_native, wasmedge_process, wasmedge_native and iof. If the functions that you call do not \
             need it, compile.unknown_imports = \"fault\" lets the module in."
        ),
    )
    .with_status(422)
}

/// Whether an export is one of its author's functions.
fn is_users(name: &str) -> bool {
    !name.starts_with("__") && !matches!(name, "_initialize" | START | PRIME)
}

/// Describes the module; `describe` is an instance in which its descriptors can be run.
pub(super) fn manifest(
    source: &[u8],
    module: &Module,
    describe: Option<&mut Instance>,
) -> Manifest {
    let types: HashMap<_, _> = module
        .exports()
        .filter_map(|export| match export.ty() {
            ExternType::Func(ty) => Some((export.name().to_owned(), ty)),
            _ => None,
        })
        .collect();
    let allocator = allocator(&types);
    let wasmedge = allocator.as_ref().is_some_and(|a| a.malloc == ALLOCATE);
    let mut exports: Vec<Export> = module
        .exports()
        .filter(|export| is_users(export.name()))
        .filter(|export| !wasmedge || !matches!(export.name(), ALLOCATE | DEALLOCATE))
        .filter_map(|export| {
            let ty = types.get(export.name())?;
            let described = types.contains_key(&descriptor_of(export.name()));
            Some(Export {
                name: if described {
                    without_hash(export.name())
                } else {
                    export.name()
                }
                .to_owned(),
                symbol: export.name().to_owned(),
                core_params: ty.params().map(|ty| Core::from(&ty)).collect(),
                core_results: ty.results().map(|ty| Core::from(&ty)).collect(),
                signature: None,
                described: None,
                abi: if wasmedge && is(ty, &[I32, I32], &[I32]) {
                    Abi::Wasmedge
                } else {
                    Abi::Bindgen
                },
            })
        })
        .collect();
    if let Some(instance) = describe {
        let version = section(source, "__wasm_bindgen_unstable").and_then(descriptor::version);
        let mut room = described::MAX_ALL;
        for export in &mut exports {
            let codes = instance.describe(&descriptor_of(&export.symbol));
            export.signature = codes.and_then(|codes| descriptor::decode(&codes, version));
            let text = allocator.as_ref().and_then(|allocator| {
                instance.text(
                    &described::export_of(&export.name),
                    allocator,
                    described::MAX,
                )
            });
            let text = text.filter(|text| {
                room = room.saturating_sub(text.len());
                room > 0
            });
            let said = text.and_then(|text| described::read(&export.name, &text));
            if let Some((signature, described)) = said {
                (export.signature, export.described) = (Some(signature), Some(described));
            }
        }
    }
    let program = exports.is_empty() && types.get(START).is_some_and(|ty| is(ty, &[], &[]));
    if program {
        exports.push(program_of());
    }
    Manifest {
        kind: if program {
            Kind::WasiCommand
        } else {
            Kind::Bindgen
        },
        exports,
        allocator,
        initialize: vec![],
        primed: Primed::No(String::new()),
        initial_bytes: 0,
        unserved: vec![],
        files: module.imports().any(|import| {
            import.module() == "wasi_snapshot_preview1" && import.name() == "path_open"
        }),
    }
}

/// The one export of a program.
fn program_of() -> Export {
    let (signature, described) = command::describe();
    Export {
        name: command::MAIN.to_owned(),
        symbol: START.to_owned(),
        core_params: vec![],
        core_results: vec![],
        signature: Some(signature),
        described: Some(described),
        abi: Abi::Command,
    }
}

fn descriptor_of(symbol: &str) -> String {
    format!("__wbindgen_describe_{symbol}")
}

/// `say_af3bca193e7a9d75` is `say`.
fn without_hash(symbol: &str) -> &str {
    match symbol.rsplit_once('_') {
        Some((name, hash))
            if hash.len() == 16
                && hash.bytes().all(|b| b.is_ascii_hexdigit())
                && !name.is_empty() =>
        {
            name
        }
        _ => symbol,
    }
}

const I32: ValType = ValType::I32;
/// The allocator that the crate `wasmedge-bindgen` exports, and with which its modules are known.
const ALLOCATE: &str = "allocate";
const DEALLOCATE: &str = "deallocate";

fn is(ty: &wasmtime::FuncType, params: &[ValType], results: &[ValType]) -> bool {
    let same = |theirs: &ValType, ours: &ValType| ValType::eq(theirs, ours);
    ty.params().len() == params.len()
        && ty.results().len() == results.len()
        && ty.params().zip(params).all(|(a, b)| same(&a, b))
        && ty.results().zip(results).all(|(a, b)| same(&a, b))
}

fn allocator(types: &HashMap<String, wasmtime::FuncType>) -> Option<Allocator> {
    let has = |name: &str, params: &[ValType], results: &[ValType]| {
        types.get(name).is_some_and(|ty| is(ty, params, results))
    };
    bindgen_allocator(types).or_else(|| {
        let theirs = has(ALLOCATE, &[I32], &[I32]) && has(DEALLOCATE, &[I32, I32], &[]);
        theirs.then(|| Allocator {
            malloc: ALLOCATE.to_owned(),
            takes_align: false,
            free: Some(DEALLOCATE.to_owned()),
        })
    })
}

/// `__wbindgen_malloc`, or what the tool makes of it in a stripped module: the one `__wbindgen_export*` of its type.
fn bindgen_allocator(types: &HashMap<String, wasmtime::FuncType>) -> Option<Allocator> {
    let arity = |name: &str| {
        let ty = types.get(name)?;
        let integers = ty
            .params()
            .chain(ty.results())
            .all(|ty| matches!(ty, ValType::I32));
        (integers && ty.results().len() == 1).then(|| ty.params().len())
    };
    let malloc = if arity("__wbindgen_malloc").is_some() {
        "__wbindgen_malloc".to_owned()
    } else {
        let mut candidates = types.keys().filter(|name| {
            name.starts_with("__wbindgen_export") && matches!(arity(name), Some(1 | 2))
        });
        let only = candidates.next()?;
        if candidates.next().is_some() {
            return None;
        }
        only.clone()
    };
    let takes_align = match arity(&malloc)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    const FREE: &str = "__wbindgen_free";
    Some(Allocator {
        malloc,
        takes_align,
        free: types.contains_key(FREE).then(|| FREE.to_owned()),
    })
}

/// A custom section's bytes.
fn section<'a>(source: &'a [u8], name: &str) -> Option<&'a [u8]> {
    wasmparser::Parser::new(0)
        .parse_all(source)
        .find_map(|payload| match payload {
            Ok(wasmparser::Payload::CustomSection(section)) if section.name() == name => {
                Some(section.data())
            }
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_not_part_of_a_name() {
        assert_eq!(without_hash("say_af3bca193e7a9d75"), "say");
        assert_eq!(without_hash("same_u32_af3bca193e7a9d75"), "same_u32");
        for kept in [
            "say",
            "say_hello",
            "_af3bca193e7a9d75",
            "say_af3bca193e7a9d7z",
            "say_af3b",
        ] {
            assert_eq!(without_hash(kept), kept);
        }
    }
}
