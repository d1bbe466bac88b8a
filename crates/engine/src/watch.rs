//! Detection of polls that an epoch tick cut short, so that a runtime of one thread a core can move a call that computes
//! for long to another.

use std::cell::Cell;
use std::task::Poll;

thread_local! {
    static COMPUTES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `poll`, and says whether a call in it handed over its core because it computes for long.
pub fn watched<T>(poll: impl FnOnce() -> T) -> (T, bool) {
    COMPUTES.set(false);
    let polled = poll();
    (polled, COMPUTES.get())
}

/// Lets a call go on elsewhere, because what follows takes long: polled by [`watched`], it counts as one that computes.
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

/// Notes that the call that is being polled on this thread computes for long.
pub(crate) fn note() {
    COMPUTES.set(true);
}
