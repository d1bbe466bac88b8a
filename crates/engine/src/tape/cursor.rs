//! The position of a replay in its recording, and its continuation after the end of the recording.

use super::responses::HostResponses;
use bytes::Bytes;
use std::collections::HashMap;

/// The position of a replay.
#[derive(Debug)]
pub(super) struct ReplayCursor {
    pub(super) left: HostResponses,
    /// Values that this run has stored.
    pub(super) stored: HashMap<Bytes, Bytes>,
    /// The time of each clock after the end of the recording.
    wall_clock: u64,
    monotonic_clock: u64,
    /// The state of the generator that continues after the recorded bytes.
    random: u64,
}

/// Nanoseconds by which each read advances a clock after its last recorded time, so that a guest that waits for time to
/// pass does not wait forever.
const STEP: u64 = 1_000_000;

impl ReplayCursor {
    pub(super) fn new(recorded: HostResponses) -> Self {
        Self {
            left: recorded,
            stored: HashMap::new(),
            wall_clock: 0,
            monotonic_clock: 0,
            random: 0,
        }
    }

    pub(super) fn random(&mut self, bytes: &mut [u8]) {
        let recorded = &mut self.left.random.0;
        let known = recorded.split_to(recorded.len().min(bytes.len()));
        let (head, rest) = bytes.split_at_mut(known.len());
        head.copy_from_slice(&known);
        // SplitMix64: the continuation only has to be the same in every replay.
        for chunk in rest.chunks_mut(8) {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let word = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(word.get(..chunk.len()).unwrap_or_default());
        }
    }

    pub(super) fn time(&mut self, clock: ClockKind) -> u64 {
        let left = clock.of(&mut self.left);
        let recorded = (!left.is_empty()).then(|| left.remove(0));
        let stands = match clock {
            ClockKind::Wall => &mut self.wall_clock,
            ClockKind::Monotonic => &mut self.monotonic_clock,
        };
        *stands = recorded.unwrap_or_else(|| stands.saturating_add(STEP));
        *stands
    }
}

/// A clock whose times are recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClockKind {
    Wall,
    Monotonic,
}

impl ClockKind {
    pub(super) fn of(self, responses: &mut HostResponses) -> &mut Vec<u64> {
        match self {
            Self::Wall => &mut responses.wall_clock,
            Self::Monotonic => &mut responses.monotonic_clock,
        }
    }
}
