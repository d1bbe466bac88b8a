//! Recordings, as rows, and the removal of the oldest.

use std::collections::BTreeSet;

use sqlx::Row as _;
use uuid::Uuid;

use super::change::Change;
use super::column::{count, damaged, integer};
use super::database::Database;
use super::driver::{SqlConnection, SqlPool, SqlRow, as_text, text};
use super::error::Result;
use crate::error::Error;
use crate::model::{NewRecord, Recording, RecordingHead, RecordingLimits};
use crate::rows::Recordings;

/// The most that one transaction removes, beyond as many recordings and as many bytes as it adds. SQLite reads the
/// pages of rows that it removes, so that bytes count: 16 MiB take some 10 ms if they are in memory, more if they are
/// not.
const REMOVED_ROWS: usize = 100;
const REMOVED_BYTES: u64 = 16 << 20;

impl Recordings for Database {
    async fn put_recordings(
        &self,
        recordings: Vec<Recording>,
        keep: RecordingLimits,
    ) -> Result<bool, Error> {
        self.write(PutRecordings { recordings, keep }).await
    }

    async fn recording(&self, call: Uuid) -> Result<Option<Recording>, Error> {
        Ok(get(&self.readers, call).await?)
    }

    async fn recordings(&self, function_id: i64, limit: u32) -> Result<Vec<RecordingHead>, Error> {
        Ok(list(&self.readers, function_id, limit).await?)
    }
}

/// Stores recordings, and removes those that exceed the limits of number, age and size. Its output is `true` if more
/// are left to be removed.
struct PutRecordings {
    recordings: Vec<Recording>,
    keep: RecordingLimits,
}

impl Change for PutRecordings {
    type Output = bool;

    const RELAXED: bool = true;

    async fn apply(&self, connection: &mut SqlConnection) -> Result<Self::Output> {
        let Self { recordings, keep } = self;
        let fits = |recording: &&Recording| {
            // A recording that is too large would, as the newest of all, first push out all others.
            recording.data.len() as u64 <= keep.total_bytes && recording.at >= keep.from
        };
        for recording in recordings.iter().filter(fits) {
            insert(connection, recording).await?;
        }
        let added = recordings.iter().map(|one| one.data.len() as u64).sum();
        let mut room = Removal {
            rows: recordings.len() + REMOVED_ROWS,
            bytes: REMOVED_BYTES.saturating_add(added),
        };
        let functions: BTreeSet<i64> = recordings.iter().map(|one| one.function_id).collect();
        let mut finished = true;
        for function_id in functions {
            finished &= too_many(connection, function_id, keep.per_function, &mut room).await?;
        }
        finished &= too_old(connection, keep.from, &mut room).await?;
        finished &= too_large(connection, keep.total_bytes, &mut room).await?;
        Ok(!finished)
    }

    fn record(&self, _: &Self::Output) -> Option<NewRecord> {
        None
    }
}

/// Stores a recording, unless its function is gone or its call has one.
async fn insert(connection: &mut SqlConnection, recording: &Recording) -> Result<()> {
    sqlx::query(
        "INSERT INTO recordings (call, function_id, version, at, outcome, size, data)
         SELECT $1, function_id, $3, $4, $5, $6, $7 FROM functions WHERE function_id = $2
             ON CONFLICT (call) DO NOTHING",
    )
    .bind(&recording.call.as_bytes()[..])
    .bind(recording.function_id)
    .bind(recording.version)
    .bind(recording.at)
    .bind(as_text(&recording.outcome))
    .bind(integer(recording.data.len() as u64))
    .bind(&recording.data[..])
    .execute(connection)
    .await?;
    Ok(())
}

/// The removals that one transaction may still make.
struct Removal {
    rows: usize,
    bytes: u64,
}

impl Removal {
    /// The number of recordings to read: as many as may be removed, and one to see that there are more.
    fn looks_at(&self) -> i64 {
        integer(self.rows as u64 + 1)
    }

