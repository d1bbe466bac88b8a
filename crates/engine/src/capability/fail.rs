//! Errors that a function returns: a code of its author's choice, and a message.
//!
//! The author's code becomes the fault's code behind [`OF_FUNCTION`], so that callers can tell errors apart and no code
//! of a function is a code of the server; the fault's source is `guest` whatever the code says. The word `arguments` is
//! not a code but a part of this interface: the client's arguments are not what the function takes.

use crate::Fault;

/// The longest code, in bytes.
pub(crate) const CODE: u32 = 64;
/// The longest message that is kept, in bytes.
pub(crate) const MESSAGE: u32 = 4096;
/// The name space of codes that functions choose. No code of the server has a colon.
const OF_FUNCTION: &str = "function:";
/// The code of an error that has none, or none that could be one.
const NO_CODE: &str = "error";

/// The fault of an error with this code and message.
pub(crate) fn fault(code: &str, message: &str) -> Fault {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_code = !code.is_empty() && code.len() <= CODE as usize && code.bytes().all(known);
    match code {
        "arguments" => Fault::client("arguments", message),
        _ if is_code && code != NO_CODE => Fault {
            code: format!("{OF_FUNCTION}{code}").into(),
            ..Fault::guest(NO_CODE, message)
        },
        _ => Fault::guest(NO_CODE, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;

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
            assert_eq!((&*fault.code, fault.source_of), (seen, source), "{code}");
            assert_eq!(fault.message, "why");
        }
    }
}
