//! The migration of CPU-bound calls from the thread where they began to the threads for such calls.

use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// A request that is answered on the thread of its connection, unless its call proves CPU-bound and would make others
/// wait: then it moves to the runtime of such calls.
pub(crate) enum MigratingRequest<F: Future> {
    Here(Pin<Box<F>>, Handle),
    Away(AbortOnDropHandle<F::Output>),
    /// A temporary state within one poll, without a future.
    Gone,
}

impl<F: Future> MigratingRequest<F> {
    pub(crate) fn new(future: F, compute: Handle) -> Self {
        Self::Here(Box::pin(future), compute)
    }
}

impl<F> Future for MigratingRequest<F>
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
            if let Self::Here(future, compute) = std::mem::replace(&mut *self, Self::Gone) {
                *self = Self::Away(AbortOnDropHandle::new(compute.spawn(future)));
            }
        }
        let Self::Away(task) = &mut *self else {
            return Poll::Pending;
        };
        match ready!(Pin::new(task).poll(cx)) {
            Ok(output) => Poll::Ready(output),
            // The panic continues here, where the future would have been polled.
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            // The runtime is being dropped.
            Err(_) => Poll::Pending,
        }
    }
}
