//! The project in a folder: the package that becomes a module, and the locations of its parts.
//!
//! A crate is read from `cargo metadata` and `Cargo.lock`; there is no project file of our own for it, because every crate
//! that builds with cargo should build here unchanged. A project of another language has a table `[build]` in its
//! `function.toml`.

use crate::Error;
use crate::machine::{Machine, shown};
use crate::tools::ToolProject;
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
    /// The folder in which cargo keeps intermediate files (`build.build-dir`).
    pub(crate) build_dir: PathBuf,
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
    /// Not there before cargo 1.91.
    build_directory: Option<PathBuf>,
    workspace_root: PathBuf,
}

/// The kind of the nearest project of a folder.
#[derive(Debug)]
pub(crate) enum Place {
    /// A crate or a workspace of cargo, by its folder.
    Cargo(PathBuf),
    /// A project of another language.
    Tool(ToolProject),
}

impl Place {
    /// The nearest project: in the folder, or above.
    ///
    /// # Errors
    /// [`Error::NoProject`], [`Error::Table`], [`Error::File`].
    pub(crate) fn find(folder: &Path) -> Result<Self, Error> {
        let folder = folder.canonicalize().map_err(Error::file(folder))?;
        for above in folder.ancestors() {
            if let Some(project) = ToolProject::read(above)? {
                return Ok(Self::Tool(project));
            }
            if above.join("Cargo.toml").is_file() {
                return Ok(Self::Cargo(above.to_owned()));
            }
        }
        Err(Error::NoProject(folder))
    }
}

/// The folder of the nearest project: in a folder, or above.
///
/// # Errors
/// [`Error::NoProject`], and those of a table `[build]`.
pub fn project_folder(folder: &Path) -> Result<PathBuf, Error> {
    Ok(match Place::find(folder)? {
        Place::Cargo(folder) => folder,
        Place::Tool(project) => project.folder,
    })
}

/// A workspace as cargo sees it from a folder.
struct Workspace {
    metadata: Metadata,
    /// The manifest that counts in the folder.
    nearest: PathBuf,
    lock: Option<toml::Table>,
}

impl Workspace {
    fn read(machine: &Machine, folder: &Path) -> Result<Self, Error> {
        let folder = folder.canonicalize().map_err(Error::file(folder))?;
        let mut manifests = folder.ancestors().map(|folder| folder.join("Cargo.toml"));
        let nearest = manifests
            .find(|manifest| manifest.is_file())
            .ok_or_else(|| Error::NoProject(folder.clone()))?;
        let metadata = metadata(machine, &folder)?;
        let lock = lock(&metadata.workspace_root)?;
        Ok(Self {
            metadata,
            nearest,
            lock,
        })
    }
}

/// The names of the packages that become functions: the one that is named, the one that the folder is in, or all of the
/// workspace.
///
/// # Errors
/// [`Error::NoProject`], [`Error::Package`], and what cargo says is wrong.
pub fn functions(
    machine: &Machine,
    folder: &Path,
    package: Option<&str>,
) -> Result<Vec<String>, Error> {
    if let Place::Tool(project) = Place::find(folder)? {
        project.is_named(package)?;
        return Ok(vec![project.name]);
    }
    let workspace = Workspace::read(machine, folder)?;
    let chosen = workspace.choose(package)?;
    Ok(chosen
        .into_iter()
        .map(|package| package.name.clone())
        .collect())
}

impl Project {
    /// The project in `folder`; of several packages, the named one.
    pub(crate) fn find(
        machine: &Machine,
        folder: &Path,
        package: Option<&str>,
    ) -> Result<Self, Error> {
        let workspace = Workspace::read(machine, folder)?;
        let chosen = match &workspace.choose(package)?[..] {
            [one] => *one,
            several => {
                return Err(among(
                    "several packages here can become modules",
                    several.iter().copied(),
                ));
            }
        };
        let Workspace { metadata, lock, .. } = &workspace;
        let (what, part) = chosen.what(lock.as_ref())?;
        let own = chosen.manifest_path.parent().unwrap_or(folder);
        let beside = chosen.dependencies.iter().filter_map(|d| d.path.clone());
        Ok(Self {
            name: chosen.name.clone(),
            version: chosen.version.clone(),
            manifest: chosen.manifest_path.clone(),
            beside: beside.filter(|path| !path.starts_with(own)).collect(),
            root: metadata.workspace_root.clone(),
            target_dir: metadata.target_directory.clone(),
            build_dir: metadata
                .build_directory
                .as_ref()
                .unwrap_or(&metadata.target_directory)
                .clone(),
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

fn among<'a>(problem: impl Into<String>, packages: impl IntoIterator<Item = &'a Package>) -> Error {
    let names: Vec<_> = packages.into_iter().map(|package| &*package.name).collect();
    Error::Package {
        what: problem.into(),
        packages: names.join(", "),
    }
}

impl Workspace {
    /// The package that is named, or that the folder is in; else those that have a `function.toml`; else those that can
    /// become modules: a library that functions share can, too.
    fn choose(&self, package: Option<&str>) -> Result<Vec<&Package>, Error> {
        let all = &self.metadata.packages;
        if let Some(name) = package {
            let named = all.iter().find(|package| package.name == name);
            let named =
                named.ok_or_else(|| among(format!("the package is unknown: got `{name}`"), all))?;
            return Ok(vec![named]);
        }
        let is_nearest = |package: &&Package| {
            let manifest = package.manifest_path.canonicalize();
            manifest.is_ok_and(|path| path == self.nearest)
        };
        if let Some(here) = all.iter().find(is_nearest) {
            return Ok(vec![here]);
        }
        let declared = |package: &&Package| {
            let manifest = &package.manifest_path;
            manifest.with_file_name("function.toml").is_file()
        };
        let declared: Vec<_> = all.iter().filter(declared).collect();
        if !declared.is_empty() {
            return Ok(declared);
        }
        let able = |package: &&Package| package.what(self.lock.as_ref()).is_ok();
        let able: Vec<_> = all.iter().filter(able).collect();
        match able.is_empty() {
            false => Ok(able),
            true => Err(among("no package here can become a module by itself", all)),
        }
    }
}
