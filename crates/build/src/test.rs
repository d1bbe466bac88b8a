//! The tests that an author wrote, for this machine: `cargo test` of a package, or those of another language's own tool.

use crate::machine::{Machine, shown};
use crate::project::{Place, Project};
use crate::stand_in::StandIn;
use crate::what::What;
use crate::{Error, Event, Progress, tools};
use std::path::Path;
use std::process::Stdio;

/// Runs the tests of one package, and answers whether all passed. All that cargo or another tool says goes to stderr.
///
/// # Errors
/// See [`Error`]; a test that fails is not one.
pub fn test(
    machine: &Machine,
    folder: &Path,
    package: &str,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    if let Place::Tool(project) = Place::find(folder)? {
        project.is_named(Some(package))?;
        return tools::test(machine, &project, progress);
    }
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
