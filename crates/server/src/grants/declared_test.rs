//! Calls that `iof test` makes: they stand in `function.toml`, so that they are checked where it is, and no server keeps
//! them.

use serde::Deserialize;
use serde_json::Value;

/// One call, and what it is expected to return.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredTest {
    /// The export that is called.
    pub export: String,
    /// Its arguments, in their order.
    #[serde(default)]
    pub arguments: Vec<Value>,
    /// The result. `None`: any.
    #[serde(default)]
    pub expect: Option<Value>,
}

impl DeclaredTest {
    /// A call that stands in no file: of an export that takes nothing, whatever it returns.
    #[must_use]
    pub fn without_arguments(export: &str) -> Self {
        Self {
            export: export.to_owned(),
            arguments: vec![],
            expect: None,
        }
    }

    /// Checks what can be checked without the module.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.export.is_empty() {
            return Err("export: no name. Write that of a function of the module".to_owned());
        }
        if self.arguments.iter().chain(&self.expect).any(is_date) {
            return Err(
                "a date of TOML has no type in JSON. Write it as a text, in quotes".to_owned(),
            );
        }
        Ok(())
    }
}

/// True where a date of TOML is inside, which its parser hands over as a table of this name.
fn is_date(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name == "$__toml_private_datetime" || is_date(value)),
        Value::Array(values) => values.iter().any(is_date),
        _ => false,
    }
}
