//! Compiled dependencies of earlier projects, with which the first build of the next begins.
//!
//! Cargo compiles dependencies anew for each project. One directory for all is not the answer: of packages that are in
//! the projects themselves, cargo knows the place below the workspace, so that `hello` of one folder is `hello` of
//! another, and as fresh. So a copy of what the first build of a project left is kept in the user's folder of caches,
//! without the project's own packages, which `cargo clean` removes by their ids; and the first build of another project
//! begins with a copy of that. Cargo checks all of it as it checks its own. Whatever fails here costs time, and nothing
//! else.

use crate::machine::{Machine, said};
use crate::project::Project;
use crate::toolchain::Toolchain;
use crate::what::What;
use std::fs::{self, File, FileTimes};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The most that is kept. A project with more compiles its dependencies itself.
const MOST: u64 = 1 << 30;
/// The text of a CACHEDIR.TAG (<https://bford.info/cachedir/>).
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";
/// Folders that are not copied, because they hold only files of the project's own packages.
const OWN: [&str; 2] = ["incremental", "examples"];

/// The packages that a build compiled.
#[derive(Debug, Default)]
pub(crate) struct Packages {
    /// The ids of those that are in the project.
    pub(crate) own: Vec<String>,
    /// The number of others that were not compiled already.
    pub(crate) others: usize,
}

impl Packages {
    /// Counts a package, by its id.
    pub(crate) fn count(&mut self, id: String, fresh: bool) {
        match id.starts_with("path+") {
            true if !self.own.contains(&id) => self.own.push(id),
            true => {}
            false => self.others += usize::from(!fresh),
        }
    }
}

/// The first build of a project.
#[derive(Debug)]
pub(crate) struct FirstBuild {
    /// The folder of compiled dependencies for this compiler.
    kept: PathBuf,
    target_dir: PathBuf,
    /// The directories of a build below both: that of the host, and that of the target.
    parts: [PathBuf; 2],
}

impl FirstBuild {
    /// Begins the first build of a project with what is kept. `None` for another build, and where nothing is kept: a
    /// target directory that somebody chose, or no folder of caches.
    pub(crate) fn begin(
        machine: &Machine,
        toolchain: &Toolchain,
        project: &Project,
        profile: &str,
    ) -> Option<Self> {
        let is_own = project.target_dir == project.root.join("target")
            && project.build_dir == project.target_dir;
        if !is_own || !toolchain.is_installed() || matches!(project.what, What::Bindgen2020 { .. })
        {
            return None;
        }
        let parts = [
            PathBuf::from(profile),
            Path::new(project.what.target().as_str()).join(profile),
        ];
        if parts
            .iter()
            .any(|part| project.target_dir.join(part).exists())
        {
            return None;
        }
        let compiler = said(machine.rustc().arg("-vV").current_dir(&project.root))?;
        let mut hash = DefaultHasher::new();
        compiler.hash(&mut hash);
        let first = Self {
            kept: machine.compiled()?.join(format!("{:016x}", hash.finish())),
            target_dir: project.target_dir.clone(),
            parts,
        };
        for part in &first.parts {
            let _ = put(&first.kept.join(part), &first.target_dir.join(part));
        }
        Some(first)
    }

    /// Keeps what the build left, if it compiled dependencies that were not there.
    pub(crate) fn end(self, machine: &Machine, project: &Project, packages: &Packages) {
        if packages.others > 0 {
            let _ = self.keep(machine, project, packages);
        }
    }

