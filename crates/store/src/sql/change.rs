//! Changes of rows, each a type with its own output, and their common form in the writer's queue.
//!
//! In the queue the type is erased ([`Queued`]), so that a feature adds a change without touching the writer. The
//! change, its output and the waiting caller share one allocation, which a `oneshot` channel would need for the caller
//! by itself; the future that applies the change is a second one, and the only one that a closed enum of changes would
//! not have. Compared with the flush of the disk that follows, neither can be measured.

use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Notify;

use super::changes::{self, KeptChanges};
use super::driver::SqlConnection;
use super::error::Result;
use crate::error::Error;
use crate::model::NewRecord;

/// A change of rows. It shares its transaction with the changes that wait beside it.
pub(super) trait Change: Send + Sync + 'static {
    /// The answer to the caller, once the change is on the disk.
    type Output: Send + 'static;

    /// Makes the change within the transaction of `connection`. It is applied again, to unchanged rows, if its
    /// transaction fails.
    ///
    /// An error fails the whole transaction. A change that is refused (no such function, over a limit) is therefore an
    /// output; it has changed nothing.
    fn apply(
        &self,
        connection: &mut SqlConnection,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// The entry of the audit log, which the writer adds within the same transaction. `None` if nothing changed,
    /// and for what functions, their callers and the server itself write, which is not a change that a person makes.
    fn record(&self, output: &Self::Output) -> Option<NewRecord>;

    /// The rows that the change needs to itself, in a database with several writers.
    #[allow(dead_code, reason = "SQLite has one writer")]
    fn locks(&self, _: &mut Locks) {}

    /// True for what may be lost with the last second before the database's machine fails: logs and recordings. They
    /// go through a queue of their own, where there is one.
    #[allow(dead_code, reason = "SQLite has one writer")]
    const RELAXED: bool = false;

    /// True for a delete or a revocation, which may use the reserve of a full disk ([`crate::room`]). What it deletes
    /// bounds how often that is. No function can cause one.
    fn may_use_reserve(&self) -> bool {
        false
    }
}

/// The locks of the changes of one transaction. They are taken before its first change, in one order, so that no two
/// transactions wait for each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Locks {
    /// All that calls are served from: functions, versions, rollouts, keys and secrets. Changes of it are rare, one at a
    /// time, and every node learns of them: those of functions by their numbers.
    pub(super) catalogue: Option<BTreeSet<i64>>,
    /// The bytes of all ephemeral texts.
    pub(super) ephemeral: bool,
    /// The number and the bytes of all jobs, and how far schedules have come.
    pub(super) jobs: bool,
    /// Functions whose values change.
    pub(super) values: BTreeSet<i64>,
}

impl Locks {
    /// A change of the catalogue.
    pub(super) fn catalogue(&mut self) -> &mut BTreeSet<i64> {
        self.catalogue.get_or_insert_default()
    }

    /// A change of what calls of a function are served from.
    pub(super) fn change(&mut self, function_id: i64) {
        self.catalogue().insert(function_id);
    }
}

/// A change in the queue. If it is dropped without an answer, its caller learns that the writer has ended.
pub(super) struct Queued(Arc<dyn ErasedChange>);

impl Queued {
    /// The change for the queue, and the future in which its caller waits for the answer.
    pub(super) fn new<C: Change>(
        change: C,
        kept: Arc<KeptChanges>,
    ) -> (Self, impl Future<Output = Result<C::Output, Error>>) {
        let pending = Arc::new(PendingChange {
            change,
            kept,
            progress: Mutex::new(Progress::Waiting),
            answered: Notify::new(),
        });
        (Self(pending.clone()), async move { pending.answer().await })
    }

    /// Makes the change within the transaction of `connection`, and keeps its output for the answer.
    pub(super) async fn apply(&self, connection: &mut SqlConnection) -> Result<()> {
        self.0.apply(connection).await
    }

    /// See [`Change::locks`].
    #[allow(dead_code, reason = "SQLite has one writer")]
    pub(super) fn locks(&self, locks: &mut Locks) {
        self.0.locks(locks);
    }

    /// See [`Change::may_use_reserve`].
    #[allow(dead_code, reason = "only SQLite has a reserve on a disk")]
    pub(super) fn may_use_reserve(&self) -> bool {
        self.0.may_use_reserve()
    }

    /// Answers the caller: with the output if the transaction was committed, or with the reason why it was not.
    pub(super) fn answer(self, committed: Result<(), Error>) {
        self.0.answer(committed);
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// A change of any type.
trait ErasedChange: Send + Sync {
    fn apply<'a>(
        &'a self,
        connection: &'a mut SqlConnection,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

    #[allow(dead_code, reason = "SQLite has one writer")]
    fn locks(&self, locks: &mut Locks);

    #[allow(dead_code, reason = "only SQLite has a reserve on a disk")]
    fn may_use_reserve(&self) -> bool;

    fn answer(&self, committed: Result<(), Error>);

    fn abandon(&self);
}

struct PendingChange<C: Change> {
    change: C,
    /// The limits of the audit log.
    kept: Arc<KeptChanges>,
    progress: Mutex<Progress<C::Output>>,
    answered: Notify,
}

enum Progress<T> {
    /// The change is in the queue.
    Waiting,
    /// The change was applied by a transaction that is not committed yet.
    Applied(T),
    Answered(Result<T, Error>),
    /// The caller has its answer.
    Taken,
}

impl<C: Change> ErasedChange for PendingChange<C> {
    fn apply<'a>(
        &'a self,
        connection: &'a mut SqlConnection,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            let output = self.change.apply(&mut *connection).await?;
            if let Some(record) = self.change.record(&output) {
                changes::insert(connection, &record, &self.kept).await?;
            }
            *self.progress.lock() = Progress::Applied(output);
            Ok(())
        })
    }

    fn locks(&self, locks: &mut Locks) {
        self.change.locks(locks);
    }

    fn may_use_reserve(&self) -> bool {
        self.change.may_use_reserve()
    }

    fn answer(&self, committed: Result<(), Error>) {
        let mut progress = self.progress.lock();
        let answer = match (committed, mem::replace(&mut *progress, Progress::Taken)) {
            (Err(error), _) => Err(error),
            (Ok(()), Progress::Applied(output)) => Ok(output),
            (Ok(()), _) => Err(ended()),
        };
        *progress = Progress::Answered(answer);
        self.answered.notify_one();
    }

    fn abandon(&self) {
        let mut progress = self.progress.lock();
        if matches!(*progress, Progress::Waiting | Progress::Applied(_)) {
            *progress = Progress::Answered(Err(ended()));
            self.answered.notify_one();
        }
    }
}

impl<C: Change> PendingChange<C> {
    async fn answer(&self) -> Result<C::Output, Error> {
        self.answered.notified().await;
        match mem::replace(&mut *self.progress.lock(), Progress::Taken) {
            Progress::Answered(answer) => answer,
            _ => Err(ended()),
        }
    }
}

fn ended() -> Error {
    Error::Unavailable("the task that writes has ended".into())
}
