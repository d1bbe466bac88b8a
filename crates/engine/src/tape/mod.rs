//! Recordings of the host's responses to a call, made while it runs and played back to another run.
//!
//! A call's only contact with the world is its input and the host's responses: commands, stored values, clocks,
//! randomness. A [`HostCallTape`] keeps those responses, each kind in its own order, so that a version that reads the
//! clock once more than the recorded one still gets the same responses. Rejected: one list for all kinds, with which
//! every changed version would get the wrong responses.
//!
//! A replay sends nothing out: a command that was not recorded ends the call with the fault `not-recorded`, and values
//! that the function stores are kept only for its own loads. In both modes the tape records the requests of the run, so
//! that two runs can be compared.

mod counted;
mod cursor;
mod responses;
#[cfg(test)]
mod tests;

pub use crate::blob::Blob;
pub use responses::{
    HostResponses, RecordedAdd, RecordedCommand, RecordedCommit, RecordedList, RecordedLoad,
    RecordedSave,
};

use bytes::Bytes;
pub(crate) use cursor::ClockKind;
use cursor::ReplayCursor;
use iof_command::Request;
use iof_fault::{Fault, FaultKind};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// The tape of one call. All clones share it.
#[derive(Clone, Debug)]
pub struct HostCallTape(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// The position of a replay; `None` while recording.
    play: Option<Mutex<ReplayCursor>>,
    responses: Mutex<Recording>,
    limit: usize,
}

#[derive(Debug)]
struct Recording {
    responses: HostResponses,
    size: usize,
}

impl HostCallTape {
    /// A tape that records up to `limit` bytes.
    #[must_use]
    pub fn recorder(limit: usize) -> Self {
        Self::new(None, limit)
    }

    /// A tape that plays the recording of another tape.
    #[must_use]
    pub fn player(recorded: HostResponses) -> Self {
        let cursor = ReplayCursor::new(recorded);
        // The recording that is played was within the limit when it was made.
        Self::new(Some(Mutex::new(cursor)), usize::MAX)
    }

    fn new(play: Option<Mutex<ReplayCursor>>, limit: usize) -> Self {
        let recording = Recording {
            responses: HostResponses::default(),
            size: 0,
        };
        Self(Arc::new(Inner {
            play,
            responses: Mutex::new(recording),
            limit,
        }))
    }

    /// The responses on the tape; `None` if they exceeded its limit.
    #[must_use]
    pub fn responses(&self) -> Option<HostResponses> {
        let recording = lock(&self.0.responses);
        (recording.size <= self.0.limit).then(|| recording.responses.clone())
    }

    fn note(&self, size: usize, note: impl FnOnce(&mut HostResponses)) {
        let mut recording = lock(&self.0.responses);
        recording.size = recording.size.saturating_add(size);
        if recording.size <= self.0.limit {
            note(&mut recording.responses);
        } else {
            // A recording that is too large is dropped: half of it would replay a different call.
            recording.responses = HostResponses::default();
        }
    }

    /// The recorded outcome of a command; `None` while recording.
    pub(crate) fn play_command(
        &self,
        name: &str,
        request: &Request,
    ) -> Option<Result<(i32, Bytes, Bytes), Fault>> {
        let mut cursor = lock(self.0.play.as_ref()?);
        let same = |command: &RecordedCommand| {
            command.name == name
                && command.args == request.args
                && command.env == request.env
                && command.stdin.0 == request.stdin
        };
        Some(match cursor.left.commands.iter().position(same) {
            Some(at) => {
                let command = cursor.left.commands.remove(at);
                Ok((command.status, command.stdout.0, command.stderr.0))
            }
            None => Err(not_recorded(name, request)),
        })
    }

    pub(crate) fn note_command(
        &self,
        name: &str,
        request: Request,
        (status, stdout, stderr): (i32, &Bytes, &Bytes),
    ) {
        let words = request.args.iter().map(String::len).sum::<usize>()
            + request
                .env
                .iter()
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
        let size = name.len() + words + request.stdin.len() + stdout.len() + stderr.len() + 64;
        self.note(size, |responses| {
            responses.commands.push(RecordedCommand {
                name: name.to_owned(),
                args: request.args,
                env: request.env,
                stdin: Blob(request.stdin),
                status,
                stdout: Blob(stdout.clone()),
                stderr: Blob(stderr.clone()),
            });
        });
    }

