//! Tests of the answer to a change, with a database in memory.

use std::sync::Arc;

use sqlx::{Connection as _, SqliteConnection};

use super::change::{Change, Queued};
use super::error::Result;
use crate::error::Error;
use crate::model::NewRecord;

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
