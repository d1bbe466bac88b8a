//! The audit log: who changed what, when, and through which surface.
//!
//! A change of rows that is made for a person is recorded by the writer itself, in the transaction of the change: each
//! kind of change has to say what the record has of it (`sqlite::change::Change::record`), so that none is made without.
//! The author comes with the store that makes the change ([`Store::by`]); without one, it is this program.
//!
//! Two limits bound the record. That of one function exists because the holder of one function's key could otherwise
//! push out what others did.

use std::sync::Arc;

use super::Store;
use crate::error::Error;
use crate::model::{Author, ChangeLimits, ChangeQuery, ChangeRecord};
use crate::rows::Changes as _;

impl Store {
    /// This store, whose changes are recorded as those of `author`.
    #[must_use]
    pub fn by(&self, author: Author) -> Self {
        Self(Arc::clone(&self.0), Some(Arc::new(author)))
    }

    /// The author of the changes of this store.
    pub(super) fn author(&self) -> Author {
        self.1
            .as_ref()
            .map_or(Author::PROGRAM, |author| (**author).clone())
    }

    /// Sets how many changes are kept. Those beyond are removed with the next change.
    pub fn keep_changes(&self, limits: ChangeLimits) {
        self.rows().keep_changes(limits);
    }

    /// The changes that match `query`, the newest first. Those of functions that were deleted are among them.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the limit is not 1 to 1001, and the errors of [`Store::function`].
    pub async fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeRecord>, Error> {
        query.check()?;
        self.rows().changes(query).await
    }
}
