//! The state of the task that makes jobs of times, which other parts of the server share with it.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// The state that other parts of the server share with the task.
#[derive(Default)]
pub(crate) struct Scheduling {
    /// Notified when schedules have changed.
    pub(crate) changed: Notify,
    pub(super) queued: AtomicU64,
    pub(super) missed: AtomicU64,
}

impl Scheduling {
    /// The times that became jobs, and those that were left out, since the server's start.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let load = |of: &AtomicU64| of.load(Ordering::Relaxed);
        (load(&self.queued), load(&self.missed))
    }
}
