//! Projects of other languages than Rust: their tools are installed into the project's own folder, at the versions that its lock
//! pins, and asked for nothing else afterwards.
//!
//! A tool is a program that is started with its arguments one by one: no shell reads a name of a file. What it prints goes to
//! stderr. Its output is made in `target/iof`, and becomes `pkg/NAME.wasm` when it is whole.

mod go;
mod javascript;
mod leftover;
mod needs;
mod npm;
mod python;
mod table;
mod venv;
mod zig;

pub use table::Tool;
pub(crate) use table::ToolProject;

use crate::machine::{Machine, shown};
use crate::{Error, Event, Progress, docs, files};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The folder of intermediate files, below that of the project.
const OUTPUT: &str = "target/iof";

/// The place of what a tool makes.
pub(crate) struct Output {
    /// The path of the module, below the folder of the project.
    path: String,
}

impl Output {
    /// The place for a project, whose folder is made.
    fn of(project: &ToolProject) -> Result<Self, Error> {
        let folder = project.folder.join(OUTPUT);
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        Ok(Self {
            path: format!("{OUTPUT}/{}.wasm", project.name),
        })
    }

    /// Another file beside it.
    fn beside(&self, name: &str) -> String {
        format!("{OUTPUT}/{name}")
    }
}

/// Makes the module of a project, and returns its path.
///
/// # Errors
/// See [`Error`]; what the tool says is on stderr then.
pub(crate) fn build(
    machine: &Machine,
    project: &ToolProject,
    debug: bool,
    progress: Progress<'_>,
) -> Result<PathBuf, Error> {
    let output = Output::of(project)?;
    let module = project.folder.join(&output.path);
    // That of an earlier build would be taken for this one's.
    match fs::remove_file(&module) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file(&module)(error));
        }
        _ => {}
    }
    match project.tool {
        Tool::ComponentizeJs | Tool::ComponentizeQjs => {
            javascript::build(machine, project, &output, progress)?;
        }
        Tool::ComponentizePy => python::build(machine, project, &output, progress)?,
        Tool::Go => go::build(machine, project, &output, debug, progress)?,
        Tool::ZigCc => zig::build(machine, project, &output, debug, progress)?,
    }
    let made = fs::read(&module).map_err(Error::file(&module))?;
    let sealed = leftover::removed(made, project.tool).map_err(Error::Module)?;
    let sealed = match &project.world {
        Some((wit, world)) => docs::keep(sealed, &project.folder.join(wit), Some(world)),
        None => sealed,
    };
    files::write_if_other(&module, &sealed)?;
    Ok(module)
}

/// Runs the tests of a project with its language's own tool; returns whether all passed.
///
/// # Errors
/// See [`Error`]; a test that fails is not one.
pub(crate) fn test(
    machine: &Machine,
    project: &ToolProject,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    match project.tool {
        Tool::ComponentizeJs | Tool::ComponentizeQjs => {
            javascript::test(machine, project, progress)
        }
        Tool::ComponentizePy => python::test(machine, project, progress),
        Tool::Go => go::test(machine, project, progress),
        Tool::ZigCc => zig::test(machine, project, progress),
    }
}

/// Runs a program: a step, whose time is told at its end.
fn run(command: &mut Command, step: &str, progress: Progress<'_>) -> Result<(), Error> {
    progress(Event::Step(step));
    let line = shown(command);
    progress(Event::Runs(&line));
    let start = Instant::now();
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().map_err(|error| Error::NotStarted {
        program: command.get_program().to_string_lossy().into_owned(),
        error,
    })?;
    if !status.success() {
        return Err(Error::Failed { line, status });
    }
    progress(Event::Took(start.elapsed()));
    Ok(())
}

/// Returns true if tests passed, by the end of their runner.
fn passes(ended: Result<(), Error>) -> Result<bool, Error> {
    match ended {
        Ok(()) => Ok(true),
        Err(Error::Failed { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Checks that a program is on the path.
fn need(machine: &Machine, program: &str, install: &'static str) -> Result<(), Error> {
    match machine.find(program) {
        Some(_) => Ok(()),
        None => Err(Error::Program {
            problem: format!("`{program}` is not on the PATH"),
            install,
        }),
    }
}
