//! What a call hears from outside: kept while it runs, and played back to another run of it.
//!
//! A call's only contact with the world is its input and what the host answers: commands, stored values, clocks,
//! randomness. A [`Tape`] keeps those answers, each kind in its own order, so that a version that asks for the time once
//! more than the recorded one still hears the same responses. Rejected: one list for all kinds, which would call every
//! corrected version a different call.
//!
//! A tape that plays lets nothing out: a command that was not recorded ends the call with the fault `not-recorded`, and
//! what the function stores is kept for its own loads alone. Either way a tape ends up with what was asked on it, which
//! is what two runs are compared by.

mod deck;
mod heard;

pub use crate::blob::Blob;
pub use heard::{Heard, HeardCommand, HeardList, HeardLoad, HeardSave};

use bytes::Bytes;
use deck::{Deck, Which};
use iof_commands::Request;
use iof_fault::{Fault, FaultKind};
use rand::{Rng as _, TryRng};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// A tape of one call. Clones are the same tape.
#[derive(Clone, Debug)]
pub struct Tape(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What is left to be played; `None` while recording.
    play: Option<Mutex<Deck>>,
    heard: Mutex<Recording>,
    limit: usize,
}

#[derive(Debug)]
struct Recording {
    heard: Heard,
    size: usize,
}

impl Tape {
    /// A tape that records up to `limit` bytes.
    #[must_use]
    pub fn recorder(limit: usize) -> Self {
        Self::new(None, limit)
    }

    /// A tape that plays what another one recorded.
    #[must_use]
    pub fn player(recorded: Heard) -> Self {
        let deck = Deck::new(recorded);
        // What is played back was within a limit before.
        Self::new(Some(Mutex::new(deck)), usize::MAX)
    }

    fn new(play: Option<Mutex<Deck>>, limit: usize) -> Self {
        let recording = Recording {
            heard: Heard::default(),
            size: 0,
        };
        Self(Arc::new(Inner {
            play,
            heard: Mutex::new(recording),
            limit,
        }))
    }

