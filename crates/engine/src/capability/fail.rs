//! Errors that a function returns: a code of its author's choice, and a message.
//!
//! The author's code becomes a [`FunctionCode`]. Callers can distinguish errors by it, and it never equals a code of
//! the server; the fault's source is always `guest`. The word `arguments` is part of this interface and not a code of
//! the author: it means that the client's arguments do not fit the function.

use iof_fault::{Fault, FaultKind, FunctionCode, FunctionStatus};

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

/// The fault of an error with this code and message, and the status that its caller gets.
///
/// A fault of the client's arguments has a fixed status, whatever status the function chose.
pub(crate) fn fault_with_status(code: &str, message: &str, status: u32) -> Fault {
    let fault = fault(code, message);
    match FunctionStatus::new(status) {
        _ if fault.kind == FaultKind::Arguments => fault,
        Some(status) => fault.with_status(status),
        None => Fault::new(
            FaultKind::BadResponse,
            format!("The status of the error is invalid: got {status}. Use one from 400 to 599."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iof_fault::Source;

    #[test]
    fn a_function_chooses_a_status_among_those_of_failures() {
        let fault = fault_with_status("bad-signature", "why", 401);
        assert_eq!(fault.function_status().map(FunctionStatus::get), Some(401));
        assert_eq!(fault.code(), "function:bad-signature");
        let fault = fault_with_status("arguments", "why", 500);
        assert_eq!((fault.code(), fault.function_status()), ("arguments", None));
        for status in [0, 200, 399, 600, u32::MAX] {
            assert_eq!(fault_with_status("a", "why", status).code(), "response");
        }
    }

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
