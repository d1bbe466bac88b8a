//! Calls that `iof test` makes. They are part of `function.toml`, which is checked as a whole; no server stores them.

use serde::Deserialize;
use serde_json::Value;

/// A call of an export, or a request to a function that answers HTTP, with the expected result.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredTest {
    /// The export that is called; empty for a request.
    #[serde(default)]
    pub export: String,
    /// The arguments of the export, in their order.
    #[serde(default)]
    pub arguments: Vec<Value>,
    /// The request: a method and a path below the function's, such as `GET /hello`.
    #[serde(default)]
    pub request: Option<String>,
    /// The text of the request's body.
    #[serde(default)]
    pub body: Option<String>,
    /// The status of the response to a request. `None` for any below 500.
    #[serde(default)]
    pub status: Option<u16>,
    /// The result, or the body of the response. `None` for any.
    #[serde(default)]
    pub expect: Option<Value>,
}

impl DeclaredTest {
    /// An implicit call of an export without arguments; any result passes.
    #[must_use]
    pub fn without_arguments(export: &str) -> Self {
        Self {
            export: export.to_owned(),
            arguments: vec![],
            request: None,
            body: None,
            status: None,
            expect: None,
        }
    }

    /// An implicit request for the first page; any content passes.
    #[must_use]
    pub fn of_first_page() -> Self {
        Self {
            request: Some("GET /".to_owned()),
            ..Self::without_arguments("")
        }
    }

    /// Checks everything that does not depend on the module.
    ///
    /// # Errors
    /// A sentence that states what is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.request {
            Some(request) => self.check_request(request)?,
            None if self.export.is_empty() => {
                return Err(
                    "export: no name. Write that of a function of the module, or a request = \"GET /\"".to_owned(),
                );
            }
            None if self.body.is_some() || self.status.is_some() => {
                return Err(
                    "body and status are for a request, and there is none. Leave them out, or write request = \"GET /\""
                        .to_owned(),
                );
            }
            None => {}
        }
        if self.arguments.iter().chain(&self.expect).any(is_date) {
            return Err(
                "a date of TOML has no type in JSON. Write it as a text, in quotes".to_owned(),
            );
        }
        Ok(())
    }

    fn check_request(&self, request: &str) -> Result<(), String> {
        if !self.export.is_empty() || !self.arguments.is_empty() {
            return Err(
                "export and arguments are for a call, and this is a request. Write one of the two"
                    .to_owned(),
            );
        }
        let is_request = request.split_once(' ').is_some_and(|(method, path)| {
            http::Method::from_bytes(method.as_bytes()).is_ok()
                && path.starts_with('/')
                && path.parse::<http::uri::PathAndQuery>().is_ok()
        });
        match is_request {
            true => Ok(()),
            false => Err(format!(
                "request: not a method and a path: got {request:?}. Write one such as \"GET /hello\""
            )),
        }
    }
}

/// Returns whether a value contains a TOML date, which the parser passes on as a table of this name.
fn is_date(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| name == "$__toml_private_datetime" || is_date(value)),
        Value::Array(values) => values.iter().any(is_date),
        _ => false,
    }
}
