//! The mapping of errors of PostgreSQL and its driver to errors of the store. No other module names the driver's errors.

use crate::error::Error;

/// An error of the store from a statement of this module. It exists so that the driver's errors convert into it and not
/// into [`Error`], which is public.
#[derive(Debug)]
pub(super) struct Failure(Error);

/// The result of a statement.
pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self(match &error {
            sqlx::Error::PoolClosed => Error::Closed,
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default().into_owned();
                match code.as_str() {
                    // Connections that end, a server that stops or starts, and one that has no connection left.
                    "57P01" | "57P02" | "57P03" | "53300" => unreachable(error),
                    code if code.starts_with("08") => unreachable(error),
                    // A deadlock, a conflict, a lock or a statement that took too long.
                    "40001" | "40P01" | "55P03" | "57014" => Error::Busy,
                    "53100" => Error::DiskFull(error.into()),
                    // A text with U+0000.
                    "22021" | "22P05" => Error::Invalid {
                        what: "a text has the character U+0000, which the database does not take"
                            .into(),
                    },
                    "XX001" | "XX002" => Error::Damaged {
                        what: "the database".into(),
                        detail: format!("{error}. Restore it from a backup"),
                    },
                    _ => Error::Unavailable(error.into()),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => unreachable(error),
            _ => Error::Unavailable(error.into()),
        })
    }
}

impl From<sqlx::migrate::MigrateError> for Failure {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::VersionMissing(migration) => {
                Self(Error::Newer { migration })
            }
            sqlx::migrate::MigrateError::Execute(error) => error.into(),
            other => Self(Error::Unavailable(other.into())),
        }
    }
}

fn unreachable(error: sqlx::Error) -> Error {
    Error::Unreachable {
        uncertain: false,
        source: error.into(),
    }
}

/// The error of a database that did not answer in time.
pub(super) fn silent() -> Error {
    Error::Unreachable {
        uncertain: false,
        source: "the database did not answer in time (store.timeout)".into(),
    }
}
