//! The move of all rows and modules from a data directory into the database of a fleet, and back.
//!
//! Rows are copied table by table, in the order of their keys, and never replaced: a move that was interrupted is made
//! again from its beginning, finds what it copied before, and adds the rest. When all is there, each table is read from
//! both sides and the two digests are compared; so are the modules with the digests that name them. A target that belongs
//! to another server is refused: it has another identity.
//!
//! Totals that triggers count are not copied, because the triggers of the target count. Both sides stand still meanwhile:
//! the data directory is locked, and the database has no other session.
//!
//! More than 400 lines: export, import and check go through the same tables in the same order.

use std::collections::BTreeSet;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::directory::{self, ObjectPlaces};
use crate::error::Error;
use crate::objects::{Objects, blocking};
use crate::settings::StoreSettings;
use crate::{postgres, sqlite};

/// The rows that are copied at a time. A row may be as large as the largest value or recording.
const BATCH: usize = 200;

/// A value of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    /// A text of a client's, which PostgreSQL keeps as bytes.
    ClientText,
    Bytes,
}

use Kind::{Bytes, ClientText, Integer, Text};

/// A table that is copied.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The columns, those of the key first.
    pub(crate) columns: &'static [(&'static str, Kind)],
    /// The number of columns of the key.
    pub(crate) key: usize,
    /// True if triggers of other tables make its rows, which are then replaced.
    pub(crate) replaced: bool,
}

