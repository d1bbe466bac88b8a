//! What a function prints: stdout and stderr of a call, up to a limit. A program's stdout is its result, up to another.

use crate::limits::Reached;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// What a call printed.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// As the guest wrote it.
    pub stdout: Vec<u8>,
    /// As the guest wrote it.
    pub stderr: Vec<u8>,
}

impl Log {
    /// The end of what it printed as an error, where a panic leaves its message: at most 300 characters, one line.
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

/// Collects a log within its limit. Cloned into each stream; all clones write to the same log.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Mutex<Inner>>);

struct Inner {
    log: Log,
    left: usize,
    /// Of a program: its result so far, and the bytes that it may still have.
    printed: Option<(Vec<u8>, usize)>,
}

impl Recorder {
    /// `printed`: how much a program may print; `None` where stdout is part of the log.
    pub(crate) fn new(limit: usize, printed: Option<usize>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            log: Log::default(),
            left: limit,
            printed: printed.map(|limit| (Vec::new(), limit)),
        })))
    }

    pub(crate) fn stream(&self, which: Which) -> Stream {
        Stream {
            recorder: self.clone(),
            which,
        }
    }

    /// What was printed so far, which it forgets.
    pub(crate) fn take(&self) -> Log {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).log)
    }

    /// What a program printed so far as its result, which it forgets.
    pub(crate) fn take_printed(&self) -> Vec<u8> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.printed.take().unwrap_or_default().0
    }

    fn write(&self, which: Which, bytes: &[u8]) -> Result<(), Reached> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Which::Stdout, Some((printed, left))) = (which, &mut inner.printed) {
            *left = left.checked_sub(bytes.len()).ok_or(Reached::Output)?;
            printed.extend_from_slice(bytes);
            return Ok(());
        }
        let kept = bytes.len().min(inner.left);
        inner.left -= kept;
        let stream = match which {
            Which::Stdout => &mut inner.log.stdout,
            Which::Stderr => &mut inner.log.stderr,
        };
        stream.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        if kept < bytes.len() {
            Err(Reached::Log)
        } else {
            Ok(())
        }
    }
}

/// Which of the two.
#[derive(Clone, Copy)]
pub(crate) enum Which {
    Stdout,
    Stderr,
}

/// One of the two as WASI sees it: always ready, never a terminal.
#[derive(Clone)]
pub(crate) struct Stream {
    recorder: Recorder,
    which: Which,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.recorder
            .write(self.which, &bytes)
            .map_err(|reached| StreamError::Trap(reached.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(match self.recorder.write(self.which, bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(reached) => Err(std::io::Error::other(reached)),
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
