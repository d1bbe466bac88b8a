//! Arguments against the JSON Schemas that a function brought.
//!
//! A schema is somebody's input like all else: it is compiled when it is first needed, refers to nothing outside of
//! itself, and one that cannot be compiled checks nothing (the function reads its arguments itself, too).

use iof_engine::Export;
use iof_fault::{Fault, FaultKind};
use jsonschema::{PatternOptions, Validator};
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

/// The schemas of one module's exports, compiled, by export and place.
#[derive(Default)]
pub(crate) struct Schemas(OnceLock<HashMap<Box<str>, Params>>);

/// One for each parameter that has a schema.
type Params = Box<[Option<Validator>]>;

impl Schemas {
    /// Whether a value is what a parameter of one of these exports takes.
    ///
    /// # Errors
    /// `arguments`, naming the parameter, the place in it and what is wrong there.
    pub(crate) fn check(
        &self,
        exports: &[Export],
        export: &Export,
        at: usize,
        value: &Json,
    ) -> Result<(), Fault> {
        let known = self
            .0
            .get_or_init(|| exports.iter().filter_map(compiled).collect());
        let schema = known.get(&*export.name).and_then(|params| params.get(at));
        let Some(Some(schema)) = schema else {
            return Ok(());
        };
        let Err(error) = schema.validate(value) else {
            return Ok(());
        };
        let place = error.instance_path().to_string();
        let param = export
            .described
            .as_ref()
            .and_then(|described| described.params.get(at));
        let name = param.map_or("", |param| &param.name);
        let why = beginning(&error);
        Err(Fault::new(
            FaultKind::Arguments,
            format!(
                "Argument `{name}{place}` of `{}` does not match its schema: {why}.",
                export.name
            ),
        ))
    }
}

/// The first 300 bytes of a message, or somewhat more; it may quote all of the value.
fn beginning(error: &impl std::fmt::Display) -> String {
    struct Beginning(String);
    impl std::fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let room = 300_usize.saturating_sub(self.0.len());
            self.0.extend(text.chars().take(room));
            match self.0.len() < 300 {
                true => Ok(()),
                false => Err(std::fmt::Error),
            }
        }
    }
    let mut beginning = Beginning(String::new());
    // An error is that it is longer.
    let _ = write!(beginning, "{error}");
    beginning.0
}

fn compiled(export: &Export) -> Option<(Box<str>, Params)> {
    let compile = |schema: &Json| {
        jsonschema::options()
            // A pattern of somebody else's must not take for ever.
            .with_pattern_options(PatternOptions::regex())
            .build(schema)
            .ok()
    };
    let params = export.described.as_ref()?.params.iter();
    let schemas = params.map(|param| param.schema.as_ref().and_then(compile));
    Some((export.name.as_str().into(), schemas.collect()))
}
