//! `iof` `fail`: how a function built with the guest crate returns an error.
//!
//! `fail(code, code_length, message, message_length)` ends the call and does not come back. What an author chose as
//! code becomes a [`FunctionCode`], so that callers can tell errors apart and no code of a function is a code of the
//! server; its source is `guest`, whatever it says. The word `arguments` is no code but a part of this
//! interface: what the caller sent is not what the function takes.

use crate::host::memory;
use crate::state::CallState;
use iof_fault::{Fault, FaultKind, FunctionCode};
use wasmtime::{Caller, Linker};

/// The longest message that is kept, in bytes.
const MESSAGE: u32 = 4096;
/// The longest code that is read, in bytes: one more than a code can have.
const CODE: u32 = FunctionCode::LONGEST as u32 + 1;

/// Serves the import.
pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    linker.func_wrap("iof", "fail", fail)?;
    Ok(())
}

fn fail(
    mut caller: Caller<'_, CallState>,
    code: u32,
    code_length: u32,
    message: u32,
    message_length: u32,
) -> wasmtime::Result<()> {
    let memory = memory::of(&mut caller)?;
    let message = memory::read(&memory, &caller, message, message_length.min(MESSAGE))?;
    let code = memory::read(&memory, &caller, code, code_length.min(CODE))?;
    let message = String::from_utf8_lossy(&message);
    Err(of(&String::from_utf8_lossy(&code), &message).into())
}

fn of(code: &str, message: &str) -> Fault {
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
            let fault = of(code, "why");
            assert_eq!(
                (fault.code(), fault.kind.source()),
                (seen, source),
                "{code}"
            );
            assert_eq!(fault.message, "why");
        }
    }
}
