//! Changes of rows, each a type with its own output, and their common form in the writer's queue.
//!
//! In the queue the type is erased ([`Queued`]), so that a feature adds a change without touching the writer. The
//! change, its output and the waiting caller share one allocation, which a `oneshot` channel would need for the caller
//! by itself; the future that applies the change is a second one, and the only one that a closed enum of changes would
//! not have. Compared with the flush of the disk that follows, neither can be measured.

use parking_lot::Mutex;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;

use sqlx::SqliteConnection;
use tokio::sync::Notify;

use super::changes::{self, KeptChanges};
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
        connection: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Output>> + Send;

    /// The entry of the audit log, which the writer adds within the same transaction. `None` if nothing changed,
    /// and for what functions, their callers and the server itself write, which is not a change that a person makes.
    fn record(&self, output: &Self::Output) -> Option<NewRecord>;

    /// True for a delete or a revocation, which may use the reserve of a full disk ([`crate::room`]). What it deletes
    /// bounds how often that is. No function can cause one.
    fn may_use_reserve(&self) -> bool {
        false
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
    pub(super) async fn apply(&self, connection: &mut SqliteConnection) -> Result<()> {
        self.0.apply(connection).await
    }

    /// See [`Change::may_use_reserve`].
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
        connection: &'a mut SqliteConnection,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

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
        connection: &'a mut SqliteConnection,
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

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection as _;

    /// A change of no rows, which succeeds or fails.
    struct Try(bool);

    impl Change for Try {
        type Output = u8;

        async fn apply(&self, _: &mut SqliteConnection) -> Result<u8> {
            if self.0 {
                Ok(7)
            } else {
                Err(Error::Busy.into())
            }
        }

        fn record(&self, _: &u8) -> Option<NewRecord> {
            None
        }
    }

    async fn applied(works: bool) -> (Queued, impl Future<Output = Result<u8, Error>>) {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let (queued, answer) = Queued::new(Try(works), Arc::default());
        assert_eq!(queued.apply(&mut connection).await.is_ok(), works);
        (queued, answer)
    }

    #[tokio::test]
    async fn an_output_is_an_answer_once_it_is_committed() {
        let (queued, answer) = applied(true).await;
        queued.answer(Ok(()));
        assert_eq!(answer.await.unwrap(), 7);

        let (queued, answer) = applied(true).await;
        queued.answer(Err(Error::Closed));
        assert_eq!(answer.await.unwrap_err().code(), "closed");
    }

    #[tokio::test]
    async fn a_change_that_the_writer_lost_is_not_acknowledged() {
        for works in [true, false] {
            let (queued, answer) = applied(works).await;
            drop(queued);
            assert_eq!(answer.await.unwrap_err().code(), "unavailable");
        }
    }
}
