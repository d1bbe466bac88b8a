//! Recorded changes that depend on current values: batches, and additions to numbers.

use super::responses::{RecordedAdd, RecordedCommit};
use super::{HostCallTape, lock};
use crate::blob::Blob;
use crate::capability::storage::StorageBatch;
use bytes::Bytes;

impl HostCallTape {
    /// The recorded outcome of a batch: true if it was committed; `None` while recording. A batch that was not recorded
    /// counts as committed.
    pub(crate) fn play_commit(&self, text: &Bytes, batch: &StorageBatch) -> Option<bool> {
        let mut cursor = lock(self.0.play.as_ref()?);
        let same = |commit: &RecordedCommit| commit.batch.0 == text;
        let at = cursor.left.commits.iter().position(same);
        let made = at.is_none_or(|at| cursor.left.commits.remove(at).made);
        if made {
            for write in &batch.writes {
                // On a tape, a removed value is one without bytes.
                let value = write.value.clone().unwrap_or_default();
                cursor
                    .stored
                    .insert(Bytes::copy_from_slice(&write.key), value);
            }
        }
        Some(made)
    }

    /// Records a batch, and the values that it stored.
    pub(crate) fn note_commit(&self, text: &Bytes, batch: &StorageBatch, made: bool) {
        self.note(text.len() + 32, |responses| {
            responses.commits.push(RecordedCommit {
                batch: Blob(text.clone()),
                made,
            });
        });
        for write in batch.writes.iter().filter(|_| made) {
            self.note_save(&write.key, write.value.clone().unwrap_or_default(), true);
        }
    }

    /// The recorded sum of a number, or one computed from values that this run has stored; `None` while recording.
    pub(crate) fn play_add(
        &self,
        key: &[u8],
        delta: i64,
        change: impl Fn(Option<Bytes>) -> Option<Bytes>,
    ) -> Option<Option<Bytes>> {
        let mut cursor = lock(self.0.play.as_ref()?);
        let same = |add: &RecordedAdd| add.key.0 == key && add.delta == delta;
        let at = cursor.left.adds.iter().position(same);
        let value = match at {
            Some(at) => cursor.left.adds.remove(at).value.map(|value| value.0),
            None => {
                let stored = cursor.stored.get(key).cloned();
                change(stored.filter(|stored| !stored.is_empty()))
            }
        };
        if let Some(value) = &value {
            cursor
                .stored
                .insert(Bytes::copy_from_slice(key), value.clone());
        }
        Some(value)
    }

    /// Records the sum of an addition; `None` if there was none.
    pub(crate) fn note_add(&self, key: &[u8], delta: i64, value: Option<&Bytes>) {
        self.note(key.len() + value.map_or(0, Bytes::len) + 40, |responses| {
            responses.adds.push(RecordedAdd {
                key: Blob(Bytes::copy_from_slice(key)),
                delta,
                value: value.cloned().map(Blob),
            });
        });
        if let Some(value) = value {
            self.note_save(key, value.clone(), true);
        }
    }
}
