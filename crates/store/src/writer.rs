//! The one task that writes rows, and its queue.
//!
//! A commit costs a flush of the disk, and a flush of one row costs the same as a flush of sixty. So the task takes
//! whatever waits, up to [`BATCH`], into one transaction: alone, a write is as fast as the disk; in a burst, the queue
//! that built up during one flush shares the next (group commit). Nobody waits for company. Against a commit for each
//! write, `tests/it/speed.rs` measured five times the row writes of 16 clients, and nearly twice their uploads, which
//! also flush a file and a directory each.
//!
//! In a shared transaction one bad write fails them all. A write that finds no function is an answer and not a failure,
//! so what remains is the disk, or a defect of ours; the batch is then run again one by one, and each gets its own
//! verdict. Savepoints around each write were rejected: they cost two more statements on every write for the sake of a
//! case that does not occur.
//!
//! A write, once queued, is done whether or not its caller still waits: a client that hangs up halfway leaves a function
//! that it did not hear about, never half of one.

use std::time::Duration;

use bytes::Bytes;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::api_keys::{self, CreateKey};
use crate::database::Connection;
use crate::directory::Lock;
use crate::ephemeral::{self, PutEphemeral};
use crate::functions::{self, FunctionRow};
use crate::secrets::{self, Reseal, SetSecret};
use crate::sent::{self, RecordSent};
use crate::values::{self, SaveValue};
use crate::{
    Calls, Error, Finished, Job, JobRoom, KeyHash, NewJob, Percent, Recording, RecordingsKept,
    Rollout, VersionId, calls, jobs, recordings, rollout,
};

/// The most writes that share a transaction, and so the most that one failure makes us do again.
const BATCH: usize = 64;
/// Writes that wait. Beyond it, callers wait to get in; beyond [`PATIENCE`], they hear that the store is busy.
const QUEUE: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// One change of rows. Runs again if its batch fails, so it owns what it needs.
pub(crate) enum Write {
    Create {
        function: FunctionRow,
        version: VersionRow,
    },
    AddVersion {
        wasm_id: i64,
        version: VersionRow,
        rollout: Rollout,
    },
    Activate {
        wasm_id: i64,
        number: i64,
    },
    SetCanary {
        wasm_id: i64,
        canary: Option<(i64, Percent)>,
    },
    Delete {
        wasm_id: i64,
    },
    UsageKey {
        wasm_id: i64,
        hash: Option<KeyHash>,
    },
    State {
        wasm_id: i64,
        state: String,
    },
    Callback {
        wasm_id: i64,
        callback: String,
    },
    SaveValue(SaveValue),
    RemoveValue {
        wasm_id: i64,
        key: [u8; 32],
    },
    PutEphemeral(PutEphemeral),
    DeleteEphemeral {
        key: String,
    },
    RecordCalls {
        calls: Vec<Calls>,
        keep: u32,
    },
    SetSecret(SetSecret),
    DeleteSecret {
        wasm_id: i64,
        name: String,
    },
    ResealSecrets(Vec<Reseal>),
    RecordSent(RecordSent),
    PutRecordings {
        recordings: Vec<Recording>,
        keep: RecordingsKept,
    },
    CreateKey(CreateKey),
    DeleteKey {
        id: i64,
    },
    SubmitJob {
        new: NewJob,
        most_waiting: u32,
        room: JobRoom,
    },
    TakeJobs {
        limit: u32,
    },
    FinishJob {
        id: Uuid,
        finished: Finished,
        room: JobRoom,
    },
    RequeueJobs {
        most_attempts: u32,
        outcome: Bytes,
    },
    ExpireJobs {
        done_before_ms: i64,
    },
}

pub(crate) struct VersionRow {
    pub(crate) id: VersionId,
    pub(crate) sha256: [u8; 32],
    pub(crate) legacy_sha256: String,
    pub(crate) size: i64,
    pub(crate) kind: String,
    pub(crate) manifest: String,
    pub(crate) declaration: Option<String>,
    pub(crate) created_at: i64,
}

