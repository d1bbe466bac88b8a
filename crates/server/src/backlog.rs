//! Accounting of the memory of records that wait to be written.
//!
//! Records arrive as fast as calls end, and are written as fast as the disk allows. So the waiting records are bounded
//! in bytes; a record without room is dropped, counted, and reported in the server's own log.

use bytesize::ByteSize;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The bytes of one log's waiting records, and the number of records that were dropped.
pub(crate) struct Backlog {
    /// The name of these records in the server's log.
    records: &'static str,
    /// The setting that bounds their memory.
    setting: &'static str,
    limit: ByteSize,
    /// The bytes of the records that wait.
    held: AtomicUsize,
    /// The number of records that a stop still has to write.
    left: AtomicUsize,
    /// Records that were dropped since the start.
    dropped: AtomicU64,
    /// The number of dropped records that the server's log has reported.
    said: AtomicU64,
    started: Instant,
    /// The time of the earliest next report, in milliseconds since the start.
    quiet_until: AtomicU64,
}

/// The least time between two lines in the server's log.
const QUIET: Duration = Duration::from_secs(10);

impl Backlog {
    pub(crate) fn new(records: &'static str, setting: &'static str, limit: ByteSize) -> Self {
        Self {
            records,
            setting,
            limit,
            held: AtomicUsize::new(0),
            left: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            said: AtomicU64::new(0),
            started: Instant::now(),
            quiet_until: AtomicU64::new(0),
        }
    }

    /// Reserves bytes. Returns `false` if too few are left.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let held = self.held.fetch_add(bytes, Ordering::AcqRel);
        let has_room = held.saturating_add(bytes) as u64 <= self.limit.as_u64();
        if !has_room {
            self.release(bytes);
        }
        has_room
    }

    /// Releases reserved bytes.
    pub(crate) fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Sets the number of records that a stop still has to write. They are counted only at a stop, not when calls end.
    pub(crate) fn set_left(&self, records: usize) {
        self.left.store(records, Ordering::Release);
    }

    /// The number of records that a stop still has to write.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::Acquire)
    }

    /// The bytes of the records that wait.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// Returns whether the records that wait take half of the room or more.
    pub(crate) fn is_half_full(&self) -> bool {
        self.held() as u64 >= self.limit.as_u64() / 2
    }

    /// The number of records that were dropped since the start.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Acquire)
    }

    /// Counts records without room, and reports them at most once in ten seconds.
    pub(crate) fn shed(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::AcqRel);
        self.report();
    }

    /// Counts records that were dropped for another reason, which the caller reports.
    pub(crate) fn lose(&self, records: u64) {
        self.said.fetch_add(records, Ordering::AcqRel);
        self.dropped.fetch_add(records, Ordering::AcqRel);
    }

    /// Reports how many records were dropped since the last report, if that was ten seconds ago.
    pub(crate) fn report(&self) {
        let dropped = self.dropped.load(Ordering::Acquire);
        if dropped == self.said.load(Ordering::Acquire) {
            return;
        }
        let now = milliseconds(self.started.elapsed());
        let quiet_until = self.quiet_until.load(Ordering::Acquire);
        let next = now.saturating_add(milliseconds(QUIET));
        let may_say = now >= quiet_until
            && self
                .quiet_until
                .compare_exchange(quiet_until, next, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        if may_say {
            self.say(dropped);
        }
    }

    /// Reports every unreported drop at the end; `cut_off` more records could not be written before the deadline of the
    /// stop.
    pub(crate) fn close(&self, cut_off: u64) {
        let dropped = self.dropped.load(Ordering::Acquire);
        if dropped > self.said.load(Ordering::Acquire) {
            self.say(dropped);
        }
        if cut_off > 0 {
            self.dropped.fetch_add(cut_off, Ordering::AcqRel);
            let records = self.records;
            tracing::warn!(
                dropped = cut_off,
                "{records} were dropped: the server stopped before they were written"
            );
        }
    }

    fn say(&self, dropped: u64) {
        let new = dropped.saturating_sub(self.said.swap(dropped, Ordering::AcqRel));
        let Self {
            records,
            setting,
            limit,
            ..
        } = self;
        tracing::warn!(
            dropped = new,
            since_start = dropped,
            "{records} were dropped: {setting} = {limit} is full of records that wait to be written. Raise it, or use a faster disk or collector."
        );
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_ends_at_the_limit_and_comes_back() {
        let backlog = Backlog::new("records", "server.call_log_memory", ByteSize(100));
        assert!(backlog.reserve(60));
        assert!(!backlog.reserve(41));
        assert!(!backlog.reserve(usize::MAX));
        assert!(backlog.reserve(40));
        assert!(!backlog.reserve(1));
        backlog.release(60);
        assert!(backlog.reserve(60));
    }

    #[test]
    fn what_is_dropped_is_said_once_in_a_while() {
        let backlog = Backlog::new("records", "server.call_log_memory", ByteSize(0));
        let said = || backlog.said.load(Ordering::Acquire);
        backlog.shed(3);
        assert_eq!(said(), 3);
        backlog.shed(4);
        assert_eq!(said(), 3, "no second report yet");
        backlog.close(5);
        assert_eq!(said(), 7, "the rest is reported at the end");
        assert_eq!(backlog.dropped.load(Ordering::Acquire), 12);
    }
}
