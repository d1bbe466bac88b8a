//! The mapping of errors of SQLite and its driver to errors of the store. No other module names the driver's errors.

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
            sqlx::Error::PoolTimedOut => Error::Busy,
            sqlx::Error::PoolClosed => Error::Closed,
            sqlx::Error::Database(database) => {
                // https://www.sqlite.org/rescode.html: the low byte is the primary code.
                let primary = database
                    .code()
                    .and_then(|code| code.parse::<u32>().ok())
                    .map(|code| code & 0xff);
                match primary {
                    Some(5 | 6) => Error::Busy,                // SQLITE_BUSY, SQLITE_LOCKED
                    Some(13) => Error::DiskFull(error.into()), // SQLITE_FULL
                    // SQLITE_CORRUPT, SQLITE_NOTADB
                    Some(11 | 26) => Error::Damaged {
                        what: "the database".into(),
                        detail: format!("{error}. Restore it from a backup"),
                    },
                    _ => Error::Unavailable(error.into()),
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{Connection as _, SqliteConnection};

    #[tokio::test]
    async fn a_full_database_is_disk_full() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        sqlx::query("CREATE TABLE t (x BLOB)")
            .execute(&mut connection)
            .await
            .unwrap();
        sqlx::query("PRAGMA max_page_count = 3")
            .execute(&mut connection)
            .await
            .unwrap();
        let full = sqlx::query("INSERT INTO t VALUES (zeroblob(100000))")
            .execute(&mut connection)
            .await
            .unwrap_err();
        assert_eq!(Error::from(Failure::from(full)).code(), "disk_full");
    }
}
