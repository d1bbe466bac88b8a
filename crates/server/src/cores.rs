//! Where connections are served: a thread for each core, with a runtime of its own, beside the runtime that all share.
//!
//! A connection stays on the thread that it was given to, and so does what its calls do: a short call is read, run and
//! answered by one thread, which wakes no other and shares no queue with it. A runtime whose threads take tasks from
//! each other pays for that with every call (docs/decisions/0020). What such a runtime is better at is left to it: a
//! call that a tick of the engine finds computing for long moves there ([`Roaming`]), and so do the streams of an
//! HTTP/2 connection, of which one connection has many.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::thread::JoinHandle;
use std::{io, panic};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

/// The threads. Dropped, they end, and what still runs on them is broken off.
pub struct Cores(Vec<Core>);

struct Core {
    runtime: Handle,
    /// Connections that it serves.
    open: Arc<AtomicUsize>,
    /// Dropped, it tells the thread to end.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A core that serves one connection more, until this is dropped.
pub(crate) struct Seat {
    pub(crate) runtime: Handle,
    open: Arc<AtomicUsize>,
}

impl Cores {
    /// Starts a thread for each core that this process may use.
    ///
    /// # Errors
    /// The system has no thread, or no poll, left.
    pub fn start() -> io::Result<Self> {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        (0..count)
            .map(Core::start)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// A seat on the core with the fewest connections.
    pub(crate) fn seat(&self) -> Option<Seat> {
        let fewest = |core: &&Core| core.open.load(Ordering::Relaxed);
        let core = self.0.iter().min_by_key(fewest)?;
        core.open.fetch_add(1, Ordering::Relaxed);
        Some(Seat {
            runtime: core.runtime.clone(),
            open: Arc::clone(&core.open),
        })
    }
}

impl Core {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(format!("iof-core-{number}"))
            .spawn(move || {
                // An error is the sender's end, which is what is waited for.
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

impl Drop for Core {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // An error would be its panic, already printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is answered on its connection's thread, unless its call computes for so long that others should not
/// wait for it: then it goes on in the shared runtime.
pub(crate) enum Roaming<F: Future> {
    Here(Pin<Box<F>>, Handle),
    Away(AbortOnDropHandle<F::Output>),
    /// In between, and nothing is left to be polled.
    Gone,
}

impl<F: Future> Roaming<F> {
    pub(crate) fn new(future: F, shared: Handle) -> Self {
        Self::Here(Box::pin(future), shared)
    }
}

impl<F> Future for Roaming<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Self::Here(future, _) = &mut *self {
            let (polled, computes) = iof_engine::watched(|| future.as_mut().poll(cx));
            if polled.is_ready() || !computes {
                return polled;
            }
            if let Self::Here(future, shared) = std::mem::replace(&mut *self, Self::Gone) {
                *self = Self::Away(AbortOnDropHandle::new(shared.spawn(future)));
            }
        }
        let Self::Away(task) = &mut *self else {
            return Poll::Pending;
        };
        match ready!(Pin::new(task).poll(cx)) {
            Ok(output) => Poll::Ready(output),
            // Where the future would have been polled, it would have panicked.
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            // The shared runtime is being dropped, and with it everything.
            Err(_) => Poll::Pending,
        }
    }
}
