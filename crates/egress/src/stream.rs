//! A pooled connection: TCP to a checked address, with or without TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use iof_admission::Permit;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// A connection that releases its permit when it closes.
pub(crate) struct Stream {
    io: Io,
    to: SocketAddr,
    watch: Arc<Watch>,
    _permit: Permit,
}

pub(crate) enum Io {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Flags by which the owner of a connection and its stream inform each other past hyper, which holds the stream. They
/// need no memory ordering: both are read and written by the task that drives the connection.
#[derive(Default)]
pub(crate) struct Watch {
    /// True if a byte of an answer has arrived since this was cleared. TLS's own messages do not count.
    answered: AtomicBool,
    /// True if a read that finds nothing also checks the socket in the kernel.
    checks_kernel: AtomicBool,
}

impl Watch {
    /// Clears the flag of an answer. Call it before a request.
    pub(crate) fn begin(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    pub(crate) fn answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sets whether reads also check the socket in the kernel. The runtime knows the state of a socket from its last
    /// wait, which was before the call that runs now.
    pub(crate) fn check_kernel(&self, checks_kernel: bool) {
        self.checks_kernel.store(checks_kernel, Ordering::Relaxed);
    }
}

impl Stream {
    pub(crate) fn new(io: Io, to: SocketAddr, permit: Permit) -> Stream {
        Stream {
            io,
            to,
            watch: Arc::default(),
            _permit: permit,
        }
    }

    /// The address to which it is connected.
    pub(crate) fn to(&self) -> SocketAddr {
        self.to
    }

    pub(crate) fn watch(&self) -> Arc<Watch> {
        self.watch.clone()
    }

    /// Returns whether HTTP/2 was agreed on in the handshake (RFC 9113 section 3.2).
    pub(crate) fn is_http2(&self) -> bool {
        match &self.io {
            Io::Tcp(_) => false,
            Io::Tls(tls) => tls.get_ref().1.alpn_protocol() == Some(b"h2".as_slice()),
        }
    }

    /// Returns whether the kernel has nothing to report about the socket: no bytes, no end, no error.
    fn is_quiet(&self) -> bool {
        let tcp = match &self.io {
            Io::Tcp(tcp) => tcp,
            Io::Tls(tls) => tls.get_ref().0,
        };
        let peek = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        rustix::net::recv(tcp, &mut [0_u8; 1], peek) == Err(Errno::AGAIN)
    }
}

/// Forwards reads and writes to either variant.
macro_rules! either {
    ($self:ident, $io:ident => $do:expr) => {
        match &mut $self.io {
            Io::Tcp($io) => {
                let $io = Pin::new($io);
                $do
            }
            Io::Tls($io) => {
                let $io = Pin::new(&mut **$io);
                $do
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = either!(self, io => io.poll_read(cx, buf));
        if buf.filled().len() > before {
            self.watch.answered.store(true, Ordering::Relaxed);
        }
        if read.is_pending() && self.watch.checks_kernel.load(Ordering::Relaxed) && !self.is_quiet()
        {
            // The end of the connection, or unexpected bytes, which count as its end.
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write(cx, buf))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_shutdown(cx))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, io => io.poll_write_vectored(cx, bufs))
    }
}
