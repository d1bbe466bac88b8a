//! The threads of CPU-bound calls.

use rustix::process::setpriority_process;
use std::io;
use tokio::runtime::{Builder, Handle, Runtime};

/// The niceness of the threads (0 is the default, 19 the lowest priority). While other threads have work, these get a
/// quarter of a core.
const NICE: i32 = 5;

/// Threads, one for each core, with a lower priority than all other threads of the server: a CPU-bound call gets the
/// time that short calls leave over.
///
/// The threads end after these are dropped, as soon as their calls yield, and calls that still run on them are aborted.
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
                // On Linux, this sets the priority of this thread only. If it is refused, the thread keeps the default
                // priority.
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
            // A runtime may be dropped inside another one, where it must not block.
            runtime.shutdown_background();
        }
    }
}
