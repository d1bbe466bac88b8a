//! Builds of crates of 2020 with current compilers, without a change to any of their files.
//!
//! The crate's wasm-bindgen is replaced by a stand-in, by cargo's `--config patch…`. That changes the lock, which is
//! the author's. Cargo writes the lock beside the manifest, stable cargo has no setting for another place, and
//! restoring it afterwards fails when this process is killed. So cargo is given another folder, below the target
//! directory: links to everything in the workspace, and a separate manifest and lock. Cargo follows paths as they are
//! written, so messages and the locations of sources stay the same.

use crate::project::Project;
use crate::templates::{self, Embedded};
use crate::{Error, files};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The version in the embedded manifest, which is replaced by that of the project.
const EMBEDDED_VERSION: &str = "version = \"0.2.61\"";

/// A workspace in the form that cargo is given.
#[derive(Debug)]
pub(crate) struct StandIn {
    /// The package's manifest there.
    pub(crate) manifest: PathBuf,
    /// The stand-in's folder.
    patch: PathBuf,
}

impl StandIn {
    /// Writes the stand-in for a version and the workspace around it, or brings them up to date.
    pub(crate) fn prepare(project: &Project, version: &str) -> Result<Self, Error> {
        let folder = project.target_dir.join("iof/2020");
        for file in templates::COMPAT {
            write(
                &folder.join(format!("wasm-bindgen-{version}")),
                file,
                version,
            )?;
        }
        let mirror = folder.join(mirror_name(&project.root));
        fs::create_dir_all(&mirror).map_err(Error::file(&mirror))?;
        link(&project.root, &mirror, &project.target_dir)?;
        manifest(&project.root, &mirror)?;
        lock(&project.root, &mirror, version)?;
        let inside = project.manifest.strip_prefix(&project.root);
        let inside = inside.map_err(|_| Error::Crate {
            manifest: project.manifest.clone(),
            why: format!(
                "a crate of 2020 has to be below the folder of its workspace, {}: move it there, or take it out of the workspace",
                project.root.display()
            ),
        })?;
        Ok(Self {
            manifest: mirror.join(inside),
            patch: folder.join(format!("wasm-bindgen-{version}/wasm-bindgen")),
        })
    }

    /// Adds the stand-in to cargo's arguments.
    pub(crate) fn tell(&self, cargo: &mut Command) {
        let path = toml::Value::from(self.patch.to_string_lossy().into_owned());
        cargo
            .arg("--config")
            .arg(format!("patch.crates-io.wasm-bindgen.path={path}"));
    }
}

fn write(folder: &Path, file: &Embedded, version: &str) -> Result<(), Error> {
    let path = folder.join(file.path);
    if file.path == "wasm-bindgen/Cargo.toml" {
        let text = String::from_utf8_lossy(file.bytes);
        let text = text.replace(EMBEDDED_VERSION, &format!("version = \"{version}\""));
        files::write_if_other(&path, text.as_bytes())
    } else {
        files::write_if_other(&path, file.bytes)
    }
}

/// Workspaces may share a target directory, so each has a separate folder: its name, and a hash of its path.
fn mirror_name(root: &Path) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    root.hash(&mut hash);
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}-{:08x}", hash.finish() >> 32)
}

/// Makes `mirror` contain a link to each entry of `root`, and removes links whose entry is gone.
fn link(root: &Path, mirror: &Path, target_dir: &Path) -> Result<(), Error> {
    let ours =
        |name: &std::ffi::OsStr| name == "Cargo.toml" || name == "Cargo.lock" || name == LOCK_FROM;
    // Each build changes `pkg`, and cargo asks `.git` for the files on which a build script may depend.
    let left_out = |name: &std::ffi::OsStr| name == "pkg" || name == ".git";
    let entries = |folder: &Path| -> Result<Vec<_>, Error> {
        let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        entries.map_err(Error::file(folder))
    };
    for there in entries(mirror)? {
        let path = there.path();
        if !ours(&there.file_name()) && !root.join(there.file_name()).exists() {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::file(&path)(error));
                }
                _ => {}
            }
        }
    }
    for entry in entries(root)? {
        let (from, to) = (entry.path(), mirror.join(entry.file_name()));
        let name = entry.file_name();
        if ours(&name) || left_out(&name) || from == target_dir {
            continue;
        }
        match symlink(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::file(&to)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Writes the manifest: paths that lead out of the workspace become absolute, and it is its own workspace, because
/// another one may be above it than above the original.
fn manifest(root: &Path, mirror: &Path) -> Result<(), Error> {
    let path = root.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
    let mut manifest: toml::Table =
        text.parse()
            .map_err(|error: toml::de::Error| Error::Crate {
                manifest: path,
                why: error.message().to_owned(),
            })?;
    manifest
        .entry("workspace")
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    for value in manifest.iter_mut().map(|(_, value)| value) {
        absolute(value, root);
    }
    files::write_if_other(&mirror.join("Cargo.toml"), manifest.to_string().as_bytes())
}

/// Makes every `path = "../…"` of a dependency absolute.
fn absolute(value: &mut toml::Value, root: &Path) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                match value {
                    toml::Value::String(path) if key == "path" && path.starts_with("..") => {
                        *path = root.join(&*path).to_string_lossy().into_owned();
                    }
                    other => absolute(other, root),
                }
            }
        }
        toml::Value::Array(values) => values.iter_mut().for_each(|value| absolute(value, root)),
        _ => {}
    }
}

