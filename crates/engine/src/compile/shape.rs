//! The names, memories and tables of a module, which cost resources before any of its code runs.
//!
//! Names are bounded because they are stored and shown. A slot of the engine's pool bounds memories and tables: a
//! module that needs more could be compiled, but never called.

use crate::accounting::ELEMENT;
use crate::limits::Limits;
use crate::manifest::fits;
use crate::pool::{TABLE_ELEMENTS, TABLES};
use iof_fault::{Fault, FaultKind};
use wasmparser::{Parser, Payload};

/// The most bytes of the name of an import or an export.
const NAME: usize = 1024;

/// Bytes of memories and tables with which an instance begins.
///
/// # Errors
/// `module-names`, `module-memories`, `module-tables`, `module-table-elements`, `memory`.
pub(super) fn space(source: &[u8], limits: &Limits) -> Result<u64, Fault> {
    let (mut memories, mut tables, mut space) = (0u32, 0u32, 0u64);
    for payload in Parser::new(0).parse_all(source) {
        match payload.map_err(invalid)? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.map_err(invalid)?;
                    name(import.module)?;
                    name(import.name)?;
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    name(export.map_err(invalid)?.name)?;
                }
            }
            Payload::MemorySection(section) => {
                memories = section.count();
                for memory in section {
                    let memory = memory.map_err(invalid)?;
                    let page = 1u64 << memory.page_size_log2.unwrap_or(16).min(16);
                    space = space.saturating_add(memory.initial.saturating_mul(page));
                }
            }
            Payload::TableSection(section) => {
                tables = section.count();
                for table in section {
                    let elements = table.map_err(invalid)?.ty.initial;
                    if elements > TABLE_ELEMENTS as u64 {
                        return Err(refused(
                            FaultKind::ModuleTableElements,
                            &format!("a table of {elements} elements"),
                            &format!("a table has at most {TABLE_ELEMENTS}"),
                        ));
                    }
                    space = space.saturating_add(elements.saturating_mul(ELEMENT as u64));
                }
            }
            // The sections after this one are not needed.
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    if memories > 1 {
        let what = format!("{memories} memories");
        return Err(refused(
            FaultKind::ModuleMemories,
            &what,
            "an instance has one",
        ));
    }
    if tables > TABLES {
        let most = format!("an instance has at most {TABLES}");
        let what = format!("{tables} tables");
        return Err(refused(FaultKind::ModuleTables, &what, &most));
    }
    fits(space, limits)?;
    Ok(space)
}

/// The fault of a compiled module that does not fit into the pool, although its memories and tables do.
pub(crate) fn too_large(detail: Option<String>) -> Fault {
    let mut fault = refused(
        FaultKind::ModuleInstance,
        "more globals, imports and functions in tables than an instance has room for",
        "all together take at most 1 MiB",
    );
    fault.detail = detail;
    fault
}

pub(super) fn name(name: &str) -> Result<(), Fault> {
    if name.len() <= NAME {
        return Ok(());
    }
    Err(refused(
        FaultKind::ModuleNames,
        &format!("an import or export with a name of {} bytes", name.len()),
        &format!("a name has at most {NAME}"),
    ))
}

pub(super) fn refused(kind: FaultKind, what: &str, most: &str) -> Fault {
    Fault::new(
        kind,
        format!("The module has {what}; {most}. Build it with less."),
    )
}

fn invalid(error: wasmparser::BinaryReaderError) -> Fault {
    Fault::new(
        FaultKind::InvalidModule,
        format!("The module is not valid: {error}."),
    )
}
