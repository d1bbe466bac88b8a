//! The errors of the store: the few kinds of failure on which a caller can act.
//!
//! A variant is a decision of the caller's (answer 404, answer 503 with a retry, refuse to start), not the layer that
//! failed: a full disk is one variant whether SQLite or the file system reported it. Rejected: a variant per
//! dependency, with which every caller would have to learn SQLite's codes.

use iof_fault::{Fault, FaultKind};
use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

/// The reason why an operation of the store failed. [`Error::code`] is stable; the message names the next step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No function has this number, or not any more.
    #[error("there is no function {function_id}")]
    NotFound {
        /// The requested number.
        function_id: i64,
    },

    /// The function has no version of this number.
    #[error("function {function_id} has no version {number}")]
    NoVersion {
        /// The function.
        function_id: i64,
        /// The requested number.
        number: i64,
    },

    /// Another function has this name; nothing was stored.
    #[error(
        "the name {name} is taken by another function. Choose another name, or delete that function"
    )]
    NameTaken {
        /// The requested name.
        name: String,
    },

    /// An argument of the caller contradicts itself, or exceeds a limit; nothing was stored.
    #[error("{what}")]
    Invalid {
        /// The problem, in one sentence.
        what: String,
    },

    /// More work is queued than the disk can keep up with. Nothing was stored; the same request may be sent again.
    #[error("the store is busy, and nothing was stored. Try again in a moment")]
    Busy,

    /// The disk (or the user's quota on it) is full. Everything that was acknowledged before is safe.
    #[error("the disk that holds the data directory is full. Free some space and try again")]
    DiskFull(#[source] Box<dyn StdError + Send + Sync>),

    /// Stored bytes have changed.
    #[error("{what} is damaged: {detail}")]
    Damaged {
        /// The damaged thing: `source <sha256>`, `the database …`.
        what: String,
        /// The sign of the damage, and the next step.
        detail: String,
    },

    /// A secret is encrypted under a key that was not provided.
    #[error(
        "a stored secret needs the key {key_id}, which is not among the secret keys. Add that key as a further line, or set the secret again"
    )]
    MissingKey {
        /// The key that is needed.
        key_id: String,
    },

    /// Another process has this data directory.
    #[error(
        "the data directory {} is in use by another iof process{}. Stop that one, or give this one its own directory",
        data_dir.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The directory, as it was given.
        data_dir: PathBuf,
        /// The process id of the holder, if its lock file has it.
        pid: Option<u32>,
    },

    /// The data directory, or something in it, cannot be used by this user.
    #[error("{} cannot be used: {source}. Give this user read and write access to it, or choose another data directory", path.display())]
    Directory {
        /// The path that could not be used.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },

    /// The database was written by a newer release, whose tables this one does not know.
    #[error(
        "the database was last used by a newer iof (migration {migration}). Run that release, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The first migration that this release does not know.
        migration: i64,
    },

    /// [`Store::close`](crate::Store::close) was called: the process is shutting down.
    #[error("the store is closed, because the server is shutting down")]
    Closed,

    /// The database cannot be reached.
    #[error(
        "the database cannot be reached: {source}. {}",
        match uncertain {
            false => "Nothing was changed; try again soon",
            true => "The change may have been made or not; look before you make it again",
        }
    )]
    Unreachable {
        /// True if the connection was lost while a change was committed.
        uncertain: bool,
        /// The reason.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// Another operation that the disk or the database refused.
    #[error(
        "the store is unavailable: {0}. See the server's log, and check the disk that holds the data directory"
    )]
    Unavailable(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// The stable name of this kind of error, the same across releases; for logs, metrics and API answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::NoVersion { .. } => "no_version",
            Self::NameTaken { .. } => "name_taken",
            Self::Invalid { .. } => "invalid",
            Self::Busy => "busy",
            Self::DiskFull(_) => "disk_full",
            Self::Damaged { .. } => "damaged",
            Self::MissingKey { .. } => "missing_key",
            Self::Locked { .. } => "locked",
            Self::Directory { .. } => "directory",
            Self::Newer { .. } => "newer",
            Self::Closed => "closed",
            Self::Unreachable { .. } => "unreachable",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// Converts an error of the operating system about `path`, for `map_err`.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| {
            if is_full(&source) {
                Self::DiskFull(source.into())
            } else {
                Self::Directory { path, source }
            }
        }
    }
}

/// The fault that a caller sees: a failing store is the host's fault, and its error goes only to the log.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let (kind, message) = match &error {
            Error::NotFound { function_id } => return Self::no_such_function(function_id),
            Error::NoVersion {
                function_id,
                number,
            } => {
                return Self::no_such_version(*function_id, *number);
            }
            Error::Busy | Error::Closed => (
                FaultKind::StoreBusy,
                "The store is busy. Nothing was changed; try again soon.",
            ),
            Error::Unreachable {
                uncertain: false, ..
            } => (
                FaultKind::StoreUnreachable,
                "The database cannot be reached. Nothing was changed; try again soon.",
            ),
            Error::Unreachable {
                uncertain: true, ..
            } => (
                FaultKind::StoreUnreachable,
                "The database cannot be reached, and whether the change was made is not known. Look before you make it again.",
            ),
            Error::DiskFull(_) => (
                FaultKind::StoreFull,
                "The server's disk is full. Nothing was changed.",
            ),
            Error::MissingKey { .. } => (
                FaultKind::SecretUnreadable,
                "A secret of the function is encrypted under a key that the server does not have. Set the secret again \
                 (`iof secret set`), or give the server that key (secrets.key_file).",
            ),
            _ => (
                FaultKind::StoreFailed,
                "The store failed. Nothing was changed; the server's log says why.",
            ),
        };
        Self::new(kind, message).with_detail(error)
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(current) = cause {
            if current.downcast_ref::<io::Error>().is_some_and(is_full) {
                return Self::DiskFull(error.into());
            }
            cause = current.source();
        }
        Self::Unavailable(error.into())
    }
}

/// A task of ours panicked or the runtime is shutting down: both are the host's fault, never the caller's.
impl From<tokio::task::JoinError> for Error {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Unavailable(error.into())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error of the operating system, wrapped as `object_store` wraps it.
    #[derive(Debug, thiserror::Error)]
    #[error("unable to write")]
    struct Wrapped(#[source] io::Error);

    #[test]
    fn a_full_object_store_is_disk_full() {
        for (kind, code) in [
            (io::ErrorKind::StorageFull, "disk_full"),
            (io::ErrorKind::TimedOut, "unavailable"),
        ] {
            let error = object_store::Error::Generic {
                store: "test",
                source: Box::new(Wrapped(kind.into())),
            };
            assert_eq!(Error::from(error).code(), code);
        }
    }
}
