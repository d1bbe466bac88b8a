//! Components: validated, inspected and compiled.
//!
//! A component contains modules and other components, which are counted and bounded together. The engine's own limits
//! on the sizes of types hold during validation. Linking its inner instances can take much more than its size; the
//! worker's core time and memory bound that.

use super::docs::Docs;
use super::effort::{Compilation, Effort};
use super::exports::{functions, handles, is_handler, is_run, names};
use super::inspect::program_of;
use super::limits::WorkerLimits;
use super::{imports, validate};
use crate::abi::command::MAIN;
use crate::abi::typed::describe;
use crate::artefact;
use crate::executable;
use crate::interfaces::{self, missing, served};
use crate::manifest::{
    Abi, Export, Kind, Manifest, Primed, UnresolvedImport, World, WorldExport, fits,
};
use crate::pool::{COMPONENT_MEMORIES, COMPONENT_TABLES, TABLE_ELEMENTS};
use iof_fault::{Fault, FaultKind};
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::{self, ComponentItem};

/// The package whose interfaces open files.
const FILES: &str = "wasi:filesystem/";

/// Compiles a component to its artefact.
///
/// # Errors
/// A fault that states what is wrong with it.
pub(super) fn compile(
    engine: &Engine,
    source: &[u8],
    limits: &WorkerLimits,
    effort: Effort,
) -> Result<Compilation, Fault> {
    validate::component(source, &limits.compile)?;
    let component = Component::new(engine, source).map_err(invalid)?;
    let mut manifest = manifest(engine, &component, limits)?;
    describe_by_comments(&mut manifest, source);
    imports::accept(&manifest, limits.compile.unknown_imports)?;
    manifest.space = space(&component)?;
    fits(manifest.space, &limits.call)?;
    manifest.draft = effort == Effort::Draft;
    let is_handler = manifest.kind == Kind::Http;
    if manifest.unserved.is_empty() || is_handler {
        let mut linker = interfaces::linker(engine).map_err(super::refusals::internal)?;
        if !manifest.unserved.is_empty() {
            linker
                .define_unknown_imports_as_traps(&component)
                .map_err(|error| other_types(&error))?;
        }
        let linked = linker
            .instantiate_pre(&component)
            .map_err(|error| other_types(&error))?;
        if is_handler {
            executable::handler(&component, &linked).map_err(invalid)?;
        }
    }
    let code = component.serialize().map_err(super::refusals::internal)?;
    let artefact = artefact::encode(&manifest, code)
        .map_err(|error| Fault::host("The component could not be compiled.", error))?;
    Ok(Compilation {
        artefact,
        clean: true,
    })
}

fn manifest(
    engine: &Engine,
    component: &Component,
    limits: &WorkerLimits,
) -> Result<Manifest, Fault> {
    let ty = component.component_type();
    let (imports, unserved) = imported(engine, &ty)?;
    let functions = functions(engine, &ty)?;
    if functions.len() > limits.compile.module_exports as usize {
        let count = u32::try_from(functions.len()).unwrap_or(u32::MAX);
        return Err(validate::too_many(
            "exported functions",
            count,
            FaultKind::ModuleExports,
            limits.compile.module_exports,
        ));
    }
    let (mut exports, mut shown, mut parts) = (vec![], vec![], describe::PARTS);
    let mut kind = Kind::Typed;
    let programs = functions.iter().map(|(symbol, _)| symbol);
    // The newest version, if there are two.
    if let Some(symbol) = programs.filter(|symbol| is_run(symbol)).max() {
        kind = Kind::WasiCommand;
        exports.insert(0, program_of(symbol));
    }
    for (symbol, of) in functions.iter().filter(|(symbol, _)| is_handler(symbol)) {
        handles(symbol, of)?;
        kind = Kind::Http;
        exports.clear();
    }
    let names = names(&functions);
    for ((symbol, of), name) in functions.iter().zip(names) {
        if is_run(symbol) {
            continue;
        }
        let types = describe::of_function(of);
        let described = match name == MAIN && kind == Kind::WasiCommand {
            _ if is_handler(symbol) => Err("it answers HTTP requests".to_owned()),
            true => Err("the component is a program, which has this name".to_owned()),
            false if name.starts_with('[') || name.contains("/[") => {
                Err("it belongs to a resource".to_owned())
            }
            false => describe::signature(of, &mut parts),
        };
        let refused = match described {
            Ok((signature, described)) => {
                exports.push(Export {
                    name: name.clone(),
                    symbol: symbol.clone(),
                    core_params: vec![],
                    core_results: vec![],
                    signature: Some(signature),
                    described: Some(described),
                    unread: None,
                    abi: Abi::Typed,
                });
                None
            }
            Err(why) => Some(why),
        };
        shown.push(WorldExport {
            name,
            types,
            doc: String::new(),
            refused,
        });
    }
    Ok(Manifest {
        kind,
        exports,
        allocator: None,
        initialize: vec![],
        primed: Primed::No("components are not primed".to_owned()),
        files: imports.iter().any(|import| import.starts_with(FILES)),
        unserved,
        space: 0,
        failing_start: None,
        unread_docs: None,
        draft: false,
        descriptions_checked: true,
        world: Some(World {
            imports,
            exports: shown,
        }),
    })
}

