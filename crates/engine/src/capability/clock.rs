//! Clocks of a call with a tape. Without a tape, a guest reads the system's clocks directly.

use crate::tape::{ClockKind, HostCallTape};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time since 1970.
pub(crate) fn wall(tape: &HostCallTape) -> Duration {
    Duration::from_nanos(tape.time(ClockKind::Wall, || {
        nanoseconds(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        )
    }))
}

/// Nanoseconds since the call began.
pub(crate) fn monotonic(tape: &HostCallTape, began: Instant) -> u64 {
    tape.time(ClockKind::Monotonic, || nanoseconds(began.elapsed()))
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
