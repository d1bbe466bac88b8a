//! The state that the nodes of a fleet share: how changes of others reach this one, and its knowledge without the database.
//!
//! Keys of the API are looked up with each call that carries one, so a node of a fleet keeps those that it has seen, until
//! the catalogue changes. Texts that are no key are not kept: nobody fills the memory with them.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Store;
use crate::key::KeyHash;
use crate::model::ApiKey;
use crate::rows::Rows;

/// The most keys that are kept: all that there can be.
const KEYS: usize = crate::model::MAX_API_KEYS;

/// The keys that this node has seen.
#[derive(Default)]
pub(super) struct SeenKeys {
    /// The number of changes, and the keys that were read since the last.
    seen: Mutex<(u64, HashMap<[u8; 32], ApiKey>)>,
}

impl SeenKeys {
    /// The key, unless it is to be read; and what [`SeenKeys::keep`] takes.
    pub(super) fn get(&self, hash: &KeyHash, now: i64) -> Result<ApiKey, u64> {
        let seen = self.seen.lock();
        let key = seen.1.get(hash.as_bytes());
        let valid = key.filter(|key| key.expires_at.is_none_or(|end| end > now));
        valid.cloned().ok_or(seen.0)
    }

    /// Keeps a key that was read, unless the catalogue has changed since `before`.
    pub(super) fn keep(&self, before: u64, hash: &KeyHash, key: &ApiKey) {
        let mut seen = self.seen.lock();
        if seen.0 == before {
            if seen.1.len() >= KEYS {
                seen.1.clear();
            }
            seen.1.insert(*hash.as_bytes(), key.clone());
        }
    }

    fn forget(&self) {
        let mut seen = self.seen.lock();
        seen.0 += 1;
        seen.1.clear();
    }
}

impl Store {
    /// True if other nodes may change what this one serves.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.shared
    }

    /// Calls `changed` whenever another node, or this one, has changed what calls are served from: with the functions
    /// that changed, or `None` if it may be any. Nothing happens with a database that one server uses. To be called once.
    pub fn on_change(&self, changed: impl Fn(Option<&[i64]>) + Send + Sync + 'static) {
        let Rows::Postgres(rows) = self.rows() else {
            return;
        };
        let store = Arc::downgrade(&self.0);
        rows.catalogue().on_change(Box::new(move |functions| {
            if let Some(store) = store.upgrade() {
                store.keys.forget();
            }
            changed(functions);
        }));
    }

    /// The time since the database of a fleet last answered, once it is longer than `store.stale_limit`: changes are
    /// refused until it answers again.
    #[must_use]
    pub fn stale(&self) -> Option<Duration> {
        match self.rows() {
            Rows::Sqlite(_) => None,
            Rows::Postgres(rows) => rows.catalogue().stale(),
        }
    }
}
