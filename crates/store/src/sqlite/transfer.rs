//! A database file as one side of a move ([`crate::transfer`]).

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};

use super::error::{Failure, Result};
use super::migrations;
use crate::error::Error;
use crate::transfer::{self, Cell, Kind, Row, Sequence, Table};

/// The open file of a data directory that no server uses.
pub(crate) struct Side(SqliteConnection);

impl Side {
    /// Opens the file and brings its tables up to date.
    pub(crate) async fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self(open(path).await?))
    }
}

async fn open(path: &Path) -> Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    migrations::migrator().run(&mut connection).await?;
    Ok(connection)
}

impl transfer::Side for Side {
    async fn read(
        &mut self,
        table: &Table,
        after: &[Cell],
        most: usize,
    ) -> Result<Vec<Row>, Error> {
        Ok(read(&mut self.0, table, after, most).await?)
    }

    async fn add(&mut self, rows: &[(&Table, Vec<Row>)]) -> Result<(), Error> {
        Ok(add(&mut self.0, rows).await?)
    }

    async fn identity(&mut self) -> Result<String, Error> {
        let identity = sqlx::query_scalar("SELECT identity FROM server");
        Ok(identity
            .fetch_one(&mut self.0)
            .await
            .map_err(Failure::from)?)
    }

    async fn set_identity(&mut self, identity: &str) -> Result<(), Error> {
        let set = sqlx::query("UPDATE server SET identity = $1").bind(identity);
        set.execute(&mut self.0).await.map_err(Failure::from)?;
        Ok(())
    }

    async fn last(&mut self, sequence: Sequence) -> Result<i64, Error> {
        let last = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = $1");
        let last = last.bind(name(sequence)).fetch_optional(&mut self.0).await;
        Ok(last.map_err(Failure::from)?.unwrap_or(0))
    }

    async fn set_last(&mut self, sequence: Sequence, last: i64) -> Result<(), Error> {
        let before = self.last(sequence).await?;
        let set = match before {
            0 => "INSERT INTO sqlite_sequence (seq, name) VALUES ($1, $2)",
            _ => "UPDATE sqlite_sequence SET seq = $1 WHERE name = $2",
        };
        if last > before {
            let set = sqlx::query(set).bind(last).bind(name(sequence));
            set.execute(&mut self.0).await.map_err(Failure::from)?;
        }
        Ok(())
    }

    async fn close(self) -> Result<(), Error> {
        Ok(self.0.close().await.map_err(Failure::from)?)
    }
}

fn name(sequence: Sequence) -> &'static str {
    match sequence {
        Sequence::Functions => "functions",
        Sequence::ApiKeys => "api_keys",
        Sequence::Changes => "changes",
        Sequence::Calls => "call_log",
        Sequence::Outbound => "audit",
    }
}

async fn read(
    connection: &mut SqliteConnection,
    table: &Table,
    after: &[Cell],
    most: usize,
) -> Result<Vec<Row>> {
    let text = transfer::select(table, !after.is_empty());
    let mut select = sqlx::query(AssertSqlSafe(text));
    for cell in after {
        select = match cell {
            Cell::Null => select.bind(None::<i64>),
            Cell::Integer(number) => select.bind(*number),
            Cell::Text(text) => select.bind(text.clone()),
            Cell::Bytes(bytes) => select.bind(bytes.clone()),
        };
    }
    let rows = select
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let mut read = vec![];
    for row in rows {
        let mut cells = vec![];
        for (at, (_, kind)) in table.columns.iter().enumerate() {
            let cell = match kind {
                Kind::Integer => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
                Kind::Text | Kind::ClientText => {
                    row.try_get::<Option<String>, _>(at)?.map(Cell::Text)
                }
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Cell::Bytes),
            };
            cells.push(cell.unwrap_or(Cell::Null));
        }
        read.push(cells);
    }
    Ok(read)
}

async fn add(connection: &mut SqliteConnection, rows: &[(&Table, Vec<Row>)]) -> Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (table, rows) in rows {
        for row in rows {
            let mut insert = sqlx::query(AssertSqlSafe(transfer::insert(table)));
            for cell in row {
                insert = match cell {
                    Cell::Null => insert.bind(None::<i64>),
                    Cell::Integer(number) => insert.bind(*number),
                    Cell::Text(text) => insert.bind(text.clone()),
                    Cell::Bytes(bytes) => insert.bind(bytes.clone()),
                };
            }
            insert.execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
