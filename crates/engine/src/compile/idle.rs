//! Compile workers that wait for a module.
//!
//! On a busy server a module finds a worker that is ready; on a quiet one none is kept for longer than [`IDLE`].

use super::process::Worker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The time that a worker waits for its next module.
const IDLE: Duration = Duration::from_secs(30);

/// The workers, the one that worked last at the end.
#[derive(Debug, Default)]
pub(super) struct IdleWorkers(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Each with the time since when it waits.
    workers: Vec<(Instant, Worker)>,
    /// The task that ends workers, while there are any.
    sweeper: Option<JoinHandle<()>>,
}

impl IdleWorkers {
    /// Takes a worker that waits.
    pub(super) fn take(&self) -> Option<Worker> {
        loop {
            let (_, mut worker) = self.state().workers.pop()?;
            if worker.waits() {
                return Some(worker);
            }
        }
    }

    /// Keeps a worker for the next module.
    pub(super) fn put(self: &Arc<Self>, worker: Worker) {
        let mut state = self.state();
        state.workers.push((Instant::now(), worker));
        if state.sweeper.is_none() {
            state.sweeper = Some(tokio::spawn(sweep(Arc::downgrade(self))));
        }
    }

    /// Ends the workers beyond this number, those first that have waited longest.
    pub(super) fn keep(&self, most: usize) {
        let mut state = self.state();
        let over = state.workers.len().saturating_sub(most);
        state.workers.drain(..over);
    }

    /// Ends the workers that have waited long enough, and returns when the next one will have; `None` when none is left.
    fn sweep(&self) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        state.workers.retain(|(since, _)| *since + IDLE > now);
        let next = state.workers.first().map(|(since, _)| *since + IDLE);
        if next.is_none() {
            state.sweeper = None;
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for IdleWorkers {
    fn drop(&mut self) {
        if let Some(sweeper) = self.state().sweeper.take() {
            sweeper.abort();
        }
    }
}

async fn sweep(workers: Weak<IdleWorkers>) {
    let mut wait = Instant::now() + IDLE;
    loop {
        tokio::time::sleep_until(wait).await;
        match workers.upgrade().and_then(|workers| workers.sweep()) {
            Some(next) => wait = next,
            None => return,
        }
    }
}
