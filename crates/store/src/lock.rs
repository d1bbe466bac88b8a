//! Locks of this crate, usable after a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, poisoned or not: the values behind the locks of this crate are replaced whole, so a panic
/// elsewhere cannot have left one half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
