//! Arguments against the JSON Schemas that a function brought.
//!
//! A schema is somebody's input like all else: it is compiled when it is first needed, refers to nothing outside of
//! itself, and one that cannot be compiled checks nothing (the function reads its arguments itself, too).

use iof_engine::{Described, Export, Fault};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The schemas of one module's exports, compiled, by export and place.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<HashMap<Box<str>, Arc<[Option<Validator>]>>>);

impl Schemas {
    /// Whether a value is what a parameter takes.
    ///
    /// # Errors
    /// `arguments`, naming the parameter, the place in it and what is wrong there.
    pub(crate) fn check(&self, export: &Export, at: usize, value: &Json) -> Result<(), Fault> {
        let Some(described) = &export.described else {
            return Ok(());
        };
        let known = self.of(&export.name, described);
        let Some(Some(schema)) = known.get(at) else {
            return Ok(());
        };
        let Err(error) = schema.validate(value) else {
            return Ok(());
        };
        let place = error.instance_path().to_string();
        let name = described.params.get(at).map_or("", |param| &param.name);
        let why: String = error.to_string().chars().take(300).collect();
        Err(Fault::client(
            "arguments",
            format!(
                "`{name}{place}` of `{}` is not what it takes: {why}.",
                export.name
            ),
        ))
    }

    fn of(&self, export: &str, described: &Described) -> Arc<[Option<Validator>]> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(export) {
            return Arc::clone(known);
        }
        let compile = |schema: &Json| {
            jsonschema::options()
                // A pattern of somebody else's must not take for ever.
                .with_pattern_options(PatternOptions::regex())
                .build(schema)
                .ok()
        };
        let params = described.params.iter();
        let made: Arc<[_]> = params
            .map(|param| param.schema.as_ref().and_then(compile))
            .collect();
        known.insert(export.into(), Arc::clone(&made));
        made
    }
}
