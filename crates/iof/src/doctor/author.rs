//! The checks for authors: the toolchain, and the project in this folder.

use super::{Check, Part};
use iof_build::{Machine, Toolchain};
use std::fs;
use std::path::Path;

/// Checks of the toolchain for functions.
pub(super) fn toolchain() -> Vec<Check> {
    let machine = Machine::this();
    let lines = Toolchain::report(&machine).into_iter();
    let lines = lines.map(|line| Check {
        part: Part::Author,
        name: format!("toolchain: {}", line.name),
        fine: line.fine,
        found: line.found,
        advice: line.advice,
    });
    let compiled = machine.compiled().map(|folder| {
        let found = format!("{} (it may be removed)", folder.display());
        Check::new(Part::Author, "compiled dependencies", found, None)
    });
    lines.chain(compiled).collect()
}

/// Checks of the programs that a project of another language than Rust needs; `None` if the folder has none.
pub(super) fn tools(folder: &Path) -> Option<Vec<Check>> {
    // An environment of Python is made for a whole path.
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let lines = match Machine::this().tools(&folder) {
        Ok(lines) => lines?,
        Err(error) => {
            let advice = Some("mend the table [build]".to_owned());
            return Some(vec![Check::new(
                Part::Project,
                "[build]",
                error.to_string(),
                advice,
            )]);
        }
    };
    let lines = lines.into_iter().map(|line| Check {
        part: Part::Project,
        name: line.name,
        fine: line.fine,
        found: line.found,
        advice: line.advice,
    });
    Some(lines.collect())
}

/// Returns whether a folder is in a project of a function.
pub(super) fn is_project(folder: &Path) -> bool {
    folder.join("Cargo.toml").is_file() || folder.join("function.toml").is_file()
}

/// Checks the project in a folder: its `function.toml`, against a server as shipped.
pub(super) fn project(folder: &Path) -> Vec<Check> {
    let file = folder.join("function.toml");
    let name = "function.toml";
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let found = format!("none: a function gets {}", iof_server::AS_SHIPPED);
            return vec![Check::new(Part::Project, name, found, None)];
        }
        Err(error) => {
            let advice = Some("make it readable".to_owned());
            return vec![Check::new(Part::Project, name, error.to_string(), advice)];
        }
    };
    match iof_server::check_declaration(&text) {
        Ok(()) => vec![Check::new(
            Part::Project,
            name,
            "a server as shipped accepts it",
            None,
        )],
        Err(why) => {
            let advice = Some("change it, or the server's [ceiling]".to_owned());
            vec![Check::new(Part::Project, name, why, advice)]
        }
    }
}
