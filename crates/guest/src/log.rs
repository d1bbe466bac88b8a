//! The log of a call, which `iof logs` and the server's log show.
//!
//! ```
//! iof::log::info!("sent to {}", "ada@example.com");
//! ```
//!
//! A line is its level, a colon and the message, on standard error, where panics go as well. What else a function
//! prints is in the log, too. Do not log what is nobody's business.

#[doc(inline)]
pub use crate::{
    __log_debug as debug, __log_error as error, __log_info as info, __log_warn as warn,
};

/// Writes a line in one piece: each piece is a call of the server.
#[doc(hidden)]
pub fn line(level: &str, message: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // A log that is full or closed is no reason to fail; the server ends the call by itself at its limit.
    let _ = std::io::stderr().write_all(format!("{level}: {message}\n").as_bytes());
}

/// What went wrong. It takes what `format!` takes.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($message:tt)*) => {
        $crate::log::line("error", ::core::format_args!($($message)*))
    };
}

/// What may go wrong. It takes what `format!` takes.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($message:tt)*) => {
        $crate::log::line("warn", ::core::format_args!($($message)*))
    };
}

/// What happened. It takes what `format!` takes.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($message:tt)*) => {
        $crate::log::line("info", ::core::format_args!($($message)*))
    };
}

/// What helps to find errors. It takes what `format!` takes.
#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($message:tt)*) => {
        $crate::log::line("debug", ::core::format_args!($($message)*))
    };
}
