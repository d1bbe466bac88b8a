//! Functions of every shape that the attribute `#[iof::function]` takes, and of every capability.

#![deny(unsafe_code)]

mod counts;
mod echo;
mod fail;
mod reach;
mod web;

use std::sync::atomic::{AtomicU32, Ordering};

/// Set once, when the module is uploaded.
static PRIMED: AtomicU32 = AtomicU32::new(0);

#[iof::prime]
fn prepare() {
    PRIMED.fetch_add(1, Ordering::Relaxed);
}

/// The number of times that this instance was primed: once, at the upload.
#[iof::function]
fn primed() -> u32 {
    PRIMED.load(Ordering::Relaxed)
}

/// Like `primed`, and counts itself: each call has an instance of its own, so the answer is always 2.
#[iof::function]
fn primed_and_called() -> u32 {
    PRIMED.fetch_add(1, Ordering::Relaxed) + 1
}
