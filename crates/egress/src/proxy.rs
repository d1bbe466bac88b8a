//! The operator's proxy, for networks that have no other way out.
//!
//! A proxy changes the route of bytes and not the policy: names are resolved and addresses are checked here as
//! without it, and the proxy gets a request for a tunnel to the *checked address*, for http as for https (RFC 9110
//! section 9.3.6). With a name, it would resolve it a second time and undo the check; with plain requests to forward,
//! it would read and change them. The proxy is the operator's choice, so the class of its own address is not checked.
//! Environment variables are not read: they are not always set by the operator.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::config::{ConfigError, ProxyUrl};
use crate::resolve::{Resolve, ResolvedTarget};
use crate::tcp::{connect_first, interleave};
use crate::{Error, Kind};

/// The longest answer of a proxy: it is a few lines.
const LONGEST_HEAD: usize = 8 * 1024;

/// A proxy to connect through.
pub(crate) struct Proxy {
    host: Host<String>,
    port: u16,
    /// The value of `Proxy-Authorization`.
    credential: Option<String>,
}

/// The reason why there is no tunnel.
enum Failure {
    Io(io::Error),
    Refused(u16),
    Nonsense,
}

impl Proxy {
    /// The proxy of the setting, if there is one.
    ///
    /// # Errors
    /// An error that names the setting, and nothing of its value.
    pub(crate) fn new(setting: &ProxyUrl) -> Result<Option<Proxy>, ConfigError> {
        if setting.text().is_empty() {
            return Ok(None);
        }
        let wrong = |problem: &str| ConfigError::Value {
            setting: "proxy",
            problem: format!("{problem}. Write one such as \"http://proxy.example.com:3128\""),
        };
        let url =
            Url::parse(setting.text()).map_err(|e| wrong(&format!("the URL is not valid: {e}")))?;
        if url.scheme() != "http" {
            return Err(wrong("the scheme of the proxy is not http"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("the URL of the proxy has a path, query or fragment"));
        }
        let (Some(host), Some(port @ 1..)) = (url.host(), url.port_or_known_default()) else {
            return Err(wrong("the host or the port is missing"));
        };
        let password = url.password();
        let credential = (!url.username().is_empty() || password.is_some()).then(|| {
            let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
            pair.push(b':');
            pair.extend(percent_decode_str(password.unwrap_or_default()));
            format!("Basic {}", STANDARD.encode(pair))
        });
        Ok(Some(Proxy {
            host: host.to_owned(),
            port,
            credential,
        }))
    }

    /// A tunnel to the first address of `target` (the host of `upstream`, for messages) that the proxy reaches, and
    /// that address.
    pub(crate) async fn connect(
        &self,
        resolve: &Resolve,
        upstream: &str,
        target: ResolvedTarget<'_>,
    ) -> Result<(TcpStream, SocketAddr), Error> {
        let own = resolve.unchecked(&self.host, self.port).await;
        let mut own = own.map_err(|e| self.failed(upstream, "its name does not resolve", e))?;
        let mut last = None;
        let (mut addresses, mut rest) = (interleave(target.addresses), target.rest);
        'tried: loop {
            for to in addresses {
                match self.tunnel(&mut own, to).await {
                    Ok(stream) => return Ok((stream, to)),
                    // The proxy would refuse every address in this way, and may count the attempts.
                    Err(failure @ Failure::Refused(407)) => {
                        last = Some((failure, to));
                        break 'tried;
                    }
                    Err(failure) => last = Some((failure, to)),
                }
            }
            match rest.take() {
                Some(rest) => addresses = interleave(rest.await),
                None => break,
            }
        }
        Err(match last {
            Some((Failure::Refused(status), to)) => self
                .failed(upstream, &format!("it refused with status {status}"), to)
                .transient_if(status >= 500),
            Some((Failure::Nonsense, to)) => self
                .failed(upstream, "it did not answer in HTTP", to)
                .transient_if(false),
            Some((Failure::Io(e), to)) => {
                let detail = format!("{e}; tried {to}");
                self.failed(upstream, &e.kind().to_string(), detail)
            }
            None => self.failed(upstream, "no address was found to connect to", ""),
        })
    }

    async fn tunnel(
        &self,
        own: &mut ResolvedTarget<'_>,
        to: SocketAddr,
    ) -> Result<TcpStream, Failure> {
        let connected = connect_first(&own.addresses, &mut own.rest).await;
        let (mut stream, _) = connected.map_err(|unreached| Failure::Io(unreached.last))?;
        let mut request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        if let Some(credential) = &self.credential {
            request += &format!("Proxy-Authorization: {credential}\r\n");
        }
        request += "\r\n";
        let written = stream.write_all(request.as_bytes()).await;
        written.map_err(Failure::Io)?;

        let mut head = Vec::new();
        loop {
            if let Some(end) = memmem::find(&head, b"\r\n\r\n") {
                return match status(&head) {
                    // The other side of a tunnel never sends before this side does, neither in TLS nor in HTTP.
                    Some(200..300) if end + 4 == head.len() => Ok(stream),
                    Some(200..300) | None => Err(Failure::Nonsense),
                    Some(other) => Err(Failure::Refused(other)),
                };
            }
            let begins = head.len() < 7 || head.starts_with(b"HTTP/1.");
            if !begins || head.len() > LONGEST_HEAD {
                return Err(Failure::Nonsense);
            }
            match stream.read_buf(&mut head).await {
                Ok(0) => return Err(Failure::Io(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(e) => return Err(Failure::Io(e)),
            }
        }
    }

    fn failed(&self, upstream: &str, why: &str, detail: impl fmt::Display) -> Error {
        let message = format!("no connection to {upstream} through the proxy: {why}");
        let Proxy { host, port, .. } = self;
        Error::new(Kind::Connect, message)
            .with_detail(format!("proxy {host}:{port}; {detail}"))
            .transient_if(true)
    }
}

/// The status in a head that is complete up to the end of its first line.
fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|&b| b == b'\r').next()?;
    if line.len() == head.len() {
        return None;
    }
    let (version, rest) = line.split_at_checked(9)?;
    let digits = rest.split(|&b| b == b' ').next()?;
    let good = version.starts_with(b"HTTP/1.") && version.ends_with(b" ") && digits.len() == 3;
    let digits = std::str::from_utf8(digits).ok().filter(|_| good)?;
    digits.parse().ok().filter(|status| *status >= 100)
}
