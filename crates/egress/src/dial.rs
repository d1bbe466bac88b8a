//! Connections: a place, checked addresses, TCP, TLS.
//!
//! hyper-util's own connector would resolve names itself and dial literal addresses unseen; this
//! one dials what [`Resolve`] answered and nothing else. Addresses are tried in the order of RFC
//! 8305 (families interleaved, the next one a quarter of a second later). TLS is hyper-rustls
//! around it, which offers HTTP/2 and HTTP/1.1 and verifies the name in the URL, pinned or not.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::Service;
use url::Host;

use crate::resolve::Resolve;
use crate::{Error, Kind};

/// How long the address before gets until the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

type Dialling<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Makes connections for the pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector {
    https: HttpsConnector<Dialler>,
    /// One permit a connection, open or being opened.
    places: Arc<Semaphore>,
    max_connections: usize,
    connect_timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        resolve: Arc<Resolve>,
        tls: ClientConfig,
        max_connections: usize,
        connect_timeout: Duration,
    ) -> Connector {
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions();
        Connector {
            https: https.wrap_connector(Dialler { resolve }),
            places: Arc::new(Semaphore::new(max_connections)),
            max_connections,
            connect_timeout,
        }
    }

    async fn connect(mut self, to: Uri) -> Result<Stream, Error> {
        let place = timeout(self.connect_timeout, self.places.acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message = format!(
                "{} connections are open (limit max_connections)",
                self.max_connections
            );
            return Err(Error::new(Kind::Busy, message));
        };
        let host = to.host().unwrap_or_default().to_owned();
        match timeout(self.connect_timeout, self.https.call(to)).await {
            Ok(Ok(io)) => Ok(Stream { io, _place: place }),
            // The dialler's own errors pass as they are; what is left is the handshake's.
            Ok(Err(e)) => Err(e
                .downcast::<Error>()
                .map_or_else(|e| tls_failure(&host, &*e), |e| *e)),
            Err(_) => {
                let limit = humantime_serde::re::humantime::format_duration(self.connect_timeout);
                let message =
                    format!("no connection to {host} within {limit} (limit connect_timeout)");
                Err(Error::new(Kind::TimeoutConnect, message).passing_if(true))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = Error;
    type Future = Dialling<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Dialling<Stream> {
        Box::pin(self.clone().connect(to))
    }
}

/// TCP to a checked address.
#[derive(Clone)]
pub(crate) struct Dialler {
    resolve: Arc<Resolve>,
}

impl Dialler {
    async fn dial(self, to: Uri) -> Result<TokioIo<TcpStream>, Error> {
        let port = to
            .port_u16()
            .unwrap_or(if to.scheme_str() == Some("https") {
                443
            } else {
                80
            });
        let name = to.host().unwrap_or_default();
        let host = Host::parse(name)
            .map_err(|e| Error::new(Kind::Url, format!("{name:?} is not a host: {e}")))?;
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(v4) => Host::Ipv4(*v4),
            Host::Ipv6(v6) => Host::Ipv6(*v6),
        };
        let addresses = interleave(self.resolve.addresses(host, port).await?);
        let stream = connect_first(&addresses).await.map_err(|e| {
            let message = format!("no connection to {name}:{port}: {}", e.kind());
            Error::new(Kind::Connect, message)
                .with_detail(format!("{e}; tried {addresses:?}"))
                .passing_if(true)
        })?;
        // Requests are written whole; waiting to fill packets only delays them. Failing costs speed
        // alone.
        let _ = stream.set_nodelay(true);
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for Dialler {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = Dialling<TokioIo<TcpStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Dialling<TokioIo<TcpStream>> {
        Box::pin(self.clone().dial(to))
    }
}

async fn connect_first(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut rest = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(&next) = rest.next() {
            attempts.push(TcpStream::connect(next));
        }
        let another = rest.len() > 0;
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(e)) => last = e,
                None => return Err(last),
            },
            () = tokio::time::sleep(STAGGER), if another => {}
        }
    }
}

/// IPv6 first, then one of each family in turn (RFC 8305 section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.into_iter().partition(SocketAddr::is_ipv6);
    let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
    let mut turns = Vec::with_capacity(v6.len() + v4.len());
    loop {
        let pair = [v6.next(), v4.next()];
        if pair == [None, None] {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

fn tls_failure(host: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    let io = error.downcast_ref::<io::Error>();
    let inner = io.and_then(|io| io.get_ref());
    // hyper-rustls wraps the handshake's io::Error, which wraps rustls' own.
    let inner = inner
        .and_then(|e| e.downcast_ref::<io::Error>())
        .map_or(inner, |io| io.get_ref());
    let message = match inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(rustls) => format!("TLS with {host} failed: {rustls}"),
        None => format!("TLS with {host} failed: the connection broke during the handshake"),
    };
    Error::new(Kind::Tls, message).with_detail(error)
}

/// A connection that gives its place back when it closes.
pub(crate) struct Stream {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    _place: OwnedSemaphorePermit,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let parse = |list: &[&str]| {
            list.iter()
                .map(|a| a.parse().unwrap())
                .collect::<Vec<SocketAddr>>()
        };
        let mixed = parse(&["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[2600::1]:1"]);
        assert_eq!(
            interleave(mixed),
            parse(&["[2600::1]:1", "1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"])
        );
    }

    /// A dead first address costs a quarter of a second, not the whole connect_timeout.
    #[tokio::test]
    async fn the_next_address_does_not_wait_for_a_silent_one() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        // A listener whose queue is full answers no further SYN.
        let full = tokio::net::TcpSocket::new_v4().unwrap();
        full.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let refused = full.local_addr().unwrap();
        let stream = connect_first(&[refused, good]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        assert!(connect_first(&[refused]).await.is_err());
    }
}
