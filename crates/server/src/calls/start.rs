//! The beginning of a call, for calls that may be handed back before it.

use std::sync::atomic::{AtomicU8, Ordering};

/// The beginning of a call that runs later, which its function and a stop of the server compete for.
#[derive(Debug, Default)]
pub(crate) struct CallStart(AtomicU8);

const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const RETURNED: u8 = 2;

impl CallStart {
    /// Begins the call. Never returns if it was handed back.
    pub(crate) async fn begin(&self) {
        if self.change(BEGUN) || self.begun() {
            return;
        }
        std::future::pending::<()>().await;
    }

    /// Returns whether the call has begun.
    pub(crate) fn begun(&self) -> bool {
        self.0.load(Ordering::Acquire) == BEGUN
    }

    /// Returns `true` if the call had not begun, and now never will.
    pub(crate) fn give_back(&self) -> bool {
        self.change(RETURNED)
    }

    fn change(&self, to: u8) -> bool {
        self.0
            .compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
