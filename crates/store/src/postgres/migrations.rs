//! The migrations of the tables, in order. They only go forward, and each leaves tables that the release before it can
//! use: nodes of both run at the same time while a fleet is upgraded.
//!
//! A start makes those that are missing, under an advisory lock, so that of nodes that start together one makes them and
//! the others wait. The list is written by hand, as that of SQLite is, and for the same reason.

use std::borrow::Cow;

use sqlx::Connection as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use super::address::Address;
use super::error::Result;

/// The version, the name and the SQL of a migration: the two parts of its file's name, and the file.
macro_rules! migrations {
    ($($version:literal $name:literal)*) => {
        [$(($version, $name, include_str!(concat!("../../migrations/postgres/", $version, "_", $name, ".sql")))),*]
    };
}

const MIGRATIONS: [(&str, &str, &str); 1] = migrations! {
    "0001" "tables"
};

/// Makes the migrations that are missing.
pub(super) async fn run(address: &Address) -> Result<()> {
    // Without the timeouts of other connections: a migration takes its time.
    let mut connection = PgConnection::connect_with(address.options()).await?;
    migrator().run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Those of these migrations that are not made: number and name.
pub(super) fn missing(made: &[i64]) -> Vec<String> {
    let is_made = |number: &str| number.parse().is_ok_and(|number| made.contains(&number));
    let missing = MIGRATIONS.iter().filter(|(number, ..)| !is_made(number));
    missing
        .map(|(number, name, _)| format!("{number} {name}"))
        .collect()
}

/// The number of the last migration made that this release does not know.
pub(super) fn newer(made: &[i64]) -> Option<i64> {
    let known = migrator();
    let unknown = |number: &&i64| known.iter().all(|known| known.version != **number);
    made.iter().filter(unknown).max().copied()
}

/// All migrations. A database records each by its number and the digest of its SQL.
fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        // A test checks that each is a number.
        let number = version.parse().unwrap_or_default();
        let description = Cow::Owned(name.replace('_', " "));
        let sql = AssertSqlSafe(*sql).into_sql_str();
        Migration::new(number, description, MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_listed_under_its_number() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
        let files = std::fs::read_dir(folder).expect("the folder");
        let mut files: Vec<_> = files
            .map(|file| file.expect("a file").file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<_> = MIGRATIONS
            .iter()
            .map(|(version, name, _)| format!("{version}_{name}.sql"))
            .collect();
        assert_eq!(files, listed);
        let numbers = MIGRATIONS.iter().map(|(version, ..)| version.parse());
        let numbers: Vec<i64> = numbers
            .collect::<Result<_, std::num::ParseIntError>>()
            .unwrap();
        assert!(
            numbers.is_sorted() && numbers.first() == Some(&1),
            "{numbers:?}"
        );
    }
}
