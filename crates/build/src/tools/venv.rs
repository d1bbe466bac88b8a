//! The packages of a project from Python's registry, in its `.venv`, as its `requirements.txt` pins them.
//!
//! The registry and the proxy are those of pip's own configuration.

use super::{need, run};
use crate::machine::Machine;
use crate::{Error, Progress, files};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const FOLDER: &str = ".venv";
/// The requirements that are installed, and where, kept among them: an environment that was moved does not run.
const STAMP: &str = "iof-requirements.txt";
/// The oldest Python that these tools run on.
const OLDEST: (u32, u32) = (3, 10);
const INSTALL: &str = "install Python 3.10 or later with its module venv (https://www.python.org; on Debian: apt-get \
                       install -y python3-venv)";

/// The environment of a project.
pub(super) struct Venv(PathBuf);

impl Venv {
    /// The environment of a project, which is made if it is not there, or of other requirements.
    pub(super) fn install(
        machine: &Machine,
        folder: &Path,
        progress: Progress<'_>,
    ) -> Result<Self, Error> {
        let file = folder.join("requirements.txt");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Tools {
                    file,
                    why: "it is not there. It pins the tool that builds the project, a line each: NAME==VERSION".into(),
                });
            }
            Err(error) => return Err(Error::file(&file)(error)),
        };
        pinned(&text).map_err(|why| Error::Tools { file, why })?;
        let venv = Self(folder.join(FOLDER));
        if venv.is_of(folder, &text) {
            return Ok(venv);
        }
        need(machine, "python3", INSTALL)?;
        let mut make = machine.command("python3");
        make.args(["-m", "venv", "--clear", FOLDER])
            .current_dir(folder);
        run(
            &mut make,
            "make a Python environment in .venv",
            &mut *progress,
        )
        .map_err(|error| match error {
            Error::Failed { .. } => Error::Program {
                problem: "`python3 -m venv` failed, with its reason above".into(),
                install: INSTALL,
            },
            error => error,
        })?;
        let mut pip = venv.python(machine);
        pip.args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "-r",
            "requirements.txt",
        ])
        .current_dir(folder);
        run(&mut pip, "install requirements.txt into .venv", progress)?;
        files::write(&venv.0.join(STAMP), stamp(folder, &text).as_bytes())?;
        Ok(venv)
    }

    /// Returns whether it is there, in this folder, of these requirements.
    fn is_of(&self, folder: &Path, requirements: &str) -> bool {
        let installed = fs::read_to_string(self.0.join(STAMP));
        self.0.join("bin/python").exists()
            && installed.is_ok_and(|installed| installed == stamp(folder, requirements))
    }

    /// Its Python.
    pub(super) fn python(&self, machine: &Machine) -> Command {
        self.program(machine, "python")
    }

    /// A program of its packages.
    pub(super) fn program(&self, machine: &Machine, name: &str) -> Command {
        let mut command = machine.command_at(self.0.join("bin").join(name));
        command.env("VIRTUAL_ENV", &self.0);
        command
    }
}

fn stamp(folder: &Path, requirements: &str) -> String {
    format!("# {}\n{requirements}", folder.display())
}

/// Returns whether the environment of a project is there, as its requirements are now.
pub(super) fn is_installed(folder: &Path) -> bool {
    let requirements = fs::read_to_string(folder.join("requirements.txt"));
    requirements.is_ok_and(|text| Venv(folder.join(FOLDER)).is_of(folder, &text))
}

/// Checks that there is a Python that makes environments, and that it is new enough.
pub(super) fn python(machine: &Machine) -> Result<(), Error> {
    need(machine, "python3", INSTALL)?;
    let lacks = |problem: String| Error::Program {
        problem,
        install: INSTALL,
    };
    let (major, minor) = OLDEST;
    // Debian has the second module in a package of its own.
    let asked =
        format!("import sys, venv, ensurepip; sys.exit(sys.version_info < ({major}, {minor}))");
    let mut python = machine.command("python3");
    match python.args(["-c", &asked]).stderr(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(lacks(format!(
            "`python3` has no module venv, or is older than {major}.{minor}"
        ))),
        Err(error) => Err(lacks(format!("`python3` does not start: {error}"))),
    }
}

/// Checks that each requirement has one version.
fn pinned(text: &str) -> Result<(), String> {
    for (at, line) in text.lines().enumerate() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let is_requirement = !line.is_empty() && !line.starts_with(['#', '-']);
        if is_requirement && !line.contains("==") {
            return Err(format!(
                "line {}: not pinned to one version: got {line:?}. Write NAME==VERSION",
                at + 1
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pinned;

    #[test]
    fn requirements_have_one_version_each() {
        let text =
            "# the tool\ncomponentize-py==0.25.1 \\\n    --hash=sha256:00\n\nidna==3.10  # names\n";
        assert_eq!(pinned(text), Ok(()));
        for loose in ["idna", "idna>=3", "idna ~= 3.1"] {
            let why = pinned(&format!("a==1\n{loose}\n")).unwrap_err();
            assert!(why.starts_with("line 2: not pinned"), "{why}");
        }
    }
}
