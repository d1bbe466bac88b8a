//! What can go wrong, each with the next step.

use crate::toolchain::Missing;
use std::path::{Path, PathBuf};

/// Why something was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing here builds for WebAssembly.
    #[error(transparent)]
    Toolchain(#[from] Missing),

    /// A file or a folder.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },

    /// A name that no crate can have.
    #[error("`{name}` cannot be the name of a function: {why}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },

    /// A template that there is not.
    #[error("there is no template `{template}`{note}; there are {known}")]
    Template {
        /// As it was given.
        template: String,
        /// More about it.
        note: &'static str,
        /// Those that there are.
        known: String,
    },

    /// The folder that was to be made.
    #[error("{folder} is there already: choose another name, or another folder to put it in", folder = .0.display())]
    Exists(PathBuf),

    /// A template that cannot be one of several.
    #[error(
        "the template {0} makes a project of one function: leave --function out, or choose another template (`iof new --list`)"
    )]
    OneFunction(&'static str),

    /// No Cargo.toml.
    #[error(
        "there is no Cargo.toml in {folder} or above: `iof new NAME` makes a project, and `iof build FOLDER` builds another folder's",
        folder = .0.display()
    )]
    NoProject(PathBuf),

    /// No package of that name, or several to choose from.
    #[error("{what}; the packages of this workspace are {packages}: choose one with `-p NAME`")]
    Package {
        /// What was wanted.
        what: String,
        /// Those that there are.
        packages: String,
    },

    /// A crate that cannot become a function.
    #[error("{manifest}: {why}", manifest = manifest.display())]
    Crate {
        /// Its Cargo.toml.
        manifest: PathBuf,
        /// What it lacks, and what to do.
        why: String,
    },

    /// Cargo, or another program, did not start.
    #[error(
        "`{program}` does not start: {error}; install it (Rust: https://rustup.rs), or put it on the PATH"
    )]
    NotStarted {
        /// Which.
        program: String,
        /// What the system said.
        error: std::io::Error,
    },

    /// Cargo failed, and said why on stderr.
    #[error(
        "`{line}` ended with {status}: what it said stands above, and the same line can be run by hand"
    )]
    Failed {
        /// What was run.
        line: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },

    /// Cargo's answer was not what it should be.
    #[error(
        "`{line}` answered something unexpected ({why}): is this cargo older than 1.85? `rustup update stable` brings a new one"
    )]
    Answer {
        /// What was run.
        line: String,
        /// What was unexpected.
        why: String,
    },

    /// What was built is no module.
    #[error("the module is not valid WebAssembly: {0}")]
    Module(String),

    /// A folder cannot be watched.
    #[error("{folder} cannot be watched: {why}", folder = folder.display())]
    Watch {
        /// Which.
        folder: PathBuf,
        /// Why, and what to do.
        why: String,
    },
}

impl Error {
    /// Of a file or a folder.
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self::File {
            path: path.to_owned(),
            error,
        }
    }
}
