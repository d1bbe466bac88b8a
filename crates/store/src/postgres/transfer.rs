//! A fleet's database as one side of a move ([`crate::transfer`]).

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::column::damaged;
use super::database::Use;
use super::error::{Failure, Result};
use super::migrations;
use crate::error::Error;
use crate::transfer::{self, Cell, Kind, Row, Sequence, Table};

/// The database while no node uses it.
pub(crate) struct Side(PgConnection);

impl Side {
    /// Reaches the database and brings its tables up to date.
    ///
    /// # Errors
    /// [`Error::Invalid`] if others use it.
    pub(crate) async fn open(wanted: Use) -> Result<Self, Error> {
        let mut connection = open(&wanted).await?;
        let mut others = sessions(&mut connection).await?;
        // A session that was closed just now takes a moment to end.
        for _ in 0..20 {
            if others == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            others = sessions(&mut connection).await?;
        }
        if others > 0 {
            return Err(Error::Invalid {
                what: format!(
                    "the database has other sessions: got {others}. Stop all nodes that use it, and start again"
                ),
            });
        }
        Ok(Self(connection))
    }
}

/// The sessions of others.
async fn sessions(connection: &mut PgConnection) -> Result<i64> {
    let others = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    );
    Ok(others.fetch_one(connection).await?)
}

async fn open(wanted: &Use) -> Result<PgConnection> {
    migrations::run(&wanted.address).await?;
    Ok(PgConnection::connect_with(wanted.address.options()).await?)
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
        let text = format!(
            "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}",
            name(sequence)
        );
        let last = sqlx::query_scalar(AssertSqlSafe(text));
        Ok(last.fetch_one(&mut self.0).await.map_err(Failure::from)?)
    }

    async fn set_last(&mut self, sequence: Sequence, last: i64) -> Result<(), Error> {
        if last > self.last(sequence).await? {
            let set = sqlx::query("SELECT setval(CAST($1 AS text)::regclass, $2)");
            let set = set.bind(name(sequence)).bind(last);
            set.execute(&mut self.0).await.map_err(Failure::from)?;
        }
        Ok(())
    }

    async fn close(self) -> Result<(), Error> {
        Ok(self.0.close().await.map_err(Failure::from)?)
    }
}

/// The sequence's own name, which identities have by default.
fn name(sequence: Sequence) -> &'static str {
    match sequence {
        Sequence::Functions => "functions_function_id_seq",
        Sequence::ApiKeys => "api_keys_id_seq",
        Sequence::Changes => "changes_change_id_seq",
        Sequence::Calls => "call_numbers",
        Sequence::Outbound => "outbound_numbers",
    }
}

async fn read(
    connection: &mut PgConnection,
    table: &Table,
    after: &[Cell],
    most: usize,
) -> Result<Vec<Row>> {
    let text = transfer::select(table, !after.is_empty());
    let mut select = sqlx::query(AssertSqlSafe(text));
    for ((_, kind), cell) in table.columns.iter().zip(after) {
        select = bind(select, *kind, cell);
    }
    let rows = select
        .bind(i64::try_from(most).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let mut read = vec![];
    for row in rows {
        let mut cells = vec![];
        for (at, (name, kind)) in table.columns.iter().enumerate() {
            let cell = match kind {
                Kind::Integer => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
                Kind::Text => row.try_get::<Option<String>, _>(at)?.map(Cell::Text),
                Kind::ClientText => {
                    let bytes: Option<Vec<u8>> = row.try_get(at)?;
                    let text = bytes.map(String::from_utf8).transpose();
                    text.map_err(|_| damaged(name))?.map(Cell::Text)
                }
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Cell::Bytes),
            };
            cells.push(cell.unwrap_or(Cell::Null));
        }
        read.push(cells);
    }
    Ok(read)
}

async fn add(connection: &mut PgConnection, rows: &[(&Table, Vec<Row>)]) -> Result<()> {
    let mut transaction = connection.begin().await?;
    for (table, rows) in rows {
        for row in rows {
            let mut insert = sqlx::query(AssertSqlSafe(transfer::insert(table)));
            for ((_, kind), cell) in table.columns.iter().zip(row) {
                insert = bind(insert, *kind, cell);
            }
            insert.execute(&mut *transaction).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// Binds a cell as the type of its column, which NULL has as well.
fn bind<'q>(query: Query<'q>, kind: Kind, cell: &Cell) -> Query<'q> {
    match (kind, cell) {
        (_, Cell::Integer(number)) => query.bind(*number),
        (Kind::ClientText, Cell::Text(text)) => query.bind(text.clone().into_bytes()),
        (_, Cell::Text(text)) => query.bind(text.clone()),
        (_, Cell::Bytes(bytes)) => query.bind(bytes.clone()),
        (Kind::Integer, Cell::Null) => query.bind(None::<i64>),
        (Kind::Text, Cell::Null) => query.bind(None::<String>),
        (Kind::ClientText | Kind::Bytes, Cell::Null) => query.bind(None::<Vec<u8>>),
    }
}
