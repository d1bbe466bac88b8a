//! The party at fault.

/// The party at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The request: an unknown export, arguments that do not fit, bytes that are not a module.
    Client,
    /// The function's own code: a trap, an exit, a bad pointer.
    Guest,
    /// A command that the function ran.
    Command,
    /// A server that the function called.
    Outbound,
    /// A limit that was reached.
    Limit,
    /// This server.
    Host,
}

impl Source {
    /// The name of the source: `client`, `guest`, `command`, `outbound`, `limit`, `host`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Guest => "guest",
            Self::Command => "command",
            Self::Outbound => "outbound",
            Self::Limit => "limit",
            Self::Host => "host",
        }
    }
}
