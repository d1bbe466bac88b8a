//! What a module is, found out from its bytes: refusals that name the reason, and the manifest.

use super::allocator::{self, ALLOCATE, DEALLOCATE, I32};
use super::prime::Instance;
use super::{leftovers, proposals};
use crate::abi::{command, described, descriptor};
use crate::host::{glue, missing};
use crate::limits::{CompileLimits, UnknownImports};
use crate::manifest::{Abi, Core, Export, Kind, Manifest, Primed, Unserved};
use crate::state::CallState;
use command::START;
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;
use wasmparser::{ExternalKind, Parser, Payload, types::EntityType, types::Types};
use wasmtime::{Engine, ExternType, Linker, Module, Store};

/// Exports that set a module up, in the order in which they run.
pub(super) const INITIALIZERS: [&str; 2] = ["_initialize", "__wbindgen_start"];
/// An author's own set-up, run once at upload.
pub(super) const PRIME: &str = "iof_prime";

/// What the serving process checks before it starts a worker: the cheapest and commonest mistakes.
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
        [0, b'a', b's', b'm', 13, 0, 1, 0, ..] => Err(Fault::new(
            FaultKind::UnsupportedKind,
            "This is a WebAssembly component, and this server runs core modules: write its functions with iof-guest, or \
             export them from a library for wasm32-wasip1 (docs/guide/functions.md).",
        )),
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

fn not_wasm(why: &str) -> Fault {
    Fault::new(
        FaultKind::NotWasm,
        format!("The body is no WebAssembly module. {why}"),
    )
}

/// Validates, and bounds what later steps and every call would pay for.
///
/// # Errors
/// `invalid-module`, `unsupported-feature` with the proposal's name, `module-functions`, `module-exports`.
pub(super) fn validate(source: &[u8], limits: &CompileLimits) -> Result<Types, Fault> {
    let invalid = |error: wasmparser::BinaryReaderError| {
        if let Some(fault) = proposals::missing(&error) {
            return fault;
        }
        let cut = if error.message().contains("unexpected end") {
            " The file seems to be cut off."
        } else {
            ""
        };
        Fault::new(
            FaultKind::InvalidModule,
            format!("The module is not valid: {error}.{cut}"),
        )
    };
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

/// The imports of a module, as a module of its own, which takes no time to compile: types and imports, nothing else.
///
/// # Errors
/// When the engine refuses it.
pub(super) fn imports(engine: &Engine, source: &[u8]) -> wasmtime::Result<Module> {
    let mut head = source.get(..8).unwrap_or_default().to_vec();
    for payload in Parser::new(0).parse_all(source) {
        let payload = payload?;
        if !matches!(payload, Payload::TypeSection(_) | Payload::ImportSection(_)) {
            continue;
        }
        if let Some((id, range)) = payload.as_section()
            && let Some(body) = source.get(range)
        {
            head.push(id);
            head.extend(super::constructors::leb(
                u32::try_from(body.len()).unwrap_or(u32::MAX),
            ));
            head.extend_from_slice(body);
        }
    }
    Module::new(engine, &head)
}

fn too_many(what: &str, count: u32, kind: FaultKind, limit: u32) -> Fault {
    let setting = kind.as_str().replace('-', "_");
    Fault::new(
        kind,
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
    Fault::new(
        FaultKind::UnknownImport,
        format!(
            "The module needs what this server does not have: {list}. It serves wasi_snapshot_preview1, \
             ssvm_process, ssvm_native, wasmedge_process, wasmedge_native and iof. If the functions that you call do not \
             need it, compile.unknown_imports = \"fault\" lets the module in."
        ),
    )
}

/// Whether an export is one of its author's functions.
fn is_users(name: &str) -> bool {
    !name.starts_with("__") && !matches!(name, "_initialize" | START | PRIME)
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

/// What is known of a module, but for its imports; `describe` is an instance in which its descriptors can be run.
///
/// # Errors
/// `unsupported-type`: a function says a type for itself that no call could pass.
pub(super) fn manifest(
    source: &[u8],
    (names, types): &(Vec<String>, Functions),
    mut describe: Option<&mut Instance>,
) -> Result<Manifest, Fault> {
    let allocator = allocator::find(types);
    let wasmedge = allocator.as_ref().is_some_and(|a| a.malloc == ALLOCATE);
    let program = allocator::is(types, START, &[], &[]);
    let mut exports: Vec<Export> = vec![];
    for symbol in names.iter().filter(|name| is_users(name)) {
        let Some((params, results)) = types.get(symbol) else {
            continue;
        };
        if wasmedge && matches!(&**symbol, ALLOCATE | DEALLOCATE)
            || program && leftovers::is_compilers(symbol, params, results)
        {
            continue;
        }
        let described = types.contains_key(&descriptor_of(symbol));
        let name = match described {
            true => without_hash(symbol),
            false => symbol,
        };
        exports.push(Export {
            name: name.to_owned(),
            symbol: symbol.clone(),
            core_params: params.clone(),
            core_results: results.clone(),
            signature: None,
            described: None,
            abi: match wasmedge && params == &[I32, I32] && results == &[I32] {
                true => Abi::Wasmedge,
                false => Abi::Bindgen,
            },
        });
    }
    let version = section(source, "__wasm_bindgen_unstable").and_then(descriptor::version);
    let mut room = described::MAX_ALL;
    for export in &mut exports {
        let descriptor = descriptor_of(&export.symbol);
        if types.contains_key(&descriptor) {
            let codes = describe
                .as_mut()
                .and_then(|instance| instance.describe(&descriptor));
            let signature = descriptor::read(codes.as_deref(), version)
                .and_then(|signature| crate::abi::bindgen::agrees(export, signature));
            export.signature = Some(signature.map_err(|what| unsupported(export, &what))?);
        }
        let text = allocator.as_ref().and_then(|allocator| {
            describe.as_mut()?.text(
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
    if program {
        exports.push(program_of());
    }
    Ok(Manifest {
        kind: if program {
            Kind::WasiCommand
        } else {
            Kind::Bindgen
        },
        exports,
        allocator,
        initialize: vec![],
        primed: Primed::No(String::new()),
        unserved: vec![],
        files: false,
        space: 0,
    })
}

/// The fault of a function that says a type which no call could pass.
fn unsupported(export: &Export, what: &str) -> Fault {
    let name: String = export.name.chars().take(100).collect();
    Fault::new(
        FaultKind::UnsupportedType,
        format!(
            "The function `{name}` cannot be called: {what}. Give it the types that docs/guide/functions.md lists, or do \
             not export it."
        ),
    )
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

/// A custom section's bytes.
fn section<'a>(source: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Parser::new(0)
        .parse_all(source)
        .find_map(|payload| match payload {
            Ok(Payload::CustomSection(section)) if section.name() == name => Some(section.data()),
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
