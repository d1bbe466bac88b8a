//! Imports of a module that the host does not serve, found before anything is compiled.

use crate::host::{js_imports, missing};
use crate::interfaces;
use crate::limits::UnknownImports;
use crate::manifest::{Manifest, UnresolvedImport};
use crate::state::CallState;
use iof_fault::{Fault, FaultKind};
use wasm_encoder::RawSection;
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, ExternType, Linker, Module, Store};

/// The imports of a module as a separate module, which has only types and imports and takes no time to compile.
///
/// # Errors
/// An error if the engine refuses the module.
pub(super) fn imports(engine: &Engine, source: &[u8]) -> wasmtime::Result<Module> {
    let mut head = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(source) {
        let payload = payload?;
        if !matches!(payload, Payload::TypeSection(_) | Payload::ImportSection(_)) {
            continue;
        }
        if let Some((id, range)) = payload.as_section()
            && let Some(body) = source.get(range)
        {
            head.section(&RawSection { id, data: body });
        }
    }
    Module::new(engine, head.finish())
}

/// All functions that a module imports and the host does not serve.
///
/// # Errors
/// `unknown-import` for an import that is not a function, because no call of it could fault instead.
pub(super) fn unserved(
    module: &Module,
    linker: &Linker<CallState>,
    store: &mut Store<CallState>,
) -> Result<Vec<UnresolvedImport>, Fault> {
    let (mut unserved, mut others) = (vec![], vec![]);
    for import in module.imports() {
        if js_imports::is_js_import(&import) || missing::is_served(&import, linker, &mut *store) {
        } else if let ExternType::Func(_) = import.ty() {
            unserved.push(UnresolvedImport {
                module: import.module().to_owned(),
                name: import.name().to_owned(),
                optional: missing::is_optional(import.module()),
            });
        } else {
            others.push(format!(
                "{} {} (not a function)",
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

/// Checks the imports that [`unserved`] found.
///
/// # Errors
/// `unknown-import`, listing the imports that are not optional, unless the setting lets them fault at the call.
pub(crate) fn accept(manifest: &Manifest, setting: UnknownImports) -> Result<(), Fault> {
    let unserved = &manifest.unserved;
    match manifest.world {
        None => accept_core(unserved, setting),
        Some(_) if setting == UnknownImports::Refuse && !unserved.is_empty() => {
            let names: Vec<_> = unserved.iter().map(interfaces::missing::name).collect();
            Err(interfaces::missing::refuse(&names))
        }
        Some(_) => Ok(()),
    }
}

/// Checks the imports of a core module.
///
/// # Errors
/// The errors of [`accept`].
pub(super) fn accept_core(
    unserved: &[UnresolvedImport],
    setting: UnknownImports,
) -> Result<(), Fault> {
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