/// What a write that was committed did.
pub(crate) enum Outcome {
    /// The number of the function, or of the key, that was created.
    Created(i64),
    /// The number of the version that was added.
    Added(i64),
    Done,
    /// The sources that the deleted function's versions referred to.
    Deleted(Vec<[u8; 32]>),
    /// There is no such function, job or key, or nothing alive under this key; nothing was changed that anyone could see.
    Missing,
    /// The function has no version of this number; nothing was changed.
    NoVersion,
    /// Another has the name, the id or the place that this one was to have; nothing was changed.
    Taken,
    /// It would go over its limit; nothing was changed.
    Full,
    /// The job does not fit into what its function, or all together, may keep; nothing was changed.
    NoRoom {
        of_function: bool,
    },
    /// It would go over the limit of its owner; nothing was changed.
    ShareFull,
    /// How many rows it changed.
    Counted(u64),
    /// The jobs that are running from now on.
    Jobs(Vec<Job>),
    /// It was done, and what is too old or too much is not all gone.
    Unfinished,
}

impl Outcome {
    /// Of a change of one row, if there is one.
    pub(crate) fn of_rows(rows: u64) -> Self {
        if rows == 0 { Self::Missing } else { Self::Done }
    }
}

struct Waiting {
    write: Write,
    reply: oneshot::Sender<Result<Outcome, Error>>,
}

/// Hands writes to the task. When the last clone is dropped, the task finishes its queue and ends.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Waiting>);

impl Writer {
    /// The sending half, and the task: the caller runs it and waits for it. It owns the connection and the directory's
    /// lock, so that no other process gets in before the last commit is done.
    pub(crate) fn new(
        connection: Connection,
        lock: Lock,
    ) -> (Self, impl Future<Output = Result<(), Error>>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        (Self(sender), run(connection, queue, lock))
    }

    /// Returns once the change is on the disk.
    pub(crate) async fn write(&self, write: Write) -> Result<Outcome, Error> {
        let (reply, answer) = oneshot::channel();
        self.0
            .send_timeout(Waiting { write, reply }, PATIENCE)
            .await
            .map_err(|refused| match refused {
                mpsc::error::SendTimeoutError::Timeout(_) => Error::Busy,
                mpsc::error::SendTimeoutError::Closed(_) => Error::Closed,
            })?;
        answer
            .await
            .map_err(|gone| Error::Unavailable(gone.into()))?
    }

    /// Whether the task still takes writes.
    pub(crate) fn alive(&self) -> bool {
        !self.0.is_closed()
    }
}

async fn run(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Waiting>,
    lock: Lock,
) -> Result<(), Error> {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut batch, BATCH).await > 0 {
        match commit(&mut connection, &batch).await {
            Ok(outcomes) => batch
                .drain(..)
                .zip(outcomes)
                .for_each(|(job, outcome)| job.answer(Ok(outcome))),
            Err(error) => {
                tracing::error!(code = error.code(), %error, writes = batch.len(), "a commit failed");
                if batch.len() == 1 {
                    batch
                        .drain(..)
                        .zip([error])
                        .for_each(|(job, error)| job.answer(Err(error)));
                }
                for job in batch.drain(..) {
                    let alone = commit(&mut connection, std::slice::from_ref(&job)).await;
                    job.answer(
                        alone.map(|mut outcomes| outcomes.pop().unwrap_or(Outcome::Missing)),
                    );
                }
            }
        }
    }
    let closed = connection.close().await;
    drop(lock);
    closed
}

impl Waiting {
    fn answer(self, answer: Result<Outcome, Error>) {
        drop(self.reply.send(answer)); // whoever asked may have gone
    }
}

