//! `wasi:logging/logging`: messages with a level and a context. Each is a line of the call's log, as is text printed to
//! stderr.

use super::served::LOGGING_DRAFT;
use crate::capability::log::Stream;
use crate::state::CallState;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, Lift, Linker, Lower};

/// The level of a message.
#[derive(Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "guests make them")]
enum Level {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
    #[component(name = "critical")]
    Critical,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let interface = format!("wasi:logging/logging@{LOGGING_DRAFT}");
    linker.instance(&interface)?.func_wrap(
        "log",
        |mut store: StoreContextMut<'_, CallState>,
         (level, context, message): (Level, String, String)| {
            let line = line(level, &context, &message);
            let recorder = store.data_mut().wasi.recorder();
            recorder.write(Stream::Stderr, line.as_bytes())?;
            Ok(())
        },
    )
}

/// A message as one line: `WARN [cart] 3 items are left`. Line breaks are escaped, so that one message cannot look like
/// two.
fn line(level: Level, context: &str, message: &str) -> String {
    let level = level.as_str();
    let message = message.trim_end_matches(['\r', '\n']);
    let mut line = match context {
        "" => format!("{level} {message}"),
        _ => format!("{level} [{context}] {message}"),
    };
    if line.contains(['\r', '\n']) {
        line = line.replace('\r', "\\r").replace('\n', "\\n");
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        for (context, message, expected) in [
            ("", "started", "WARN started\n"),
            ("cart", "3 left\n", "WARN [cart] 3 left\n"),
            (
                "a\nERROR",
                "b\r\nINFO c",
                "WARN [a\\nERROR] b\\r\\nINFO c\n",
            ),
        ] {
            assert_eq!(line(Level::Warn, context, message), expected);
        }
    }
}
