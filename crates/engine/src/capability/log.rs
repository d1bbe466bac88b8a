//! The log of a call: the stdout and stderr of its code, up to a limit. The stdout of a program is its result, which
//! has a limit of its own.

use crate::limits::LimitExceeded;
use parking_lot::Mutex;
use std::sync::Arc;

/// The output of a call.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Bytes of stdout as the guest wrote them.
    pub stdout: Vec<u8>,
    /// Bytes of stderr as the guest wrote them.
    pub stderr: Vec<u8>,
}

impl Log {
    /// The end of stderr, where a panic writes its message: at most 300 characters, on one line.
    pub(crate) fn last_words(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.stderr);
        let text = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("note: run with `RUST_BACKTRACE"))
            .collect::<Vec<_>>()
            .join(" ");
        let skip = text.chars().count().saturating_sub(300);
        (!text.is_empty()).then(|| {
            text.chars()
                .skip(skip)
                .filter(|c| !c.is_control())
                .collect()
        })
    }
}

/// A log in progress, within its limit. Each stream has a clone; all clones write to the same log.
#[derive(Clone)]
pub(crate) struct LogRecorder(Arc<Mutex<Inner>>);

struct Inner {
    log: Log,
    left: usize,
    /// A program's result so far, and the bytes that it may still write.
    printed: Option<(Vec<u8>, usize)>,
}

impl LogRecorder {
    /// A log of at most `limit` bytes, and a program's result of at most `printed` bytes; `None` if stdout is part of
    /// the log.
    pub(crate) fn new(limit: usize, printed: Option<usize>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            log: Log::default(),
            left: limit,
            printed: printed.map(|limit| (Vec::new(), limit)),
        })))
    }

    /// Takes the log so far.
    pub(crate) fn take(&self) -> Log {
        std::mem::take(&mut self.0.lock().log)
    }

    /// Takes a program's result so far.
    pub(crate) fn take_printed(&self) -> Vec<u8> {
        let mut inner = self.0.lock();
        inner.printed.take().unwrap_or_default().0
    }

    /// Writes to a stream.
    ///
    /// # Errors
    /// [`LimitExceeded::Log`], [`LimitExceeded::Output`]
    pub(crate) fn write(&self, stream: Stream, bytes: &[u8]) -> Result<(), LimitExceeded> {
        let mut inner = self.0.lock();
        if let (Stream::Stdout, Some((printed, left))) = (stream, &mut inner.printed) {
            *left = left.checked_sub(bytes.len()).ok_or(LimitExceeded::Output)?;
            printed.extend_from_slice(bytes);
            return Ok(());
        }
        let kept = bytes.len().min(inner.left);
        inner.left -= kept;
        let written = match stream {
            Stream::Stdout => &mut inner.log.stdout,
            Stream::Stderr => &mut inner.log.stderr,
        };
        written.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        if kept < bytes.len() {
            Err(LimitExceeded::Log)
        } else {
            Ok(())
        }
    }
}

/// A stream that a guest prints to.
#[derive(Clone, Copy)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_have_one_limit() {
        let recorder = LogRecorder::new(5, None);
        assert_eq!(recorder.write(Stream::Stdout, b"abc"), Ok(()));
        assert_eq!(
            recorder.write(Stream::Stderr, b"def"),
            Err(LimitExceeded::Log)
        );
        let log = recorder.take();
        assert_eq!((&*log.stdout, &*log.stderr), (&b"abc"[..], &b"de"[..]));
    }

    #[test]
    fn a_result_has_its_own() {
        let recorder = LogRecorder::new(1, Some(3));
        assert_eq!(recorder.write(Stream::Stdout, b"abc"), Ok(()));
        assert_eq!(
            recorder.write(Stream::Stdout, b"d"),
            Err(LimitExceeded::Output)
        );
        assert_eq!(recorder.take_printed(), b"abc");
    }

    #[test]
    fn last_words_are_one_line() {
        let log = Log {
            stderr: b"thread panicked:\n  why\nnote: run with `RUST_BACKTRACE=1`\n".to_vec(),
            ..Log::default()
        };
        assert_eq!(log.last_words().unwrap(), "thread panicked: why");
        assert_eq!(Log::default().last_words(), None);
    }
}
