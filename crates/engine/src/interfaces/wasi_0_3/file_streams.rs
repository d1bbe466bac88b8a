//! Streams of files of WASI 0.3, built on those of 0.2: they count in the same account while they exist.

use crate::capability::shared_files::OpenFile;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, StreamError};
use wasmtime_wasi::p3::bindings::filesystem::types::{DirectoryEntry, ErrorCode};

/// The most bytes of a file that the host reads or writes at a time.
const PIECE: usize = 64 << 10;

/// The result of a stream, which its guest reads from a future. Without an error it is success, even if the guest drops
/// the stream early.
pub(super) struct StreamEnd(Option<oneshot::Sender<Result<(), ErrorCode>>>);

impl StreamEnd {
    pub(super) fn new() -> (Self, oneshot::Receiver<Result<(), ErrorCode>>) {
        let (sender, end) = oneshot::channel();
        (Self(Some(sender)), end)
    }

    pub(super) fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some(sender) = self.0.take() {
            // The guest may have dropped the future.
            let _ = sender.send(result);
        }
    }

    /// Ends the stream with the error of an operation on a file, or with the error that ends the call.
    fn fail(&mut self, error: StreamError) -> wasmtime::Result<StreamResult> {
        self.end(match error {
            StreamError::Closed => Ok(()),
            StreamError::LastOperationFailed(error) => {
                Err(match error.downcast_ref::<io::Error>() {
                    Some(error) => ErrorCode::from(error),
                    None => ErrorCode::Io,
                })
            }
            StreamError::Trap(error) => return Err(error),
        });
        Ok(StreamResult::Dropped)
    }
}

impl Drop for StreamEnd {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

/// An operation on a stream of 0.2, which returns the stream.
type Operation<S, T> = Pin<Box<dyn Future<Output = (S, Result<T, StreamError>)> + Send>>;

/// A stream of 0.2 between two operations, or during one.
enum FileState<S, T> {
    Idle(S),
    Busy(Operation<S, T>),
    Ended,
}

impl<S, T> FileState<S, T> {
    /// Begins an operation, if none is in progress.
    fn begin(&mut self, operation: impl FnOnce(S) -> Operation<S, T>) {
        *self = match std::mem::replace(self, Self::Ended) {
            Self::Idle(stream) => Self::Busy(operation(stream)),
            other => other,
        };
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, StreamError>> {
        let Self::Busy(operation) = self else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        let (stream, done) = std::task::ready!(operation.as_mut().poll(cx));
        *self = Self::Idle(stream);
        Poll::Ready(done)
    }
}

/// A stream that reads a file.
pub(super) struct FileReader {
    state: FileState<DynInputStream, Bytes>,
    end: StreamEnd,
}

impl FileReader {
    pub(super) fn new(stream: DynInputStream, end: StreamEnd) -> Self {
        Self {
            state: FileState::Idle(stream),
            end,
        }
    }
}

impl<D: 'static> StreamProducer<D> for FileReader {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let room = destination.remaining(&mut store).unwrap_or(PIECE);
        if room == 0 {
            // A file is always ready.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        loop {
            self.state.begin(|mut stream| {
                Box::pin(async move {
                    let read = stream.blocking_read(room.min(PIECE)).await;
                    (stream, read)
                })
            });
            return match self.state.poll(cx) {
                Poll::Ready(Ok(bytes)) if bytes.is_empty() => continue,
                Poll::Ready(Ok(bytes)) => {
                    destination.set_buffer(bytes);
                    Poll::Ready(Ok(StreamResult::Completed))
                }
                Poll::Ready(Err(error)) => Poll::Ready(self.end.fail(error)),
                // Bytes that arrive meanwhile are kept for the next read.
                Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => Poll::Pending,
            };
        }
    }
}

/// A stream that writes a file.
pub(super) struct FileWriter {
    state: FileState<DynOutputStream, ()>,
    end: StreamEnd,
}

impl FileWriter {
    pub(super) fn new(stream: DynOutputStream, end: StreamEnd) -> Self {
        Self {
            state: FileState::Idle(stream),
            end,
        }
    }
}

impl<D> StreamConsumer<D> for FileWriter {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if let FileState::Idle(_) = &self.state {
            let mut source = source.as_direct(store);
            let bytes = source.remaining();
            let piece = Bytes::copy_from_slice(bytes.get(..PIECE).unwrap_or(bytes));
            if piece.is_empty() {
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            source.mark_read(piece.len());
            self.state.begin(|mut stream| {
                Box::pin(async move {
                    let written = stream.blocking_write_and_flush(piece).await;
                    (stream, written)
                })
            });
        }
        // Bytes that were taken are written, even if the guest drops the rest.
        match std::task::ready!(self.state.poll(cx)) {
            Ok(()) => Poll::Ready(Ok(StreamResult::Completed)),
            Err(error) => Poll::Ready(self.end.fail(error)),
        }
    }
}

/// The entries of a directory, which counts as open until they are read or dropped.
pub(super) struct EntryReader {
    pub(super) entries: std::vec::IntoIter<DirectoryEntry>,
    pub(super) result: Option<Result<(), ErrorCode>>,
    pub(super) end: StreamEnd,
    pub(super) _open: OpenFile,
}

impl<D: 'static> StreamProducer<D> for EntryReader {
    type Item = DirectoryEntry;
    type Buffer = Option<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, DirectoryEntry, Option<DirectoryEntry>>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let Some(entry) = self.entries.next() else {
            let result = self.result.take().unwrap_or(Ok(()));
            self.end.end(result);
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        destination.set_buffer(Some(entry));
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
