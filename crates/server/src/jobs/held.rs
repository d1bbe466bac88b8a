//! The leases that this server has, of the jobs that it runs.

use super::JobEnds;
use crate::calls::CallStart;
use iof_store::{Lease, Store};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A job that this server runs.
struct HeldJob {
    start: Arc<CallStart>,
    /// Ends the attempt.
    end: CancellationToken,
}

/// The jobs that this server runs, by their leases.
#[derive(Default)]
pub(super) struct HeldJobs(Mutex<HashMap<Lease, HeldJob>>);

impl HeldJobs {
    /// Adds a job, and returns its beginning and what ends it early.
    pub(super) fn add(&self, lease: Lease) -> (Arc<CallStart>, CancellationToken) {
        let (start, end) = (Arc::<CallStart>::default(), CancellationToken::new());
        let held = HeldJob {
            start: Arc::clone(&start),
            end: end.clone(),
        };
        self.0.lock().insert(lease, held);
        (start, end)
    }

    pub(super) fn remove(&self, lease: Lease) {
        self.0.lock().remove(&lease);
    }

    pub(super) fn leases(&self) -> Vec<Lease> {
        self.0.lock().keys().copied().collect()
    }

    /// Renews all leases. A job whose lease another owner has is ended.
    pub(super) async fn keep(&self, store: &Store, lease: Duration, ends: &JobEnds) {
        let leases = self.leases();
        if leases.is_empty() {
            return;
        }
        let milliseconds = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
        match store.keep_leases(leases, milliseconds).await {
            Ok(lost) => {
                for lease in lost {
                    // A job that ended meanwhile is not held any more.
                    if let Some(held) = self.0.lock().remove(&lease) {
                        tracing::warn!(job = %lease.id, "a job has another owner, or is gone; its attempt here ends");
                        ends.fence();
                        held.end.cancel();
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the leases of jobs could not be renewed"),
        }
    }

    /// Hands back the jobs that have not begun, and ends their attempts.
    pub(super) async fn return_waiting(&self, store: &Store) {
        let waiting: Vec<_> = {
            let held = self.0.lock();
            let waiting = held.iter().filter(|(_, held)| held.start.give_back());
            waiting
                .map(|(lease, held)| (*lease, held.end.clone()))
                .collect()
        };
        if waiting.is_empty() {
            return;
        }
        let leases = waiting.iter().map(|(lease, _)| *lease).collect();
        match store.return_jobs(leases).await {
            Ok(jobs) => tracing::info!(jobs, "jobs that had not begun are handed back"),
            Err(error) => tracing::error!(%error, "jobs could not be handed back"),
        }
        for (lease, end) in waiting {
            self.remove(lease);
            end.cancel();
        }
    }
}
