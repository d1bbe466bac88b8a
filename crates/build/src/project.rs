//! The project in a folder: the package that becomes a module, and the locations of its parts.
//!
//! It is read from `cargo metadata` and `Cargo.lock`; there is no project file of our own, because every crate that
//! builds with cargo should build here unchanged.

use crate::Error;
use crate::machine::{Machine, shown};
use crate::what::{Package, Part, What};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A package that becomes a module.
#[derive(Debug)]
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest: PathBuf,
    /// The folder of its workspace, with the lock.
    pub(crate) root: PathBuf,
    pub(crate) target_dir: PathBuf,
    pub(crate) what: What,
    /// The part of the package that is built.
    pub(crate) part: Part,
    /// Folders of the local packages on which it depends.
    pub(crate) beside: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

impl Project {
    /// The project in `folder`; of several packages, the named one.
    pub(crate) fn find(
        machine: &Machine,
        folder: &Path,
        package: Option<&str>,
    ) -> Result<Self, Error> {
        let folder = folder.canonicalize().map_err(Error::file(folder))?;
        let nearest = folder.ancestors().map(|folder| folder.join("Cargo.toml"));
        let nearest = nearest
            .into_iter()
            .find(|manifest| manifest.is_file())
            .ok_or_else(|| Error::NoProject(folder.clone()))?;
        let metadata = metadata(machine, &folder)?;
        let lock = lock(&metadata.workspace_root)?;
        let chosen = choose(&metadata, &nearest, package, lock.as_ref())?;
        let (what, part) = chosen.what(lock.as_ref())?;
        let own = chosen.manifest_path.parent().unwrap_or(&folder);
        let beside = chosen.dependencies.iter().filter_map(|d| d.path.clone());
        Ok(Self {
            name: chosen.name.clone(),
            version: chosen.version.clone(),
            manifest: chosen.manifest_path.clone(),
            beside: beside.filter(|path| !path.starts_with(own)).collect(),
            root: metadata.workspace_root.clone(),
            target_dir: metadata.target_directory.clone(),
            what,
            part,
        })
    }

    /// The package's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(&self.root)
    }
}

fn metadata(machine: &Machine, folder: &Path) -> Result<Metadata, Error> {
    let mut cargo = machine.cargo();
    cargo
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let output = cargo.output().map_err(|error| Error::NotStarted {
        program: "cargo".into(),
        error,
    })?;
    if !output.status.success() {
        return Err(Error::Failed {
            line: shown(&cargo),
            status: output.status,
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Error::Answer {
        line: shown(&cargo),
        why: error.to_string(),
    })
}

/// The workspace's lock, if it has one.
fn lock(root: &Path) -> Result<Option<toml::Table>, Error> {
    let path = root.join("Cargo.lock");
    match fs::read_to_string(&path) {
        Ok(text) => text
            .parse()
            .map(Some)
            .map_err(|error: toml::de::Error| Error::Crate {
                manifest: path,
                why: format!(
                    "it cannot be read ({}); `cargo generate-lockfile` writes a new one",
                    error.message()
                ),
            }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path)(error)),
    }
}

/// The package that is named, that contains the folder, or that is the only one that can become a module.
fn choose<'a>(
    metadata: &'a Metadata,
    nearest: &Path,
    package: Option<&str>,
    lock: Option<&toml::Table>,
) -> Result<&'a Package, Error> {
    let all = &metadata.packages;
    let among = |what: String, packages: Vec<&'a Package>| {
        let names: Vec<_> = packages.iter().map(|package| &*package.name).collect();
        Error::Package {
            what,
            packages: names.join(", "),
        }
    };
    if let Some(name) = package {
        let named = all.iter().find(|package| package.name == name);
        return named.ok_or_else(|| {
            among(
                format!("there is no package `{name}`"),
                all.iter().collect(),
            )
        });
    }
    let is_nearest = |package: &&Package| {
        package
            .manifest_path
            .canonicalize()
            .is_ok_and(|path| path == nearest)
    };
    if let Some(here) = all.iter().find(is_nearest) {
        return Ok(here);
    }
    let able: Vec<_> = all
        .iter()
        .filter(|package| package.what(lock).is_ok())
        .collect();
    match &able[..] {
        [only] => Ok(only),
        [] => Err(among(
            "no package here can become a module by itself".into(),
            all.iter().collect(),
        )),
        _ => Err(among(
            "several packages here can become modules".into(),
            able,
        )),
    }
}
