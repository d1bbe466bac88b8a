//! Modules that could not be loaded. A failure is remembered for a while, and only one attempt is made at a time, so
//! that not every call of such a function costs a compile.

use crate::status;
use http::StatusCode;
use iof_fault::Fault;
use quick_cache::sync::Cache;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// The time for which a failure is remembered. Its cause, such as a setting or a full disk, may be fixed without a new
/// version.
const KEPT: Duration = Duration::from_secs(30);
/// The most failures that are remembered; the least used are dropped.
const MOST: usize = 1000;
/// The number of attempts that can be made at a time, each for different modules.
const TURNS: usize = 16;

/// Remembered failures, by the digest of the module.
pub(super) struct Failures {
    known: Cache<[u8; 32], (Instant, Fault)>,
    turns: [Mutex<()>; TURNS],
}

impl Failures {
    pub(super) fn new() -> Self {
        Self {
            known: Cache::new(MOST),
            turns: [const { Mutex::const_new(()) }; TURNS],
        }
    }

    /// Checks whether the last attempt failed recently.
    ///
    /// # Errors
    /// The fault of that attempt.
    pub(super) fn check(&self, sha256: &[u8; 32]) -> Result<(), Fault> {
        match self.known.get(sha256) {
            Some((at, fault)) if at.elapsed() < KEPT => Err(fault),
            _ => Ok(()),
        }
    }

    /// Waits for the turn to make the next attempt.
    pub(super) async fn turn(&self, sha256: &[u8; 32]) -> MutexGuard<'_, ()> {
        let [first, ..] = *sha256;
        self.turns[usize::from(first) % TURNS].lock().await
    }

    /// Remembers why an attempt failed, unless the failure was temporary.
    pub(super) fn note(&self, sha256: [u8; 32], fault: &Fault) {
        if status::of(fault.kind) != StatusCode::SERVICE_UNAVAILABLE {
            self.known.insert(sha256, (Instant::now(), fault.clone()));
        }
    }
}
