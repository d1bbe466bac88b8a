//! The programs that a project of another language needs on this machine, for `iof doctor`.

use super::{Tool, ToolProject, npm, venv};
use crate::Error;
use crate::machine::{Machine, said};
use crate::toolchain::Line;
use std::path::Path;

impl Machine {
    /// Checks the programs that the project of a folder needs; `None` for a crate, which needs a toolchain of Rust.
    ///
    /// # Errors
    /// [`Error::Table`], with the field; [`Error::File`].
    pub fn tools(&self, folder: &Path) -> Result<Option<Vec<Line>>, Error> {
        let project = ToolProject::read(folder)?;
        Ok(project.map(|project| lines(self, &project)))
    }
}

fn lines(machine: &Machine, project: &ToolProject) -> Vec<Line> {
    match project.tool {
        Tool::ComponentizeJs | Tool::ComponentizeQjs => {
            let npm = match npm::is_installed(&project.folder) {
                true => fine("npm", "not needed: the packages are installed".to_owned()),
                false => line(machine, "npm", npm::npm(machine)),
            };
            vec![line(machine, "node", npm::node(machine)), npm]
        }
        Tool::Go if machine.find("go").is_some() => vec![line(machine, "go", Ok(()))],
        Tool::ComponentizePy | Tool::ZigCc | Tool::Go => {
            vec![match venv::is_installed(&project.folder) {
                true => fine("python3", "not needed: the environment is made".to_owned()),
                false => line(machine, "python3", venv::python(machine)),
            }]
        }
    }
}

fn fine(name: &str, found: String) -> Line {
    Line {
        name: name.to_owned(),
        fine: true,
        found,
        advice: None,
    }
}

/// The version of a program, or what it lacks.
fn line(machine: &Machine, program: &str, checked: Result<(), Error>) -> Line {
    match checked {
        Ok(()) => {
            let version = match program {
                "go" => "version",
                _ => "--version",
            };
            let said = said(machine.command(program).arg(version));
            fine(program, said.unwrap_or_default().trim().to_owned())
        }
        Err(Error::Program { problem, install }) => Line {
            name: program.to_owned(),
            fine: false,
            found: problem,
            advice: Some(install.to_owned()),
        },
        Err(error) => Line {
            name: program.to_owned(),
            fine: false,
            found: error.to_string(),
            advice: None,
        },
    }
}
