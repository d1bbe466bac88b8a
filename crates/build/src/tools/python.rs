//! Python: componentize-py, in an environment of the project.

use super::{Output, ToolProject, run};
use crate::machine::Machine;
use crate::tools::venv::Venv;
use crate::{Error, Progress};
use std::path::Path;

/// Makes the component.
pub(super) fn build(
    machine: &Machine,
    project: &ToolProject,
    output: &Output,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let (folder, module) = module(project)?;
    let venv = Venv::install(machine, &project.folder, &mut *progress)?;
    let (wit, world) = project.world.clone().unwrap_or_default();
    let mut tool = venv.program(machine, "componentize-py");
    tool.args(["-d", &wit, "-w", &world, "componentize", "-p", &folder])
        .args([&module, "-o", &output.path])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&project.folder);
    let step = format!("make a component of {} by {}", project.source, project.tool);
    run(&mut tool, &step, progress)
}

/// Runs the tests in the files `test_*.py` (unittest); returns whether all passed.
pub(super) fn test(
    machine: &Machine,
    project: &ToolProject,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    let (folder, _) = module(project)?;
    let venv = Venv::install(machine, &project.folder, &mut *progress)?;
    let mut python = venv.python(machine);
    python
        .args(["-m", "unittest", "discover", "-v", "-s", &folder])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(&project.folder);
    match run(&mut python, &format!("test {}", project.name), progress) {
        // Since Python 3.12, the status says that there are none.
        Err(Error::Failed { status, .. }) if status.code() == Some(5) => Ok(true),
        other => super::passes(other),
    }
}

/// The folder of the source, and the name of its module.
fn module(project: &ToolProject) -> Result<(String, String), Error> {
    let source = Path::new(&project.source);
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_module = source.extension().is_some_and(|kind| kind == "py")
        && name.chars().all(plain)
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_module {
        return Err(Error::Table {
            file: project.folder.join("function.toml"),
            why: format!(
                "source: not a module of Python: got {:?}. Write one such as app.py",
                project.source
            ),
        });
    }
    let folder = source.parent().unwrap_or(Path::new(""));
    let folder = match folder.as_os_str().is_empty() {
        true => ".".to_owned(),
        false => folder.display().to_string(),
    };
    Ok((folder, name.into_owned()))
}