    fn keep(&self, machine: &Machine, project: &Project, packages: &Packages) -> io::Result<()> {
        let all = self.kept.parent().unwrap_or(&self.kept);
        fs::create_dir_all(all)?;
        let new = tempfile::Builder::new().prefix(".new-").tempdir_in(all)?;
        let mut room = MOST;
        for part in &self.parts {
            copy(
                &self.target_dir.join(part),
                &new.path().join(part),
                &mut room,
            )?;
        }
        // Cargo cleans only what it knows for a target directory. That of a project has no tag if `iof dev` made it.
        fs::write(new.path().join("CACHEDIR.TAG"), TAG)?;
        // What runs on the host, as macros do, and what is for the target.
        for target in [None, Some(project.what.target())] {
            let mut clean = machine.cargo();
            clean
                .args(["clean", "--quiet", "--offline", "--target-dir"])
                .arg(new.path())
                .arg("--manifest-path")
                .arg(&project.manifest);
            clean.args(
                target
                    .iter()
                    .flat_map(|target| ["--target", target.as_str()]),
            );
            clean.args(self.parts[0].ends_with("release").then_some("--release"));
            clean.args(packages.own.iter().flat_map(|id| ["-p", id.as_str()]));
            done(&mut clean)?;
        }
        // Of other compilers, nothing is used here any more.
        for other in fs::read_dir(all)?.flatten() {
            if other.path() != new.path() {
                fs::remove_dir_all(other.path())?;
            }
        }
        fs::rename(new.keep(), &self.kept)
    }
}

fn done(command: &mut Command) -> io::Result<()> {
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null());
    match ended.stderr(Stdio::null()).status()?.success() {
        true => Ok(()),
        false => Err(io::Error::other("it failed")),
    }
}

/// Copies a folder to a place where nothing is: all of it, or nothing.
fn put(from: &Path, to: &Path) -> io::Result<()> {
    let above = to.parent().unwrap_or(to);
    if !from.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(above)?;
    let new = tempfile::Builder::new().prefix(".new-").tempdir_in(above)?;
    let copied = new.path().join("all");
    let mut room = MOST;
    copy(from, &copied, &mut room)?;
    fs::rename(copied, to)
}

/// Copies a folder with the times of its files, by which cargo tells what is newer.
fn copy(from: &Path, to: &Path, room: &mut u64) -> io::Result<()> {
    let mut open = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = open.pop() {
        fs::create_dir_all(&to)?;
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            let to = to.join(&name);
            if kind.is_dir() {
                if !OWN.iter().any(|own| name == *own) {
                    open.push((entry.path(), to));
                }
            } else if kind.is_file() {
                let modified = entry.metadata()?.modified()?;
                let size = fs::copy(entry.path(), &to)?;
                *room = room
                    .checked_sub(size)
                    .ok_or_else(|| io::Error::other("it is too large to be kept"))?;
                let times = FileTimes::new().set_modified(modified);
                File::options().write(true).open(&to)?.set_times(times)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_times_of_its_files_and_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("a/to"));
        fs::create_dir_all(from.join("deps")).unwrap();
        fs::create_dir_all(from.join("incremental")).unwrap();
        fs::write(from.join("deps/x.rlib"), [7; 100]).unwrap();
        fs::write(from.join("incremental/y"), "y").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000);
        let file = File::options()
            .write(true)
            .open(from.join("deps/x.rlib"))
            .unwrap();
        file.set_modified(long_ago).unwrap();
        put(&from, &to).unwrap();
        let copied = fs::metadata(to.join("deps/x.rlib")).unwrap();
        assert_eq!((copied.len(), copied.modified().unwrap()), (100, long_ago));
        assert!(!to.join("incremental").exists());
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
        assert!(copy(&from, &folder.path().join("b"), &mut 99).is_err());
        // What is there already stays.
        assert!(put(&from, &to).is_err() && to.join("deps/x.rlib").exists());
    }

    #[test]
    fn packages_are_told_apart_by_their_ids() {
        let mut packages = Packages::default();
        for (id, fresh) in [
            ("path+file:///home/ada/hello#0.1.0", false),
            ("path+file:///home/ada/hello#0.1.0", false),
            (
                "registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0",
                false,
            ),
            (
                "registry+https://github.com/rust-lang/crates.io-index#syn@2.0.0",
                true,
            ),
        ] {
            packages.count(id.to_owned(), fresh);
        }
        assert_eq!(packages.own, ["path+file:///home/ada/hello#0.1.0"]);
        assert_eq!(packages.others, 1);
    }
}
