//! The migrations of the tables, in order.
//!
//! The list is written by hand: `sqlx::migrate!` would embed the folder, but for that one macro sqlx, SQLite and their
//! dependencies are compiled a second time, for the compiler to load.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

/// The version, the name and the SQL of a migration: the two parts of its file's name, and the file.
macro_rules! migrations {
    ($($version:literal $name:literal)*) => {
        [$(($version, $name, include_str!(concat!("../../migrations/sqlite/", $version, "_", $name, ".sql")))),*]
    };
}

const MIGRATIONS: [(&str, &str, &str); 15] = migrations! {
    "0001" "functions"
    "0002" "second_state"
    "0003" "egress"
    "0004" "sent"
    "0005" "names_rollouts_keys_and_jobs"
    "0006" "jobs_size"
    "0007" "shares_and_names_of_values"
    "0008" "function_id"
    "0009" "call_log"
    "0010" "expiry_of_values"
    "0011" "server"
    "0012" "refused_calls"
    "0013" "changes"
    "0014" "schedules"
    "0015" "leases"
};

/// The number of the last migration.
pub(super) fn newest() -> i64 {
    let last = MIGRATIONS.last();
    last.and_then(|(number, ..)| number.parse().ok())
        .unwrap_or_default()
}

/// A migration recorded in a database.
pub(super) struct AppliedMigration {
    pub(super) number: i64,
    pub(super) checksum: Vec<u8>,
    pub(super) finished: bool,
}

/// A difference between the migrations of a database and those of this release.
#[derive(Default)]
pub(super) struct Difference {
    /// Migrations still to be made: number and name.
    pub(super) missing: Vec<String>,
    /// The number of the last migration that this release does not know.
    pub(super) newer: Option<i64>,
    /// The number of the first migration whose text differs in this release, or that was not finished.
    pub(super) foreign: Option<i64>,
}

/// Compares the migrations of a database with those of this release.
pub(super) fn compare(made: &[AppliedMigration]) -> Difference {
    let known = migrator();
    let of = |number: i64| known.iter().find(|known| known.version == number);
    let foreign = |one: &&AppliedMigration| {
        let same = of(one.number).is_none_or(|known| *known.checksum == *one.checksum);
        !(one.finished && same)
    };
    let missing = MIGRATIONS.iter().filter(|(number, ..)| {
        let number: i64 = number.parse().unwrap_or_default();
        made.iter().all(|one| one.number != number)
    });
    Difference {
        missing: missing
            .map(|(number, name, _)| format!("{number} {name}"))
            .collect(),
        newer: made
            .iter()
            .map(|one| one.number)
            .filter(|number| of(*number).is_none())
            .max(),
        foreign: made.iter().find(foreign).map(|one| one.number),
    }
}

/// All migrations. A database records each by its number and the digest of its SQL.
pub(super) fn migrator() -> Migrator {
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
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
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
        // Sorted by name, the files are in the order of their numbers, which may have gaps.
        let numbers = MIGRATIONS.iter().map(|(version, ..)| version.parse());
        let numbers: Vec<i64> = numbers.collect::<Result<_, _>>().unwrap();
        assert!(
            numbers.is_sorted() && numbers.first() == Some(&1),
            "{numbers:?}"
        );
    }
}
