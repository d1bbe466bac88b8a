//! The log on stderr: text for people, or JSON lines. The default depends on whether stderr is a terminal.
//!
//! `IOF_LOG` is the filter, such as `info`, `debug`, or `info,iof::call=debug`.
//!
//! A line of the levels `WARN` and `ERROR` means that something is wrong with the server. Crates that run guest code
//! log actions of guests at these levels, and crates for HTTP and TLS those of clients, so their lines are shown only
//! if the setting names them.

use crate::escape::line;
use crate::json_log::JsonLine;
use serde::{Deserialize, Serialize};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::reload::Handle;

/// The targets of crates that run guest code or read clients' input. They include all targets that begin with one of
/// them, such as `wasmtime_wasi`.
const FOREIGN: &str =
    "wasmtime=off,wiggle=off,cranelift=off,regalloc2=off,h2=off,hyper=off,rustls=off";

/// The form of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Text for people, in colour on a terminal.
    Text,
    /// JSON, one object per line.
    Json,
}

/// Checks a filter: parts between commas, each a level or TARGET=LEVEL.
///
/// A word that is not a level would be read as a target, of which everything is shown, and so hide all others.
///
/// # Errors
/// A message with a valid example.
pub(crate) fn check(filter: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    // Spans and their fields are in brackets, commas included.
    if filter.contains(['[', '{']) {
        return Ok(());
    }
    let parts = filter
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    for part in parts {
        let (target, level) = match part.split_once('=') {
            Some((target, level)) => (target, level.trim()),
            None => ("", part),
        };
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            let of = match target {
                "" => String::new(),
                target => format!(" of {target}"),
            };
            return Err(format!(
                "not a level{of}: got {level:?}. Write one of {}, or TARGET=LEVEL, such as \"info,iof::call=debug\".",
                LEVELS.join(", ")
            ));
        }
    }
    Ok(())
}

/// The filter of the running log, to be replaced while it runs.
pub(crate) struct LogFilter(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl LogFilter {
    /// Replaces the filter.
    ///
    /// # Errors
    /// A message that names the setting; the log stays as it was.
    pub(crate) fn set(&self, filter: &str) -> Result<(), String> {
        (self.0)(parse(filter)?)
    }
}

pub(crate) fn start(filter: &str, format: LogFormat) -> Result<LogFilter, String> {
    let terminal = std::io::stderr().is_terminal();
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let log = tracing_subscriber::fmt()
        .with_env_filter(parse(filter)?)
        .with_ansi(colour)
        .with_writer(std::io::stderr);
    let text = match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let (filter, result) = if text {
        // Fields contain text of callers and functions.
        let fields = debug_fn(|writer, field, value| {
            let value = format!("{value:?}");
            match field.name() {
                "message" => write!(writer, "{}", line(&value)),
                name => write!(writer, "{name}={}", line(&value)),
            }
        });
        let log = log
            .with_target(true)
            .compact()
            .fmt_fields(fields.delimited(" "))
            .with_filter_reloading();
        (replacing(log.reload_handle()), log.try_init())
    } else {
        let log = log.event_format(JsonLine).with_filter_reloading();
        (replacing(log.reload_handle()), log.try_init())
    };
    result.map_err(|error| format!("the log could not be started: {error}"))?;
    Ok(filter)
}

fn replacing<S: 'static>(handle: Handle<EnvFilter, S>) -> LogFilter {
    LogFilter(Box::new(move |filter| {
        handle.reload(filter).map_err(|error| error.to_string())
    }))
}

fn parse(filter: &str) -> Result<EnvFilter, String> {
    // Of two entries for a target, the last applies; of two prefixes, the longer.
    let shown = match filter.trim() {
        "" => "error",
        filter => filter,
    };
    EnvFilter::try_new(format!("{FOREIGN},{shown}")).map_err(|error| {
        format!("log = {filter:?} is not a filter: {error}. Try \"info\" or \"debug\".")
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn levels_are_known_ones() {
        for filter in [
            "",
            "info",
            "INFO",
            "debug,h2=off",
            "info, iof::call=trace",
            "[call{id=1}]=debug",
        ] {
            assert!(check(filter).is_ok(), "{filter}");
        }
        for filter in ["inof", "lots", "info,h2", "h2=loud", "5"] {
            assert!(
                check(filter).unwrap_err().contains("not a level"),
                "{filter}"
            );
        }
    }
}
