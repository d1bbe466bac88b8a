//! Clocks of WASI for a call with a tape.

use crate::capability::clock;
use crate::tape::HostCallTape;
use std::time::{Duration, Instant};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The time of day.
pub(super) struct WallClock(pub(super) HostCallTape);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        clock::wall(&self.0)
    }
}

/// The monotonic clock.
pub(super) struct MonotonicClock {
    pub(super) tape: HostCallTape,
    pub(super) began: Instant,
}

impl HostMonotonicClock for MonotonicClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        clock::monotonic(&self.tape, self.began)
    }
}
