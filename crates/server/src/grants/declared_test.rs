//! Calls that `iof test` makes: they stand in `function.toml`, so that they are checked where it is, and no server keeps
//! them.

use serde::Deserialize;
use serde_json::Value;

/// One call of an export, or one request to a function that answers HTTP, and what is expected.
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
    /// The status of the response to a request. `None`: any below 500.
    #[serde(default)]
    pub status: Option<u16>,
    /// The result, or the body of the response. `None`: any.
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
            request: None,
            body: None,
            status: None,
            expect: None,
        }
    }

    /// A request that stands in no file: of the first page, whatever it says.
    #[must_use]
    pub fn of_first_page() -> Self {
        Self {
            request: Some("GET /".to_owned()),
            ..Self::without_arguments("")
        }
    }

    /// Checks what can be checked without the module.
    ///
    /// # Errors
    /// A sentence on what is wrong.
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
