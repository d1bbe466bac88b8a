//! Where the binary becomes a warden.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use crate::inner::{INNER, inner};
use crate::outer::{OUTER, outer};

/// The hidden argument. `ps` shows it.
pub(crate) const WARDEN: &str = "--jail-warden";

/// To be called first thing in `main`: where the binary was started as a warden, it is one until
/// its end, and the result is the process's exit code. Otherwise `None`, at once.
///
/// Nothing may have been started before: a warden has one thread.
pub fn warden_main() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != WARDEN {
        return None;
    }
    let which = args.next().unwrap_or_default();
    let result = match which.to_str() {
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

/// The environment of a warden. A binary that allocates with mimalloc reserves a gigabyte at once, as memory that counts
/// against a program's limit; a warden needs none of it. Others do not read it.
pub(crate) const ALLOCATOR: [(&str, &str); 1] = [("MIMALLOC_ARENA_EAGER_COMMIT", "0")];

/// A standard stream's descriptor as one of our own, above the standard ones and closed on `exec`.
pub(crate) fn own(stream: impl AsFd) -> Result<OwnedFd, String> {
    let owned = stream.as_fd().try_clone_to_owned();
    owned.map_err(|error| format!("standard stream: {error}"))
}
