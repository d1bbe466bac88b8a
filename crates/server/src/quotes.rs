//! Request lines as clients of 2020 write them: with bare quotation marks.
//!
//! `GET /api/executables/1?filterBy=["wasm_id"] HTTP/1.1` is what curl sends, and what Node sends for a path given as
//! text; Node's server took it. No URL may hold a `"` (RFC 3986, section 2), and hyper answers 400 before any route is
//! asked. So the quotation marks of a request line are written as `%22` on their way in.
//!
//! Where a request line begins is known without parsing: at the start of a connection, and where reading goes on after
//! something was written. Only a line that begins with a capital letter is one (a body that is still arriving after an
//! early answer could be meant otherwise, and nobody reads that), and only up to its end is anything changed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose request lines hold no quotation marks.
pub(crate) struct Quotes<S> {
    stream: S,
    line: Line,
    /// What was longer after it was rewritten than there was room for.
    rest: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum Line {
    /// The next byte begins one.
    Begins,
    /// In the middle of one.
    Inside,
    /// It is over: headers, a body.
    Over,
}

impl<S> Quotes<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            line: Line::Begins,
            rest: vec![],
        }
    }

    /// Looks at what was just read; what to hand on instead, if anything changes.
    fn rewrite(&mut self, read: &[u8]) -> Option<Vec<u8>> {
        if self.line == Line::Begins {
            let is_line = read.first()?.is_ascii_uppercase();
            self.line = if is_line { Line::Inside } else { Line::Over };
        }
        if self.line == Line::Over {
            return None;
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        if end.is_some() {
            self.line = Line::Over;
        }
        let (line, after) = read.split_at(end.unwrap_or(read.len()));
        if !line.contains(&b'"') {
            return None;
        }
        let mut rewritten = Vec::with_capacity(read.len() + 32);
        for byte in line {
            match byte {
                b'"' => rewritten.extend_from_slice(b"%22"),
                other => rewritten.push(*other),
            }
        }
        rewritten.extend_from_slice(after);
        Some(rewritten)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Quotes<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let read = buf.filled().get(before..).unwrap_or_default();
            let Some(rewritten) = this.rewrite(read) else {
                return Poll::Ready(Ok(()));
            };
            buf.set_filled(before);
            this.rest = rewritten;
        }
        let count = this.rest.len().min(buf.remaining());
        buf.put_slice(this.rest.get(..count).unwrap_or_default());
        this.rest.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Quotes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.line = Line::Begins;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.line = Line::Begins;
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What arrives of `sent`, which comes in pieces of `size` bytes.
    async fn arrives(sent: &[u8], size: usize) -> String {
        let (near, mut far) = tokio::io::duplex(size);
        let mut quotes = Quotes::new(near);
        let sending = async move {
            far.write_all(sent).await.unwrap();
            drop(far);
        };
        let receiving = async {
            let (mut all, mut piece) = (vec![], [0; 5]);
            loop {
                match quotes.read(&mut piece).await.unwrap() {
                    0 => break all,
                    count => all.extend_from_slice(&piece[..count]),
                }
            }
        };
        let ((), all) = tokio::join!(sending, receiving);
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn only_the_request_line_is_rewritten() {
        let sent = b"GET /a?b=[\"c\",\"d\"] HTTP/1.1\r\nx: \"y\"\r\n\r\n{\"body\": 1}";
        let expected = "GET /a?b=[%22c%22,%22d%22] HTTP/1.1\r\nx: \"y\"\r\n\r\n{\"body\": 1}";
        for size in [1, 3, 17, 1024] {
            assert_eq!(arrives(sent, size).await, expected, "{size}");
        }
        assert_eq!(arrives(b"{\"a\"}\r\n", 64).await, "{\"a\"}\r\n");
    }

    #[tokio::test]
    async fn the_next_request_of_a_connection_too() {
        let (near, mut far) = tokio::io::duplex(1024);
        let mut quotes = Quotes::new(near);
        let mut piece = [0; 64];
        far.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let count = quotes.read(&mut piece).await.unwrap();
        assert_eq!(&piece[..count], b"GET / HTTP/1.1\r\n\r\n");
        // Before anything was answered, what comes belongs to the same request.
        far.write_all(b"A\"").await.unwrap();
        let count = quotes.read(&mut piece).await.unwrap();
        assert_eq!(&piece[..count], b"A\"");
        quotes.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        far.write_all(b"GET /?\" HTTP/1.1\r\n").await.unwrap();
        let mut line = vec![];
        while line.last() != Some(&b'\n') {
            line.push(quotes.read_u8().await.unwrap());
        }
        assert_eq!(line, b"GET /?%22 HTTP/1.1\r\n");
    }
}
