//! What went wrong, and whose fault it is.
//!
//! A call that does not end well ends in one [`Fault`]: a stable code that scripts may match on, a [`Source`], a
//! sentence for the caller that says what to do next, and, apart from it, detail for the operator's log alone.
//! A limit's code is the name of its setting with dashes (`limits.wall_time` is `wall-time`), so that whoever reads
//! one finds the other. docs/LIMITS.md lists them.

use std::borrow::Cow;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The request: no such export, arguments that do not fit, bytes that are no module.
    Client,
    /// The function's own code: a trap, an exit, a bad pointer.
    Guest,
    /// A command that the function ran.
    Command,
    /// Something that the function called outside.
    Outbound,
    /// A limit was reached.
    Limit,
    /// This server.
    Host,
}

/// One failure.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// Stable, in lower case with dashes.
    pub code: Cow<'static, str>,
    /// Whose fault it is.
    pub source_of: Source,
    /// The HTTP status that tells it truthfully. Never a success.
    pub status: u16,
    /// For the caller: names the setting or field, and the next step. No secret, no path of the host.
    pub message: String,
    /// For the operator's log.
    pub detail: Option<String>,
    /// How the code ended, where it ended itself or had printed a result.
    pub ending: Option<Box<Ending>>,
}

/// The end of code that did not return, for programs that read a [`Fault`].
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// What it passed to `proc_exit`.
    pub exit_status: Option<i32>,
    /// The beginning of what a program had printed as its result, up to [`Ending::STDOUT`] bytes of it.
    pub stdout: Option<String>,
}

impl Ending {
    /// The most that is kept of a result that was not finished.
    pub const STDOUT: usize = 4096;
}

impl Fault {
    /// A fault of the request, status 400.
    pub fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Source::Client, 400, message)
    }

    /// A fault of the function's code, status 502: the server stands between the caller and that code.
    pub fn guest(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(code, Source::Guest, 502, message)
    }

    /// A limit of a call, status 500 unless it is a matter of time or of load.
    pub fn limit(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self::new(code, Source::Limit, status, message)
    }

    /// A fault of this server, status 500. `detail` goes to the log alone.
    pub fn host(message: impl Into<String>, detail: impl ToString) -> Self {
        Self {
            detail: Some(detail.to_string()),
            ..Self::new("internal", Source::Host, 500, message)
        }
    }

    /// A fault with every part given.
    pub fn new(
        code: &'static str,
        source_of: Source,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        debug_assert!(status >= 400, "a fault is never a success");
        Self {
            code: Cow::Borrowed(code),
            source_of,
            status,
            message: message.into(),
            detail: None,
            ending: None,
        }
    }

    /// The same with detail for the log.
    #[must_use]
    pub fn with_detail(mut self, detail: impl ToString) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        debug_assert!(status >= 400, "a fault is never a success");
        self.status = status;
        self
    }
}
