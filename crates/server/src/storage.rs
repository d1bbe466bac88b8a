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
    async fn load(&self, function: &str, key: &[u8; 32]) -> Result<Option<Bytes>, Fault> {
        let id = id(function)?;
        self.0.load_value(id, key).await.map_err(Fault::from)
    }

    async fn save(
        &self,
        function: &str,
        (key, name): ([u8; 32], Option<Bytes>),
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault> {
        let key = ValueKey { digest: key, name };
        let saved = self.0.save_value(id(function)?, key, value, total).await;
        Ok(matches!(saved?, Saved::Done))
    }

    async fn remove(&self, function: &str, key: [u8; 32]) -> Result<bool, Fault> {
        let removed = self.0.remove_value(id(function)?, key).await;
        removed.map_err(Fault::from)
    }

    async fn names(
        &self,
        function: &str,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault> {
        let names = self
            .0
            .value_names(id(function)?, prefix, after, limit)
            .await;
        names.map_err(Fault::from)
    }
}

/// Calls carry their function's number as text.
fn id(function: &str) -> Result<i64, Fault> {
    function
        .parse()
        .map_err(|error| Fault::host("The storage failed.", error))
}
