//! The check of arguments against the JSON Schemas of a function's module.
//!
//! Both are untrusted input, and a schema is a program: `anyOf`, `$ref` and nested values multiply to any running time,
//! and the libraries that check schemas cannot be interrupted. So our own code checks schemas and counts its steps:
//! `server.schema_steps` bounds them, and the deadline of the call ends them. It supports the keywords of JSON Schema
//! 2020-12 except `$dynamicRef`, nested `$id` and `$anchor`; references lead to locations in the schema itself. A
//! schema with any other keyword checks nothing: the function reads its arguments itself, too.

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

/// Programs by parameter, `None` for one without a schema.
type Params = Box<[Option<Program>]>;

impl Schemas {
    /// Checks the argument at a position of one of these exports, within a number of steps.
    ///
    /// # Errors
    /// `arguments`, naming the parameter, the location in it and the mismatch there; `schema-steps`, and the errors of
    /// the budget.
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

/// The compiled schemas of a module. The cost of compiling is bounded by the size of a module's descriptions, and for
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
