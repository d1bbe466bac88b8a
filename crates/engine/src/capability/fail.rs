//! Errors that a function returns: a code of its author's choice, and a message.
//!
//! The author's code becomes a [`FunctionCode`], so that callers can tell errors apart and no code of a function is a code
//! of the server; the fault's source is `guest` whatever the code says. The word `arguments` is
//! not a code but a part of this interface: the client's arguments are not what the function takes.

use iof_fault::{Fault, FaultKind, FunctionCode};

/// The longest code that is read, in bytes: one more than a code can have.
pub(crate) const CODE: u32 = FunctionCode::LONGEST as u32 + 1;
/// The longest message that is kept, in bytes.
pub(crate) const MESSAGE: u32 = 4096;

/// The fault of an error with this code and message.
pub(crate) fn fault(code: &str, message: &str) -> Fault {
    match (code, FunctionCode::parse(code)) {
        ("arguments", _) => Fault::new(FaultKind::Arguments, message),
        (_, Some(code)) => Fault::of_function(code, message),
        (_, None) => Fault::new(FaultKind::FunctionError, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iof_fault::Source;

    #[test]
    fn a_function_chooses_its_code_and_never_its_source() {
        for (code, seen, source) in [
            (
                "no-such-customer",
                "function:no-such-customer",
                Source::Guest,
            ),
            ("internal", "function:internal", Source::Guest),
            ("usage-key", "function:usage-key", Source::Guest),
            ("error", "error", Source::Guest),
            ("arguments", "arguments", Source::Client),
            ("", "error", Source::Guest),
            ("No Such", "error", Source::Guest),
            ("a\nb", "error", Source::Guest),
            (&"x".repeat(65), "error", Source::Guest),
        ] {
            let fault = fault(code, "why");
            assert_eq!(
                (fault.code(), fault.kind.source()),
                (seen, source),
                "{code}"
            );
            assert_eq!(fault.message, "why");
        }
    }
}
