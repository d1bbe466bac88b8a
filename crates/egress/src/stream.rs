//! A connection as the pool holds it: TCP to a checked address, and TLS in it or not.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::client::TlsStream;

/// It gives its place back when it closes.
pub(crate) struct Stream {
    io: Io,
    to: SocketAddr,
    _place: OwnedSemaphorePermit,
}

pub(crate) enum Io {
    Tcp(TokioIo<TcpStream>),
    Tls(Box<TokioIo<TlsStream<TcpStream>>>),
}

impl Stream {
    pub(crate) fn new(io: Io, to: SocketAddr, place: OwnedSemaphorePermit) -> Stream {
        Stream {
            io,
            to,
            _place: place,
        }
    }

    /// The address that it leads to.
    pub(crate) fn to(&self) -> SocketAddr {
        self.to
    }

    /// Whether HTTP/2 was agreed on in the handshake (RFC 9113 section 3.2).
    pub(crate) fn is_http2(&self) -> bool {
        match &self.io {
            Io::Tcp(_) => false,
            Io::Tls(tls) => tls.inner().get_ref().1.alpn_protocol() == Some(b"h2".as_slice()),
        }
    }
}

/// Either, as a value that hyper reads and writes.
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

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, io => io.poll_read(cx, buf))
    }
}

impl Write for Stream {
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