    /// Removes `doomed` in their order until they have freed `enough` bytes. Returns `false` if that is more than this
    /// budget may remove.
    async fn take(
        &mut self,
        connection: &mut SqlConnection,
        doomed: &[SqlRow],
        enough: u64,
    ) -> Result<bool> {
        let mut freed = 0;
        for row in doomed {
            if freed >= enough {
                break;
            }
            if self.rows == 0 || self.bytes == 0 {
                return Ok(false);
            }
            let call = row.try_get::<&[u8], _>("call")?;
            let remove = sqlx::query("DELETE FROM recordings WHERE call = $1");
            remove.bind(call).execute(&mut *connection).await?;
            let size = count(row, "size")?;
            freed += size;
            self.rows -= 1;
            self.bytes = self.bytes.saturating_sub(size);
        }
        Ok(true)
    }
}

/// Walks `keep` entries of the index, back from the newest, to find the oldest recording of the function to keep.
async fn too_many(
    connection: &mut SqlConnection,
    function_id: i64,
    keep: u32,
    room: &mut Removal,
) -> Result<bool> {
    let doomed = sqlx::query(
        "SELECT call, size FROM recordings
          WHERE function_id = $1
            AND (at, call) <= (SELECT at, call FROM recordings WHERE function_id = $1
                                ORDER BY at DESC, call DESC LIMIT 1 OFFSET $2)
          ORDER BY at, call LIMIT $3",
    )
    .bind(function_id)
    .bind(i64::from(keep))
    .bind(room.looks_at())
    .fetch_all(&mut *connection)
    .await?;
    room.take(connection, &doomed, u64::MAX).await
}

async fn too_old(connection: &mut SqlConnection, from: i64, room: &mut Removal) -> Result<bool> {
    let doomed =
        sqlx::query("SELECT call, size FROM recordings WHERE at < $1 ORDER BY at, call LIMIT $2")
            .bind(from)
            .bind(room.looks_at())
            .fetch_all(&mut *connection)
            .await?;
    room.take(connection, &doomed, u64::MAX).await
}

async fn too_large(
    connection: &mut SqlConnection,
    total_bytes: u64,
    room: &mut Removal,
) -> Result<bool> {
    let total = sqlx::query("SELECT CAST(SUM(bytes) AS BIGINT) AS bytes FROM recordings_total")
        .fetch_one(&mut *connection)
        .await?;
    let excess = count(&total, "bytes")?.saturating_sub(total_bytes);
    if excess == 0 {
        return Ok(true);
    }
    let doomed = sqlx::query("SELECT call, size FROM recordings ORDER BY at, call LIMIT $1")
        .bind(room.looks_at())
        .fetch_all(&mut *connection)
        .await?;
    room.take(connection, &doomed, excess).await
}

async fn get(readers: &SqlPool, call: Uuid) -> Result<Option<Recording>> {
    let row = sqlx::query(
        "SELECT function_id, version, at, outcome, data FROM recordings WHERE call = $1",
    )
    .bind(&call.as_bytes()[..])
    .fetch_optional(readers)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Recording {
        call,
        function_id: row.try_get("function_id")?,
        version: row.try_get("version")?,
        at: row.try_get("at")?,
        outcome: text(&row, "outcome")?,
        data: row.try_get::<Vec<u8>, _>("data")?.into(),
    }))
}

async fn list(readers: &SqlPool, function_id: i64, limit: u32) -> Result<Vec<RecordingHead>> {
    sqlx::query(
        "SELECT call, function_id, version, at, outcome, size FROM recordings
          WHERE function_id = $1 ORDER BY at DESC, call DESC LIMIT $2",
    )
    .bind(function_id)
    .bind(i64::from(limit))
    .fetch_all(readers)
    .await?
    .iter()
    .map(read_head)
    .collect()
}

fn read_head(row: &SqlRow) -> Result<RecordingHead> {
    let call = row.try_get::<&[u8], _>("call")?;
    Ok(RecordingHead {
        call: Uuid::from_slice(call).map_err(|_| damaged("call"))?,
        function_id: row.try_get("function_id")?,
        version: row.try_get("version")?,
        at: row.try_get("at")?,
        outcome: text(row, "outcome")?,
        size: count(row, "size")?,
    })
}
