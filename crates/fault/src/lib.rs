//! Faults: the errors that callers of functions see.
//!
//! A call or request that fails ends in one [`Fault`]: a [`FaultKind`] with its stable code, a message for the caller,
//! and detail only for the operator's log. The kinds are a closed list ([`FaultKind::ALL`]), so that callers of this
//! crate match on them and the compiler knows when one is missing. The code that a function chose for its own error is
//! a [`FunctionCode`], a separate type: it is never a kind of the server.
//!
//! This crate knows neither HTTP nor WebAssembly. The server maps each kind to a status; docs/FAULTS.md lists both.

mod function_code;
mod function_status;
mod kind;
mod source;

pub use function_code::FunctionCode;
pub use function_status::FunctionStatus;
pub use kind::FaultKind;
pub use source::Source;

use std::borrow::Cow;

/// One failure, as the caller and the operator's log see it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {message}", self.code())]
pub struct Fault {
    /// The kind, which decides the code, the source and the HTTP status.
    pub kind: FaultKind,
    /// The code of an error that a function returned.
    function_code: Option<FunctionCode>,
    /// The status of an error that a function returned.
    function_status: Option<FunctionStatus>,
    /// The sentence for the caller: it names the setting or field, and the next step. No secret, no path of the host.
    pub message: String,
    /// The detail for the operator's log.
    pub detail: Option<String>,
    /// The end of the code, if it ended itself or had printed a result.
    pub ending: Option<Box<Ending>>,
}

/// The end of code that did not return, for programs that read a [`Fault`].
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// The status that the code passed to `proc_exit`.
    pub exit_status: Option<i32>,
    /// The beginning of what a program had printed as its result, at most [`Ending::STDOUT`] bytes.
    pub stdout: Option<String>,
    /// The error that a function returned, as JSON.
    pub value: Option<String>,
    /// The end of the error output of the code: the message of its panic, with names of its source files. Only for
    /// those who may read its log.
    pub printed: Option<String>,
}

impl Ending {
    /// The most bytes that are kept of an unfinished result.
    pub const STDOUT: usize = 4096;
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            function_code: None,
            function_status: None,
            message: message.into(),
            detail: None,
            ending: None,
        }
    }

    /// A failure of this server that the caller cannot fix; `detail` goes only to the log.
    pub fn host(message: impl Into<String>, detail: impl ToString) -> Self {
        Self::new(FaultKind::Internal, message).with_detail(detail)
    }

    /// The error that a function returned, with the function's own code.
    pub fn of_function(code: FunctionCode, message: impl Into<String>) -> Self {
        Self {
            function_code: Some(code),
            ..Self::new(FaultKind::FunctionError, message)
        }
    }

    /// The same error with a status that the function chose.
    #[must_use]
    pub fn with_status(mut self, status: FunctionStatus) -> Self {
        self.function_status = Some(status);
        self
    }

    /// The status of the error that a function returned.
    pub fn function_status(&self) -> Option<FunctionStatus> {
        self.function_status
    }

    /// The fault of a number or name that no function has.
    pub fn no_such_function(id: impl std::fmt::Display) -> Self {
        Self::new(
            FaultKind::NoSuchFunction,
            format!("There is no function {id}."),
        )
    }

    /// The fault of a number that no version of the function has.
    pub fn no_such_version(id: i64, number: i64) -> Self {
        Self::new(
            FaultKind::NoSuchVersion,
            format!("Function {id} has no version {number}."),
        )
    }

    /// The code that clients see: the kind's, or `function:` and the function's own.
    pub fn code(&self) -> &str {
        match &self.function_code {
            Some(code) => code.as_str(),
            None => self.kind.as_str(),
        }
    }

    /// The end of the error output of the code, for those who may read its log.
    pub fn printed(&self) -> Option<&str> {
        self.ending.as_ref()?.printed.as_deref()
    }

    /// The message with the error output of the code, for those who may read its log.
    pub fn full_message(&self) -> Cow<'_, str> {
        match self.printed() {
            None => Cow::Borrowed(&self.message),
            Some(printed) => Cow::Owned(with_printed(&self.message, printed)),
        }
    }

    /// The same fault, whose message contains the error output of the code.
    #[must_use]
    pub fn disclosed(mut self) -> Self {
        self.message = self.full_message().into_owned();
        self.forget_printed();
        self
    }

    /// The same fault without the error output of the code, whose message says where that is.
    #[must_use]
    pub fn withheld(mut self) -> Self {
        self.message = without_printed(&self.message);
        self.forget_printed();
        self
    }

    fn forget_printed(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.printed = None;
        }
    }

    /// The same fault with detail for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }
}

/// The message of a fault with the error output of the code.
#[must_use]
pub fn with_printed(message: &str, printed: &str) -> String {
    format!("{message} It printed: {printed}")
}

/// The message of a fault without the error output of the code.
#[must_use]
pub fn without_printed(message: &str) -> String {
    format!("{message} What it printed is in its log.")
}
