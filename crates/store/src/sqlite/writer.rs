//! The only task that writes rows, and its queue.
//!
//! A commit costs a flush of the disk, and a flush of one row costs the same as a flush of sixty. So the task takes all
//! waiting writes, up to [`BATCH`], into one transaction: a single write is as fast as the disk; in a burst, the writes
//! that queued during one flush share the next (group commit). No write waits for others to join it. Against a commit
//! for each write, `tests/it/speed.rs` measured five times the row writes of 16 clients, and nearly twice their
//! uploads, which also flush a file and a directory each.
//!
//! In a shared transaction one bad write fails them all. A write that finds no function is an output and not an error
//! ([`Change::apply`]), so an error means the disk, or a defect of ours; the batch is then run again one by one, and
//! each write gets its own result. Savepoints around each write were rejected: they cost two more statements on every
//! write for a case that does not occur.
//!
//! A queued write is done whether or not its caller still waits: a client that disconnects may leave a function whose
//! creation was not acknowledged, never half of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::change::{Change, Queued};
use super::changes::KeptChanges;
use super::connection::Connection;
use super::error::Failure;
use crate::directory::Lock;
use crate::error::Error;
use crate::model::WriteFigures;
use crate::room::Room;

/// The most writes that share a transaction, and so the most that one failure makes the task repeat.
const BATCH: usize = 64;
/// The most writes that wait. Beyond it, callers wait to enter; after [`PATIENCE`], they get the error that the store
/// is busy.
const QUEUE: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);

/// The sending half of the queue. When it is closed or dropped, the task finishes its queue and ends.
pub(super) struct Writer {
    queue: mpsc::Sender<Queued>,
    closing: CancellationToken,
    commits: Arc<Commits>,
    kept: Arc<KeptChanges>,
}

/// Counts of commits since the start.
#[derive(Default)]
struct Commits {
    committed: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Commits {
    fn count(&self, took: Duration, committed: bool) {
        let outcome = if committed {
            &self.committed
        } else {
            &self.failed
        };
        outcome.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Writer {
    /// The sending half, and the task, which the caller runs and waits for. The task owns the connection and the
    /// directory's lock, so that no other process gets in before the last commit is done.
    pub(super) fn new(
        connection: Connection,
        lock: Lock,
        room: Arc<Room>,
        kept: Arc<KeptChanges>,
    ) -> (Self, impl Future<Output = Result<(), Error>>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let commits = Arc::<Commits>::default();
        let parts = (lock, room, Arc::clone(&commits));
        let task = run(connection, queue, closing.clone(), parts);
        let writer = Self {
            queue: sender,
            closing,
            commits,
            kept,
        };
        (writer, task)
    }

    /// Returns once the change is on the disk.
    pub(super) async fn write<C: Change>(&self, change: C) -> Result<C::Output, Error> {
        let (queued, answer) = Queued::new(change, Arc::clone(&self.kept));
        self.queue
            .send_timeout(queued, PATIENCE)
            .await
            .map_err(|refused| match refused {
                mpsc::error::SendTimeoutError::Timeout(_) => Error::Busy,
                mpsc::error::SendTimeoutError::Closed(_) => Error::Closed,
            })?;
        answer.await
    }

    /// Lets the task end. Changes that are not in the queue by then are refused with [`Error::Closed`].
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// The changes in the queue, and the commits so far. Changes that are repeated one by one after a failure are not
    /// counted again.
    pub(super) fn figures(&self) -> WriteFigures {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let commits = &self.commits;
        WriteFigures {
            waiting: self.queue.max_capacity() - self.queue.capacity(),
            committed: count(&commits.committed),
            failed: count(&commits.failed),
            time: Duration::from_nanos(count(&commits.nanoseconds)),
        }
    }

    /// `true` while the task takes changes.
    pub(super) fn alive(&self) -> bool {
        !self.queue.is_closed()
    }
}

async fn run(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Queued>,
    closing: CancellationToken,
    (lock, room, commits): (Lock, Arc<Room>, Arc<Commits>),
) -> Result<(), Error> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let changes = tokio::select! {
            changes = queue.recv_many(&mut batch, BATCH) => changes,
            () = closing.cancelled(), if !queue.is_closed() => {
                queue.close(); // queued changes are still received
                continue;
            }
        };
        if changes == 0 {
            break;
        }
        if let Err(error) = room.reserved().await {
            let text = error.to_string();
            for change in batch.extract_if(.., |change| !change.may_use_reserve()) {
                change.answer(Err(Error::DiskFull(text.clone().into())));
            }
            if batch.is_empty() {
                continue;
            }
        }
        let began = Instant::now();
        let committed = commit(&mut connection, &batch).await;
        commits.count(began.elapsed(), committed.is_ok());
        match room.note(committed) {
            Ok(()) => batch.drain(..).for_each(|change| change.answer(Ok(()))),
            Err(error) => {
                tracing::error!(code = error.code(), %error, writes = batch.len(), "a commit failed");
                let full = matches!(error, Error::DiskFull(_));
                if batch.len() == 1 && !(full && batch[0].may_use_reserve()) {
                    batch
                        .drain(..)
                        .zip([error])
                        .for_each(|(change, error)| change.answer(Err(error)));
                }
                // Those that may use the reserve come last: it is not for the others.
                batch.sort_by_key(Queued::may_use_reserve);
                let mut released = !full;
                for change in batch.drain(..) {
                    if change.may_use_reserve() && !released {
                        released = true;
                        room.release();
                        connection.checkpoint().await;
                    }
                    let alone = commit(&mut connection, std::slice::from_ref(&change)).await;
                    change.answer(alone);
                }
            }
        }
    }
    let closed = connection.close().await;
    drop(lock);
    Ok(closed?)
}

/// Commits all of `batch`, in order, or none of it.
async fn commit(connection: &mut Connection, batch: &[Queued]) -> Result<(), Error> {
    let result = transaction(connection.get().await?, batch).await;
    if result.is_err() {
        connection.discard().await;
    }
    Ok(result?)
}

async fn transaction(connection: &mut SqliteConnection, batch: &[Queued]) -> Result<(), Failure> {
    // IMMEDIATE: if an operator's sqlite3 is writing, wait for it here rather than fail in the middle.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for change in batch {
        change.apply(&mut transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}