    /// What is on the tape; `None` if it was more than its limit.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        let recording = lock(&self.0.heard);
        (recording.size <= self.0.limit).then(|| recording.heard.clone())
    }

    fn note(&self, size: usize, note: impl FnOnce(&mut Heard)) {
        let mut recording = lock(&self.0.heard);
        recording.size = recording.size.saturating_add(size);
        if recording.size <= self.0.limit {
            note(&mut recording.heard);
        } else {
            // Too much is none: half a recording plays another call.
            recording.heard = Heard::default();
        }
    }

    /// The recorded outcome of a command; `None` while recording.
    pub(crate) fn play_command(
        &self,
        name: &str,
        request: &Request,
    ) -> Option<Result<(i32, Bytes, Bytes), Fault>> {
        let mut deck = lock(self.0.play.as_ref()?);
        let same = |heard: &HeardCommand| {
            heard.name == name
                && heard.args == request.args
                && heard.env == request.env
                && heard.stdin.0 == request.stdin
        };
        Some(match deck.left.commands.iter().position(same) {
            Some(at) => {
                let heard = deck.left.commands.remove(at);
                Ok((heard.status, heard.stdout.0, heard.stderr.0))
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
        self.note(size, |heard| {
            heard.commands.push(HeardCommand {
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

    /// The recorded value under a key, or what this run has stored there; `None` while recording.
    pub(crate) fn play_load(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let mut deck = lock(self.0.play.as_ref()?);
        if let Some(stored) = deck.stored.get(key) {
            return Some(Some(stored.clone()));
        }
        let at = deck.left.loads.iter().position(|load| load.key.0 == key);
        Some(at.and_then(|at| deck.left.loads.remove(at).value.map(|value| value.0)))
    }

    pub(crate) fn note_load(&self, key: &[u8], value: Option<&Bytes>) {
        self.note(key.len() + value.map_or(0, Bytes::len) + 32, |heard| {
            heard.loads.push(HeardLoad {
                key: Blob(Bytes::copy_from_slice(key)),
                value: value.cloned().map(Blob),
            });
        });
    }

    /// Whether there was room for a value; `None` while recording.
    pub(crate) fn play_save(&self, key: &[u8], value: &Bytes) -> Option<bool> {
        let mut deck = lock(self.0.play.as_ref()?);
        let same = |save: &HeardSave| save.key.0 == key && save.value.0 == value;
        let at = deck.left.saves.iter().position(same);
        // A value that was not stored then: there is room until the contrary is known.
        let saved = at.is_none_or(|at| deck.left.saves.remove(at).saved);
        if saved {
            let key = Bytes::copy_from_slice(key);
            deck.stored.insert(key, value.clone());
        }
        Some(saved)
    }

    pub(crate) fn note_save(&self, key: &[u8], value: Bytes, saved: bool) {
        self.note(key.len() + value.len() + 32, |heard| {
            heard.saves.push(HeardSave {
                key: Blob(Bytes::copy_from_slice(key)),
                value: Blob(value),
                saved,
            });
        });
    }

    /// The recorded names of values; `None` while recording.
    pub(crate) fn play_list(&self, prefix: &Bytes, after: &Bytes) -> Option<Vec<Bytes>> {
        let mut deck = lock(self.0.play.as_ref()?);
        let same = |list: &HeardList| list.prefix.0 == prefix && list.after.0 == after;
        let at = deck.left.lists.iter().position(same);
        // Of what was not asked then, nobody knows what would be there.
        let names = at.map(|at| deck.left.lists.remove(at).names);
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
        self.note(prefix.len() + after.len() + size + 32, |heard| {
            heard.lists.push(HeardList {
                prefix: Blob(prefix.clone()),
                after: Blob(after.clone()),
                names: names.iter().cloned().map(Blob).collect(),
            });
        });
    }

    /// Fills `bytes` with what was recorded, or with what the system draws.
    pub(crate) fn random(&self, bytes: &mut [u8]) {
        match &self.0.play {
            Some(deck) => lock(deck).random(bytes),
            None => rand::rng().fill_bytes(bytes),
        }
        self.note(bytes.len(), |heard| {
            let mut all = std::mem::take(&mut heard.random.0)
                .try_into_mut()
                .unwrap_or_else(|shared| shared.as_ref().into());
            all.extend_from_slice(bytes);
            heard.random.0 = all.freeze();
        });
    }

    fn time(&self, which: Which, now: impl FnOnce() -> u64) -> u64 {
        let time = match &self.0.play {
            Some(deck) => lock(deck).time(which),
            None => now(),
        };
        self.note(8, |heard| which.of(heard).push(time));
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

impl HostWallClock for Tape {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.time(Which::Wall, || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            nanoseconds(since.unwrap_or_default())
        }))
    }
}

/// The monotonic clock of a call with a tape.
pub(crate) struct Monotonic {
    pub(crate) tape: Tape,
    pub(crate) began: std::time::Instant,
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.tape
            .time(Which::Monotonic, || nanoseconds(self.began.elapsed()))
    }
}

impl TryRng for Tape {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.random(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.random(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.random(bytes);
        Ok(())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the locks guard is whole between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(words: &[&str]) -> Request {
        Request {
            args: words.iter().map(|&word| word.to_owned()).collect(),
            env: vec![],
            stdin: Bytes::from_static(b"in"),
            timeout: Duration::from_secs(1),
        }
    }

    fn recorded() -> Heard {
        let tape = Tape::recorder(10_000);
        for (word, status) in [("a", 0), ("b", 1), ("a", 2)] {
            let out = Bytes::from(format!("{word}{status}"));
            tape.note_command("run", request(&[word]), (status, &out, &Bytes::new()));
        }
        tape.note_load(b"key", Some(&Bytes::from_static(&[0xff, 1])));
        tape.note_load(b"none", None);
        tape.note_save(b"key", Bytes::from_static(b"new"), false);
        let mut random = [0; 12];
        tape.random(&mut random);
        HostWallClock::now(&tape);
        tape.heard().unwrap()
    }

    #[test]
    fn what_was_heard_survives_json_and_is_played_in_its_order() {
        let heard = recorded();
        let json = serde_json::to_string(&heard).unwrap();
        assert!(
            json.contains(r#""base64":"/wE=""#) && json.contains(r#""stdout":"a0""#),
            "{json}"
        );
        let read: Heard = serde_json::from_str(&json).unwrap();
        assert_eq!(read, heard);

        let tape = Tape::player(read);
        let status = |words: &[&str]| {
            tape.play_command("run", &request(words))
                .unwrap()
                .map(|came| came.0)
        };
        assert_eq!(
            (
                status(&["b"]).unwrap(),
                status(&["a"]).unwrap(),
                status(&["a"]).unwrap()
            ),
            (1, 0, 2)
        );
        assert_eq!(status(&["a"]).unwrap_err().code(), "not-recorded");
        assert_eq!(status(&["c"]).unwrap_err().code(), "not-recorded");
        assert_eq!(
            tape.play_load(b"key").unwrap().unwrap(),
            [0xff, 1].as_slice()
        );
        assert_eq!(tape.play_load(b"none").unwrap(), None);
        assert_eq!(
            tape.play_load(b"key").unwrap(),
            None,
            "nobody knows what would be there"
        );
        assert_eq!(
            tape.play_save(b"key", &Bytes::from_static(b"new")),
            Some(false)
        );
        assert_eq!(
            tape.play_save(b"key", &Bytes::from_static(b"other")),
            Some(true)
        );
        assert_eq!(
            tape.play_load(b"key").unwrap().unwrap(),
            "other",
            "its own stores are seen"
        );
    }

    #[test]
    fn randomness_and_clocks_go_on_alike_where_the_recording_ends() {
        let heard = recorded();
        let run = || {
            let tape = Tape::player(heard.clone());
            let mut random = [0; 40];
            tape.random(&mut random[..5]);
            tape.random(&mut random[5..]);
            let times: Vec<_> = (0..3).map(|_| HostWallClock::now(&tape)).collect();
            (random, times)
        };
        let (random, times) = run();
        assert_eq!(run(), (random, times.clone()));
        assert_eq!(random[..12], heard.random.0[..]);
        assert_ne!(random[12..26], random[26..]);
        assert!(
            times.is_sorted_by(|a, b| a < b),
            "whoever waits for time to pass sees it pass"
        );
    }

    #[test]
    fn too_much_is_none_and_takes_no_memory() {
        let tape = Tape::recorder(100);
        let out = Bytes::from(vec![0; 1_000]);
        tape.note_command("run", request(&[]), (0, &out, &Bytes::new()));
        assert!(tape.heard().is_none());
        assert!(lock(&tape.0.heard).heard.commands.is_empty());
        tape.note_load(b"key", None);
        assert!(tape.heard().is_none(), "and it stays so");
    }
}
