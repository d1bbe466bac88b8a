//! Templates of attachments: the text around a secret, and the secret.
//!
//! Both are checked when they are set and not when they are used, so that a request never fails because of a line break
//! in a pasted token. No message of this file repeats its input.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes of a secret's value: servers seldom read longer headers.
const MAX_VALUE: usize = 4096;

/// The text around a secret, such as `Bearer {SENDGRID_TOKEN}`: one placeholder, which is the
/// secret's name in braces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    before: String,
    name: String,
    after: String,
}

/// The value of a secret: 1 byte to 4 KiB of text without control characters. Cheap to clone;
/// `Debug` does not show it.
#[derive(Clone)]
pub struct SecretValue(Arc<str>);

/// A problem of a secret's injection. `Display` states what to write, and never repeats a template or
/// a value: a template without a placeholder is often a secret that was written in its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretInjectionError(String);

impl SecretValue {
    /// Checks a value.
    ///
    /// # Errors
    /// The value is empty, too long, or has a control character (a line break at its end, usually).
    pub fn new(value: impl Into<String>) -> Result<SecretValue, SecretInjectionError> {
        let value: String = value.into();
        if value.is_empty() || value.len() > MAX_VALUE {
            return Err(wrong(format!(
                "the length of the secret is not 1 to {MAX_VALUE} bytes"
            )));
        }
        if value.chars().any(char::is_control) {
            return Err(wrong(
                "the secret contains a line break or another control character, perhaps at its end. Remove it",
            ));
        }
        Ok(SecretValue(value.into()))
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Template {
    /// The name in the placeholder, which is the name of the secret.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn around(&self, value: &SecretValue) -> String {
        format!("{}{}{}", self.before, value.0, self.after)
    }
}

impl FromStr for Template {
    type Err = SecretInjectionError;

    fn from_str(text: &str) -> Result<Template, SecretInjectionError> {
        let problem = |defect: &str| {
            Err(wrong(format!(
                "the template {defect}. Write one name in braces, such as `Bearer {{API_TOKEN}}`"
            )))
        };
        if text.chars().any(char::is_control) {
            return problem("has a line break or another control character");
        }
        let Some((before, rest)) = text.split_once('{') else {
            return problem("has no placeholder");
        };
        let Some((name, after)) = rest.split_once('}') else {
            return problem("has a { without }");
        };
        if before.contains('}') {
            return problem("has a } without {");
        }
        if after.contains(['{', '}']) {
            return problem("has more than one placeholder");
        }
        let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return problem("has a name that is not letters, digits and _");
        }
        Ok(Template {
            before: before.to_owned(),
            name: name.to_owned(),
            after: after.to_owned(),
        })
    }
}

impl TryFrom<String> for Template {
    type Error = SecretInjectionError;

    fn try_from(text: String) -> Result<Template, SecretInjectionError> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> String {
        template.to_string()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{{}}}{}", self.before, self.name, self.after)
    }
}

pub(super) fn wrong(what: impl Into<String>) -> SecretInjectionError {
    SecretInjectionError(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<Template, SecretInjectionError> {
        text.parse()
    }

    #[test]
    fn templates_have_one_placeholder() {
        for text in ["{A}", "Bearer {SENDGRID_TOKEN}", "token={_x9}; v=1"] {
            assert_eq!(template(text).unwrap().to_string(), text);
        }
        for (text, why) in [
            ("", "no placeholder"),
            ("Bearer s3cret", "no placeholder"),
            ("Bearer s3cret {A", "{ without }"),
            ("s3cret} {A}", "} without {"),
            ("s3cret {A}{B}", "more than one"),
            ("s3cret {A}}", "more than one"),
            ("s3cret {}", "a name that"),
            ("s3cret {9A}", "a name that"),
            ("s3cret {A B}", "a name that"),
            ("s3cret {{A}", "a name that"),
            ("s3cret {A}\r\nX: y", "line break"),
        ] {
            let error = template(text).unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
            assert!(error.contains("such as `Bearer {API_TOKEN}`"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn values_are_checked_without_being_repeated() {
        for value in ["", "s3cret\n", "s3\0cret", "s3cret\r\nX: y"] {
            let error = SecretValue::new(value).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        SecretValue::new("x".repeat(4096)).unwrap();
        assert!(SecretValue::new("x".repeat(4097)).is_err());
        assert_eq!(format!("{:?}", SecretValue::new("s3cret").unwrap()), "***");
    }
}
