//! C: a program for WASI 0.1, by the compiler of Zig that `requirements.txt` pins.

use super::{Output, ToolProject, passes, run};
use crate::machine::Machine;
use crate::tools::venv::Venv;
use crate::{Error, Progress};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The end of a file that has a test: a program of its own, which is linked with all but `main.c`.
const TEST: &str = "_test.c";
const MAIN: &str = "main.c";

/// Makes the program of all files of the source.
pub(super) fn build(
    machine: &Machine,
    project: &ToolProject,
    output: &Output,
    debug: bool,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let sources = sources(project)?;
    let program: Vec<_> = sources
        .iter()
        .filter(|file| !file.ends_with(TEST))
        .collect();
    let mut cc = compiler(machine, project, &mut *progress)?;
    cc.arg("--target=wasm32-wasi")
        .args(if debug { ["-g", "-O0"] } else { ["-s", "-Os"] })
        .args(["-o", &output.path])
        .args(program);
    run(&mut cc, "compile it by zig cc for wasm32-wasi", progress)
}

/// Compiles and runs each test on this machine; returns whether all passed.
pub(super) fn test(
    machine: &Machine,
    project: &ToolProject,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    let sources = sources(project)?;
    let output = Output::of(project)?;
    let mut passed = true;
    for test in sources.iter().filter(|file| file.ends_with(TEST)) {
        let name = Path::new(test)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let program = output.beside(&name);
        let beside = sources.iter().filter(|file| {
            !file.ends_with(TEST) && Path::new(file).file_name().is_none_or(|name| name != MAIN)
        });
        let mut cc = compiler(machine, project, &mut *progress)?;
        cc.args(["-g", "-o", &program]).arg(test).args(beside);
        passed &= passes(run(&mut cc, &format!("compile {test}"), &mut *progress))?;
        if passed {
            let mut run_it = machine.command_at(project.folder.join(&program));
            run_it.current_dir(&project.folder);
            passed &= passes(run(&mut run_it, &format!("test {name}"), &mut *progress))?;
        }
    }
    Ok(passed)
}

fn compiler(
    machine: &Machine,
    project: &ToolProject,
    progress: Progress<'_>,
) -> Result<Command, Error> {
    let venv = Venv::install(machine, &project.folder, progress)?;
    let mut cc = venv.python(machine);
    cc.args(["-m", "ziglang", "cc"])
        .current_dir(&project.folder);
    Ok(cc)
}

/// The files of C in the folder of the source, in their order.
fn sources(project: &ToolProject) -> Result<Vec<String>, Error> {
    let folder = project.folder.join(&project.source);
    let entries = fs::read_dir(&folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(Error::file(&folder))?;
    let names = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut files: Vec<_> = names
        .filter(|name| name.ends_with(".c") && !name.starts_with('.'))
        .map(|name| format!("./{}/{name}", project.source))
        .collect();
    files.sort();
    match files.is_empty() {
        false => Ok(files),
        true => Err(Error::Table {
            file: project.folder.join("function.toml"),
            why: format!(
                "source: a folder without a file of C: got {:?}. Write one such as src",
                project.source
            ),
        }),
    }
}