const fn table(name: &'static str, key: usize, columns: &'static [(&'static str, Kind)]) -> Table {
    Table {
        name,
        columns,
        key,
        replaced: false,
    }
}

const fn replaced(name: &'static str, columns: &'static [(&'static str, Kind)]) -> Table {
    Table {
        replaced: true,
        ..table(name, 1, columns)
    }
}

/// Functions and versions, which refer to each other: a function is copied with its versions.
const FUNCTIONS: Table = table(
    "functions",
    1,
    &[
        ("function_id", Integer),
        ("name", Text),
        ("description", ClientText),
        ("state", ClientText),
        ("storage_key", Text),
        ("callback", ClientText),
        ("usage_key_hash", Bytes),
        ("admin_key_hash", Bytes),
        ("active_version", Text),
        ("canary_version", Text),
        ("canary_percent", Integer),
        ("created_at", Integer),
    ],
);
const VERSIONS: Table = table(
    "versions",
    2,
    &[
        ("function_id", Integer),
        ("number", Integer),
        ("id", Text),
        ("sha256", Bytes),
        ("legacy_sha256", Text),
        ("size", Integer),
        ("kind", Text),
        ("manifest", Text),
        ("declaration", Text),
        ("created_at", Integer),
    ],
);

/// All other tables, in an order in which none refers to one behind it. A test compares them with those of a database.
pub(crate) const TABLES: [Table; 17] = [
    table(
        "stored_values",
        2,
        &[
            ("function_id", Integer),
            ("key", Bytes),
            ("value", Bytes),
            ("name", Bytes),
            ("expires_at", Integer),
        ],
    ),
    table(
        "stored_totals",
        1,
        &[("function_id", Integer), ("bytes", Integer)],
    ),
    table(
        "ephemeral",
        1,
        &[
            ("key", ClientText),
            ("value", ClientText),
            ("size", Integer),
            ("expires_at", Integer),
            ("owner", Text),
        ],
    ),
    table(
        "call_log",
        1,
        &[
            ("last", Integer),
            ("first", Integer),
            ("function_id", Integer),
            ("through", Integer),
            ("calls", Text),
        ],
    ),
    table(
        "usage",
        1,
        &[
            ("function_id", Integer),
            ("invocations", Integer),
            ("guest_ns", Integer),
            ("latest_ns", Integer),
            ("logged", Integer),
            ("trimmed", Integer),
        ],
    ),
    table(
        "refused_calls",
        1,
        &[
            ("log_id", Integer),
            ("function_id", Integer),
            ("called_at", Integer),
            ("record", Text),
        ],
    ),
    table(
        "secrets",
        2,
        &[
            ("function_id", Integer),
            ("name", Text),
            ("key_id", Text),
            ("nonce", Bytes),
            ("sealed", Bytes),
            ("created_at", Integer),
        ],
    ),
    table(
        "audit",
        1,
        &[
            ("last", Integer),
            ("first", Integer),
            ("newest", Integer),
            ("call_from", Bytes),
            ("call_to", Bytes),
            ("rows", Text),
        ],
    ),
    table(
        "audit_functions",
        2,
        &[("function_id", Integer), ("last", Integer)],
    ),
    table(
        "recordings",
        1,
        &[
            ("call", Bytes),
            ("function_id", Integer),
            ("version", Integer),
            ("at", Integer),
            ("outcome", ClientText),
            ("size", Integer),
            ("data", Bytes),
        ],
    ),
    table(
        "api_keys",
        1,
        &[
            ("id", Integer),
            ("hash", Bytes),
            ("label", ClientText),
            ("scopes", Text),
            ("function_id", Integer),
            ("created_at", Integer),
            ("expires_at", Integer),
        ],
    ),
    table(
        "jobs",
        1,
        &[
            ("id", Bytes),
            ("function_id", Integer),
            ("version", Integer),
            ("export", ClientText),
            ("kind", Text),
            ("state", Text),
            ("rank", Integer),
            ("delayed", Integer),
            ("attempts", Integer),
            ("most_attempts", Integer),
            ("token", Integer),
            ("accepted_at", Integer),
            ("not_before", Integer),
            ("expires_at", Integer),
            ("started_at", Integer),
            ("lease_until", Integer),
            ("finished_at", Integer),
            ("ended", Text),
            ("fault", Text),
            ("schedule", Text),
            ("due_at", Integer),
            ("of_job", Bytes),
            ("callback", Text),
            ("callback_job", Bytes),
            ("idempotency_key", Bytes),
            ("idempotency_body", Bytes),
            ("request", Bytes),
            ("outcome", Bytes),
        ],
    ),
    table(
        "schedules",
        2,
        &[
            ("function_id", Integer),
            ("name", Text),
            ("version", Integer),
            ("cron", Text),
            ("timezone", Text),
            ("settled_at", Integer),
            ("due_at", Integer),
            ("paused", Integer),
        ],
    ),
    table(
        "changes",
        1,
        &[
            ("change_id", Integer),
            ("made_at", Integer),
            ("surface", Text),
            ("key_kind", Text),
            ("key_id", Integer),
            ("key_label", ClientText),
            ("action", Text),
            ("function_id", Integer),
            ("function_name", Text),
            ("details", Text),
        ],
    ),
    replaced(
        "job_queues",
        &[
            ("function_id", Integer),
            ("ready", Integer),
            ("delayed", Integer),
            ("running", Integer),
            ("pass", Integer),
            ("weight", Integer),
            ("concurrency", Integer),
            ("rate", Integer),
            ("open_at", Integer),
        ],
    ),
    replaced(
        "jobs_waiting",
        &[
            ("one", Integer),
            ("jobs", Integer),
            ("bytes", Integer),
            ("pass", Integer),
        ],
    ),
    replaced("ephemeral_total", &[("one", Integer), ("bytes", Integer)]),
];

/// A sequence of numbers that are never used again: the greatest that was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    Functions,
    ApiKeys,
    Changes,
    Calls,
    Outbound,
}

impl Sequence {
    const ALL: [Self; 5] = [
        Self::Functions,
        Self::ApiKeys,
        Self::Changes,
        Self::Calls,
        Self::Outbound,
    ];
}

/// A row of a table, its cells in the order of the columns.
pub(crate) type Row = Vec<Cell>;

/// A database whose rows are copied.
pub(crate) trait Side {
    /// The rows after a key, in the order of keys.
    async fn read(&mut self, table: &Table, after: &[Cell], most: usize)
    -> Result<Vec<Row>, Error>;

    /// Adds rows that are not there, in one transaction.
    async fn add(&mut self, rows: &[(&Table, Vec<Row>)]) -> Result<(), Error>;

    async fn identity(&mut self) -> Result<String, Error>;

    async fn set_identity(&mut self, identity: &str) -> Result<(), Error>;

    async fn last(&mut self, sequence: Sequence) -> Result<i64, Error>;

    async fn set_last(&mut self, sequence: Sequence, last: i64) -> Result<(), Error>;

    async fn close(self) -> Result<(), Error>;
}

/// The result of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// The rows of each table, and the digest that both sides have.
    pub tables: Vec<(&'static str, u64, String)>,
    /// Modules, each checked against its digest.
    pub modules: u64,
}

/// Moves the rows and modules of a data directory into the database that the settings name. Its server is stopped, and
/// so are all nodes.
///
/// # Errors
/// [`Error::Locked`] and [`Error::Invalid`] with the next step; those of [`Store::open_with`](crate::Store::open_with).
pub async fn import(data_dir: &Path, settings: &StoreSettings) -> Result<Moved, Error> {
    let (mut here, mut there, places, _lock) = sides(data_dir, settings, false).await?;
    let moved = copy(&mut here, &mut there, (&places.0, &places.1)).await?;
    here.close().await?;
    there.close().await?;
    Ok(moved)
}

/// Moves the rows and modules of the database that the settings name into a data directory without functions. All nodes
/// are stopped.
///
/// # Errors
/// Those of [`import`].
pub async fn export(data_dir: &Path, settings: &StoreSettings) -> Result<Moved, Error> {
    let (mut here, mut there, places, _lock) = sides(data_dir, settings, true).await?;
    let moved = copy(&mut there, &mut here, (&places.1, &places.0)).await?;
    here.close().await?;
    there.close().await?;
    Ok(moved)
}

type Places = (ObjectPlaces, ObjectPlaces);

async fn sides(
    data_dir: &Path,
    settings: &StoreSettings,
    create: bool,
) -> Result<(sqlite::Side, postgres::Side, Places, directory::Lock), Error> {
    let Some(wanted) = settings.database()? else {
        return Err(Error::Invalid {
            what: "store.url is empty. Set it to the database of the fleet".into(),
        });
    };
    let database = data_dir.join("iof.db");
    if !create && !database.exists() {
        return Err(Error::Invalid {
            what: format!(
                "the data directory has no database: got {}. Name the server's data directory (--data)",
                database.display()
            ),
        });
    }
    let (path, elsewhere) = (data_dir.to_owned(), settings.sources());
    let directory = blocking(move || directory::prepare(&path, None, false)).await?;
    let own = directory.objects.clone();
    let shared = ObjectPlaces {
        sources: elsewhere.unwrap_or_else(|| own.sources.clone()),
        artefacts: own.artefacts.clone(),
    };
    {
        let sources = shared.sources.clone();
        blocking(move || directory::prepare_sources(&sources)).await?;
    }
    let here = sqlite::Side::open(&directory.database).await?;
    let there = postgres::Side::open(wanted).await?;
    Ok((here, there, (own, shared), directory.lock))
}

async fn copy<F: Side, T: Side>(
    from: &mut F,
    to: &mut T,
    (sources, into): (&ObjectPlaces, &ObjectPlaces),
) -> Result<Moved, Error> {
    let identity = from.identity().await?;
    if to.identity().await? != identity {
        let own = TABLES.iter().filter(|table| !table.replaced);
        for table in std::iter::once(&FUNCTIONS).chain(own) {
            if !to.read(table, &[], 1).await?.is_empty() {
                return Err(Error::Invalid {
                    what: format!(
                        "the target belongs to another server: it has rows in the table {}. Name an empty one",
                        table.name
                    ),
                });
            }
        }
        to.set_identity(&identity).await?;
    }
    let modules = copy_modules(from, sources, into).await?;
    copy_functions(from, to).await?;
    for table in &TABLES {
        let mut after = vec![];
        loop {
            let rows = from.read(table, &after, BATCH).await?;
            let Some(last) = rows.last() else { break };
            after = last[..table.key].to_vec();
            to.add(&[(table, rows)]).await?;
        }
    }
    for sequence in Sequence::ALL {
        let last = from.last(sequence).await?;
        to.set_last(sequence, last).await?;
    }
    let mut tables = vec![];
    for table in [&FUNCTIONS, &VERSIONS].into_iter().chain(&TABLES) {
        let (rows, digest) = read_digest(from, table).await?;
        let (copied, found) = read_digest(to, table).await?;
        if (rows, &digest) != (copied, &found) {
            return Err(Error::Damaged {
                what: format!("the copy of the table {}", table.name),
                detail: format!(
                    "{rows} rows became {copied}, with another digest. Was it changed meanwhile? Empty the target, and start again"
                ),
            });
        }
        tables.push((table.name, rows, digest));
    }
    Ok(Moved { tables, modules })
}

/// Copies functions, a few at a time, each with all its versions.
async fn copy_functions<F: Side, T: Side>(from: &mut F, to: &mut T) -> Result<(), Error> {
    const FUNCTIONS_AT_A_TIME: usize = 20;
    let mut after = vec![];
    let mut versions_after = vec![];
    loop {
        let functions = from.read(&FUNCTIONS, &after, FUNCTIONS_AT_A_TIME).await?;
        let Some(Cell::Integer(last)) = functions.last().map(|row| row[0].clone()) else {
            return Ok(());
        };
        after = vec![Cell::Integer(last)];
        let mut versions = vec![];
        loop {
            let mut some = from.read(&VERSIONS, &versions_after, BATCH).await?;
            let read = some.len();
            some.retain(|row| matches!(row[0], Cell::Integer(of) if of <= last));
            let kept = some.len();
            if let Some(row) = some.last() {
                versions_after = row[..VERSIONS.key].to_vec();
            }
            versions.append(&mut some);
            if kept < read || read < BATCH {
                break;
            }
        }
        to.add(&[(&FUNCTIONS, functions), (&VERSIONS, versions)])
            .await?;
    }
}

/// Copies the modules to which versions refer, each read against its digest on the way. Returns their number.
async fn copy_modules<F: Side>(
    from: &mut F,
    sources: &ObjectPlaces,
    into: &ObjectPlaces,
) -> Result<u64, Error> {
    let mut wanted = BTreeSet::new();
    let mut after = vec![];
    loop {
        let rows = from.read(&VERSIONS, &after, BATCH).await?;
        let Some(last) = rows.last() else { break };
        after = last[..VERSIONS.key].to_vec();
        for row in &rows {
            if let Cell::Bytes(digest) = &row[3] {
                wanted.insert(digest.clone());
            }
        }
    }
    let same = sources.sources == into.sources;
    let (read, write) = (
        Objects::open(sources, [0; 32])?,
        Objects::open(into, [0; 32])?,
    );
    for digest in &wanted {
        let sha256 = digest.as_slice().try_into().map_err(|_| Error::Damaged {
            what: "the database".into(),
            detail: "the digest of a module is not 32 bytes long. Restore it from a backup".into(),
        })?;
        let Some(module) = read.source(sha256).await? else {
            return Err(Error::Damaged {
                what: format!("source {}", hex::encode(digest)),
                detail: "it is missing. Restore the file from a backup".into(),
            });
        };
        if !same && !write.has_source(sha256).await? {
            write.put_source(sha256, module).await?;
        }
    }
    Ok(wanted.len() as u64)
}

/// The number of rows of a table, and their digest.
async fn read_digest<S: Side>(side: &mut S, table: &Table) -> Result<(u64, String), Error> {
    let (mut rows, mut digest) = (0, Sha256::new());
    let mut after = vec![];
    loop {
        let some = side.read(table, &after, BATCH).await?;
        let Some(last) = some.last() else { break };
        after = last[..table.key].to_vec();
        for row in &some {
            rows += 1;
            for cell in row {
                let (tag, bytes) = match cell {
                    Cell::Null => (0_u8, vec![]),
                    Cell::Integer(number) => (1, number.to_be_bytes().to_vec()),
                    Cell::Text(text) => (2, text.clone().into_bytes()),
                    Cell::Bytes(bytes) => (3, bytes.clone()),
                };
                digest.update([tag]);
                digest.update((bytes.len() as u64).to_be_bytes());
                digest.update(bytes);
            }
        }
    }
    Ok((rows, hex::encode(digest.finalize())))
}

/// The statement that reads rows after a key: the parameters are the key's, and the number.
pub(crate) fn select(table: &Table, after: bool) -> String {
    let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let key = columns[..table.key].join(", ");
    let limit = if after { table.key + 1 } else { 1 };
    let parameters: Vec<_> = (1..=table.key).map(|at| format!("${at}")).collect();
    let condition = match after {
        true => format!("WHERE ({key}) > ({})", parameters.join(", ")),
        false => String::new(),
    };
    format!(
        "SELECT {} FROM {} {condition} ORDER BY {key} LIMIT ${limit}",
        columns.join(", "),
        table.name
    )
}

/// The statement that adds a row that is not there, or replaces one that a trigger made.
pub(crate) fn insert(table: &Table) -> String {
    let columns: Vec<_> = table.columns.iter().map(|(name, _)| *name).collect();
    let parameters: Vec<_> = (1..=columns.len()).map(|at| format!("${at}")).collect();
    let conflict = match table.replaced {
        false => "DO NOTHING".to_owned(),
        true => {
            let others = columns[table.key..].iter();
            let set: Vec<_> = others
                .map(|name| format!("{name} = excluded.{name}"))
                .collect();
            let key = columns[..table.key].join(", ");
            format!("({key}) DO UPDATE SET {}", set.join(", "))
        }
    };
    format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT {conflict}",
        table.name,
        columns.join(", "),
        parameters.join(", ")
    )
}

/// The tables that are moved, each with the number of its columns: for a test.
#[doc(hidden)]
pub fn moved_columns() -> Vec<(&'static str, usize)> {
    let all = [&FUNCTIONS, &VERSIONS].into_iter().chain(&TABLES);
    all.map(|table| (table.name, table.columns.len())).collect()
}
