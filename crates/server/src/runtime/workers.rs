//! Worker threads: one for each core, with a runtime of its own; a connection stays on the thread to which it is
//! assigned. CPU-bound calls have other threads.

use super::compute::ComputeThreads;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The worker threads. When these are dropped, the threads end, and tasks that still run on them are aborted.
pub struct WorkerThreads {
    /// The workers, one for each core.
    workers: Vec<Worker>,
    /// Declared after the workers, because the calls that they wait for run there.
    compute: ComputeThreads,
}

struct Worker {
    runtime: Handle,
    /// The connections that the worker serves.
    open: Arc<AtomicUsize>,
    /// Tells the thread to end when dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A connection that counts for its worker until this is dropped.
pub(crate) struct ConnectionGuard {
    pub(crate) runtime: Handle,
    open: Arc<AtomicUsize>,
}

impl WorkerThreads {
    /// Starts a thread for each core that this process may use, and another for its CPU-bound calls.
    ///
    /// # Errors
    /// An error if the system refuses a thread or an event queue.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            workers: (0..count).map(Worker::start).collect::<io::Result<_>>()?,
            compute: ComputeThreads::start()?,
        })
    }

    /// The runtime of CPU-bound calls.
    pub(crate) fn compute(&self) -> &Handle {
        self.compute.handle()
    }

    /// Assigns a connection to the worker with the fewest connections.
    pub(crate) fn assign(&self) -> Option<ConnectionGuard> {
        let fewest = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        let worker = self.workers.iter().min_by_key(fewest)?;
        worker.open.fetch_add(1, Ordering::Relaxed);
        Some(ConnectionGuard {
            runtime: worker.runtime.clone(),
            open: Arc::clone(&worker.open),
        })
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("iof-core-{number}"))
            .spawn(move || {
                // An error means that the sender was dropped, which is the signal to end.
                let _ = runtime.block_on(stopped);
            })?;
        Ok(Self {
            runtime: handle,
            open: Arc::default(),
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // An error is the thread's panic, which is already printed.
            let _ = thread.join();
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}
