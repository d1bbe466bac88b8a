//! The smallest binary that can be a warden, for the crate's own tests and benches.

use std::process::ExitCode;

fn main() -> ExitCode {
    iof_jail::warden_main().unwrap_or(ExitCode::FAILURE)
}
