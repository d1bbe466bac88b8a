//! The log: for people on a terminal, JSON a line elsewhere, always on stderr.
//!
//! `IOF_LOG` chooses what is shown, as in `info`, `debug`, or `info,iof::call=debug`.
//!
//! A line of the levels `WARN` and `ERROR` says that something is wrong with the server. What runs guest code logs at
//! these levels what guests do, and what speaks HTTP and TLS what clients do, so nothing of it is shown unless the
//! setting names it.

use crate::escape::line;
use crate::json_log::JsonLine;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::debug_fn;

/// The targets of the crates that run guest code or read what clients send, with all that begin like them:
/// `wasmtime_wasi` is one.
const FOREIGN: &str =
    "wasmtime=off,wiggle=off,cranelift=off,regalloc2=off,h2=off,hyper=off,rustls=off";

pub(crate) fn start(filter: &str) -> Result<(), String> {
    // What is named twice is what it is named last, and the longer name counts.
    let shown = match filter.trim() {
        "" => "error",
        filter => filter,
    };
    let filter = EnvFilter::try_new(format!("{FOREIGN},{shown}")).map_err(|error| {
        format!("log = {filter:?} is no filter: {error}. Try \"info\" or \"debug\".")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let result = if std::io::stderr().is_terminal() {
        // Fields hold what callers and functions wrote.
        let fields = debug_fn(|writer, field, value| {
            let value = format!("{value:?}");
            match field.name() {
                "message" => write!(writer, "{}", line(&value)),
                name => write!(writer, "{name}={}", line(&value)),
            }
        });
        log.with_target(true)
            .compact()
            .fmt_fields(fields.delimited(" "))
            .try_init()
    } else {
        log.event_format(JsonLine).try_init()
    };
    result.map_err(|error| format!("the log could not be started: {error}"))
}
