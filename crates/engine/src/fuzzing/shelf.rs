//! An in-memory storage of values, for tests.

use crate::capability::storage::{
    Committed, KEY, Storage, StorageBatch, StorageWrite, Updated, ValueChange,
};
use async_trait::async_trait;
use bytes::Bytes;
use iof_fault::Fault;
use parking_lot::Mutex;
use std::collections::HashMap;

/// An in-memory storage: values with their names.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<HashMap<[u8; KEY], NamedValue>>);

/// A name, if it has one, and a value.
type NamedValue = (Option<Bytes>, Bytes);

#[async_trait]
impl Storage for Shelf {
    async fn load(&self, _: i64, key: &[u8; KEY]) -> Result<Option<Bytes>, Fault> {
        let shelf = self.0.lock();
        Ok(shelf.get(key).map(|(_, value)| value.clone()))
    }

    async fn save(
        &self,
        _: i64,
        (key, name): ([u8; KEY], Option<Bytes>),
        value: Bytes,
        total: u64,
    ) -> Result<bool, Fault> {
        let mut shelf = self.0.lock();
        if shelf.len() as u64 > total / 4096 {
            return Ok(false);
        }
        shelf.insert(key, (name, value));
        Ok(true)
    }

    async fn remove(&self, _: i64, key: [u8; KEY]) -> Result<bool, Fault> {
        let mut shelf = self.0.lock();
        Ok(shelf.remove(&key).is_some())
    }

    async fn commit(&self, _: i64, batch: StorageBatch, _: u64) -> Result<Committed, Fault> {
        let mut shelf = self.0.lock();
        let value = |key| shelf.get(key).map(|(_, value)| value.clone());
        if batch
            .expected
            .iter()
            .any(|(key, expected)| value(key) != *expected)
        {
            return Ok(Committed::Conflict);
        }
        for StorageWrite {
            key, name, value, ..
        } in batch.writes
        {
            match value {
                Some(value) => shelf.insert(key, (Some(name), value)),
                None => shelf.remove(&key),
            };
        }
        Ok(Committed::Stored)
    }

    async fn update(
        &self,
        _: i64,
        (key, name): ([u8; KEY], Bytes),
        change: ValueChange,
        _: u64,
    ) -> Result<Updated, Fault> {
        let mut shelf = self.0.lock();
        let Some(value) = change(shelf.get(&key).map(|(_, value)| value.clone())) else {
            return Ok(Updated::Unchanged);
        };
        shelf.insert(key, (Some(name), value.clone()));
        Ok(Updated::Stored(value))
    }

    async fn names(
        &self,
        _: i64,
        prefix: &[u8],
        after: &[u8],
        limit: u32,
    ) -> Result<Vec<Bytes>, Fault> {
        let shelf = self.0.lock();
        let names = shelf.values().filter_map(|(name, _)| name.clone());
        let mut names: Vec<_> = names
            .filter(|name| name.starts_with(prefix) && &name[..] > after)
            .collect();
        names.sort();
        names.truncate(limit as usize);
        Ok(names)
    }
}
