//! A connection as the pool holds it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

/// TCP to a checked address, which gives its place back when it closes.
pub(crate) struct Tcp {
    io: TokioIo<TcpStream>,
    to: SocketAddr,
    _place: Arc<OwnedSemaphorePermit>,
}

/// The address that a connection leads to, among what the pool knows of it.
#[derive(Clone, Copy)]
pub(crate) struct LeadsTo(pub(crate) SocketAddr);

impl Tcp {
    pub(crate) fn new(stream: TcpStream, to: SocketAddr, place: Arc<OwnedSemaphorePermit>) -> Tcp {
        // Requests are written whole; waiting to fill packets only delays them. Failing costs speed
        // alone.
        let _ = stream.set_nodelay(true);
        Tcp {
            io: TokioIo::new(stream),
            to,
            _place: place,
        }
    }
}

impl Connection for Tcp {
    fn connected(&self) -> Connected {
        Connected::new().extra(LeadsTo(self.to))
    }
}

impl Read for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
