//! The errors of builds, each with the next step.

use crate::toolchain::Missing;
use std::path::{Path, PathBuf};

/// The reason why something was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No toolchain on this machine builds for WebAssembly.
    #[error(transparent)]
    Toolchain(#[from] Missing),

    /// A file or a folder that could not be used.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// The path.
        path: PathBuf,
        /// The system's error.
        error: std::io::Error,
    },

    /// A name that no crate can have.
    #[error("`{name}` cannot be the name of a function: {why}")]
    Name {
        /// As it was given.
        name: String,
        /// The problem, and a valid form.
        why: String,
    },

    /// A template that does not exist.
    #[error(
        "the template is unknown: got `{template}`{near}. Choose one of {known}; `iof new --list` says what each makes"
    )]
    Template {
        /// As it was given.
        template: String,
        /// The template that is probably meant.
        near: &'static str,
        /// The existing templates.
        known: String,
    },

    /// The folder to be made exists.
    #[error("{folder} is there already: choose another name, or another folder to put it in", folder = .0.display())]
    Exists(PathBuf),

    /// A template that cannot be one of several.
    #[error(
        "the template {0} makes a project of one function: leave --function out, or choose another template (`iof new --list`)"
    )]
    OneFunction(&'static str),

    /// Neither a Cargo.toml nor a `[build]` table.
    #[error(
        "there is no Cargo.toml in {folder} or above, and no function.toml with a [build] table: `iof new NAME` makes a project (`iof new --list` has the languages), and `iof build FOLDER` builds another folder's",
        folder = .0.display()
    )]
    NoProject(PathBuf),

    /// A `[build]` table that cannot be used.
    #[error("{file}: [build]: {why}", file = file.display())]
    Table {
        /// The `function.toml`.
        file: PathBuf,
        /// The field, the problem and the next step.
        why: String,
    },

    /// A file that a tool of a project needs, and that cannot be used.
    #[error("{file}: {why}", file = file.display())]
    Tools {
        /// The file or folder.
        file: PathBuf,
        /// The problem and the next step.
        why: String,
    },

    /// A program that this machine has to have, and has not.
    #[error("{problem}: {install}")]
    Program {
        /// The program, and what is wrong.
        problem: String,
        /// The way to install it.
        install: &'static str,
    },

    /// No package of that name, or several to choose from.
    #[error("{what}; the packages of this workspace are {packages}: choose one with `-p NAME`")]
    Package {
        /// The wanted package.
        what: String,
        /// The existing packages.
        packages: String,
    },

    /// A crate that cannot become a function.
    #[error("{manifest}: {why}", manifest = manifest.display())]
    Crate {
        /// Its Cargo.toml.
        manifest: PathBuf,
        /// The missing part, and what to do.
        why: String,
    },

    /// Cargo, or another program, did not start.
    #[error(
        "`{program}` does not start: {error}; install it (Rust: https://rustup.rs), or put it on the PATH"
    )]
    NotStarted {
        /// The program.
        program: String,
        /// The system's error.
        error: std::io::Error,
    },

    /// Cargo failed, with its reason on stderr.
    #[error(
        "`{line}` ended with {status}: what it said stands above, and the same line can be run by hand"
    )]
    Failed {
        /// The command line.
        line: String,
        /// Its exit status.
        status: std::process::ExitStatus,
    },

    /// Cargo's answer was not of the expected form.
    #[error(
        "`{line}` answered something unexpected ({why}): is this cargo older than 1.85? `rustup update stable` brings a new one"
    )]
    Answer {
        /// The command line.
        line: String,
        /// The unexpected part.
        why: String,
    },

    /// The file that was built is not a module.
    #[error("the module is not valid WebAssembly: {0}")]
    Module(String),

    /// A folder cannot be watched.
    #[error("{folder} cannot be watched: {why}", folder = folder.display())]
    Watch {
        /// The folder.
        folder: PathBuf,
        /// The reason, and what to do.
        why: String,
    },
}

impl Error {
    /// The error for a file or a folder.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }
}
