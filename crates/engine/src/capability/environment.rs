//! The environment of a function: arguments and variables, the same for every call.

use std::sync::Arc;

/// The environment that a guest sees, the same for every call of a function.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The second argument; the first is the export's name.
    pub state: Arc<str>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            state: "".into(),
            variables: vec![],
        }
    }
}

/// The variables that every function has, whatever it declares.
const OWN: [&str; 2] = ["wasm_id", "storage_key"];

impl Environment {
    /// The variables that the version declares.
    pub(crate) fn declared(&self) -> impl Iterator<Item = &(String, String)> {
        let variables = self.variables.iter();
        variables.filter(|(name, _)| !OWN.contains(&name.as_str()))
    }

    /// Bytes of all [`Environment::texts`].
    pub(crate) fn size(&self) -> usize {
        let length = |(name, value): &(String, String)| name.len() + value.len() + 2;
        self.variables.iter().map(length).sum()
    }

    /// The variables in the form of C programs: `NAME=value` and a zero byte.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.variables
            .iter()
            .map(|(name, value)| format!("{name}={value}\0"))
    }
}
