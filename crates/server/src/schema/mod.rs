//! Checks of arguments against the JSON Schemas of a function's module.
//!
//! Both are untrusted input, and a schema is a program: `anyOf`, `$ref` and nested values multiply to any running time,
//! and libraries that check schemas cannot be interrupted. So this module checks schemas itself and counts its steps:
//! `server.schema_steps` bounds them, and the deadline of the call ends them. It supports the keywords of JSON Schema
//! 2020-12 except `$dynamicRef`, nested `$id` and `$anchor`; references lead to locations in the schema itself. A
//! module whose schemas contain anything else is refused at its deploy ([`accept`]). A module that an earlier release
//! accepted is called as before: such a schema checks nothing, and the function validates its arguments itself.

mod compile;
mod containers;
mod equality;
mod evaluate;
mod flaw;
mod keywords;
mod loops;
mod mismatch;
mod program;
mod run;

use crate::parsing::Budget;
use compile::Compiler;
use flaw::Flaw;
use iof_engine::{Export, Manifest};
use iof_fault::{Fault, FaultKind};
use program::Program;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The schemas of one module's exports, compiled, by the name of the export.
#[derive(Default)]
pub(crate) struct Schemas(OnceLock<HashMap<Box<str>, Params>>);

/// Programs by parameter, `None` for a parameter without a schema.
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
    let mut known: HashMap<Box<str>, Vec<_>> = HashMap::new();
    each(exports, |export, _, program| {
        let params = known.entry(export.name.as_str().into()).or_default();
        params.push(program.transpose().ok().flatten());
    });
    let params = known.into_iter();
    params.map(|(name, params)| (name, params.into())).collect()
}

/// Passes each parameter that a module names to `take`, with its compiled schema, if it has one.
fn each<'a>(
    exports: &'a [Export],
    mut take: impl FnMut(&'a Export, &'a str, Option<Result<Program, Flaw>>),
) {
    let mut compiler = Compiler::default();
    for export in exports {
        for param in export.described.iter().flat_map(|said| &said.params) {
            let schema = param.schema.as_ref();
            take(
                export,
                &param.name,
                schema.map(|schema| compiler.compile(schema)),
            );
        }
    }
}

/// The first difference of a value from a schema, with its location; `None` if there is none.
pub(crate) fn mismatch(schema: &Json, value: &Json) -> Option<String> {
    /// The steps of a check, more than a small body takes.
    const STEPS: u64 = 1_000_000;
    let program = Compiler::default().compile(schema).ok()?;
    let mismatch = evaluate::check(&program, value, STEPS, &mut Budget::default());
    let mismatch = mismatch.ok()??;
    Some(match mismatch.path.as_str() {
        "" => mismatch.why,
        path => format!("{path}: {}", mismatch.why),
    })
}

/// Descriptions and schemas of a module that this server cannot read or check, with a sentence for each.
pub(crate) fn flaws(manifest: &Manifest) -> Vec<String> {
    let unread = manifest.exports.iter().filter_map(|export| {
        let why = export.unread.as_ref()?;
        Some(format!(
            "The description of `{}` cannot be read: {why}.",
            export.name
        ))
    });
    let mut flaws: Vec<_> = unread.collect();
    each(&manifest.exports, |export, param, program| {
        if let Some(Err(flaw)) = program {
            flaws.push(format!(
                "The schema of argument `{param}` of `{}` cannot be checked: {flaw}.",
                export.name
            ));
        }
    });
    flaws
}

/// Checks that this server can read the descriptions of a module's functions and check their schemas.
///
/// # Errors
/// `description`
pub fn accept(manifest: &Manifest) -> Result<(), Fault> {
    match flaws(manifest).into_iter().next() {
        None => Ok(()),
        Some(flaw) => Err(Fault::new(
            FaultKind::Description,
            format!(
                "{flaw} Change it, or leave it out and check the argument in the function: docs/guide/functions.md lists what can be checked."
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
