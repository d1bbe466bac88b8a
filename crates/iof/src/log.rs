//! The log: for people on a terminal, JSON a line elsewhere, always on stderr.
//!
//! `IOF_LOG` chooses what is shown, as in `info`, `debug`, or `info,iof::call=debug`.

use crate::escape::line;
use crate::json_log::JsonLine;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::debug_fn;

pub(crate) fn start(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
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
