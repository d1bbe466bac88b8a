//! The log of a call, which `iof logs` and the server's log show.
//!
//! ```
//! iof::log::info!("sent to {}", "ada@example.com");
//! ```
//!
//! A line is its level, a colon and the message, on standard error, where panics go as well. Everything else that a
//! function prints is in the log, too. Do not log private data.

#[doc(inline)]
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn,
};

/// Writes a line in one piece: each piece is a call to the server.
#[doc(hidden)]
pub fn line(level: &str, message: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // A log that is full or closed is not an error here; the server ends the call by itself at its limit.
    let _ = std::io::stderr().write_all(format!("{level}: {message}\n").as_bytes());
}

/// Logs an error. Takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($message:tt)*) => {
        $crate::log::line("error", ::core::format_args!($($message)*))
    };
}

/// Logs a warning. Takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($message:tt)*) => {
        $crate::log::line("warn", ::core::format_args!($($message)*))
    };
}

/// Logs an event. Takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($message:tt)*) => {
        $crate::log::line("info", ::core::format_args!($($message)*))
    };
}

/// Logs detail for finding errors. Takes the arguments of `format!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($message:tt)*) => {
        $crate::log::line("debug", ::core::format_args!($($message)*))
    };
}
