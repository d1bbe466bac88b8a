//! Connections: a place, checked addresses, TCP, TLS.
//!
//! hyper-util's own connector would resolve names itself and dial literal addresses unseen; this
//! one dials what [`Resolve`] answered and nothing else. Addresses are tried in the order of RFC
//! 8305 (families interleaved, the next one a quarter of a second later). TLS is hyper-rustls
//! around it, which verifies the name in the URL, pinned, through a proxy, or neither.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::Service;
use url::Host;

use crate::proxy::Proxy;
use crate::resolve::Resolve;
use crate::stream::Tcp;
use crate::tls::Tls;
use crate::{Error, Kind};

/// How long the address before gets until the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

type Dialling<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;

/// Makes connections for the pool. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connector {
    resolve: Arc<Resolve>,
    proxy: Option<Arc<Proxy>>,
    tls: Arc<Tls>,
    /// One permit a connection, open or being opened.
    places: Arc<Semaphore>,
    max_connections: usize,
    connect_timeout: Duration,
}

impl Connector {
    pub(crate) fn new(
        resolve: Arc<Resolve>,
        proxy: Option<Proxy>,
        tls: Tls,
        max_connections: usize,
        connect_timeout: Duration,
    ) -> Connector {
        Connector {
            resolve,
            proxy: proxy.map(Arc::new),
            tls: Arc::new(tls),
            places: Arc::new(Semaphore::new(max_connections)),
            max_connections,
            connect_timeout,
        }
    }

    async fn connect(self, to: Uri) -> Result<MaybeHttpsStream<Tcp>, Error> {
        let place = timeout(self.connect_timeout, self.places.acquire_owned()).await;
        let Ok(Ok(place)) = place else {
            let message = format!(
                "{} connections are open (limit max_connections)",
                self.max_connections
            );
            return Err(Error::new(Kind::Busy, message));
        };
        let name = to.host().unwrap_or_default().to_owned();
        let host = Host::parse(&name)
            .map_err(|e| Error::new(Kind::Url, format!("{name:?} is not a host: {e}")))?;
        let default_port = match to.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let port = to.port_u16().unwrap_or(default_port);
        let tls = self.tls.config_for(&host, port);
        let dialler = Dialler {
            resolve: self.resolve,
            proxy: self.proxy,
            host,
            port,
            place: Arc::new(place),
        };
        let mut https = HttpsConnector::from((dialler, tls));
        match timeout(self.connect_timeout, https.call(to)).await {
            Ok(Ok(stream)) => Ok(stream),
            // The dialler's own errors pass as they are; what is left is the handshake's.
            Ok(Err(e)) => Err(e
                .downcast::<Error>()
                .map_or_else(|e| tls_failure(&name, &*e), |e| *e)),
            Err(_) => {
                let limit = humantime_serde::re::humantime::format_duration(self.connect_timeout);
                let message =
                    format!("no connection to {name} within {limit} (limit connect_timeout)");
                Err(Error::new(Kind::TimeoutConnect, message).passing_if(true))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<Tcp>;
    type Error = Error;
    type Future = Dialling<MaybeHttpsStream<Tcp>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        Box::pin(self.clone().connect(to))
    }
}

/// TCP to a checked address of one host, for one connection.
#[derive(Clone)]
struct Dialler {
    resolve: Arc<Resolve>,
    proxy: Option<Arc<Proxy>>,
    host: Host<String>,
    port: u16,
    place: Arc<OwnedSemaphorePermit>,
}

impl Dialler {
    async fn dial(self) -> Result<Tcp, Error> {
        let Dialler { host, port, .. } = &self;
        let way = self.resolve.addresses(host, *port).await?;
        let addresses = interleave(way.addresses);
        let (stream, to) = match &self.proxy {
            // A pin leads inside, and a proxy leads out.
            Some(proxy) if !way.pinned => {
                let upstream = format!("{host}:{port}");
                proxy.connect(&self.resolve, &upstream, &addresses).await?
            }
            _ => connect_first(&addresses).await.map_err(|e| {
                let message = format!("no connection to {host}:{port}: {}", e.kind());
                Error::new(Kind::Connect, message)
                    .with_detail(format!("{e}; tried {addresses:?}"))
                    .passing_if(true)
            })?,
        };
        Ok(Tcp::new(stream, to, self.place))
    }
}

impl Service<Uri> for Dialler {
    type Response = Tcp;
    type Error = Error;
    type Future = Dialling<Tcp>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Dialling<Tcp> {
        Box::pin(self.clone().dial())
    }
}

/// The first of `addresses` that is reached.
pub(crate) async fn connect_first(addresses: &[SocketAddr]) -> io::Result<(TcpStream, SocketAddr)> {
    let mut rest = addresses.iter();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        if let Some(&next) = rest.next() {
            attempts.push(async move { Ok((TcpStream::connect(next).await?, next)) });
        }
        let another = rest.len() > 0;
        tokio::select! {
            attempt = attempts.next() => match attempt {
                Some(Ok(connected)) => return Ok(connected),
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

/// What TLS says once the handshake is over on our side: that a client certificate is missing or
/// not accepted comes with the first data (RFC 8446 section 4.4.2.4).
pub(crate) fn late_tls_failure(
    host: &str,
    error: &(dyn std::error::Error + 'static),
) -> Option<Error> {
    // h2 keeps the text of an io::Error alone.
    let text = error.downcast_ref::<io::Error>()?.to_string();
    text.starts_with("received fatal alert: ")
        .then(|| Error::new(Kind::Tls, format!("TLS with {host} failed: {text}")))
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
        let (stream, to) = connect_first(&[refused, good]).await.unwrap();
        assert_eq!((stream.peer_addr().unwrap(), to), (good, good));
        assert!(connect_first(&[refused]).await.is_err());
    }
}
