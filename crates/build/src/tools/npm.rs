//! The packages of a project from npm, in its `node_modules`, as its `package-lock.json` has them.
//!
//! Their install scripts are not run: what these tools need is in the packages. Which registry npm asks, and through which
//! proxy, is its own configuration.

use super::{need, run};
use crate::machine::{Machine, said};
use crate::{Error, Progress, files};
use std::fs;
use std::path::Path;

/// The lock whose packages are installed, kept among them.
const STAMP: &str = "node_modules/.iof-package-lock.json";
/// The oldest Node.js that these tools run on.
const OLDEST_NODE: u32 = 20;
const INSTALL: &str = "install Node.js 20 or later (https://nodejs.org)";

/// Installs the packages of a project, unless they are there.
pub(super) fn install(
    machine: &Machine,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<(), Error> {
    node(machine)?;
    let (lock, stamp) = (folder.join("package-lock.json"), folder.join(STAMP));
    let locked = match fs::read(&lock) {
        Ok(locked) => locked,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Tools {
                file: lock,
                why: "it is not there. `npm install` in this folder writes it; keep it beside package.json".into(),
            });
        }
        Err(error) => return Err(Error::file(&lock)(error)),
    };
    if fs::read(&stamp).is_ok_and(|installed| installed == locked) {
        return Ok(());
    }
    npm(machine)?;
    let mut npm = machine.command("npm");
    npm.args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
    ])
    .current_dir(folder);
    run(
        &mut npm,
        "install the packages of package-lock.json into node_modules",
        progress,
    )?;
    files::write(&stamp, &locked)
}

/// Returns whether the packages of a project's lock are installed.
pub(super) fn is_installed(folder: &Path) -> bool {
    let locked = fs::read(folder.join("package-lock.json"));
    let installed = fs::read(folder.join(STAMP));
    matches!((locked, installed), (Ok(locked), Ok(installed)) if locked == installed)
}

/// Checks that there is an npm.
pub(super) fn npm(machine: &Machine) -> Result<(), Error> {
    need(machine, "npm", INSTALL)
}

/// Checks that there is a Node.js, and that it is new enough.
pub(super) fn node(machine: &Machine) -> Result<(), Error> {
    need(machine, "node", INSTALL)?;
    let version = said(machine.command("node").arg("--version")).unwrap_or_default();
    let major = version.trim_start_matches('v').split('.').next();
    match major.and_then(|major| major.parse::<u32>().ok()) {
        Some(major) if major >= OLDEST_NODE => Ok(()),
        _ => Err(Error::Program {
            problem: format!("`node` is too old: got {version:?}"),
            install: INSTALL,
        }),
    }
}
