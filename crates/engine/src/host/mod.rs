//! Imports of core modules, one file for each family of names.
//!
//! An import reads and writes the guest's memory and calls a capability. It is served only under the names that guests
//! import. The names of 2020 and the current ones share their code.

mod fail;
pub(crate) mod js_imports;
mod memory;
pub(crate) mod missing;
pub(crate) mod preview1;
mod process;
mod storage;
mod values;

use crate::state::CallState;
use wasmtime::{Engine, Linker};

/// A linker with every import that all modules may use.
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
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use wasmtime::{ExternType, Store, ValType};

    /// Every import has its row in docs/IMPORTS.md, which states its bounds and its test.
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
        let mut store = Store::new(&engine, CallState::of_no_call(Arc::default()));
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