/// Adds the doc comments of a component to the descriptions of its exports.
fn describe_by_comments(manifest: &mut Manifest, source: &[u8]) {
    let mut docs = match Docs::read(source) {
        Ok(None) => return,
        Ok(Some(docs)) => docs,
        Err(why) => {
            manifest.unread_docs = Some(why);
            return;
        }
    };
    for export in &mut manifest.exports {
        if let Some(described) = &mut export.described {
            docs.describe(&export.symbol, described);
        }
    }
    for shown in manifest
        .world
        .iter_mut()
        .flat_map(|world| &mut world.exports)
    {
        let mut exports = manifest.exports.iter();
        let export = exports.find(|export| export.name == shown.name);
        let described = export.and_then(|export| export.described.as_ref());
        shown.doc = described.map_or(String::new(), |described| described.doc.clone());
    }
}

/// The names of all imports, and the functions among them that the host does not serve.
///
/// # Errors
/// `unknown-import` for a core module or a component that is imported, `module-names`.
fn imported(
    engine: &Engine,
    ty: &types::Component,
) -> Result<(Vec<String>, Vec<UnresolvedImport>), Fault> {
    let (mut names, mut unserved) = (vec![], vec![]);
    for (name, import) in ty.imports(engine) {
        super::shape::name(name)?;
        let mut missing = |module: &str, item: &str| {
            unserved.push(UnresolvedImport {
                module: module.to_owned(),
                name: item.to_owned(),
                optional: false,
            });
        };
        match import.ty {
            ComponentItem::ComponentInstance(instance) => {
                for (item, of) in instance.exports(engine) {
                    super::shape::name(item)?;
                    let is_served = match of.ty {
                        ComponentItem::ComponentFunc(_) => served::has(name, item),
                        // An interface that uses a resource of another one exports it, too.
                        ComponentItem::Resource(_) => served::is_interface(name),
                        _ => true,
                    };
                    if !is_served {
                        missing(name, item);
                    }
                }
            }
            ComponentItem::ComponentFunc(_) | ComponentItem::Resource(_) => missing("", name),
            ComponentItem::Type(_) => continue,
            ComponentItem::Module(_) | ComponentItem::Component(_) | ComponentItem::CoreFunc(_) => {
                let names = [format!(
                    "`{name}` (a module or component, which nothing here provides)"
                )];
                return Err(missing::refuse(&names));
            }
        }
        names.push(name.to_owned());
    }
    Ok((names, unserved))
}

/// The bytes of the largest memory with which an instance begins: their sum is counted when they are made.
///
/// # Errors
/// `module-memories`, `module-tables`, `module-table-elements`
fn space(component: &Component) -> Result<u64, Fault> {
    let Some(needed) = component.resources_required() else {
        return Err(missing::refuse(&["a core module".to_owned()]));
    };
    let refused = super::shape::refused;
    if needed.num_memories > COMPONENT_MEMORIES {
        let what = format!("{} memories", needed.num_memories);
        let most = format!("a component has at most {COMPONENT_MEMORIES}");
        return Err(refused(FaultKind::ModuleMemories, &what, &most));
    }
    if needed.num_tables > COMPONENT_TABLES {
        let what = format!("{} tables", needed.num_tables);
        let most = format!("a component has at most {COMPONENT_TABLES}");
        return Err(refused(FaultKind::ModuleTables, &what, &most));
    }
    let elements = needed.max_initial_table_size.unwrap_or_default();
    if elements > TABLE_ELEMENTS as u64 {
        return Err(refused(
            FaultKind::ModuleTableElements,
            &format!("a table of {elements} elements"),
            &format!("a table has at most {TABLE_ELEMENTS}"),
        ));
    }
    let pages = needed.max_initial_memory_size.unwrap_or_default();
    Ok(pages.saturating_mul(64 << 10))
}

fn other_types(error: &wasmtime::Error) -> Fault {
    let cause: String = format!("{error:#}").chars().take(1000).collect();
    Fault::new(
        FaultKind::UnknownImport,
        format!(
            "The component imports an interface of WASI with types that it does not have: {cause}. Build it with current tools."
        ),
    )
}

fn invalid(error: wasmtime::Error) -> Fault {
    Fault::new(
        FaultKind::InvalidModule,
        format!("The component is not valid: {error:#}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Capacity;
    use crate::compile::toolchain::Toolchain;
    use crate::executable::{Executable, Linkers};
    use crate::limits::{CompileLimits, Limits};
    use crate::pool;

    #[test]
    fn a_draft_is_the_same_component() {
        let limits = WorkerLimits::new(&CompileLimits::default(), &Limits::default());
        let toolchain = Toolchain::new(&limits).unwrap();
        let source = wat::parse_str(
            r#"(component
            (core module $m (func (export "f") (result i32) (i32.const 7)))
            (core instance $i (instantiate $m))
            (func $f (result u8) (canon lift (core func $i "f")))
            (instance $api (export "f" (func $f)))
            (export "a:b/api@1.0.0" (instance $api))
            (export "c:d/api@2.0.0" (instance $api))
            (export "seven" (func $f)))"#,
        )
        .unwrap();
        let pooled = pool::engine(&Limits::default(), (2, 2), &Capacity::of(2)).unwrap();
        let linkers = Linkers::new(&pooled).unwrap();
        for effort in [Effort::Draft, Effort::Full] {
            let compiled = toolchain.compile(&source, effort).unwrap().artefact;
            let (manifest, code) = artefact::manifest(&compiled).unwrap();
            assert_eq!(manifest.draft, effort == Effort::Draft);
            let names = manifest.exports.iter().map(|export| &*export.name);
            assert_eq!(
                names.collect::<Vec<_>>(),
                ["seven", "a:b/api@1.0.0/f", "c:d/api@2.0.0/f"]
            );
            let loaded = Executable::load(&pooled, &linkers, &manifest, code).unwrap();
            assert!(loaded.export("seven").is_some() && loaded.export("f").is_none());
        }
    }
}
