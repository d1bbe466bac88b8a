//! Arguments against the JSON Schemas that a function brought.
//!
//! Both are somebody's input, and a schema is a program: `anyOf`, `$ref` and a nested value multiply to any time that one
//! likes, and the libraries that check schemas cannot be interrupted. So schemas are checked by code of ours that counts
//! its steps: `server.schema_steps` bounds them, and the deadline of the call ends them. It serves the keywords of JSON
//! Schema 2020-12 without `$dynamicRef`, nested `$id` and `$anchor`; references lead to places in the schema itself. A
//! schema with anything else checks nothing: the function reads its arguments itself, too.

mod compile;
mod containers;
mod equality;
mod evaluate;
mod mismatch;
mod run;

use crate::parsing::Budget;
use compile::{Compiler, Program};
use iof_engine::Export;
use iof_fault::{Fault, FaultKind};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The schemas of one module's exports, compiled, by the name of the export.
#[derive(Default)]
pub(crate) struct Schemas(OnceLock<HashMap<Box<str>, Params>>);

/// One for each parameter that has a schema.
type Params = Box<[Option<Program>]>;

impl Schemas {
    /// Checks the argument at a position of one of these exports in at most so many steps.
    ///
    /// # Errors
    /// `arguments`, naming the parameter, the place in it and what is wrong there; `schema-steps`, and those of the
    /// budget.
    pub(crate) fn check(
        &self,
        exports: &[Export],
        export: &Export,
        at: usize,
        value: &Json,
        steps: u64,
        budget: &mut Budget,
    ) -> Result<(), Fault> {
        let known = self.0.get_or_init(|| compiled(exports));
        let schema = known.get(&*export.name).and_then(|params| params.get(at));
        let Some(Some(schema)) = schema else {
            return Ok(());
        };
        let Some(mismatch) = evaluate::check(schema, value, steps, budget)? else {
            return Ok(());
        };
        let param = export
            .described
            .as_ref()
            .and_then(|described| described.params.get(at));
        let name = param.map_or("", |param| &param.name);
        Err(Fault::new(
            FaultKind::Arguments,
            format!(
                "Argument `{name}{}` of `{}` does not match its schema: {}.",
                mismatch.path, export.name, mismatch.why
            ),
        ))
    }
}

/// The schemas of a module. What they cost to compile is bounded by the size of a module's descriptions, and for
/// patterns by the compiler.
fn compiled(exports: &[Export]) -> HashMap<Box<str>, Params> {
    let mut compiler = Compiler::default();
    let mut known = HashMap::new();
    for export in exports {
        let Some(described) = &export.described else {
            continue;
        };
        let params = described.params.iter();
        let schemas = params.map(|param| compiler.compile(param.schema.as_ref()?));
        known.insert(export.name.as_str().into(), schemas.collect());
    }
    known
}

#[cfg(test)]
mod tests;
