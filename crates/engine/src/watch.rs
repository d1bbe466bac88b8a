//! Detection of polls that an epoch tick cut short, so that a runtime with one thread per core can move a CPU-bound
//! call to another runtime.

use std::cell::Cell;
use std::task::Poll;

thread_local! {
    static COMPUTES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `poll`, and returns whether a call in it yielded its core because it is CPU-bound.
pub fn watched<T>(poll: impl FnOnce() -> T) -> (T, bool) {
    COMPUTES.set(false);
    let polled = poll();
    (polled, COMPUTES.get())
}

/// Lets a call continue elsewhere, because its next step takes long: [`watched`] then counts it as CPU-bound.
pub async fn leave() {
    let mut left = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut left, true) {
            return Poll::Ready(());
        }
        note();
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Marks the call that is being polled on this thread as CPU-bound.
pub(crate) fn note() {
    COMPUTES.set(true);
}
