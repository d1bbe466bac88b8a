//! The machine on which programs and the system's files are looked up.
//!
//! Every program that this crate runs is found through a [`Machine`], so that a test can build one that has only
//! Debian's packages, only rustup, or nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A machine, for building guests.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The directories of programs, as in `PATH`.
    path: OsString,
    /// The prefix of `/usr`: empty, except in tests.
    root: PathBuf,
    /// The variables `CARGO` and `RUSTC`, which take precedence over the path.
    cargo: Option<OsString>,
    rustc: Option<OsString>,
    /// The user's folder of caches.
    cache: Option<PathBuf>,
}

impl Machine {
    /// This machine, from the environment.
    #[must_use]
    pub fn this() -> Self {
        Self {
            path: std::env::var_os("PATH").unwrap_or_default(),
            root: "/".into(),
            cargo: std::env::var_os("CARGO"),
            rustc: std::env::var_os("RUSTC"),
            cache: cache(),
        }
    }

    /// Another machine: programs are in `path`, the system's files below `root`.
    #[must_use]
    pub fn at(root: impl Into<PathBuf>, path: impl Into<OsString>) -> Self {
        Self {
            path: path.into(),
            root: root.into(),
            cargo: None,
            rustc: None,
            cache: None,
        }
    }

    /// The folder of dependencies that projects have compiled, by compiler. It may be removed at any time.
    #[must_use]
    pub fn compiled(&self) -> Option<PathBuf> {
        Some(self.cache.as_ref()?.join("iof/compiled"))
    }

    /// The path of a program, if it is found.
    #[must_use]
    pub fn find(&self, program: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .map(|folder| folder.join(program))
            .find(|file| file.is_file())
    }

    /// A file of the system.
    pub(crate) fn system(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A program of the path, to be started with this machine's path.
    ///
    /// Starting it fails if it does not exist.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        self.program(self.find(program).unwrap_or_else(|| program.into()))
    }

    /// The cargo that started this program, or that of the path.
    ///
    /// `cargo run` leaves the variables of the package that it runs in the environment. Some build scripts rerun when
    /// those change, so that this and a cargo by hand would rebuild each other's dependencies forever.
    #[must_use]
    pub fn cargo(&self) -> Command {
        let program = self.cargo.as_ref().map(PathBuf::from);
        self.cargo_at(
            program
                .or_else(|| self.find("cargo"))
                .unwrap_or_else(|| "cargo".into()),
        )
    }

    /// The same for another cargo.
    pub(crate) fn cargo_at(&self, program: PathBuf) -> Command {
        let mut cargo = self.program(program);
        let ours =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(ours) {
                cargo.env_remove(name);
            }
        }
        cargo
    }

    /// The compiler that cargo uses.
    pub(crate) fn rustc(&self) -> Command {
        match &self.rustc {
            Some(rustc) => self.program(rustc.into()),
            None => self.command("rustc"),
        }
    }

    /// A program at a path, to be started with this machine's path.
    #[cfg(feature = "projects")]
    pub(crate) fn command_at(&self, program: PathBuf) -> Command {
        self.program(program)
    }

    fn program(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.env("PATH", &self.path);
        command
    }
}

/// `$XDG_CACHE_HOME`, else `~/.cache` (XDG Base Directory Specification).
fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let own = set("XDG_CACHE_HOME").map(PathBuf::from);
    own.filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))
}

/// The stdout of a program, trimmed, if it succeeded.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}

/// The command line as one would type it: the program by its name, without the variables.
#[must_use]
pub fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name();
    let words = name.into_iter().chain(command.get_args()).map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '*', '{', '"']) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
