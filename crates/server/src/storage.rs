//! The engine's storage, kept in the store: a function's values are rows under its number.

use async_trait::async_trait;
use bytes::Bytes;
use iof_engine::Storage;
use iof_fault::Fault;
use iof_store::{Saved, Store, ValueKey};

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
