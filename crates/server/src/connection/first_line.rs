//! The first request line of a connection, in whose query clients of 2020 write bare quotation marks.
//!
//! `GET /api/executables/1?filterBy=["wasm_id"] HTTP/1.1` is what curl sends, and what Node sends for a path given as
//! text; Node's server accepted it. A query may not contain `"` (RFC 3986, section 3.4), and hyper answers 400 before
//! any route sees the request. So a `"` in the query is rewritten to `%22` when it is read; nothing else is changed.
//!
//! Only the parser knows where a request begins, except for the first request, which begins with the first byte of its
//! connection. So only the bytes from there to the end of the line are examined. A request with a rewritten line is the
//! last one of its connection, so that the client's next request begins another connection (docs/decisions/0021).

use super::ConnectionState;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that rewrites quotation marks in the query of its first request line.
pub(crate) struct FirstLine<S> {
    stream: S,
    part: Part,
    /// Bytes that did not fit into the reader's buffer after a line became longer.
    rest: Vec<u8>,
    state: Arc<ConnectionState>,
}

/// A part of the connection's bytes.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// The line before the query.
    Path,
    /// The query.
    Query,
    /// The bytes after the line, which are not changed.
    Beyond,
}

impl<S> FirstLine<S> {
    pub(crate) fn new(stream: S, state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            part: Part::Path,
            rest: vec![],
            state,
        }
    }

    /// Processes the bytes that were just read. Returns the bytes to pass on instead, if they change.
    fn mend(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        let mut mended: Option<Vec<u8>> = None;
        for (at, byte) in read.iter().enumerate() {
            self.part = match (self.part, byte) {
                (_, b'\n') | (Part::Query, b' ') => Part::Beyond,
                (Part::Path, b'?') => Part::Query,
                (part, _) => part,
            };
            let mark = (self.part, *byte) == (Part::Query, b'"');
            let written = match &mut mended {
                Some(written) => written,
                None if mark => mended.insert(read.get(..at).unwrap_or_default().to_vec()),
                None if self.part == Part::Beyond => break,
                None => continue,
            };
            match (self.part, mark) {
                (Part::Beyond, _) => {
                    written.extend_from_slice(read.get(at..).unwrap_or_default());
                    break;
                }
                (_, true) => written.extend_from_slice(b"%22"),
                (_, false) => written.push(*byte),
            }
        }
        mended
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FirstLine<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            if this.part == Part::Beyond {
                return Poll::Ready(Ok(()));
            }
            let read = buf.filled().get(before..).unwrap_or_default();
            let Some(mended) = this.mend(read) else {
                return Poll::Ready(Ok(()));
            };
            this.state.mended();
            buf.set_filled(before);
            this.rest = mended;
        }
        let count = this.rest.len().min(buf.remaining());
        buf.put_slice(this.rest.get(..count).unwrap_or_default());
        this.rest.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FirstLine<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// The bytes that arrive when `sent` comes in pieces of `size` bytes and is read in pieces of `room` bytes.
    async fn arrives(sent: &[u8], size: usize, room: usize) -> Vec<u8> {
        let (near, mut far) = tokio::io::duplex(size);
        let mut line = FirstLine::new(near, Arc::default());
        let sending = async move {
            far.write_all(sent).await.unwrap();
            drop(far);
        };
        let receiving = async {
            let (mut all, mut piece) = (vec![], vec![0; room]);
            loop {
                match line.read(&mut piece).await.unwrap() {
                    0 => break all,
                    count => all.extend_from_slice(&piece[..count]),
                }
            }
        };
        tokio::join!(sending, receiving).1
    }

    #[tokio::test]
    async fn only_the_query_of_the_first_line_is_mended() {
        let cases = [
            (
                "GET /a?b=[\"c\",\"d\"] HTTP/1.1\r\nx: \"y\"\r\n\r\n{\"body\": 1}",
                "GET /a?b=[%22c%22,%22d%22] HTTP/1.1\r\nx: \"y\"\r\n\r\n{\"body\": 1}",
            ),
            ("G\"T /\"?\"? H\"P\r\n\"", "G\"T /\"?%22? H\"P\r\n\""),
            (
                "GET / HTTP/1.1\r\nx: ?\"\r\n\r\n",
                "GET / HTTP/1.1\r\nx: ?\"\r\n\r\n",
            ),
            ("\r\nGET /?\" HTTP/1.1\r\n", "\r\nGET /?\" HTTP/1.1\r\n"),
            ("?\"\"\"", "?%22%22%22"),
        ];
        for (sent, expected) in cases {
            for (size, room) in [(1, 1), (1, 64), (3, 5), (17, 2), (1024, 1024), (1024, 7)] {
                let arrived = arrives(sent.as_bytes(), size, room).await;
                assert_eq!(
                    String::from_utf8(arrived).unwrap(),
                    expected,
                    "{size} {room}"
                );
            }
        }
    }

    proptest! {
        /// No byte after the first line changes, whatever it is and however the bytes are split.
        #[test]
        fn bytes_behind_the_line_stay(
            tail in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\n'), Just(b'?'), any::<u8>()], 0..200),
            size in 1usize..300,
            room in 1usize..300,
        ) {
            let line = b"POST /x?\" HTTP/1.1\r\n";
            let sent = [line, &tail[..]].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let arrived = runtime.block_on(arrives(&sent, size, room));
            prop_assert_eq!(arrived, [b"POST /x?%22 HTTP/1.1\r\n", &tail[..]].concat());
        }
    }
}