/// All of `batch`, in order, or none of it.
async fn commit(connection: &mut Connection, batch: &[Waiting]) -> Result<Vec<Outcome>, Error> {
    let result = transaction(connection.get().await?, batch).await;
    if result.is_err() {
        connection.discard().await;
    }
    result
}

async fn transaction(
    connection: &mut SqliteConnection,
    batch: &[Waiting],
) -> Result<Vec<Outcome>, Error> {
    // IMMEDIATE: should an operator's sqlite3 be writing, wait for it here rather than fail in the middle.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(batch.len());
    for job in batch {
        outcomes.push(apply(&mut transaction, &job.write).await?);
    }
    transaction.commit().await?;
    Ok(outcomes)
}

async fn apply(connection: &mut SqliteConnection, write: &Write) -> Result<Outcome, Error> {
    match write {
        Write::Create { function, version } => {
            functions::create(connection, function, version).await
        }
        Write::AddVersion {
            wasm_id,
            version,
            rollout,
        } => rollout::add(connection, *wasm_id, version, *rollout).await,
        Write::Activate { wasm_id, number } => {
            rollout::activate(connection, *wasm_id, *number).await
        }
        Write::SetCanary { wasm_id, canary } => {
            rollout::set_canary(connection, *wasm_id, *canary).await
        }
        Write::Delete { wasm_id } => functions::delete(connection, *wasm_id).await,
        Write::UsageKey { wasm_id, hash } => {
            let update = sqlx::query("UPDATE functions SET usage_key_hash = $1 WHERE wasm_id = $2");
            let hash = hash.as_ref().map(|hash| &hash.as_bytes()[..]);
            let changed = update.bind(hash).bind(wasm_id).execute(connection).await?;
            Ok(Outcome::of_rows(changed.rows_affected()))
        }
        Write::State { wasm_id, state } => {
            let update = sqlx::query("UPDATE functions SET state = $1 WHERE wasm_id = $2");
            let changed = update.bind(state).bind(wasm_id).execute(connection).await?;
            Ok(Outcome::of_rows(changed.rows_affected()))
        }
        Write::Callback { wasm_id, callback } => {
            let update = sqlx::query("UPDATE functions SET callback = $1 WHERE wasm_id = $2");
            let changed = update
                .bind(callback)
                .bind(wasm_id)
                .execute(connection)
                .await?;
            Ok(Outcome::of_rows(changed.rows_affected()))
        }
        Write::SaveValue(save) => values::save(connection, save).await,
        Write::RemoveValue { wasm_id, key } => values::remove(connection, *wasm_id, key).await,
        Write::PutEphemeral(put) => ephemeral::put(connection, put).await,
        Write::DeleteEphemeral { key } => ephemeral::delete(connection, key).await,
        Write::RecordCalls { calls, keep } => calls::record(connection, calls, *keep).await,
        Write::SetSecret(set) => secrets::set(connection, set).await,
        Write::DeleteSecret { wasm_id, name } => secrets::delete(connection, *wasm_id, name).await,
        Write::ResealSecrets(batch) => secrets::reseal(connection, batch).await,
        Write::RecordSent(record) => sent::record(connection, record).await,
        Write::PutRecordings { recordings, keep } => {
            recordings::put(connection, recordings, keep).await
        }
        Write::CreateKey(create) => api_keys::create(connection, create).await,
        Write::DeleteKey { id } => api_keys::delete(connection, *id).await,
        Write::SubmitJob {
            new,
            most_waiting,
            room,
        } => jobs::submit(connection, new, *most_waiting, *room).await,
        Write::TakeJobs { limit } => jobs::take(connection, *limit).await,
        Write::FinishJob { id, finished, room } => {
            jobs::finish(connection, *id, finished, *room).await
        }
        Write::RequeueJobs {
            most_attempts,
            outcome,
        } => jobs::requeue(connection, *most_attempts, outcome).await,
        Write::ExpireJobs { done_before_ms } => jobs::expire(connection, *done_before_ms).await,
    }
}
