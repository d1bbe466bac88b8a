//! The transport of a connection: it tracks how much the client takes, and handles a client that closes its side.
//!
//! A client may close its side after its request and still read (RFC 9112, section 9.6): it gets its answer. A client
//! that is gone looks the same until something is written to it, but its call should end. So during a long request, the
//! client is sent `100 Continue`, which a client that did not ask for it ignores (RFC 9110, section 15.2.1). If the
//! client is gone, its system answers with a reset, and the connection fails.
//!
//! A request that ends with its client ([`super::ClientLeaves`]) is ended by the end of the client's bytes, also in the
//! middle of its body, and also if nobody reads what has arrived. The parser reports the end only to the reader of the
//! body, and reads nothing while a body waits for its reader. So the transport notes the end, and the supervisor ends the
//! connection. An end behind more bytes than the kernel buffers is seen once these are read.
//!
//! A socket that is closed with unsent bytes keeps them in the kernel, megabytes for minutes, where no limit of this
//! server counts them. So an abandoned client is reset (RFC 9293, section 3.10.4: ABORT).

use super::ConnectionState;
use futures::FutureExt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;

/// The time for which a client that closed its side is left alone, and the interval of the checks after that.
const LOOK: Duration = Duration::from_millis(250);
/// The interval of the looks for the end of bytes that nobody reads.
const LOOK_AT_UNREAD: Duration = Duration::from_millis(20);
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A stream over a socket.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// The socket below.
    fn socket(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A stream that records in its connection's state what the client does.
pub(crate) struct Transport<S: Socket> {
    stream: S,
    state: Arc<ConnectionState>,
    half_closed: Option<HalfClosed>,
    /// The next look at whether the client has left, while bytes of it wait to be read.
    look: Option<Pin<Box<Sleep>>>,
}

/// A client that closed its side.
struct HalfClosed {
    look: Pin<Box<Sleep>>,
    asked: bool,
}

impl<S: Socket> Transport<S> {
    pub(crate) fn new(stream: S, state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            state,
            half_closed: None,
            look: None,
        }
    }
}

impl<S: Socket> Transport<S> {
    /// Checks at intervals whether the client is still there while its request is in progress.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(half_closed) = &mut self.half_closed else {
            return Poll::Pending;
        };
        while half_closed.look.as_mut().poll(cx).is_ready() {
            if let Some(error) = self.stream.socket().take_error()? {
                return Poll::Ready(Err(error));
            }
            if !half_closed.asked && self.state.may_be_told_to_continue() {
                match Pin::new(&mut self.stream).poll_write(cx, CONTINUE)? {
                    Poll::Ready(sent) if sent == CONTINUE.len() => {
                        half_closed.asked = true;
                        let _ = Pin::new(&mut self.stream).poll_flush(cx)?;
                    }
                    // Only a part of the line was sent, so no answer can follow.
                    Poll::Ready(_) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Pending => {}
                }
            }
            half_closed.look.as_mut().reset(Instant::now() + LOOK);
        }
        Poll::Pending
    }

    /// Notes whether the client of a request that ends with it has left. The parser flushes in each of its polls, whether it
    /// reads or not.
    fn look_for_end(&mut self, cx: &mut Context<'_>) {
        // Pending: what arrives next wakes this task.
        if !self.state.ends_with_its_client()
            || self.stream.socket().poll_read_ready(cx).is_pending()
        {
            self.look = None;
            return;
        }
        let ready = self.stream.socket().ready(Interest::READABLE);
        match ready.now_or_never() {
            Some(Ok(ready)) if ready.is_read_closed() => self.state.leave(),
            Some(Err(_)) => self.state.leave(),
            _ => {
                let next = || Instant::now() + LOOK_AT_UNREAD;
                let look = self
                    .look
                    .get_or_insert_with(|| Box::pin(sleep_until(next())));
                while look.as_mut().poll(cx).is_ready() {
                    look.as_mut().reset(next());
                }
            }
        }
    }

    /// Notes that the client's bytes have ended, or that they cannot be read any more.
    fn note_end(&self) {
        if self.state.ends_with_its_client() {
            self.state.leave();
        }
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Ready(Ok(bytes)) => self.state.wrote(*bytes),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.state.block(true),
        }
        polled
    }
}

impl<S: Socket> Drop for Transport<S> {
    fn drop(&mut self) {
        if self.state.abandoned() {
            let _ = self.stream.socket().set_zero_linger();
        }
    }
}

impl<S: Socket> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.half_closed.is_none() {
            let before = buf.filled().len();
            let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
            let ended = buf.filled().len() == before && buf.remaining() > 0;
            if ended {
                this.note_end();
            }
            if !ended || read.is_err() || !this.state.serves_http1() {
                return Poll::Ready(read);
            }
            this.state.half_close();
            this.half_closed = Some(HalfClosed {
                look: Box::pin(tokio::time::sleep(LOOK)),
                asked: false,
            });
        }
        // Once the request is answered, the end of the client's bytes is the end of the connection.
        if !this.state.serves_http1() {
            this.note_end();
            return Poll::Ready(Ok(()));
        }
        this.poll_gone(cx)
    }
}

impl<S: Socket> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Flushes the socket. Afterwards all bytes have been taken.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.look_for_end(cx);
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.state.block(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.state.block(polled.is_pending());
        polled
    }
}
