//! What the host answers: one file for each capability.
//!
//! A capability is served to a guest only under the names that it imports; nothing here opens anything that the call's
//! context did not bring. The 2020 names and today's share their code.

pub(crate) mod fail;
pub(crate) mod glue;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod missing;
pub(crate) mod objects;
pub(crate) mod preview1;
pub(crate) mod process;
pub(crate) mod scratch;
pub(crate) mod storage;
pub(crate) mod values;
pub(crate) mod wasi;

use crate::state::CallState;
use wasmtime::{Engine, Linker};

/// Every import that any module may use without a word, for one engine.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<CallState>> {
    let mut linker = Linker::new(engine);
    preview1::add_to_linker(&mut linker)?;
    process::add_to_linker(&mut linker)?;
    storage::add_to_linker(&mut linker)?;
    values::add_to_linker(&mut linker)?;
    fail::add_to_linker(&mut linker)?;
    Ok(linker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use std::collections::BTreeSet;
    use wasmtime::{ExternType, Store, ValType};

    /// Every import has its row in docs/IMPORTS.md, which says what bounds it, and by which it is tested.
    #[test]
    fn every_import_is_documented_with_its_type() {
        let table = include_str!("../../../../docs/IMPORTS.md");
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let documented: BTreeSet<String> = rows
            .map(|line| {
                let cells = line.split('|').skip(1).take(3);
                let cells: Vec<_> = cells.map(|cell| cell.trim().trim_matches('`')).collect();
                cells.join(" ")
            })
            .collect();
        let engine = Engine::default();
        let linker = linker(&engine).unwrap();
        let mut store = Store::new(&engine, CallState::nobody(&Limits::default()));
        let items: Vec<_> = linker.iter(&mut store).collect();
        let served: BTreeSet<String> = items
            .into_iter()
            .map(|(module, name, item)| {
                let ExternType::Func(ty) = item.ty(&store) else {
                    panic!("{module} {name} is not a function");
                };
                let list = |types: &mut dyn Iterator<Item = ValType>| {
                    types.map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ")
                };
                let params = list(&mut ty.params());
                match list(&mut ty.results()) {
                    none if none.is_empty() => format!("{module} {name} ({params})"),
                    result => format!("{module} {name} ({params}) -> {result}"),
                }
            })
            .collect();
        assert_eq!(documented, served);
    }
}
