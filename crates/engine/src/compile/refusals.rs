//! Faults of modules that do not validate, and of the compiler itself.

use crate::proposals;
use iof_fault::{Fault, FaultKind};

/// The fault of bytes that are not a module, or use a proposal that is not served.
pub(super) fn invalid(error: wasmparser::BinaryReaderError) -> Fault {
    if let Some(fault) = proposals::missing(&error) {
        return fault;
    }
    let cut = if error.message().contains("unexpected end") {
        " The file seems to be cut off."
    } else {
        ""
    };
    Fault::new(
        FaultKind::InvalidModule,
        format!("The module is not valid: {error}.{cut}"),
    )
}

/// The fault of an engine that cannot be built, or does not do its work.
pub(super) fn internal(error: wasmtime::Error) -> Fault {
    Fault::host("The module could not be compiled.", format!("{error:#}"))
}