    /// The recorded value under a key, or the one that this run has stored there; `None` while recording.
    pub(crate) fn play_load(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let mut cursor = lock(self.0.play.as_ref()?);
        if let Some(stored) = cursor.stored.get(key) {
            return Some(Some(stored.clone()));
        }
        let at = cursor.left.loads.iter().position(|load| load.key.0 == key);
        Some(at.and_then(|at| cursor.left.loads.remove(at).value.map(|value| value.0)))
    }

    pub(crate) fn note_load(&self, key: &[u8], value: Option<&Bytes>) {
        self.note(key.len() + value.map_or(0, Bytes::len) + 32, |responses| {
            responses.loads.push(RecordedLoad {
                key: Blob(Bytes::copy_from_slice(key)),
                value: value.cloned().map(Blob),
            });
        });
    }

    /// The recorded outcome of a save: true if there was room; `None` while recording.
    pub(crate) fn play_save(&self, key: &[u8], value: &Bytes) -> Option<bool> {
        let mut cursor = lock(self.0.play.as_ref()?);
        let same = |save: &RecordedSave| save.key.0 == key && save.value.0 == value;
        let at = cursor.left.saves.iter().position(same);
        // The recorded call did not store this value: assume that there is room.
        let saved = at.is_none_or(|at| cursor.left.saves.remove(at).saved);
        if saved {
            let key = Bytes::copy_from_slice(key);
            cursor.stored.insert(key, value.clone());
        }
        Some(saved)
    }

    pub(crate) fn note_save(&self, key: &[u8], value: Bytes, saved: bool) {
        self.note(key.len() + value.len() + 32, |responses| {
            responses.saves.push(RecordedSave {
                key: Blob(Bytes::copy_from_slice(key)),
                value: Blob(value),
                saved,
            });
        });
    }

    /// The recorded names of values; `None` while recording.
    pub(crate) fn play_list(&self, prefix: &Bytes, after: &Bytes) -> Option<Vec<Bytes>> {
        let mut cursor = lock(self.0.play.as_ref()?);
        let same = |list: &RecordedList| list.prefix.0 == prefix && list.after.0 == after;
        let at = cursor.left.lists.iter().position(same);
        // The recorded call did not request this page: it is unknown.
        let names = at.map(|at| cursor.left.lists.remove(at).names);
        Some(
            names
                .unwrap_or_default()
                .into_iter()
                .map(|name| name.0)
                .collect(),
        )
    }

    pub(crate) fn note_list(&self, prefix: &Bytes, after: &Bytes, names: &[Bytes]) {
        let size = names.iter().map(|name| name.len() + 16).sum::<usize>();
        self.note(prefix.len() + after.len() + size + 32, |responses| {
            responses.lists.push(RecordedList {
                prefix: Blob(prefix.clone()),
                after: Blob(after.clone()),
                names: names.iter().cloned().map(Blob).collect(),
            });
        });
    }

    /// Fills `bytes` with recorded bytes, or with bytes that `draw` draws.
    pub(crate) fn random(&self, bytes: &mut [u8], draw: impl FnOnce(&mut [u8])) {
        match &self.0.play {
            Some(cursor) => lock(cursor).random(bytes),
            None => draw(bytes),
        }
        self.note(bytes.len(), |responses| {
            let mut all = std::mem::take(&mut responses.random.0)
                .try_into_mut()
                .unwrap_or_else(|shared| shared.as_ref().into());
            all.extend_from_slice(bytes);
            responses.random.0 = all.freeze();
        });
    }

    /// The next recorded time of a clock, or `now`, in nanoseconds.
    pub(crate) fn time(&self, clock: ClockKind, now: impl FnOnce() -> u64) -> u64 {
        let time = match &self.0.play {
            Some(cursor) => lock(cursor).time(clock),
            None => now(),
        };
        self.note(8, |responses| clock.of(responses).push(time));
        time
    }
}

fn not_recorded(name: &str, request: &Request) -> Fault {
    let words: String = request.args.join(" ").chars().take(200).collect();
    Fault::new(
        FaultKind::NotRecorded,
        format!(
            "The function ran `{name} {words}` with {} bytes of stdin, which the recorded call did not.",
            request.stdin.len()
        ),
    )
}

/// Locks a mutex, poisoned or not: its content is consistent between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
