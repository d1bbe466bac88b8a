//! The module of a function as the original returned it: it kept the decimal text of the module's bytes, and returned
//! the bytes of that text.
//!
//! An answer has eleven bytes for each byte of the module. They are generated in pieces while they are sent, off the
//! thread of the connection and no faster than the client reads, so an answer takes the memory of the module and of a
//! few pieces.

use crate::app::App;
use crate::memory::MemoryReservation;
use crate::parsing::blocking;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use iof_fault::Fault;
use iof_store::Function;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// The size of a piece.
const PIECE: usize = 32 << 10;
/// The most pieces that wait for the client.
const AHEAD: usize = 2;

const BEGIN: &str = r#"{"type":"Buffer","data":["#;
const END: &str = "]}";
/// A comma of the decimal text, between two elements of the array.
const COMMA: &str = ",44,";

/// A module, and the text before and after it in an answer.
pub(super) struct ModuleAnswer {
    pub(super) before: String,
    pub(super) source: Bytes,
    pub(super) after: String,
    /// The module's share of the memory for bodies.
    pub(super) share: MemoryReservation,
}

/// The module of a function, and its share of the memory for bodies.
///
/// # Errors
/// `body-memory`; the fault of a module that is missing.
pub(super) async fn source(
    app: &App,
    function: &Function,
) -> Result<(Bytes, MemoryReservation), Fault> {
    let version = &function.version;
    let size = usize::try_from(version.size).unwrap_or(usize::MAX);
    let share = app.bodies.share(size)?;
    let source = app.store.source(version.sha256).await?;
    let source = source.ok_or_else(|| {
        let sha256 = hex::encode(version.sha256);
        Fault::host("The module is missing from the store.", sha256)
    })?;
    Ok((source, share))
}

/// The body of an answer that contains a module.
///
/// # Errors
/// A failure of the server.
pub(super) async fn body(app: &App, answer: ModuleAnswer) -> Result<Body, Fault> {
    let codes = codes();
    let counted = answer.source.clone();
    let length = blocking(move || {
        let code = |byte: &u8| {
            codes
                .get(usize::from(*byte))
                .map_or(0, |code| code.len() as u64)
        };
        let codes: u64 = counted.iter().map(code).sum();
        codes + COMMA.len() as u64 * (counted.len() as u64).saturating_sub(1)
    });
    let around = answer.before.len() + BEGIN.len() + END.len() + answer.after.len();
    let left = length.await? + around as u64;
    let (sender, pieces) = mpsc::channel(AHEAD);
    let writer = AbortOnDropHandle::new(app.shared.spawn(write(answer, sender)));
    Ok(Body::new(StreamedBody {
        pieces,
        left,
        _writer: writer,
    }))
}

async fn write(answer: ModuleAnswer, sender: mpsc::Sender<Bytes>) {
    let ModuleAnswer {
        before,
        source,
        after,
        share,
    } = answer;
    let codes = codes();
    let mut piece = before + BEGIN;
    for (at, byte) in source.iter().enumerate() {
        if at > 0 {
            piece.push_str(COMMA);
        }
        piece.push_str(codes.get(usize::from(*byte)).map_or("", String::as_str));
        if piece.len() >= PIECE {
            let full = std::mem::replace(&mut piece, String::with_capacity(PIECE + 64));
            // The client is gone.
            if sender.send(full.into()).await.is_err() {
                return;
            }
        }
    }
    piece.push_str(END);
    piece.push_str(&after);
    // The client is gone.
    let _ = sender.send(piece.into()).await;
    drop((source, share));
}

/// The decimal digits of each byte, as their character codes: of 97, `57,55`.
fn codes() -> Vec<String> {
    let code = |byte: usize| {
        let digits = byte.to_string();
        let codes: Vec<_> = digits.bytes().map(|digit| digit.to_string()).collect();
        codes.join(",")
    };
    (0..256).map(code).collect()
}

/// A body of a known length whose pieces a task generates.
struct StreamedBody {
    pieces: mpsc::Receiver<Bytes>,
    left: u64,
    /// The task ends with the body.
    _writer: AbortOnDropHandle<()>,
}

impl http_body::Body for StreamedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = std::task::ready!(self.pieces.poll_recv(cx));
        Poll::Ready(piece.map(|piece| {
            self.left = self.left.saturating_sub(piece.len() as u64);
            Ok(Frame::data(piece))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
