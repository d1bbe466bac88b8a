//! Go: a program for WASI 0.1, by the `go` of the PATH, or by the one that `requirements.txt` pins.

use super::{Output, ToolProject, run};
use crate::machine::Machine;
use crate::tools::venv::Venv;
use crate::{Error, Progress};
use std::path::Path;
use std::process::Command;

/// Makes the program.
pub(super) fn build(
    machine: &Machine,
    project: &ToolProject,
    output: &Output,
    debug: bool,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let mut go = go(machine, project, &mut *progress)?;
    go.args(["build", "-o", &output.path])
        .args((!debug).then_some("-ldflags=-s -w"))
        .arg(Path::new(".").join(&project.source))
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm");
    run(&mut go, "compile it by go for wasip1", progress)
}

/// `go test` on this machine; returns whether all passed.
pub(super) fn test(
    machine: &Machine,
    project: &ToolProject,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    let mut go = go(machine, project, &mut *progress)?;
    go.args(["test", "./..."])
        .env_remove("GOOS")
        .env_remove("GOARCH");
    super::passes(run(&mut go, &format!("test {}", project.name), progress))
}

/// The compiler, which fetches no other one.
fn go(machine: &Machine, project: &ToolProject, progress: Progress<'_>) -> Result<Command, Error> {
    let mut go = match machine.find("go") {
        Some(_) => machine.command("go"),
        None => Venv::install(machine, &project.folder, progress)?.program(machine, "go"),
    };
    go.env("GOTOOLCHAIN", "local").current_dir(&project.folder);
    Ok(go)
}
