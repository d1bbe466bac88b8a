//! The files of a release, as they are in its archive.

use std::{fs, path::Path, process::Command};

use super::release::{Release, copy, copy_folder, failed, make, write};
use crate::{
    paths,
    process::{self, output},
    step::Outcome,
};

/// The shells, and the paths of their completions below `/usr/share`.
pub(super) const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "bash-completion/completions/iof"),
    ("zsh", "zsh/vendor-completions/_iof"),
    ("fish", "fish/vendor_completions.d/iof.fish"),
];

/// The files of the repository that a release contains, by their names in it.
const FILES: [&str; 7] = [
    "README.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "deploy/Containerfile",
    "deploy/iof.service",
    "deploy/iof.toml",
];

/// The folders of it: additions to the unit, the chart, manifests, and rules for Prometheus.
pub(super) const DROP_INS: &str = "deploy/iof.service.d";
const FOLDERS: [&str; 4] = [
    DROP_INS,
    "deploy/chart",
    "deploy/kubernetes",
    "deploy/prometheus",
];

/// Puts a release into `folder`: the program without symbols, its manual and its completions.
pub(super) fn gather(built: &Path, folder: &Path) -> Outcome {
    let program = folder.join("iof");
    copy(built, &program, 0o755)?;
    process::run(Command::new("strip").arg("--strip-all").arg(&program))?;
    let man = folder.join("man");
    output(Command::new(&program).arg("man").arg(&man))?;
    for (shell, _) in COMPLETIONS {
        let script = output(Command::new(&program).args(["completions", shell]))?;
        let file = folder.join("completions").join(shell);
        make(&folder.join("completions"))?;
        write(&file, script.as_bytes())?;
    }
    for file in FILES {
        copy(&paths::root().join(file), &folder.join(file), 0o644)?;
    }
    for name in FOLDERS {
        copy_folder(&paths::root().join(name), &folder.join(name))?;
    }
    for page in ["server.md", "kubernetes.md"] {
        copy(
            &paths::root().join("docs/guide").join(page),
            &folder.join("docs").join(page),
            0o644,
        )?;
    }
    Ok(())
}

/// The script that installs this release.
pub(super) fn installer(release: &Release, url: &str, out: &Path) -> Outcome<String> {
    let template = paths::root().join("deploy/install.sh");
    let script = fs::read_to_string(&template).map_err(|e| failed(&template, &e))?;
    let script = script
        .replace("@VERSION@", release.version)
        .replace("@URL@", url);
    let name = "install.sh".to_owned();
    write(&out.join(&name), script.as_bytes())?;
    Ok(name)
}
