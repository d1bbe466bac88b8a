//! The engine's storage, kept in the store: a function's values are rows under its number.

use crate::functions::store_fault;
use async_trait::async_trait;
use bytes::Bytes;
use iof_engine::{Fault, Storage};
use iof_store::{Saved, Store};

/// Values of functions.
pub struct Values(pub Store);

#[async_trait]
impl Storage for Values {
    async fn load(&self, function: &str, key: &[u8; 32]) -> Result<Option<Bytes>, Fault> {
        let id = id(function)?;
        self.0.load_value(id, key).await.map_err(store_fault)
    }

    async fn save(
        &self,
        function: &str,
        key: [u8; 32],
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault> {
        let saved = self.0.save_value(id(function)?, key, value, total).await;
        Ok(matches!(saved.map_err(store_fault)?, Saved::Done))
    }
}

/// Calls carry their function's number as text.
fn id(function: &str) -> Result<i64, Fault> {
    function
        .parse()
        .map_err(|error| Fault::host("The storage failed.", error))
}
