//! Idle compile workers.
//!
//! On a busy server a module finds an idle worker; on a quiet server no worker is kept longer than [`IDLE`].

use super::process::CompileWorker;
use parking_lot::{Mutex, MutexGuard};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The time that a worker waits for its next module.
pub(super) const IDLE: Duration = Duration::from_secs(30);

/// The idle workers, each kept for at most the same time.
#[derive(Debug)]
pub(super) struct IdleWorkers {
    time: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The workers, each with its deadline, in the order of their last use.
    workers: Vec<(Instant, CompileWorker)>,
    /// True while a task that ends workers runs; it runs as long as there are any.
    sweeps: bool,
    /// The task, and one that has just ended; dropped with the set.
    sweepers: JoinSet<()>,
}

impl IdleWorkers {
    pub(super) fn new(time: Duration) -> Arc<Self> {
        Arc::new(Self {
            time,
            state: Mutex::default(),
        })
    }

    /// Takes an idle worker.
    pub(super) fn take(&self) -> Option<CompileWorker> {
        loop {
            let (_, mut worker) = self.state().workers.pop()?;
            if worker.waits() {
                return Some(worker);
            }
        }
    }

    /// Keeps a worker for the next module.
    pub(super) fn put(self: &Arc<Self>, worker: CompileWorker) {
        let mut state = self.state();
        let end = Instant::now() + self.time;
        state.workers.push((end, worker));
        if !state.sweeps {
            state.sweeps = true;
            while state.sweepers.try_join_next().is_some() {}
            state.sweepers.spawn(sweep(Arc::downgrade(self), end));
        }
    }

    /// Ends all workers but `most`, the longest idle first.
    pub(super) fn keep(&self, most: usize) {
        let mut state = self.state();
        let over = state.workers.len().saturating_sub(most);
        state.workers.drain(..over);
    }

    /// Ends the workers whose deadline has passed, and returns the next deadline; `None` when none is left.
    fn sweep(&self) -> Option<Instant> {
        let mut state = self.state();
        let now = Instant::now();
        state.workers.retain(|(end, _)| *end > now);
        let next = state.workers.first().map(|(end, _)| *end);
        if next.is_none() {
            state.sweeps = false;
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

async fn sweep(workers: Weak<IdleWorkers>, mut next: Instant) {
    loop {
        tokio::time::sleep_until(next).await;
        match workers.upgrade().and_then(|workers| workers.sweep()) {
            Some(end) => next = end,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process, test_kill_process};

    /// A process that waits, as a worker does.
    fn worker() -> (CompileWorker, Pid) {
        let command = ["/bin/sh", "-c", "read line"].map(Into::into);
        let worker = CompileWorker::start(&command, "").unwrap();
        let pid = worker.pid().unwrap();
        (worker, Pid::from_raw(pid.cast_signed()).unwrap())
    }

    async fn gone(pid: Pid) {
        let gone = async {
            while test_kill_process(pid).is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_worker_ends_when_its_time_is_over() {
        let idle = IdleWorkers::new(Duration::from_millis(200));
        for _ in 0..2 {
            let (first, first_pid) = worker();
            let (second, second_pid) = worker();
            idle.put(first);
            idle.put(second);
            assert!(test_kill_process(first_pid).is_ok());
            gone(first_pid).await;
            gone(second_pid).await;
            assert!(idle.take().is_none());
        }
    }

    #[tokio::test]
    async fn the_last_worker_is_taken_first_and_a_dead_one_never() {
        let idle = IdleWorkers::new(IDLE);
        let ((first, first_pid), (second, second_pid)) = (worker(), worker());
        idle.put(first);
        idle.put(second);
        let taken = idle.take().unwrap();
        assert_eq!(
            taken.pid(),
            u32::try_from(second_pid.as_raw_nonzero().get()).ok()
        );
        idle.put(taken);
        idle.keep(1);
        gone(first_pid).await;
        kill_process(second_pid, Signal::KILL).unwrap();
        // The process is a zombie until the parent waits for it.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(idle.take().is_none());
    }

    #[tokio::test]
    async fn workers_end_with_their_keeper() {
        let idle = IdleWorkers::new(IDLE);
        let (worker, pid) = worker();
        idle.put(worker);
        drop(idle);
        gone(pid).await;
    }
}
