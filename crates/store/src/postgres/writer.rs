//! The tasks that write rows, each with its queue and its connection: one for what is promised, and one for logs and
//! recordings, whose commits do not wait for the disk.
//!
//! As with SQLite, all waiting changes, up to [`BATCH`], share a transaction. A commit then costs one flush of the
//! database's disk for many changes, and a few connections for each node are enough: eight nodes with a pool of eleven
//! reached the 100 that PostgreSQL allows as it is shipped. What waits too long in the second queue is shed by its
//! senders, who count it; it never holds up the first.
//!
//! A transaction that the database ended (a deadlock, a conflict) or that never reached it changed nothing, and is made
//! again. Where the connection is lost during the commit itself, nobody knows: the caller is told that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::catalogue;
use super::change::{Change, Locks, Queued};
use super::changes::KeptChanges;
use super::error::{Failure, Result, silent};
use super::session::{Durability, Sessions};
use crate::error::Error;
use crate::model::WriteFigures;

/// The most changes that share a transaction.
const BATCH: usize = 64;
/// The most changes that wait. Beyond it, callers wait to enter; after [`PATIENCE`], they get the error that the store
/// is busy.
const QUEUE: usize = 256;
const PATIENCE: Duration = Duration::from_secs(10);
/// The attempts to make a transaction that changed nothing.
const ATTEMPTS: u32 = 3;

/// The advisory locks of what is no row, and of the values of functions: two numbers each, so that they are none of
/// `reserve_numbers` and of the migrations, which have one.
const EPHEMERAL: i32 = 1;
const JOBS: i32 = 2;
const VALUES: i32 = 3;

/// The sending half of a queue. When it is closed or dropped, the task finishes its queue and ends.
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
    /// The sending half, and the task, which the caller runs and waits for.
    pub(super) fn new(
        sessions: Sessions,
        durability: Durability,
        kept: Arc<KeptChanges>,
    ) -> (Self, impl Future<Output = ()>) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let closing = CancellationToken::new();
        let commits = Arc::<Commits>::default();
        let link = Link {
            sessions,
            durability,
            open: None,
        };
        let task = run(link, queue, closing.clone(), Arc::clone(&commits));
        let writer = Self {
            queue: sender,
            closing,
            commits,
            kept,
        };
        (writer, task)
    }

    /// Returns once the change is committed.
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

    /// The changes in the queue, and the commits so far.
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

/// The connection that writes, made anew after a failure.
struct Link {
    sessions: Sessions,
    durability: Durability,
    open: Option<PgConnection>,
}

async fn run(
    mut link: Link,
    mut queue: mpsc::Receiver<Queued>,
    closing: CancellationToken,
    commits: Arc<Commits>,
) {
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
        let began = Instant::now();
        let committed = link.commit(&batch).await;
        commits.count(began.elapsed(), committed.is_ok());
        match committed {
            Ok(()) => batch.drain(..).for_each(|change| change.answer(Ok(()))),
            Err(error) => {
                tracing::error!(code = error.code(), %error, writes = batch.len(), "a commit failed");
                match &error {
                    // It would fail for each of them.
                    Error::Unreachable { uncertain, source } => {
                        for change in batch.drain(..) {
                            change.answer(Err(Error::Unreachable {
                                uncertain: *uncertain,
                                source: source.to_string().into(),
                            }));
                        }
                    }
                    _ if batch.len() == 1 => {
                        batch
                            .drain(..)
                            .zip([error])
                            .for_each(|(change, error)| change.answer(Err(error)));
                    }
                    _ => {
                        for change in batch.drain(..) {
                            let alone = link.commit(std::slice::from_ref(&change)).await;
                            change.answer(alone);
                        }
                    }
                }
            }
        }
    }
    if let Some(open) = link.open.take() {
        drop(timeout(link.sessions.timeout, open.close()).await); // nothing is lost with it
    }
}

impl Link {
    /// Commits all of `batch`, in order, or none of it.
    async fn commit(&mut self, batch: &[Queued]) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            let error = match self.attempt(batch).await {
                Ok(()) => return Ok(()),
                Err(error) => Error::from(error),
            };
            // The connection may be in any state.
            self.open = None;
            let nothing_changed = matches!(
                error,
                Error::Busy
                    | Error::Unreachable {
                        uncertain: false,
                        ..
                    }
            );
            if !nothing_changed || attempt == ATTEMPTS {
                return Err(error);
            }
            attempt += 1;
            tokio::time::sleep(Duration::from_millis(20) * attempt).await;
        }
    }

    async fn attempt(&mut self, batch: &[Queued]) -> Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.sessions.connect(self.durability).await?,
        };
        let limit = self.sessions.timeout;
        let transaction = async {
            let mut transaction = open.begin().await?;
            lock(&mut transaction, batch).await?;
            for change in batch {
                change.apply(&mut transaction).await?;
            }
            Ok::<_, Failure>(transaction)
        };
        let transaction = timeout(limit, transaction).await;
        let transaction = transaction.map_err(|_| Failure::from(silent()))??;
        let committed = match timeout(limit, transaction.commit()).await {
            Ok(committed) => committed.map_err(Failure::from),
            Err(_) => Err(silent().into()),
        };
        match committed.map_err(Error::from) {
            Ok(()) => {
                self.open = Some(open);
                Ok(())
            }
            Err(Error::Unreachable { source, .. }) => Err(Error::Unreachable {
                uncertain: true,
                source,
            }
            .into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Takes the locks of the changes of a batch, in one order.
async fn lock(connection: &mut PgConnection, batch: &[Queued]) -> Result<()> {
    let mut locks = Locks::default();
    for change in batch {
        change.locks(&mut locks);
    }
    let Locks {
        catalogue,
        ephemeral,
        jobs,
        values,
    } = locks;
    if let Some(functions) = catalogue {
        catalogue::advance(connection, functions.into_iter()).await?;
    }
    let all = [(ephemeral, EPHEMERAL), (jobs, JOBS)];
    let all = all.into_iter().filter(|(taken, _)| *taken);
    let mut wanted: Vec<(i32, i32)> = all.map(|(_, class)| (class, 0)).collect();
    // Functions may share a lock, which costs time only.
    let mut of_functions: Vec<i32> = values.into_iter().map(|id| id as i32).collect();
    of_functions.sort_unstable();
    of_functions.dedup();
    wanted.extend(of_functions.into_iter().map(|id| (VALUES, id)));
    if wanted.is_empty() {
        return Ok(());
    }
    let (classes, objects): (Vec<i32>, Vec<i32>) = wanted.into_iter().unzip();
    sqlx::query(
        "SELECT pg_advisory_xact_lock(class, object)
           FROM unnest($1, $2) WITH ORDINALITY AS wanted (class, object, place) ORDER BY place",
    )
    .bind(classes)
    .bind(objects)
    .execute(connection)
    .await?;
    Ok(())
}
