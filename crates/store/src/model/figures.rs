//! Figures of the store's own work.

use std::time::Duration;

/// The changes that wait at a moment, and the commits since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteFigures {
    /// Changes that wait for a commit.
    pub waiting: usize,
    /// Transactions that were committed.
    pub committed: u64,
    /// Transactions that failed.
    pub failed: u64,
    /// The time of all of them.
    pub time: Duration,
}
