//! The threads of CPU-bound calls.

use rustix::process::setpriority_process;
use std::io;
use tokio::runtime::{Builder, Handle, Runtime};

/// The priority of the threads (0 is usual, 19 the least). While others have work, these get a quarter of a core.
const NICE: i32 = 5;

/// Threads, one for each core, with a lower priority than all other threads of the server: a CPU-bound call gets the
/// time that short calls leave.
///
/// When these are dropped, the threads end as soon as their calls yield, and calls that still run on them are aborted.
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
                // Sets the priority of this thread only: to Linux, each thread is a process here. If refused, the
                // thread keeps the usual priority.
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
            // A runtime may be dropped inside another one, which must not block.
            runtime.shutdown_background();
        }
    }
}
