//! The entry point where the binary becomes a warden.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::handover::{INNER, OUTER, WARDEN};
use crate::inner::inner;
use crate::outer::outer;

/// Runs a warden; to be called first in `main`. If the binary was started as a warden, it runs as one
/// until its end, and the result is the process's exit code. Otherwise returns `None`, at once.
///
/// No thread may have been started before: a warden has only one.
pub fn warden_main() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != WARDEN {
        return None;
    }
    let stage = args.next().unwrap_or_default();
    let result = match stage.to_str() {
        Some(OUTER) => outer(),
        Some(INNER) => inner(),
        _ => Err("this argument is for the jail's own use".to_owned()),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "warden: {error}");
            ExitCode::FAILURE
        }
    })
}