/// The source of the mirror's lock, so that the lock is made again when that changes, and only then: otherwise it keeps
/// what cargo added, and a build needs no network.
const LOCK_FROM: &str = "Cargo.lock.from";

fn lock(root: &Path, mirror: &Path, version: &str) -> Result<(), Error> {
    let path = root.join("Cargo.lock");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Error::file(&path)(error)),
    };
    let from = format!("# wasm-bindgen {version}\n{text}");
    let (ours, note) = (mirror.join("Cargo.lock"), mirror.join(LOCK_FROM));
    if ours.is_file() && fs::read_to_string(&note).is_ok_and(|before| before == from) {
        return Ok(());
    }
    if text.is_empty() {
        match fs::remove_file(&ours) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file(&ours)(error));
            }
            _ => {}
        }
    } else {
        let mut lock: toml::Table =
            text.parse()
                .map_err(|error: toml::de::Error| Error::Crate {
                    manifest: path,
                    why: error.message().to_owned(),
                })?;
        unlock(&mut lock);
        files::write(&ours, lock.to_string().as_bytes())?;
    }
    files::write(&note, from.as_bytes())
}

/// Removes wasm-bindgen: its entry in the lock would take precedence over the stand-in if the versions differ.
fn unlock(lock: &mut toml::Table) {
    if let Some(toml::Value::Array(packages)) = lock.get_mut("package") {
        packages.retain(|package| {
            let name = package.get("name").and_then(toml::Value::as_str);
            !name.is_some_and(|name| {
                name == "wasm-bindgen"
                    || name.starts_with("wasm-bindgen-macro")
                    || name == "wasm-bindgen-backend"
                    || name == "wasm-bindgen-shared"
            })
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(root: &Path) -> Project {
        Project {
            name: "old".into(),
            version: "0.1.0".into(),
            manifest: root.join("Cargo.toml"),
            root: root.into(),
            target_dir: root.join("target"),
            build_dir: root.join("target"),
            what: crate::What::Command,
            part: crate::what::Part::Library { cdylib: true },
            beside: vec![],
        }
    }

    #[test]
    fn cargo_is_shown_the_workspace_by_links() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("old");
        fs::create_dir_all(root.join("src")).unwrap();
        fs::write(root.join("src/lib.rs"), "").unwrap();
        let manifest = "[package]\nname = \"old\"\n[dependencies]\nbeside = { path = \"../beside\" }\nbelow = { path = \"below\" }\n";
        fs::write(root.join("Cargo.toml"), manifest).unwrap();
        let lock = "[[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.61\"\n\n[[package]]\nname = \"old\"\nversion = \"0.1.0\"\n";
        fs::write(root.join("Cargo.lock"), lock).unwrap();

        fs::create_dir(root.join("pkg")).unwrap();

        let made = StandIn::prepare(&project(&root), "0.2.61").unwrap();
        let mirror = made.manifest.parent().unwrap();
        assert_eq!(fs::read_link(mirror.join("src")).unwrap(), root.join("src"));
        assert!(fs::symlink_metadata(mirror.join("pkg")).is_err());
        let theirs = fs::read_to_string(mirror.join("Cargo.toml")).unwrap();
        assert!(theirs.contains("[workspace]"), "{theirs}");
        assert!(
            theirs.contains(&format!("path = \"{}\"", root.join("../beside").display())),
            "{theirs}"
        );
        assert!(theirs.contains("path = \"below\""), "{theirs}");
        let locked = fs::read_to_string(mirror.join("Cargo.lock")).unwrap();
        assert!(
            !locked.contains("wasm-bindgen") && locked.contains("old"),
            "{locked}"
        );

        // What cargo adds to the lock stays until the author's lock changes; what is gone is gone.
        fs::write(mirror.join("Cargo.lock"), "# resolved").unwrap();
        fs::rename(root.join("src"), root.join("source")).unwrap();
        StandIn::prepare(&project(&root), "0.2.61").unwrap();
        assert_eq!(
            fs::read_to_string(mirror.join("Cargo.lock")).unwrap(),
            "# resolved"
        );
        assert!(fs::symlink_metadata(mirror.join("src")).is_err());
        assert!(mirror.join("source/lib.rs").is_file());
        fs::write(root.join("Cargo.lock"), lock.replace("0.1.0", "0.2.0")).unwrap();
        StandIn::prepare(&project(&root), "0.2.61").unwrap();
        assert!(
            fs::read_to_string(mirror.join("Cargo.lock"))
                .unwrap()
                .contains("0.2.0")
        );

        assert_eq!(
            fs::read_to_string(root.join("Cargo.toml")).unwrap(),
            manifest
        );
    }

    #[test]
    fn the_stand_in_has_the_version_that_the_project_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("Cargo.toml"),
            "[package]\nname = \"old\"\n",
        )
        .unwrap();
        let made = StandIn::prepare(&project(folder.path()), "0.2.70").unwrap();
        let manifest = fs::read_to_string(made.patch.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        assert_eq!(manifest["package"]["version"].as_str(), Some("0.2.70"));
        assert!(
            made.patch
                .join("../wasm-bindgen-macro/src/lib.rs")
                .is_file()
        );
    }
}
