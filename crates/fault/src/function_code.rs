//! The code of an error that a function returns.

/// A code that a function chose, in the name space of functions: `function:no-such-customer`.
///
/// No code of the server has a colon, so that no function can pass its error off as a fault of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCode(Box<str>);

impl FunctionCode {
    /// The longest code that a function can choose, in bytes.
    pub const LONGEST: usize = 64;

    /// Parses a function's code: lower-case letters, digits and dashes. `None` if it is malformed, or is `error`, the
    /// code of an error without one.
    pub fn parse(code: &str) -> Option<Self> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_code = !code.is_empty() && code.len() <= Self::LONGEST && code.bytes().all(known);
        (is_code && code != crate::FaultKind::FunctionError.as_str())
            .then(|| Self(format!("function:{code}").into()))
    }

    /// The code as clients see it, with its prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stays_in_the_name_space_of_functions() {
        let code = FunctionCode::parse("no-such-customer").unwrap();
        assert_eq!(code.as_str(), "function:no-such-customer");
        let longest = "x".repeat(FunctionCode::LONGEST);
        assert!(FunctionCode::parse(&longest).is_some());
        for bad in [
            "",
            "error",
            "No Such",
            "a\nb",
            "function:a",
            &format!("{longest}x"),
        ] {
            assert_eq!(FunctionCode::parse(bad), None, "{bad:?}");
        }
    }
}
