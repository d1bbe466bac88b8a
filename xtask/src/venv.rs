//! Python packages that a chore needs; each set is kept in an environment of its own below the target directory.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    packages, paths,
    process::run,
    step::{Outcome, Problem, step},
};

/// The Python of the environment `name`, which has `wanted`.
pub(crate) fn of(name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let venv = paths::target().join(name);
    let python = venv.join("bin/python");
    let (mark, list) = (venv.join("iof-packages"), packages.join(" "));
    if fs::read_to_string(&mark).is_ok_and(|installed| installed == list) {
        return Ok(python);
    }
    packages::need("python3", "python3", name)?;
    step(&format!("fetch {list}"), || {
        let system = ["/usr/bin/python3", "python3"];
        let system = system.iter().find(|path| Path::new(path).is_file());
        let make = || {
            run(Command::new(system.copied().unwrap_or("python3"))
                .args(["-m", "venv", "--clear"])
                .arg(&venv))
        };
        // Debian has the module in a separate package.
        make().or_else(|_| {
            packages::install(&["python3-venv"], name)?;
            make()
        })?;
        run(Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(packages))?;
        fs::write(&mark, &list).map_err(|e| Problem::new(format!("{}: {e}", mark.display())))
    })
    .inspect_err(|_| {
        // A partial environment would count as complete the next time.
        let _ = fs::remove_dir_all(&venv);
    })?;
    Ok(python)
}
