//! The engine's storage, kept in the store: a function's values are rows under its number.

use crate::time::unix_ms;
use async_trait::async_trait;
use bytes::Bytes;
use iof_engine::{Committed, Storage, StorageBatch, Updated, ValueChange};
use iof_fault::Fault;
use iof_store::{Saved, Store, ValueBatch, ValueKey, ValueWrite};
use std::time::{Duration, SystemTime};

/// Values of functions.
pub struct Values(pub Store);

#[async_trait]
impl Storage for Values {
    async fn load(&self, function: i64, key: &[u8; 32]) -> Result<Option<Bytes>, Fault> {
        self.0.load_value(function, key).await.map_err(Fault::from)
    }

    async fn save(
        &self,
        function: i64,
        (key, name): ([u8; 32], Option<Bytes>),
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault> {
        let key = ValueKey { digest: key, name };
        let saved = self.0.save_value(function, key, value, total).await;
        Ok(matches!(saved?, Saved::Stored))
    }

    async fn remove(&self, function: i64, key: [u8; 32]) -> Result<bool, Fault> {
        let removed = self.0.remove_value(function, key).await;
        removed.map_err(Fault::from)
    }

    async fn commit(
        &self,
        function: i64,
        batch: StorageBatch,
        total: u64,
    ) -> Result<Committed, Fault> {
        let writes = batch.writes.into_iter().map(|write| ValueWrite {
            key: named(write.key, write.name),
            value: write.value,
            expires_at: write.lifetime.map(ends_at),
        });
        let batch = ValueBatch {
            expected: batch.expected,
            writes: writes.collect(),
        };
        let committed = self.0.commit_values(function, batch, total).await;
        Ok(match committed? {
            iof_store::Committed::Stored => Committed::Stored,
            iof_store::Committed::Conflict => Committed::Conflict,
            iof_store::Committed::QuotaExceeded => Committed::NoRoom,
        })
    }

    async fn update(
        &self,
        function: i64,
        (key, name): ([u8; 32], Bytes),
        change: ValueChange,
        total: u64,
    ) -> Result<Updated, Fault> {
        let key = named(key, name);
        let updated = self.0.update_value(function, key, change, total).await;
        Ok(match updated? {
            iof_store::Updated::Stored(value) => Updated::Stored(value),
            iof_store::Updated::Unchanged => Updated::Unchanged,
            iof_store::Updated::QuotaExceeded => Updated::NoRoom,
        })
    }

    async fn names(
        &self,
        function: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault> {
        let names = self.0.value_names(function, prefix, after, limit).await;
        names.map_err(Fault::from)
    }
}

fn named(digest: [u8; 32], name: Bytes) -> ValueKey {
    ValueKey {
        digest,
        name: Some(name),
    }
}

/// The end of a lifetime that begins now; a lifetime beyond the range of the clock never ends.
fn ends_at(lifetime: Duration) -> i64 {
    let end = SystemTime::now().checked_add(lifetime);
    end.map_or(i64::MAX, unix_ms)
}
