//! Connections: a permit, checked addresses, TCP, TLS.
//!
//! hyper-util's own connector would resolve names itself and dial literal addresses unchecked; this one dials only the
//! addresses from [`Resolve`]. Addresses are tried in the order of RFC 8305 (families interleaved, the next one a
//! quarter of a second later). TLS verifies the name in the URL, with a pin, through a proxy, or without either.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iof_admission::{Admission, Permit};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::proxy::Proxy;
use crate::resolve::{Resolve, ResolvedTarget};
use crate::stream::{Io, Stream};
use crate::tcp::{ConnectError, connect_first};
use crate::tls::Tls;
use crate::{Error, Kind};

/// Makes connections for the pool.
pub(crate) struct Connector {
    resolve: Arc<Resolve>,
    proxy: Option<Proxy>,
    tls: Tls,
    /// One permit for each connection, open or being opened.
    connections: Admission,
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
            proxy,
            tls,
            connections: Admission::with_wait(max_connections, usize::MAX, Some(connect_timeout)),
            connect_timeout,
        }
    }

    /// Connects to the origin of an admitted URL, within the time that its request gives if that is less than the setting.
    pub(crate) async fn connect(
        &self,
        to: &Url,
        within: Option<Duration>,
    ) -> Result<Stream, Error> {
        let Some(within) = within.filter(|within| *within < self.connect_timeout) else {
            return self.connect_in_time(to).await;
        };
        let connected = timeout(within, self.connect_in_time(to)).await;
        connected.unwrap_or_else(|_| {
            let host = to.host_str().unwrap_or_default();
            let within = humantime_serde::re::humantime::format_duration(within);
            let message =
                format!("no connection to {host} within {within}, the time that its request gives");
            Err(Error::new(Kind::TimeoutConnect, message).transient_if(true))
        })
    }

    async fn connect_in_time(&self, to: &Url) -> Result<Stream, Error> {
        let (Some(host), Some(port)) = (to.host(), to.port_or_known_default()) else {
            return Err(Error::new(Kind::Url, "a URL without a host"));
        };
        let (host, secure) = (host.to_owned(), to.scheme() == "https");
        let permit = self.admit().await?;
        let opened = async {
            let (tcp, address) = self.dial(&host, port).await?;
            let io = match secure {
                false => Io::Tcp(tcp),
                true => self.tls_handshake(tcp, &host, port).await?,
            };
            Ok(Stream::new(io, address, permit))
        };
        self.in_time(&host.to_string(), opened).await
    }

    /// Opens only TCP, with the permit that it needs.
    pub(crate) async fn tcp(
        &self,
        host: &Host<String>,
        port: u16,
    ) -> Result<(TcpStream, SocketAddr, Permit), Error> {
        let permit = self.admit().await?;
        let (tcp, address) = self
            .in_time(&host.to_string(), self.dial(host, port))
            .await?;
        Ok((tcp, address, permit))
    }

    async fn admit(&self) -> Result<Permit, Error> {
        self.connections.acquire().await.map_err(|_| {
            let limit = self.connections.limit();
            let message = format!("{limit} connections are open already (limit max_connections)");
            Error::new(Kind::Busy, message)
        })
    }

    async fn in_time<T>(
        &self,
        name: &str,
        opened: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        timeout(self.connect_timeout, opened)
            .await
            .unwrap_or_else(|_| {
                let limit = humantime_serde::re::humantime::format_duration(self.connect_timeout);
                let message =
                    format!("no connection to {name} within {limit} (limit connect_timeout)");
                Err(Error::new(Kind::TimeoutConnect, message).transient_if(true))
            })
    }

    /// Opens TCP to a checked address.
    async fn dial(&self, host: &Host<String>, port: u16) -> Result<(TcpStream, SocketAddr), Error> {
        let target = self.resolve.addresses(host, port).await?;
        let (tcp, address) = match &self.proxy {
            // Pins are dialled directly, because a proxy is the way to the outside only.
            Some(proxy) if !target.pinned => {
                let upstream = format!("{host}:{port}");
                proxy.connect(&self.resolve, &upstream, target).await?
            }
            _ => {
                let ResolvedTarget {
                    addresses,
                    mut rest,
                    ..
                } = target;
                let connected = connect_first(&addresses, &mut rest).await;
                connected.map_err(|ConnectError { last, tried }| {
                    let message = format!("no connection to {host}:{port}: {}", last.kind());
                    Error::new(Kind::Connect, message)
                        .with_detail(format!("{last}; tried {tried:?}"))
                        .transient_if(true)
                })?
            }
        };
        // Requests are written whole; waiting to fill packets only delays them. A failure here costs only speed.
        let _ = tcp.set_nodelay(true);
        Ok((tcp, address))
    }

    async fn tls_handshake(
        &self,
        tcp: TcpStream,
        host: &Host<String>,
        port: u16,
    ) -> Result<Io, Error> {
        let name = match host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|e| {
                Error::new(
                    Kind::Tls,
                    format!("the host is not a name for TLS: got {name:?} ({e})"),
                )
            })?,
            Host::Ipv4(ip) => ServerName::from(std::net::IpAddr::from(*ip)),
            Host::Ipv6(ip) => ServerName::from(std::net::IpAddr::from(*ip)),
        };
        let connector = TlsConnector::from(self.tls.config_for(host, port));
        let tls = connector.connect(name, tcp).await;
        let tls = tls.map_err(|e| tls_failure(&host.to_string(), &e))?;
        Ok(Io::Tls(Box::new(tls)))
    }
}

fn tls_failure(host: &str, error: &io::Error) -> Error {
    let inner = error.get_ref();
    let message = match inner.and_then(|e| e.downcast_ref::<rustls::Error>()) {
        Some(rustls) => format!("TLS with {host} failed: {rustls}"),
        None => format!("TLS with {host} failed: the connection broke during the handshake"),
    };
    Error::new(Kind::Tls, message).with_detail(error)
}

/// The failure that TLS reports once the handshake is over on this side: a missing or refused client certificate is
/// reported with the first data (RFC 8446 section 4.4.2.4).
pub(crate) fn late_tls_failure(
    host: &str,
    error: &(dyn std::error::Error + 'static),
) -> Option<Error> {
    // h2 keeps only the text of an io::Error.
    let text = error.downcast_ref::<io::Error>()?.to_string();
    text.starts_with("received fatal alert: ")
        .then(|| Error::new(Kind::Tls, format!("TLS with {host} failed: {text}")))
}
