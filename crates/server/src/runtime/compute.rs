//! The threads of calls that compute for long.

use rustix::process::setpriority_process;
use std::io;
use tokio::runtime::{Builder, Handle, Runtime};

/// The priority of the threads (0 is usual, 19 the least). While others have work, these get a quarter of a core.
const NICE: i32 = 5;

/// Threads, one for each core, of a lower priority than all others of the server: a call that computes takes what short
/// calls leave.
///
/// Dropped, they end when their calls hand over the core, and what still runs on them is aborted.
pub(super) struct ComputeThreads {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl ComputeThreads {
    pub(super) fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(count)
            .thread_name("iof-compute")
            .on_thread_start(|| {
                // Of this thread: to Linux, a thread is a process here. Refused, it has the usual priority.
                let _ = setpriority_process(None, NICE);
            })
            .enable_all()
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for ComputeThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Where a runtime is dropped, another may be running, which must not wait.
            runtime.shutdown_background();
        }
    }
}
