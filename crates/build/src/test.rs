//! `cargo test` of a package, for this machine: the tests that its author wrote.

use crate::machine::{Machine, shown};
use crate::project::Project;
use crate::stand_in::StandIn;
use crate::what::What;
use crate::{Error, Event, Progress};
use std::path::Path;
use std::process::Stdio;

/// Runs the tests of one package, and answers whether all passed. All that cargo says goes to stderr.
///
/// # Errors
/// See [`Error`]; a test that fails is not one.
pub fn test(
    machine: &Machine,
    folder: &Path,
    package: &str,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    let project = Project::find(machine, folder, Some(package))?;
    let mut cargo = machine.cargo();
    cargo
        .arg("test")
        .current_dir(project.folder())
        // That of guests, which do not run here.
        .env_remove("CARGO_BUILD_TARGET");
    match &project.what {
        What::Bindgen2020 { version } => {
            let stand_in = StandIn::prepare(&project, version)?;
            stand_in.tell(&mut cargo);
            cargo.arg("--manifest-path").arg(&stand_in.manifest);
            cargo.arg("--target-dir").arg(&project.target_dir);
        }
        _ => {
            cargo.arg("--manifest-path").arg(&project.manifest);
        }
    }
    progress(Event::Step(&format!("test {}", project.name)));
    progress(Event::Runs(&shown(&cargo)));
    cargo.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = cargo.status().map_err(|error| Error::NotStarted {
        program: "cargo".into(),
        error,
    })?;
    Ok(status.success())
}
